"""The owner's fields: their definitions, and which keys there are at all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.contact_field import Definition, FieldType
from shared.models import ContactField


@dataclass(frozen=True, slots=True)
class Known:
    """Which of the keys asked for are somebody's, and the definitions of those that have one."""

    keys: frozenset[str]
    definitions: Mapping[str, Definition]


async def find_fields(tx: AsyncConnection, keys: Iterable[str]) -> Known:
    """What is known of these keys."""
    wanted = sorted(key for key in set(keys) if key.isidentifier())  # others are nobody's, and refused elsewhere
    if not wanted:
        return Known(frozenset(), {})
    columns = (ContactField.key, ContactField.type, ContactField.choices, ContactField.defined_at)
    rows = (await tx.execute(select(*columns).where(ContactField.key.in_(wanted)))).all()
    definitions = {row.key: Definition(row.key, row.type, tuple(row.choices)) for row in rows if row.defined_at}
    return Known(frozenset(row.key for row in rows), definitions)


async def list_some_keys(tx: AsyncConnection, *, most: int) -> Sequence[str]:
    """Keys that are somebody's, for a person who wrote another one; those with a type come first."""
    question = select(ContactField.key).order_by(ContactField.defined_at.is_(None), ContactField.key).limit(most)
    return (await tx.execute(question)).scalars().all()


async def list_defined_keys(tx: AsyncConnection) -> Sequence[str]:
    """The keys of all fields that have a type."""
    rows = await tx.execute(select(ContactField.key).where(ContactField.defined_at.is_not(None)))
    return rows.scalars().all()


async def note_keys(tx: AsyncConnection, keys: Iterable[str], *, now: datetime) -> None:
    """Remember that somebody has these fields. In one order everywhere, so that nobody waits in a ring."""
    rows = [{"key": key, "type": FieldType.TEXT, "created_at": now, "updated_at": now} for key in sorted(set(keys))]
    if rows:
        await tx.execute(insert(ContactField).values(rows).on_conflict_do_nothing())
