"""The audit trail: who did what to which thing, written in the transaction that does it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.ids import uuid7
from shared.models import AuditEntry


async def record(  # noqa: PLR0913 - all of an entry, each by its name
    tx: AsyncConnection,
    *,
    caller: str,
    action: str,
    subject: tuple[str, str | None],
    detail: Mapping[str, Any],
    now: datetime,
    request_id: str | None = None,
) -> None:
    """Write down one deed. `subject` is (kind, id); `detail` holds no secret, no text and no number."""
    kind, id_ = subject
    await tx.execute(
        insert(AuditEntry).values(
            id=uuid7(now),
            at=now,
            caller=caller,
            action=action,
            subject_kind=kind,
            subject_id=id_,
            detail=dict(detail),
            request_id=request_id,
        )
    )


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What changed, as `{name: {"from": ..., "to": ...}}`; neither side may hold a secret, a text or a number."""
    return {name: {"from": before.get(name), "to": value} for name, value in after.items() if before.get(name) != value}
