"""Automations and events in Postgres, as their owners ask for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, insert, select, text, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.message import MAY_LEAVE, Status
from shared.errors import Conflict, NotFound
from shared.models import Automation, AutomationRun, EventRow, Message, TemplateRow

AnyRow = Row[*tuple[Any, ...]]


# So that of two who want a name at once one is refused, and does not fail.
_NAMES_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('lapwing.automation_names'))")


class AutomationNameTaken(Conflict):
    """Another automation has this name."""


async def insert_automation(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow:
    await check_name_free(tx, values["name"])
    return (await tx.execute(insert(Automation).values(**values).returning(Automation))).one()


async def check_name_free(tx: AsyncConnection, name: str, *, besides: UUID | None = None) -> None:
    """Refuse a name that another has. Until the transaction ends nobody else is asked for any."""
    await tx.execute(_NAMES_ALONE)
    taken = await tx.scalar(select(Automation.id).where(Automation.name == name))
    if taken is not None and taken != besides:
        raise AutomationNameTaken(
            f"The automation {taken} is named {name!r} already; choose another name.", pointer="/name"
        )


async def get_automation(tx: AsyncConnection, automation_id: UUID, *, lock: bool = False) -> AnyRow:
    question = select(Automation).where(Automation.id == automation_id)
    row = (await tx.execute(question.with_for_update() if lock else question)).one_or_none()
    if row is None:
        raise NotFound(f"There is no automation {automation_id}.")
    return row


async def list_automations(
    tx: AsyncConnection, *, event: str | None, before: UUID | None, limit: int
) -> Sequence[AnyRow]:
    question = select(Automation).order_by(Automation.id.desc()).limit(limit)
    if event is not None:
        question = question.where(Automation.event == event)
    if before is not None:
        question = question.where(Automation.id < before)
    return (await tx.execute(question)).all()


async def hold_template(tx: AsyncConnection, template_id: UUID) -> bool:
    """Whether the template is there; until this transaction ends it cannot be deleted, so the automation counts."""
    held = select(TemplateRow.id).where(TemplateRow.id == template_id).with_for_update(read=True, key_share=True)
    return await tx.scalar(held) is not None


async def update_automation(tx: AsyncConnection, automation_id: UUID, changes: Mapping[str, Any]) -> AnyRow:
    changed = update(Automation).where(Automation.id == automation_id).values(**changes).returning(Automation)
    return (await tx.execute(changed)).one()


async def delete_automation(tx: AsyncConnection, automation_id: UUID) -> None:
    await tx.execute(delete(Automation).where(Automation.id == automation_id))


async def cancel_waiting(tx: AsyncConnection, automation_id: UUID, now: datetime) -> int:
    """Ask for all that the automation made and that may leave yet to be called back; how many of them are queued."""
    made = select(AutomationRun.message_id).where(
        AutomationRun.automation_id == automation_id, AutomationRun.message_id.is_not(None)
    )
    asked = await tx.execute(
        update(Message)
        .where(Message.id.in_(made), Message.status.in_(MAY_LEAVE), Message.cancel_requested_at.is_(None))
        .values(cancel_requested_at=now)
        .returning(Message.status)
    )
    return sum(status is Status.QUEUED for status in asked.scalars())


async def get_event(tx: AsyncConnection, event_id: UUID) -> AnyRow:
    row = (await tx.execute(select(EventRow).where(EventRow.id == event_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no event {event_id}.")
    return row


async def get_event_of(tx: AsyncConnection, key: str, told: Mapping[str, Any]) -> AnyRow:
    """The event told under this key; `is_same` says whether what is told now, by column, is the same.

    Postgres compares: read back, JSON is not what was written. 1e23 is a whole number then, and not the float.
    """
    columns = EventRow.__table__.c
    is_same = and_(*(columns[name].is_not_distinct_from(value) for name, value in told.items())).label("is_same")
    return (await tx.execute(select(EventRow, is_same).where(EventRow.key == key))).one()


async def list_events(tx: AsyncConnection, *, name: str | None, before: UUID | None, limit: int) -> Sequence[AnyRow]:
    question = select(EventRow).order_by(EventRow.id.desc()).limit(limit)
    if name is not None:
        question = question.where(EventRow.name == name)
    if before is not None:
        question = question.where(EventRow.id < before)
    return (await tx.execute(question)).all()


async def list_trace(tx: AsyncConnection, event_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[AnyRow]]:
    """What each of these events led to."""
    rows = await tx.execute(
        select(AutomationRun, Automation.name)
        .join(Automation, Automation.id == AutomationRun.automation_id)
        .where(AutomationRun.event_id.in_(event_ids))
        .order_by(AutomationRun.automation_id)
    )
    found: dict[UUID, list[AnyRow]] = {event_id: [] for event_id in event_ids}
    for row in rows:
        found[row.event_id].append(row)
    return found
