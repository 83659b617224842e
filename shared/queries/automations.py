"""Automations as both processes ask for them: who wants an event, whom it is about, how often that one had one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import and_, exists, false, func, not_, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.message import Status
from shared.ids import uuid7
from shared.models import Automation, AutomationRun, Contact, EventRow, Message

AnyRow = Row[*tuple[Any, ...]]

# What reached nobody, or is about to be such.
_IN_VAIN: Final = or_(
    Message.status.in_([Status.FAILED, Status.EXPIRED, Status.CANCELLED, Status.SKIPPED]),
    and_(Message.status == Status.QUEUED, Message.cancel_requested_at.is_not(None)),
)


@dataclass(frozen=True, slots=True)
class People:
    """Those whom some events are about, by contact and by number."""

    by_id: Mapping[UUID, AnyRow]
    by_msisdn: Mapping[str, AnyRow]


async def list_wanting(tx: AsyncConnection, names: Collection[str]) -> Sequence[AnyRow]:
    """The automations that are on and wait for one of these events, the oldest first.

    They stay as they are until the transaction ends: one that is being stopped waits for what is made of them here, and
    calls it back.
    """
    question = select(Automation).where(Automation.event.in_(names), Automation.enabled).order_by(Automation.id)
    return (await tx.execute(question.with_for_update(read=True))).all()


async def list_people(tx: AsyncConnection, ids: Collection[UUID], msisdns: Collection[str]) -> People:
    by_id = {row.id: row for row in await tx.execute(select(Contact).where(Contact.id.in_(ids)))}
    by_msisdn = {row.msisdn: row for row in await tx.execute(select(Contact).where(Contact.msisdn.in_(msisdns)))}
    return People(by_id, by_msisdn)


async def count_lately(
    tx: AsyncConnection, automation: AnyRow, hashes: Collection[bytes], *, now: datetime
) -> dict[bytes, int]:
    """How many messages of the automation each of these people had within the hours of its cap.

    What was called back, passed over, failed or expired reached nobody, and leaves room for another. Each message is
    looked up by its id, in a question of its own: a join may read all messages that ended so.
    """
    if automation.cap_messages is None or not hashes:
        return {}
    since = now - timedelta(hours=automation.cap_hours)
    in_vain = select(_IN_VAIN).where(Message.id == AutomationRun.message_id).scalar_subquery()
    rows = await tx.execute(
        select(AutomationRun.msisdn_hash, func.count().filter(not_(func.coalesce(in_vain, false()))))
        .where(
            AutomationRun.automation_id == automation.id,
            AutomationRun.msisdn_hash.in_(hashes),
            AutomationRun.at > since,
            AutomationRun.message_id.is_not(None),
        )
        .group_by(AutomationRun.msisdn_hash)
    )
    return {row[0]: row[1] for row in rows if row[0] is not None}


async def insert_event(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow | None:
    """Keep an event; None when its key was told before."""
    kept = await tx.execute(
        insert(EventRow).values(**values).on_conflict_do_nothing(index_elements=[EventRow.key]).returning(EventRow)
    )
    return kept.one_or_none()


async def tell_inside(  # noqa: PLR0913 - what an event is, by name
    tx: AsyncConnection,
    name: str,
    *,
    contact_id: UUID | None = None,
    msisdn: str | None = None,
    data: Mapping[str, Any] | None = None,
    key: str | None = None,
    now: datetime,
) -> bool:
    """Something happened here that an automation may wait for; nothing is kept when none does. Whether one does.

    `key` names it where it could be told twice.
    """
    waits = await tx.scalar(select(exists().where(Automation.event == name, Automation.enabled)))
    if waits:
        told = {
            "id": uuid7(now),
            "key": f"{name} {key or uuid4()}",
            "name": name,
            "data": data or {},
            "received_at": now,
        }
        await insert_event(tx, {**told, "contact_id": contact_id, "msisdn": msisdn})
    return bool(waits)
