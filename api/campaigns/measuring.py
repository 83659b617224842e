"""A campaign measured to the last recipient: every text is filled as it would be sent, in slices and flat memory.

What is told is binding, so nothing is sampled. The event loop breathes between handfuls.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns.queries import AnyRow
from shared.domain.message import SkipReason
from shared.domain.msisdn import country_of, is_landline
from shared.domain.policy import Policy, QuotaUnit, find_too_long
from shared.domain.segments import measure, per_160
from shared.domain.tag_values import values_of
from shared.domain.template import CAMPAIGN_TAGS, Template, TextTooLong, compile_template
from shared.domain.zones import zones_of
from shared.queries.opt_outs import list_opted_out
from shared.queries.reach import count_recent
from shared.queries.walk import Signature, reach_of, sign_audience, walk_audience
from shared.sealing import hash_msisdn

BREATH: Final = 50
# More sets of zones than there are regions with clocks of their own; beyond that, only the common ones are told apart.
_MOST_ZONES: Final = 1_000


@dataclass(slots=True)
class Measure:
    """What a campaign comes to."""

    signature: Signature
    skipped: Counter[SkipReason] = field(default_factory=Counter)  # recipients
    unfit: int = 0  # messages whose text is empty, too long or has a hole for one recipient
    recipients: int = 0
    landlines: int = 0  # of them
    messages: int = 0
    segments: int = 0
    units: int = 0
    segments_of: Counter[str | None] = field(default_factory=Counter)  # by country
    zones: Counter[tuple[str, ...]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Scale:
    """By what a campaign is measured."""

    policy: Policy
    pepper: bytes = field(repr=False)
    now: datetime


async def measure_campaign(tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], scale: Scale) -> Measure:
    """Fill every text for everybody who would be written to now."""
    reach = await reach_of(tx, campaign.id, now=scale.now, with_skipped=True)
    told = Measure(await sign_audience(tx, reach.everybody), Counter(reach.skipped))
    templates = [compile_template(step.text, known=CAMPAIGN_TAGS) for step in steps]
    place = 0
    async for people in walk_audience(tx, reach.everybody):
        passed_over = await _passed_over(tx, campaign, people, scale)
        for one in people:
            place += 1
            if place % BREATH == 0:
                await asyncio.sleep(0)
            reason = passed_over.get(one.msisdn)
            if reason is not None:
                told.skipped[reason] += 1
            else:
                _add(told, one, campaign.name, templates, scale.policy)
    return told


def _add(told: Measure, one: AnyRow, name: str, templates: Sequence[Template], policy: Policy) -> None:
    told.recipients += 1
    values = values_of(msisdn=one.msisdn, contact=one if one.contact_id is not None else None, campaign=name)
    country = country_of(one.msisdn)
    told.landlines += is_landline(one.msisdn)
    for template in templates:
        text = _filled(template, values)
        measured = measure(text)
        too_long = find_too_long(policy, characters=measured.characters, segments=measured.segments)
        if not text.strip() or too_long:  # one with a hole, too
            told.unfit += 1
            continue
        told.messages += 1
        told.segments += measured.segments
        told.segments_of[country] += measured.segments
        told.units += per_160(text) if policy.quota_unit is QuotaUnit.PER_160 else measured.segments
    location = policy.location_time_zones.get(one.location_id or "")
    zones = zones_of(one.msisdn, own=one.time_zone, location=location, fallback=policy.time_zone)
    if zones in told.zones or len(told.zones) < _MOST_ZONES:
        told.zones[zones] += 1


def _filled(template: Template, values: dict[str, Any]) -> str:
    try:
        text, missing = template.fill(values)
    except TextTooLong:
        return ""
    return "" if missing else text


async def _passed_over(
    tx: AsyncConnection, campaign: AnyRow, people: Sequence[AnyRow], scale: Scale
) -> dict[str, SkipReason]:
    """Who of a slice would not be written to, and why; of several reasons the first counts."""
    policy = scale.policy
    by_hash = {hash_msisdn(scale.pepper, one.msisdn): one.msisdn for one in people}
    reasons: dict[str, SkipReason] = {}
    cap = policy.frequency_cap
    if cap is not None:
        since = scale.now - timedelta(hours=cap.hours)
        recent = await count_recent(tx, list(by_hash.values()), campaign_id=campaign.id, since=since)
        reasons |= {msisdn: SkipReason.FREQUENCY_CAP for msisdn, had in recent.items() if had >= cap.messages}
    if campaign.skip_landlines:
        reasons |= {one.msisdn: SkipReason.LANDLINE for one in people if is_landline(one.msisdn)}
    allowed = policy.allowed_countries
    if allowed is not None:
        reasons |= {one.msisdn: SkipReason.COUNTRY for one in people if country_of(one.msisdn) not in allowed}
    opted_out = await list_opted_out(tx, by_hash, sender_id=campaign.sender_id)
    return reasons | {by_hash[found]: SkipReason.OPTED_OUT for found in opted_out}
