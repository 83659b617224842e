"""The estimate: what a campaign would come to, told before it starts, with a confirmation to start by.

Everybody's text is filled, so the numbers are exact; a campaign of a million takes the better part of a minute, a
connection, and no more memory than one of a thousand. Few are measured at once, so that nobody else waits for them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import queries
from api.campaigns.booking import content_of
from api.campaigns.cautions import list_cautions
from api.campaigns.measuring import Measure, Scale, measure_campaign
from api.campaigns.media import NOT_CARRIED, check_media
from api.campaigns.queries import AnyRow
from api.campaigns.schemas_of_estimate import CostOut, CountryCostOut, EstimateOut, QuotaChangeOut
from api.deps import CanManage, Now, Res
from api.idempotency import AskingRoute
from api.prices.queries import list_prices
from api.problems import problems
from shared.db import begin, reading
from shared.domain import campaign as law
from shared.domain import quota
from shared.domain.campaign import CampaignNotStartable
from shared.domain.campaign_pace import seconds_of
from shared.domain.estimate import finish_time
from shared.domain.pace import Pace
from shared.domain.policy import Policy
from shared.domain.quiet_hours import QuietWindow
from shared.ids import uuid7
from shared.queries.estimates import confirmation_of, insert_estimate
from shared.queries.gateways import list_paces
from shared.queries.policy import get_policy
from shared.queries.quota import list_limits

router = APIRouter(prefix="/campaigns", tags=["campaigns"], route_class=AskingRoute)

# A text is taken to be on the line for so long, where a gateway's pace says only how many may be at once.
_CALL: Final = timedelta(seconds=0.5)


@router.post("/{campaign_id}/estimate", responses=problems(404, CampaignNotStartable, *NOT_CARRIED))
async def estimate_campaign(campaign_id: UUID, caller: CanManage, now: Now, res: Res) -> EstimateOut:
    """Measure a campaign that has not begun to the last recipient, and confirm what was measured.

    It may be a draft, scheduled, or held before its audience was settled. Start, or resume, with the `confirmation`: it
    is refused once the words or the audience have changed, and works once.
    """
    # Not by `Tx`: nothing is written while everybody is looked at, on one snapshot.
    async with res.estimates, reading(res.engine) as tx:
        campaign = await queries.get_campaign(tx, campaign_id)
        law.check_measurable(campaign.status, frozen=campaign.frozen_at is not None)
        steps = await queries.list_steps(tx, campaign_id)
        await check_media(tx, campaign, steps, res, now=now, hold=False)
        policy = await get_policy(tx)
        told = await measure_campaign(tx, campaign, steps, Scale(policy, res.pepper, now))
        answer = await _answer(tx, campaign, steps, policy, told, now)
    estimate_id = uuid7(now)
    async with begin(res.engine) as tx:
        await insert_estimate(
            tx,
            {
                "id": estimate_id,
                "campaign_id": campaign_id,
                "content_digest": content_of(campaign, steps),
                "audience_digest": told.signature.digest,
                "recipients": told.signature.recipients,
                "units": told.units,
                "segments": told.segments,
                "unit": policy.quota_unit.value,
                "created_by": caller.id,
                "created_at": now,
            },
        )
    return EstimateOut(**answer, confirmation=confirmation_of(estimate_id))


async def _answer(
    tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], policy: Policy, told: Measure, now: datetime
) -> dict[str, Any]:
    limits = await list_limits(tx, today=quota.today_in(policy.time_zone, now))
    before = quota.available(limits)
    return {
        "audience": told.recipients + told.skipped.total(),
        "recipients": told.recipients,
        "skipped": dict(sorted(told.skipped.items())),
        "landlines": told.landlines,
        "unfit": told.unfit,
        "messages": told.messages,
        "segments": told.segments,
        "units": told.units,
        "unit": policy.quota_unit,
        "quota": QuotaChangeOut(before=before, after=None if before is None else before - told.units),
        "finishes_at": await _finish(tx, campaign, steps, policy, told, now),
        "cost": _cost(told, await list_prices(tx)),
        "warnings": [*await list_cautions(tx, campaign, steps), *_of_landlines(told)],
    }


def _of_landlines(told: Measure) -> Iterator[str]:
    if told.landlines:
        yield (
            f"{told.landlines} of the recipients are landlines by their numbering plan, and hardly any shows "
            "texts: to pass over them, set skip_landlines of the campaign."
        )


async def _finish(
    tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], policy: Policy, told: Measure, now: datetime
) -> datetime | None:
    """When the last of it would be handed over, by the gateways' paces and the quiet hours of most recipients."""
    rates = [_rate(Pace.of(pace)) for pace in await list_paces(tx)]
    known = bool(rates) and None not in rates
    if not told.zones or not (known or campaign.max_per_minute):
        return None
    seconds = told.segments / sum(rate for rate in rates if rate is not None) if known else 0.0
    seconds = max(seconds, seconds_of(told.messages, per_minute=campaign.max_per_minute))
    common = policy.quiet_hours if "campaign" in policy.quiet_hours_kinds else ()
    own = [QuietWindow.read(window) for window in campaign.quiet_hours or ()]
    zones = told.zones.most_common(1)[0][0]
    begins = max([now, *(step.send_at for step in steps if step.send_at)])
    return finish_time(begins, seconds=seconds, windows=(*common, *own), zones=zones)


def _rate(pace: Pace | None) -> float | None:
    if pace is None:
        return None
    if pace.segments_per_second is not None:
        return pace.segments_per_second
    return None if pace.in_flight is None else pace.in_flight / _CALL.total_seconds()


def _cost(told: Measure, prices: Any) -> list[CostOut]:
    """What it would cost by the table, currency by currency; segments without a price are told as such."""
    by_country = {row.country: row for row in prices}
    if not by_country:
        return []
    costs: dict[str, list[CountryCostOut]] = {}
    for country, segments in sorted(told.segments_of.items(), key=lambda one: one[0] or ""):
        row = by_country.get(country)
        if row is not None:
            line = CountryCostOut(country=row.country, segments=segments, price=row.price, cost=row.price * segments)
            costs.setdefault(row.currency, []).append(line)
    unpriced = sum(count for country, count in told.segments_of.items() if country not in by_country)
    return [
        CostOut(
            currency=currency,
            total=sum((line.cost for line in lines), Decimal()),
            countries=lines,
            unpriced_segments=unpriced,
        )
        for currency, lines in sorted(costs.items())
    ]
