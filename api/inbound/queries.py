"""Inbound messages, the latest first. Their ids sort by the time they came, so time ranges are ranges of ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, and_, not_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.keywords import Keyword
from shared.errors import NotFound
from shared.ids import first_uuid7
from shared.models import InboundRow

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which inbound messages; what is None does not matter. `until` is not included."""

    msisdn: str | None
    keyword: Keyword | None
    gateway_id: UUID | None
    since: datetime | None
    until: datetime | None
    review: bool | None = None


async def list_inbound(tx: AsyncConnection, wanted: Wanted, *, before: UUID | None, limit: int) -> Sequence[Row[Any]]:
    question = select(InboundRow).order_by(InboundRow.id.desc()).limit(limit)
    if wanted.msisdn is not None:
        question = question.where(InboundRow.msisdn == wanted.msisdn)
    if wanted.keyword is not None:
        question = question.where(InboundRow.keyword == wanted.keyword.value)
    if wanted.gateway_id is not None:
        question = question.where(InboundRow.gateway_id == wanted.gateway_id)
    if wanted.since is not None:
        question = question.where(InboundRow.id >= _first_id(wanted.since))
    if wanted.until is not None:
        question = question.where(InboundRow.id < _first_id(wanted.until))
    if wanted.review is not None:
        open_ = and_(InboundRow.review, InboundRow.reviewed_at.is_(None))
        question = question.where(open_ if wanted.review else not_(open_))
    if before is not None:
        question = question.where(InboundRow.id < before)
    return (await tx.execute(question)).all()


def _first_id(moment: datetime) -> UUID:
    """The lowest id of a moment; ids know none before 1970."""
    return first_uuid7(max(moment, _EPOCH))


async def lock_inbound(tx: AsyncConnection, inbound_id: UUID) -> Row[Any]:
    row = (await tx.execute(select(InboundRow).where(InboundRow.id == inbound_id).with_for_update())).one_or_none()
    if row is None:
        raise NotFound(f"There is no inbound message {inbound_id}.")
    return row


async def mark_reviewed(tx: AsyncConnection, inbound_id: UUID, *, caller: str, now: datetime) -> Row[Any]:
    marked = update(InboundRow).where(InboundRow.id == inbound_id).values(reviewed_at=now, reviewed_by=caller)
    return (await tx.execute(marked.returning(InboundRow))).one()
