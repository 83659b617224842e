"""Notices, the latest first, with the letters that carry them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.notice import Kind
from shared.errors import NotFound
from shared.models import NoticeEmail, NoticeRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which notices; what is None does not matter."""

    acknowledged: bool | None = None
    kind: Kind | None = None
    subject_id: UUID | None = None


async def list_notices(tx: AsyncConnection, wanted: Wanted, *, before: UUID | None, limit: int) -> Sequence[Row[Any]]:
    question = select(NoticeRow).order_by(NoticeRow.id.desc()).limit(limit)
    if wanted.acknowledged is not None:
        seen = NoticeRow.acknowledged_at
        question = question.where(seen.is_not(None) if wanted.acknowledged else seen.is_(None))
    if wanted.kind is not None:
        question = question.where(NoticeRow.kind == wanted.kind.value)
    if wanted.subject_id is not None:
        question = question.where(NoticeRow.subject_id == wanted.subject_id)
    if before is not None:
        question = question.where(NoticeRow.id < before)
    return (await tx.execute(question)).all()


async def list_emails(tx: AsyncConnection, notice_ids: Sequence[UUID]) -> Mapping[UUID, list[Row[Any]]]:
    """The letters of each of these notices."""
    found: dict[UUID, list[Row[Any]]] = {notice_id: [] for notice_id in notice_ids}
    question = select(NoticeEmail).where(NoticeEmail.notice_id.in_(notice_ids)).order_by(NoticeEmail.address)
    for row in await tx.execute(question):
        found[row.notice_id].append(row)
    return found


async def get_notice(tx: AsyncConnection, notice_id: UUID) -> Row[Any]:
    row = (await tx.execute(select(NoticeRow).where(NoticeRow.id == notice_id))).one_or_none()
    if row is None:
        raise NotFound("There is no notice with this id.")
    return row


async def acknowledge(tx: AsyncConnection, notice_id: UUID, *, caller: str, now: datetime) -> bool:
    """Tick a notice off; whether this was the first time. Who was first stays written down."""
    ticked = await tx.execute(
        update(NoticeRow)
        .where(NoticeRow.id == notice_id, NoticeRow.acknowledged_at.is_(None))
        .values(acknowledged_at=now, acknowledged_by=caller)
    )
    return ticked.rowcount == 1
