"""Whom a campaign would reach now: counted, previewed and checked before its audience is frozen.

An audience is a union of parts: members of its target groups, by hand or by conditions, contacts named alone, loose
numbers. A number may come in several of them; whoever counts takes each once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.contact import Consent
from shared.domain.message import SkipReason
from shared.models import Campaign, CampaignRecipient, CampaignTarget, Contact, TargetGroup, TargetGroupMember
from shared.queries.policy import get_policy
from shared.queries.target_groups import DYNAMIC, belongs_to

AnyRow = Row[*tuple[Any, ...]]
Path = tuple[str, ...]

COLUMNS: Final = ("name", "external_id", "location_id", "time_zone")
_TAGS_AT_ONCE: Final = 200  # a row has room for so many answers, and some more
# A number in a field of the owner's: with its country code, in whatever notation.
_PUNCTUATION: Final = r"[\s().\-/]"
_E164: Final = r"^\+[1-9][0-9]{7,14}$"
# Of these everybody has a value.
_ALWAYS: Final = (("msisdn",), ("campaign", "name"))


@dataclass(frozen=True, slots=True)
class Audience:
    """What decides whom a campaign reaches: its targets, and who of them is left out."""

    campaign_id: UUID
    conditions: tuple[ColumnElement[bool], ...] = ()  # of the dynamic groups among the targets
    phone_field: str | None = None  # the contacts' field that holds the number; None for the contact's own
    require_consent: bool = False
    has_exclusions: bool = False

    @property
    def number(self) -> ColumnElement[Any]:
        """The contact's number for this campaign; NULL where it has none with its country code."""
        if self.phone_field is None:
            return Contact.msisdn.expression
        digits = func.regexp_replace(Contact.fields[self.phone_field].astext, _PUNCTUATION, "", "g")
        return case((digits.regexp_match(_E164), digits))

    def is_willing(self) -> ColumnElement[bool]:
        """Whether a contact, or a number without one, may be written to by their consent."""
        status = func.coalesce(Contact.consent_status, Consent.UNKNOWN.value)
        willing: ColumnElement[bool] = (
            status == Consent.GRANTED.value if self.require_consent else status != Consent.WITHDRAWN.value
        )
        return willing

    def is_included(self, number: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the owner took neither this number nor this contact out."""
        mine = (CampaignRecipient.campaign_id == self.campaign_id, CampaignRecipient.position < 0)
        # Each by itself: the database makes a table of each, where an OR would be looked up row by row.
        by_number = exists().where(*mine, CampaignRecipient.msisdn == number)
        by_contact = exists().where(*mine, CampaignRecipient.contact_id == Contact.id)
        return and_(not_(by_number), not_(by_contact))


class Missing(NamedTuple):
    """A tag for which some have no value: how many, and one of them."""

    tag: str
    recipients: int
    contact_id: UUID | None
    msisdn: str


async def load_audience(tx: AsyncConnection, campaign_id: UUID, *, now: datetime) -> Audience:
    """The audience of a campaign as it is set; relative dates in conditions are counted from `now`."""
    groups = await tx.execute(
        select(TargetGroup.id, TargetGroup.kind, TargetGroup.conditions)
        .join(CampaignTarget, CampaignTarget.target_group_id == TargetGroup.id)
        .where(CampaignTarget.campaign_id == campaign_id, TargetGroup.kind == DYNAMIC)
    )
    excluded = exists().where(CampaignRecipient.campaign_id == campaign_id, CampaignRecipient.position < 0)
    row = (await tx.execute(select(Campaign.phone_field, excluded).where(Campaign.id == campaign_id))).one_or_none()
    return Audience(
        campaign_id,
        conditions=tuple(belongs_to(group, now=now) for group in groups),
        phone_field=row[0] if row else None,
        require_consent=(await get_policy(tx)).require_consent,
        has_exclusions=bool(row and row[1]),
    )


class Part(NamedTuple):
    """One sort of target: a select of msisdn, contact_id and whatever was asked for, over contacts if there are any."""

    select: Select[Any]
    number: ColumnElement[Any]


def everybody_of(audience: Audience, *more: ColumnElement[Any]) -> list[Part]:
    """All that the targets hold, whether they can be reached or not."""
    mine = CampaignTarget.campaign_id == audience.campaign_id
    number = audience.number
    person: tuple[Any, ...] = (number.label("msisdn"), Contact.id.label("contact_id"), *more)
    of_groups = (
        select(*person)
        .join(TargetGroupMember, TargetGroupMember.contact_id == Contact.id)
        .join(CampaignTarget, CampaignTarget.target_group_id == TargetGroupMember.target_group_id)
        .where(mine)
    )
    dynamic = [select(*person).where(condition) for condition in audience.conditions]
    alone = select(*person).join(CampaignTarget, CampaignTarget.contact_id == Contact.id).where(mine)
    loose = (
        select(CampaignTarget.msisdn.label("msisdn"), Contact.id.label("contact_id"), *more)
        .select_from(CampaignTarget)
        .outerjoin(Contact, Contact.msisdn == CampaignTarget.msisdn)
        .where(mine, CampaignTarget.msisdn.is_not(None))
    )
    parts = [Part(each, number) for each in (of_groups, *dynamic, alone)]
    return [*parts, Part(loose, CampaignTarget.msisdn.expression)]


def parts_of(audience: Audience, *more: ColumnElement[Any]) -> list[Select[Any]]:
    """A select for each sort of target, of those who can be reached: msisdn, contact_id and `more`."""
    return [part.select.where(*_reachable(audience, part)) for part in everybody_of(audience, *more)]


def _reachable(audience: Audience, part: Part) -> list[ColumnElement[bool]]:
    conditions = [audience.is_willing()]
    if audience.phone_field is not None:
        conditions.append(part.number.is_not(None))
    if audience.has_exclusions:
        conditions.append(audience.is_included(part.number))
    return conditions


def skipped_of(audience: Audience) -> list[Select[Any]]:
    """Those who cannot be reached though nobody excluded them: contact_id, the contact's own number, and why."""
    number, willing = audience.number, audience.is_willing()
    why = case((number.is_(None), SkipReason.INVALID_MSISDN.value), (not_(willing), SkipReason.NO_CONSENT.value))
    own = func.coalesce(Contact.msisdn, CampaignTarget.msisdn).label("own_msisdn")
    parts = everybody_of(audience)
    included = [audience.is_included(part.number) if audience.has_exclusions else true() for part in parts]
    people = [part.select.with_only_columns(Contact.id, Contact.msisdn, why) for part in parts[:-1]]
    loose = parts[-1].select.with_only_columns(Contact.id, own, literal(SkipReason.NO_CONSENT.value))
    return [
        *(each.where(or_(number.is_(None), not_(willing)), mine) for each, mine in zip(people, included, strict=False)),
        loose.where(not_(willing), included[-1]),
    ]


def _all(parts: Sequence[Select[Any]]) -> CompoundSelect[Any]:
    return union_all(*parts)


async def has_audience(tx: AsyncConnection, campaign_id: UUID, *, now: datetime) -> bool:
    parts = parts_of(await load_audience(tx, campaign_id, now=now))
    anybody = _all(parts).subquery()
    return (await tx.execute(select(anybody.c.msisdn).limit(1))).first() is not None


async def count_audience(tx: AsyncConnection, campaign_id: UUID, *, now: datetime) -> int:
    """How many numbers it holds, each once."""
    everybody = _all(parts_of(await load_audience(tx, campaign_id, now=now))).subquery()
    each = select(everybody.c.msisdn).group_by(everybody.c.msisdn).subquery()  # hashed; DISTINCT in a count is sorted
    return (await tx.execute(select(func.count()).select_from(each))).scalar_one()


async def count_locations(tx: AsyncConnection, campaign_id: UUID, *, now: datetime) -> dict[str | None, int]:
    """At which locations the people are, and how many numbers at each, the most first; None is nowhere."""
    parts = parts_of(await load_audience(tx, campaign_id, now=now), Contact.location_id.label("location_id"))
    everybody = _all(parts).subquery()
    location = func.max(everybody.c.location_id).label("location_id")
    each = select(everybody.c.msisdn, location).group_by(everybody.c.msisdn).subquery()
    count = func.count()
    question = select(each.c.location_id, count).group_by(each.c.location_id).order_by(count.desc(), each.c.location_id)
    return {row[0]: row[1] for row in await tx.execute(question)}


async def find_first(
    tx: AsyncConnection, campaign_id: UUID, *, msisdn: str | None = None, now: datetime
) -> AnyRow | None:
    """Whoever would come first, of all or with this number: msisdn and contact_id."""
    everybody = _all(parts_of(await load_audience(tx, campaign_id, now=now))).subquery()
    question = select(everybody.c.msisdn, everybody.c.contact_id).order_by(
        everybody.c.contact_id.nulls_last(), everybody.c.msisdn
    )
    if msisdn is not None:
        question = question.where(everybody.c.msisdn == msisdn)
    return (await tx.execute(question.limit(1))).first()


async def find_number(tx: AsyncConnection, campaign_id: UUID, contact_id: UUID, *, now: datetime) -> str | None:
    """Which of a contact's numbers the campaign would write to; None where it has none there."""
    audience = await load_audience(tx, campaign_id, now=now)
    number: str | None = await tx.scalar(select(audience.number).where(Contact.id == contact_id))
    return number


async def list_missing(
    tx: AsyncConnection, campaign_id: UUID, tags: Mapping[str, Path], *, now: datetime
) -> list[Missing]:
    """The tags that somebody in the audience has no value for; `tags` are names with the keys to their values.

    The database alone looks at everybody. What comes back is a row, whatever the size of the audience.
    """
    wanted = [(tag, path) for tag, path in tags.items() if path not in _ALWAYS]
    audience = await load_audience(tx, campaign_id, now=now) if wanted else Audience(campaign_id)
    found: list[Missing] = []
    for start in range(0, len(wanted), _TAGS_AT_ONCE):
        found += await _list_some_missing(tx, audience, dict(wanted[start : start + _TAGS_AT_ONCE]))
    return found


async def _list_some_missing(tx: AsyncConnection, audience: Audience, tags: Mapping[str, Path]) -> list[Missing]:
    lacks = [_is_blank(path).label(f"lacks_{place}") for place, path in enumerate(tags.values())]
    some = _all([part.where(or_(*lacks)) for part in parts_of(audience, *lacks)]).subquery()
    names = [lack.name for lack in lacks]
    # Each number once, and only those that lack something are ever gathered.
    each = (
        select(some.c.msisdn, func.min(cast(some.c.contact_id, Text)).label("contact_id"))
        .add_columns(*(func.bool_or(some.c[name]).label(name) for name in names))
        .group_by(some.c.msisdn)
        .subquery()
    )
    # A contact with an id before a loose number: he can be looked up, and mended.
    who = func.coalesce(each.c.contact_id, "") + each.c.msisdn  # which begins with a +
    counts = [func.count().filter(each.c[name]) for name in names]
    examples = [func.max(who).filter(each.c[name]) for name in names]
    row: Any = (await tx.execute(select(*counts, *examples))).one()
    told = zip(tags, row[: len(names)], row[len(names) :], strict=True)
    return [_missing(tag, count, example) for tag, count, example in told if count]


def _missing(tag: str, count: int, who: str) -> Missing:
    contact_id, plus, digits = who.partition("+")
    return Missing(tag, count, UUID(contact_id) if contact_id else None, plus + digits)


def _is_blank(path: Path) -> ColumnElement[bool]:
    """Whether a contact has nothing there to fill a tag with; so does a number without a contact."""
    if len(path) == 1 and path[0] in COLUMNS:
        value: ColumnElement[Any] = getattr(Contact, path[0])
    elif path[0] == "fields":
        value = Contact.fields[path[1:]].astext if len(path) > 2 else Contact.fields[path[1]].astext
    else:
        return true()  # nobody has anything there
    return func.coalesce(value.regexp_match(r"\S"), false()).is_(false())
