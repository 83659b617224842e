"""What owners tell a campaign to do: start, wait, stop, go to the archive. Each leaves an audit entry."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import examples, queries, views
from api.campaigns.booking import book_start, confirmed_columns
from api.campaigns.measuring import Scale
from api.campaigns.media import NOT_CARRIED, check_media
from api.campaigns.missing import TagsMissing, refuse_missing
from api.campaigns.orders import carry_out
from api.campaigns.queries import AnyRow
from api.campaigns.schemas import CampaignOut
from api.campaigns.schemas_of_estimate import StartIn
from api.deps import Bell, CanManage, Now, Res, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.problems import problems
from shared.domain import campaign as law
from shared.domain import estimate, quota
from shared.domain import policy as rules
from shared.domain.estimate import Bound
from shared.domain.policy import Policy
from shared.queries.audience import count_audience, has_audience
from shared.queries.policy import get_policy
from shared.queries.quota import look_soon, release_campaign

NOT_STARTED: Final = (
    law.CampaignNotStartable,
    law.OptInNotAcknowledged,
    rules.NotActivated,
    rules.NotScheduledByPolicy,
    rules.SenderNotAllowed,
    TagsMissing,
    quota.QuotaExceeded,
    quota.ConfirmationNeeded,
    estimate.ConfirmationRefused,
    estimate.ConfirmationUsed,
    *NOT_CARRIED,
)

router = APIRouter(prefix="/campaigns", tags=["campaigns"], route_class=IdempotentRoute)


@router.post("/{campaign_id}/start", responses={**problems(404, *NOT_STARTED), **answered(examples.SCHEDULED)})
async def start_campaign(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    campaign_id: UUID, tx: Tx, caller: CanManage, now: Now, res: Res, bell: Bell, wanted: StartIn | None = None
) -> CampaignOut:
    """Let a draft go: at its first `send_at` if that is ahead, otherwise now.

    With the `confirmation` of an estimate nothing starts but what was confirmed; one that reaches more people when its
    time comes is held (`audience`). Where there is a quota, what the
    campaign takes is reserved here; a large one needs a confirmation then.
    """
    campaign = await queries.lock_campaign(tx, campaign_id)
    steps = await queries.list_steps(tx, campaign_id)
    policy = await get_policy(tx)
    _check_policy(policy, campaign, steps, now=now)
    status = law.start(
        campaign.status,
        has_recipients=await has_audience(tx, campaign_id, now=now),
        opt_in_acknowledged=campaign.opt_in_acknowledged_at is not None or not policy.require_opt_in_acknowledgement,
        send_ats=[step.send_at for step in steps],
        now=now,
    )
    await refuse_missing(tx, campaign_id, steps, now=now)
    await check_media(tx, campaign, steps, res, now=now)
    confirmation = None if wanted is None else wanted.confirmation
    bound = await book_start(tx, campaign, steps, Scale(policy, res.pepper, now), confirmation)
    changes = {"status": status, "released_at": now, **confirmed_columns(bound)}
    await carry_out(tx, campaign_id, caller.id, "campaign.started", changes, now)
    bell.ring("bulk")
    return await views.whole(tx, await queries.get_campaign(tx, campaign_id))


@router.post("/{campaign_id}/unschedule", responses=problems(404, law.CampaignNotScheduled))
async def unschedule_campaign(campaign_id: UUID, tx: Tx, caller: CanManage, now: Now) -> CampaignOut:
    """Make a scheduled campaign a draft again, before its time has come, or one that is held before it has begun."""
    campaign = await queries.lock_campaign(tx, campaign_id)
    # What is sent once more has no targets of its own to be a draft for.
    begun = campaign.frozen_at is not None or campaign.resend_of is not None
    status = law.unschedule(campaign.status, begun=begun)
    await release_campaign(tx, campaign_id, now=now)
    never = dict.fromkeys(("held_reason", "started_at", *confirmed_columns(Bound())))
    await carry_out(tx, campaign_id, caller.id, "campaign.unscheduled", {"status": status, **never}, now)
    return await views.whole(tx, await queries.get_campaign(tx, campaign_id))


@router.post(
    "/{campaign_id}/stop",
    responses={
        **problems(404, law.CampaignNotStoppable, rules.CampaignNotStoppableByPolicy),
        **answered(examples.STOPPED),
    },
)
async def stop_campaign(campaign_id: UUID, tx: Tx, caller: CanManage, now: Now, bell: Bell) -> CampaignOut:
    """Call back everything that is not sent yet. Within a second no hand-over starts any more."""
    campaign = await queries.lock_campaign(tx, campaign_id)
    status = law.stop(campaign.status)
    rules.check_stoppable(await get_policy(tx), running=campaign.status is law.Status.RUNNING)
    changes = {"status": status, "stopped_at": now, "held_reason": None, **await _settled(tx, campaign, now)}
    await look_soon(tx, campaign_id, now=now)
    await carry_out(tx, campaign_id, caller.id, "campaign.stopped", changes, now)
    bell.ring("bulk")
    return await views.whole(tx, await queries.get_campaign(tx, campaign_id))


@router.post(
    "/{campaign_id}/archive", responses={**problems(404, law.CampaignNotArchivable), **answered(examples.ARCHIVED)}
)
async def archive_campaign(campaign_id: UUID, tx: Tx, caller: CanManage, now: Now) -> CampaignOut:
    """Put away a draft, a stopped or a completed campaign: lists hide it unless asked for `status=archived`."""
    campaign = await queries.lock_campaign(tx, campaign_id)
    changes = {"status": law.archive(campaign.status), **await _settled(tx, campaign, now)}
    await carry_out(tx, campaign_id, caller.id, "campaign.archived", changes, now)
    return await views.whole(tx, await queries.get_campaign(tx, campaign_id))


@router.post(
    "/{campaign_id}/unarchive", responses={**problems(404, law.CampaignNotArchived), **answered(examples.COMPLETED)}
)
async def unarchive_campaign(campaign_id: UUID, tx: Tx, caller: CanManage, now: Now) -> CampaignOut:
    """Take a campaign out of the archive: it is again the draft, the stopped or the completed one that it was."""
    campaign = await queries.lock_campaign(tx, campaign_id)
    status = law.unarchive(
        campaign.status, stopped=campaign.stopped_at is not None, completed=campaign.finished_at is not None
    )
    changes: dict[str, Any] = {"status": status}
    if status is law.Status.DRAFT:
        await queries.renew_cancelled_steps(tx, campaign_id)
        changes["recipients"] = None
    await carry_out(tx, campaign_id, caller.id, "campaign.unarchived", changes, now)
    return await views.whole(tx, await queries.get_campaign(tx, campaign_id))


async def _settled(tx: AsyncConnection, campaign: AnyRow, now: datetime) -> dict[str, Any]:
    """Whom a campaign would have reached that ends before its audience was frozen, so that its report adds up."""
    if campaign.frozen_at is not None or campaign.recipients is not None:
        return {}
    await queries.cancel_pending_steps(tx, campaign.id, now)
    return {"recipients": await count_audience(tx, campaign.id, now=now)}


def _check_policy(policy: Policy, campaign: AnyRow, steps: Sequence[AnyRow], *, now: datetime) -> None:
    """What the policy says to a start, whatever it said when the campaign was written."""
    rules.check_activated(policy, rules.Feature.CAMPAIGNS)
    if campaign.status is law.Status.DRAFT:
        rules.check_schedule(policy, [step.send_at for step in steps], now=now)
        rules.check_sender(policy, campaign.sender_id)
