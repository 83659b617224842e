"""What the stage of automations asks of the database, and what it leaves there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import AutomationRun, EventRow, Message

AnyRow = Row[*tuple[Any, ...]]

_ONE_AT_A_TIME = 7_219_004


async def claim_events(tx: AsyncConnection, *, limit: int) -> Sequence[AnyRow]:
    """Events that nobody has answered, the oldest first; none while another dispatcher is at it."""
    if not await tx.scalar(select(func.pg_try_advisory_xact_lock(_ONE_AT_A_TIME))):
        return ()
    waiting = (
        select(EventRow)
        .where(EventRow.handled_at.is_(None))
        .order_by(EventRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await tx.execute(waiting)).all()


async def write_answers(
    tx: AsyncConnection,
    events: Sequence[AnyRow],
    *,
    messages: Sequence[dict[str, Any]],
    runs: Sequence[dict[str, Any]],
    now: datetime,
) -> None:
    """All that some events led to, and that they are done."""
    if messages:
        await tx.execute(insert(Message), list(messages))
    if runs:
        await tx.execute(insert(AutomationRun), list(runs))
    done = update(EventRow).where(EventRow.id.in_([event.id for event in events]))
    await tx.execute(done.values(handled_at=now))
