"""What contacts ask of the database."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, delete, false, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement

from shared.errors import Conflict, NotFound
from shared.models import Contact, TargetGroup
from shared.queries.target_groups import belongs_to

ContactRow = Row[Any]

_PUNCTUATION: Final = re.compile(r"[\s().\-/]")  # of a number, in whatever notation


# Of people, for what no index finds: a fifth of a second of looking.
MOST_LOOKED_AT: Final = 200_000


class ContactExists(Conflict):
    """Another contact has this number; there is one contact for each."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which contacts a list shows."""

    msisdn: str | None = None
    q: str | None = None
    external_id: str | None = None
    target_group_id: UUID | None = None


class Found(NamedTuple):
    """Contacts, newest first, and where to look on: None at their end."""

    rows: Sequence[ContactRow]
    further: UUID | None


async def insert_contact(tx: AsyncConnection, values: Mapping[str, Any]) -> ContactRow:
    """Store a contact; the number may not be another's."""
    statement = (
        insert(Contact).values(**values).on_conflict_do_nothing(index_elements=[Contact.msisdn]).returning(Contact)
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise await _taken(tx, values["msisdn"])
    return row


async def update_contact(tx: AsyncConnection, contact_id: UUID, values: Mapping[str, Any]) -> ContactRow:
    if "msisdn" in values:
        holder = await find_id_of_msisdn(tx, values["msisdn"])
        if holder not in {None, contact_id}:
            raise await _taken(tx, values["msisdn"])
    statement = update(Contact).where(Contact.id == contact_id).values(**values).returning(Contact)
    try:
        return (await tx.execute(statement)).one()
    except IntegrityError as error:
        raise ContactExists("Another contact was given this msisdn just now.") from error


async def find_id_of_msisdn(tx: AsyncConnection, msisdn: str) -> UUID | None:
    found: UUID | None = await tx.scalar(select(Contact.id).where(Contact.msisdn == msisdn))
    return found


async def get_contact(tx: AsyncConnection, contact_id: UUID) -> ContactRow:
    question = select(Contact).where(Contact.id == contact_id)
    return _there((await tx.execute(question)).one_or_none())


async def lock_contact(tx: AsyncConnection, contact_id: UUID) -> ContactRow:
    question = select(Contact).where(Contact.id == contact_id).with_for_update()
    return _there((await tx.execute(question)).one_or_none())


async def list_contacts(
    tx: AsyncConnection, wanted: Filter, *, before: UUID | None, limit: int, now: datetime
) -> Found:
    """A page of contacts, the newest first.

    What `q` finds is looked for among the next `MOST_LOOKED_AT` contacts: the page may then hold fewer than `limit`, or
    none, and yet there is more. So no search goes through all people at once, however rare the name.
    """
    within = [] if before is None else [Contact.id < before]
    question = select(Contact).where(*within).order_by(Contact.id.desc()).limit(limit + 1)
    last = None
    if wanted.msisdn is not None:
        question = question.where(Contact.msisdn == wanted.msisdn)
    if wanted.external_id is not None:
        question = question.where(Contact.external_id == wanted.external_id)
    if wanted.q is not None:
        question = question.where(matches(wanted.q, Contact.msisdn))
        last = await find_last(tx, Contact.id, *within, descending=True)
        question = question if last is None else question.where(Contact.id >= last)
    if wanted.target_group_id is not None:
        columns = (TargetGroup.id, TargetGroup.kind, TargetGroup.conditions)
        group = (await tx.execute(select(*columns).where(TargetGroup.id == wanted.target_group_id))).one_or_none()
        question = question.where(false() if group is None else belongs_to(group, now=now))
    rows = (await tx.execute(question)).all()
    return Found(rows[:limit], rows[limit - 1].id if len(rows) > limit else last)


async def find_last(
    tx: AsyncConnection, place: Any, *within: ColumnElement[bool], most: int | None = None, descending: bool = False
) -> Any | None:
    """The place of the last of the next `most` rows, by an index on it; None where there are fewer."""
    question = select(place).where(*within).order_by(place.desc() if descending else place)
    return await tx.scalar(question.offset((most or MOST_LOOKED_AT) - 1).limit(1))


def matches(
    q: str, number: ColumnElement[Any] | InstrumentedAttribute[str], *, name: ColumnElement[Any] | None = None
) -> ColumnElement[bool]:
    """Whether a search finds somebody: by a part of the name in any case, or of the number in any notation."""
    digits = digits_of(q)
    by_name = (Contact.name.expression if name is None else name).icontains(q, autoescape=True)
    return or_(by_name, number.contains(digits, autoescape=True)) if digits else by_name


def digits_of(q: str) -> str:
    """What of a search could stand in a number, without what people write between its digits."""
    return _PUNCTUATION.sub("", q)


async def delete_contact(tx: AsyncConnection, contact_id: UUID) -> None:
    """Take the contact out of its groups and away. A standing opt-out of the number stays."""
    await tx.execute(delete(Contact).where(Contact.id == contact_id))


async def _taken(tx: AsyncConnection, msisdn: str) -> ContactExists:
    holder = await find_id_of_msisdn(tx, msisdn)
    return ContactExists(f"The contact {holder} has this msisdn already; change that one.", pointer="/msisdn")


def _there(row: ContactRow | None) -> ContactRow:
    if row is None:
        raise NotFound("There is no contact with this id.")
    return row
