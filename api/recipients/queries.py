"""What recipients and exclusions ask of the database.

Before the audience is frozen its parts are read one by one, each in the order of its own index, so that a page costs
the same however many there are.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    true,
    union,
    union_all,
    values,
)
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.contacts.queries import digits_of, find_last, matches
from shared.domain.message import SkipReason
from shared.models import CampaignRecipient, Contact
from shared.queries.audience import Audience, everybody_of, parts_of, skipped_of

# Of recipients, each of whom has a name somewhere else: as long as it takes to look through so many more contacts.
MOST_LOOKED_UP: Final = 50_000


class Listed(NamedTuple):
    """One of a list, as it is shown."""

    position: int | None
    msisdn: str
    contact_id: UUID | None
    name: str | None
    skip_reason: str | None
    excluded_by: str | None = None


class Found(NamedTuple):
    """Some of a list, and the place to look on from; None at its end, and where there is more than was asked for."""

    rows: list[Listed]
    further: Any = None


def _matches(q: str | None, number: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """What a search asks for: a part of the name in any case, or of the number in any notation."""
    if q is None:
        return []
    return [matches(q, number)]


async def list_frozen(
    tx: AsyncConnection, campaign_id: UUID, *, skipped: bool, q: str | None, after: int, limit: int
) -> Found:
    """Rows of the audience: recipients in the order of their positions, or those left out, the latest last."""
    row = CampaignRecipient
    position = row.position
    mine = row.campaign_id == campaign_id
    order = (position < min(after, 0), position.desc()) if skipped else (position > max(after, 0), position)
    # Looked up one by one, of as many as are looked at: a join would read all contacts for however few.
    person = select(Contact.name).where(Contact.id == row.contact_id).offset(0).lateral("person")
    question = (
        select(position, row.msisdn, row.contact_id, person.c.name, row.skip_reason, row.excluded_by)
        .outerjoin(person, true())
        .where(mine, order[0])
        .order_by(order[1])
        .limit(limit)
    )
    last = None
    if q is not None:
        question = question.where(matches(q, row.msisdn, name=person.c.name))
        last = await find_last(tx, position, mine, order[0], most=MOST_LOOKED_UP, descending=skipped)
    if last is not None:
        question = question.where(position >= last if skipped else position <= last)
    return Found([Listed(*each) for each in await tx.execute(question)], last)


async def list_expected_contacts(
    tx: AsyncConnection, audience: Audience, *, q: str | None, after: UUID | None, limit: int
) -> Found:
    """Contacts that would be reached, in the order of their ids."""
    last = None
    if q is not None:
        last = await find_last(tx, Contact.id, *([] if after is None else [Contact.id > after]))
    sought = [*_matches(q, audience.number), *([] if last is None else [Contact.id <= last])]
    parts = [
        _first(part.where(*sought), after=after, limit=limit) for part in parts_of(audience, Contact.name.label("name"))
    ]
    each = union(*parts).subquery()
    question = select(each.c.msisdn, each.c.contact_id, each.c.name).order_by(each.c.contact_id).limit(limit)
    rows = [Listed(None, *row, None) for row in await tx.execute(question)]
    return Found(rows, None if last is None else str(last))


def _first(part: Select[Any], *, after: UUID | None, limit: int) -> Select[Any]:
    """The next contacts of one part. A contact's own part need not be read beyond what a page may take of it."""
    part = part.where(Contact.id.is_not(None)) if after is None else part.where(Contact.id > after)
    page = part.order_by(Contact.id).limit(limit).subquery()
    return select(page)


async def list_expected_numbers(
    tx: AsyncConnection, audience: Audience, *, q: str | None, after: str | None, limit: int
) -> Found:
    """Loose numbers that would be reached, in their order: there are no more of them than a request may name."""
    loose = parts_of(audience)[-1].where(Contact.id.is_(None)).subquery()
    question = select(loose.c.msisdn).distinct().order_by(loose.c.msisdn).limit(limit)
    if after is not None:
        question = question.where(loose.c.msisdn > after)
    if q is not None:
        question = question.where(loose.c.msisdn.contains(digits_of(q) or q, autoescape=True))
    return Found([Listed(None, msisdn, None, None, None) for (msisdn,) in await tx.execute(question)])


