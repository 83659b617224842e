"""The audience of a campaign is settled: from the same parts that previews and counts read."""

from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Text, cast, exists, func, insert, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.contact import Consent
from shared.models import Campaign, CampaignRecipient, Contact
from shared.queries.audience import Audience, load_audience, parts_of, skipped_of


async def freeze(tx: AsyncConnection, campaign_id: UUID) -> int:
    """Number the recipients, each number once; how many there are.

    A contact comes before a loose number. Conditions are asked now, and never again for this campaign.
    """
    now = (await tx.execute(select(func.now()))).scalar_one()
    audience = await load_audience(tx, campaign_id, now=now)
    wanted = union_all(*parts_of(audience)).cte("wanted")
    once = (
        select(wanted.c.msisdn, wanted.c.contact_id)
        .ext(distinct_on(wanted.c.msisdn))
        .order_by(wanted.c.msisdn, wanted.c.contact_id.nulls_last())
        .cte("once")
    )
    position = func.row_number().over(order_by=(once.c.contact_id.nulls_last(), once.c.msisdn))
    numbered = select(literal(campaign_id), cast(position, Integer), once.c.msisdn, once.c.contact_id)
    columns = ["campaign_id", "position", "msisdn", "contact_id"]
    frozen = insert(CampaignRecipient).from_select(columns, numbered).returning(literal(1)).cte("frozen")
    settle = (
        update(Campaign)
        .where(Campaign.id == campaign_id)
        .values(
            frozen_at=func.now(),
            recipients=select(func.count()).select_from(frozen).scalar_subquery(),
            updated_at=func.now(),
            started_at=func.coalesce(Campaign.started_at, func.now()),
        )
        .returning(Campaign.recipients)
    )
    recipients = int((await tx.execute(settle)).scalar_one() or 0)
    if await _may_skip(tx, audience):
        await _note_skipped(tx, audience)
    return recipients


async def _may_skip(tx: AsyncConnection, audience: Audience) -> bool:
    """Whether anybody can have been left out: most campaigns need not look at their audience twice."""
    if audience.phone_field is not None or audience.require_consent:
        return True
    withdrawn = exists().where(Contact.consent_status == Consent.WITHDRAWN.value)
    return bool(await tx.scalar(select(withdrawn)))


async def _note_skipped(tx: AsyncConnection, audience: Audience) -> None:
    """Write down who was left out and why, below those whom the owner excluded."""
    skipped = union_all(*skipped_of(audience)).subquery().alias("skipped")
    contact_id, msisdn, why = skipped.c
    each: ColumnElement[int] = func.row_number().over(order_by=(contact_id.nulls_last(), msisdn))
    lowest = (
        select(func.least(func.min(CampaignRecipient.position), 0))
        .where(CampaignRecipient.campaign_id == audience.campaign_id)
        .scalar_subquery()
    )
    rows = select(
        literal(audience.campaign_id), cast(lowest - each, Integer), msisdn, contact_id, cast(why, Text)
    ).select_from(skipped)
    columns = ["campaign_id", "position", "msisdn", "contact_id", "skip_reason"]
    # One who is named in several ways is written down once, and one who is reached by another number not at all.
    await tx.execute(insert_or_leave(CampaignRecipient).from_select(columns, rows).on_conflict_do_nothing())
