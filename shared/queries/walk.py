"""A campaign's audience from one end to the other, in slices: memory is one slice, however large the audience."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Numeric, Text, cast, func, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.message import SkipReason
from shared.models import CampaignRecipient, Contact
from shared.queries.audience import load_audience, parts_of, skipped_of

AnyRow = Row[*tuple[Any, ...]]

SLICE: Final = 2_000


class Reach(NamedTuple):
    """Whom a campaign would reach, a subquery of msisdn and contact_id, in which a number may recur; and whom not."""

    everybody: Any
    skipped: dict[SkipReason, int]


async def reach_of(tx: AsyncConnection, campaign_id: UUID, *, now: datetime, with_skipped: bool = False) -> Reach:
    """The audience as it is now; who is left out of it is counted only when asked for."""
    audience = await load_audience(tx, campaign_id, now=now)
    everybody = union_all(*parts_of(audience)).subquery("everybody")
    if not with_skipped:
        return Reach(everybody, {})
    left_out = union_all(*skipped_of(audience)).subquery().alias("left_out")
    contact_id, msisdn, why = left_out.c
    each = select(contact_id, msisdn, why).distinct().subquery()
    rows = await tx.execute(select(each.c[2], func.count()).group_by(each.c[2]))
    skipped = {SkipReason(row[0]): row[1] for row in rows}
    mine = (CampaignRecipient.campaign_id == campaign_id, CampaignRecipient.excluded_by.is_not(None))
    excluded = await tx.scalar(select(func.count()).where(*mine)) or 0
    return Reach(everybody, skipped | ({SkipReason.EXCLUDED: excluded} if excluded else {}))


class Signature(NamedTuple):
    """Who an audience is, whatever order it comes in."""

    recipients: int
    digest: str


async def sign_audience(tx: AsyncConnection, everybody: Any) -> Signature:
    """How many numbers there are, each once, and a sum over them that changes when anybody does."""
    each = select(everybody.c.msisdn).group_by(everybody.c.msisdn).subquery()
    one = cast(func.hashtextextended(each.c.msisdn, 0), Numeric)
    row = (await tx.execute(select(func.count(), cast(func.coalesce(func.sum(one), 0), Text)).select_from(each))).one()
    return Signature(row[0], f"{row[0]}:{row[1]}")


async def walk_audience(tx: AsyncConnection, everybody: Any) -> AsyncIterator[Sequence[AnyRow]]:
    """Everybody once, with what tags and rules ask of them; `everybody` is a subquery of msisdn and contact_id."""
    once = (
        select(everybody.c.msisdn, everybody.c.contact_id)
        .ext(distinct_on(everybody.c.msisdn))
        .order_by(everybody.c.msisdn, everybody.c.contact_id.nulls_last())
        .subquery()
    )
    columns = ("name", "external_id", "location_id", "time_zone", "fields")
    question = select(once.c.msisdn, once.c.contact_id, *(getattr(Contact, name) for name in columns)).outerjoin(
        Contact, Contact.id == once.c.contact_id
    )
    rows = await tx.stream(question, execution_options={"yield_per": SLICE})
    async for some in rows.partitions(SLICE):
        yield some
