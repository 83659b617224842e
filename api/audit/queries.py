"""The audit trail, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import AuditEntry


@dataclass(frozen=True, slots=True)
class EntryRow:
    id: UUID
    at: datetime
    caller: str
    action: str
    subject_kind: str
    subject_id: str | None
    detail: dict[str, Any]
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; None asks for all."""

    subject_kind: str | None = None
    subject_id: str | None = None


async def list_entries(tx: AsyncConnection, wanted: Wanted, *, after: UUID | None, limit: int) -> Sequence[EntryRow]:
    question = (
        select(
            AuditEntry.id,
            AuditEntry.at,
            AuditEntry.caller,
            AuditEntry.action,
            AuditEntry.subject_kind,
            AuditEntry.subject_id,
            AuditEntry.detail,
            AuditEntry.request_id,
        )
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    )
    if after is not None:
        question = question.where(AuditEntry.id < after)
    if wanted.subject_kind is not None:
        question = question.where(AuditEntry.subject_kind == wanted.subject_kind)
    if wanted.subject_id is not None:
        question = question.where(AuditEntry.subject_id == wanted.subject_id)
    return [EntryRow(*row) for row in await tx.execute(question)]