async def list_unreachable(
    tx: AsyncConnection, audience: Audience, *, q: str | None, after: str | None, limit: int
) -> Found:
    """Who would be left out though nobody excluded them, in the order of their own numbers."""
    everybody = union_all(*skipped_of(audience)).subquery()
    contact_id, own, why = everybody.c
    question = (
        select(own, contact_id, Contact.name, why)
        .select_from(everybody)
        .outerjoin(Contact, Contact.id == contact_id)
        .where(*_matches(q, own))
        .ext(distinct_on(own))
        .order_by(own)
        .limit(limit)
    )
    if after is not None:
        question = question.where(own > after)
    return Found([Listed(None, *row) for row in await tx.execute(question)])


async def exclude(
    tx: AsyncConnection,
    audience: Audience,
    *,
    contact_ids: Sequence[UUID],
    msisdns: Sequence[str],
    q: str | None,
    caller: str,
) -> int:
    """Leave these out; how many were not left out before. The campaign is held, so positions are ours to give."""
    chosen = [select(Contact.msisdn, Contact.id.label("contact_id")).where(Contact.id.in_(contact_ids))]
    if msisdns:
        given = values(named("msisdn", Text), name="given").data([(msisdn,) for msisdn in msisdns])
        chosen.append(
            select(given.c.msisdn, Contact.id).select_from(given).outerjoin(Contact, Contact.msisdn == given.c.msisdn)
        )
    if q is not None:
        for part in everybody_of(audience):
            own = func.coalesce(Contact.msisdn, part.number)
            chosen.append(part.select.with_only_columns(own, Contact.id).where(*_matches(q, part.number)))
    each = union_all(*chosen).subquery("chosen")
    once = select(each).ext(distinct_on(each.c.msisdn)).where(each.c.msisdn.is_not(None)).subquery("once")
    lowest = (
        select(func.coalesce(func.least(func.min(CampaignRecipient.position), 0), 0))
        .where(CampaignRecipient.campaign_id == audience.campaign_id)
        .scalar_subquery()
    )
    rows = select(
        literal(audience.campaign_id),
        cast(lowest - func.row_number().over(order_by=once.c.msisdn), Integer),
        once.c.msisdn,
        once.c.contact_id,
        literal(caller),
        literal(SkipReason.EXCLUDED.value),
    )
    columns = ["campaign_id", "position", "msisdn", "contact_id", "excluded_by", "skip_reason"]
    statement = insert(CampaignRecipient).from_select(columns, rows).on_conflict_do_nothing()
    return len((await tx.execute(statement.returning(CampaignRecipient.position))).all())


async def include(
    tx: AsyncConnection, campaign_id: UUID, *, contact_ids: Sequence[UUID], msisdns: Sequence[str], q: str | None
) -> int:
    """Take these in again; how many had been left out."""
    row = CampaignRecipient
    which = [row.contact_id.in_(contact_ids), row.msisdn.in_(msisdns)]
    if q is not None:
        found = (
            select(row.position)
            .outerjoin(Contact, Contact.id == row.contact_id)
            .where(row.campaign_id == campaign_id, row.position < 0, *_matches(q, row.msisdn.expression))
        )
        which.append(row.position.in_(found))
    statement = delete(row).where(row.campaign_id == campaign_id, row.position < 0, or_(*which))
    return (await tx.execute(statement)).rowcount


async def count_excluded(tx: AsyncConnection, campaign_id: UUID) -> int:
    question = (
        select(func.count())
        .select_from(CampaignRecipient)
        .where(
            CampaignRecipient.campaign_id == campaign_id,
            CampaignRecipient.position < 0,
            CampaignRecipient.skip_reason == SkipReason.EXCLUDED,
        )
    )
    return (await tx.execute(question)).scalar_one()
