"""The sender IDs' rows, and who still sends with one."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import Conflict, NotFound
from shared.models import Gateway, SenderIdRow
from shared.queries.sender_ids import find_need

SenderRow = Row[Any]


class SenderIdTaken(Conflict):
    """The gateway has this sender ID already."""


class SenderIdInUse(Conflict):
    """Something that may still send does so with this sender ID."""


async def find_gateway_kind(tx: AsyncConnection, gateway_id: UUID) -> str | None:
    """The kind of a gateway, which cannot be deleted until this transaction ends."""
    kind: str | None = await tx.scalar(select(Gateway.kind).where(Gateway.id == gateway_id).with_for_update(read=True))
    return kind


async def insert_sender_id(tx: AsyncConnection, row: Mapping[str, Any]) -> SenderRow:
    inserted = await tx.execute(
        insert(SenderIdRow)
        .values(**row)
        .on_conflict_do_nothing(index_elements=[SenderIdRow.gateway_id, SenderIdRow.value])
        .returning(SenderIdRow)
    )
    found = inserted.one_or_none()
    if found is None:
        raise _taken(row["value"])
    return found


async def list_sender_ids(
    tx: AsyncConnection, *, gateway_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[SenderRow]:
    """A page of sender IDs, the oldest first."""
    question = select(SenderIdRow).order_by(SenderIdRow.id).limit(limit)
    if gateway_id is not None:
        question = question.where(SenderIdRow.gateway_id == gateway_id)
    if after is not None:
        question = question.where(SenderIdRow.id > after)
    return (await tx.execute(question)).all()


async def get_sender_id(tx: AsyncConnection, sender_id: UUID) -> SenderRow:
    return _there((await tx.execute(select(SenderIdRow).where(SenderIdRow.id == sender_id))).one_or_none())


async def lock_sender_id(tx: AsyncConnection, sender_id: UUID) -> SenderRow:
    question = select(SenderIdRow).where(SenderIdRow.id == sender_id).with_for_update()
    return _there((await tx.execute(question)).one_or_none())


async def update_sender_id(tx: AsyncConnection, row: SenderRow, values: Mapping[str, Any]) -> SenderRow:
    """Change the value; the row must be locked."""
    twin = await tx.scalar(
        select(SenderIdRow.id).where(
            SenderIdRow.gateway_id == row.gateway_id, SenderIdRow.value == values["value"], SenderIdRow.id != row.id
        )
    )
    if twin is not None:
        raise _taken(values["value"])
    return (
        await tx.execute(update(SenderIdRow).where(SenderIdRow.id == row.id).values(**values).returning(SenderIdRow))
    ).one()


async def check_unused(tx: AsyncConnection, row: SenderRow) -> None:
    """Raise while something that may still send needs it, and no other gateway has the same one."""
    twin = await tx.scalar(select(SenderIdRow.id).where(SenderIdRow.value == row.value, SenderIdRow.id != row.id))
    if twin is None and (told := await find_need(tx, [row.value])):
        raise SenderIdInUse(told)


async def delete_sender_id(tx: AsyncConnection, sender_id: UUID) -> None:
    await tx.execute(delete(SenderIdRow).where(SenderIdRow.id == sender_id))


def _taken(value: str) -> SenderIdTaken:
    return SenderIdTaken(f"The gateway has the sender ID {value!r} already.")


def _there(row: SenderRow | None) -> SenderRow:
    if row is None:
        raise NotFound("There is no sender ID with this id.")
    return row
