"""What a start promises: that it sends what was confirmed, and that the quota holds it.

Decided with the campaign locked, in the transaction that starts it.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns.measuring import Measure, Scale, measure_campaign
from api.campaigns.queries import AnyRow
from shared.domain import estimate as law
from shared.domain.campaign import HeldReason, Status
from shared.domain.estimate import Bound
from shared.domain.quota import ConfirmationNeeded
from shared.queries.estimates import lock_estimate, use_estimate
from shared.queries.quota import is_limited, release_campaign, reserve_campaign
from shared.queries.walk import reach_of, sign_audience

# So many are measured while their owner waits for the start; more want an estimate first.
AT_ONCE: Final = 5_000
# What a change may touch that makes a campaign longer or larger.
WEIGHTY: Final = frozenset({"messages", "target_group_ids", "contact_ids", "msisdns", "phone_field", "skip_landlines"})


async def book_start(
    tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], scale: Scale, confirmation: str | None
) -> Bound:
    """Hold the start to its confirmation, and reserve what it takes from the quota; to how much it is held."""
    bound = Bound()
    if confirmation is not None:
        known = await _confirmed(tx, campaign, steps, confirmation, scale)
        units, bound = known.units, Bound(known.recipients, known.segments)
    elif await is_limited(tx):
        units = (await _measured(tx, campaign, steps, scale)).units
    else:
        return bound
    await reserve_campaign(tx, campaign.id, units, policy=scale.policy, now=scale.now)
    return bound


async def book_resume(
    tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], scale: Scale, confirmation: str | None
) -> Bound:
    """Let a campaign that outgrew its confirmation go on by a new one only; to how much it is held then.

    What it held of the quota goes back, and what it takes now is reserved, or it stays as it was. Where some of it has
    been sent there is nothing to measure anew: its owner's word is for the rest, whatever that takes.
    """
    bound = Bound(campaign.confirmed_recipients, campaign.confirmed_segments)
    if confirmation is None:
        if campaign.held_reason is HeldReason.SEGMENTS and campaign.frozen_at is not None:
            return Bound(bound.recipients)
        await _check_fits(tx, campaign, steps, scale, bound)
        return bound
    if campaign.frozen_at is not None:
        raise law.ConfirmationRefused(
            "The campaign's audience is settled, so there is nothing to confirm; resume it without a confirmation."
        )
    await release_campaign(tx, campaign.id, now=scale.now)
    return await book_start(tx, campaign, steps, scale, confirmation)


async def _check_fits(
    tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], scale: Scale, bound: Bound
) -> None:
    """Raise where a campaign is held because it outgrew its confirmation, and has not become smaller again."""
    if campaign.held_reason not in {HeldReason.AUDIENCE, HeldReason.SEGMENTS}:
        return
    signature = await sign_audience(tx, (await reach_of(tx, campaign.id, now=scale.now)).everybody)
    law.check_not_grown(confirmed=bound.recipients, recipients=signature.recipients)
    if campaign.held_reason is HeldReason.SEGMENTS:
        few = signature.recipients <= AT_ONCE
        told = await measure_campaign(tx, campaign, steps, scale) if few else None
        law.check_not_heavier(confirmed=bound.segments, segments=told.segments if told else None)


async def _confirmed(
    tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], confirmation: str, scale: Scale
) -> AnyRow:
    known: AnyRow = await lock_estimate(tx, campaign.id, confirmation)
    if known.used_at is not None:
        raise law.ConfirmationUsed("This confirmation has started the campaign before; ask for a new estimate.")
    if known.unit != scale.policy.quota_unit:
        raise law.ConfirmationRefused("The quota is counted in another unit since; ask for a new estimate.")
    signature = await sign_audience(tx, (await reach_of(tx, campaign.id, now=scale.now)).everybody)
    law.check(
        law.Confirmed(known.content_digest, known.audience_digest, known.recipients),
        content=content_of(campaign, steps),
        audience=signature.digest,
        recipients=signature.recipients,
    )
    await use_estimate(tx, known.id, now=scale.now)
    return known


async def _measured(tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], scale: Scale) -> Measure:
    signature = await sign_audience(tx, (await reach_of(tx, campaign.id, now=scale.now)).everybody)
    if signature.recipients > AT_ONCE:
        raise ConfirmationNeeded(
            f"The campaign has {signature.recipients} recipients, and its quota has to be reserved exactly; while "
            f"it is a draft, ask for POST /v1/campaigns/{campaign.id}/estimate, and start with the confirmation in it."
        )
    return await measure_campaign(tx, campaign, steps, scale)


def confirmed_columns(bound: Bound) -> dict[str, int | None]:
    """To how much a campaign is held, as its row keeps it."""
    return {"confirmed_recipients": bound.recipients, "confirmed_segments": bound.segments}


def content_of(campaign: AnyRow, steps: Sequence[AnyRow]) -> bytes:
    texts = [(step.text, step.attachments) for step in steps]
    return law.digest_of_content(campaign.sender_id, texts, skip_landlines=campaign.skip_landlines)


async def book_change(
    tx: AsyncConnection, campaign: AnyRow, steps: Sequence[AnyRow], scale: Scale, given: set[str]
) -> None:
    """A scheduled campaign that says something else, or to others, gives back what it held and reserves anew."""
    if campaign.status is not Status.SCHEDULED or not given & WEIGHTY or not await is_limited(tx):
        return
    await release_campaign(tx, campaign.id, now=scale.now)
    units = (await _measured(tx, campaign, steps, scale)).units
    await reserve_campaign(tx, campaign.id, units, policy=scale.policy, now=scale.now)
