"""When a campaign goes on: a message moved to another time, a stopped campaign restarted, a held one resumed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from api.campaigns import content, examples, queries, views
from api.campaigns.booking import book_resume, confirmed_columns
from api.campaigns.content import InvalidCampaign
from api.campaigns.measuring import Scale
from api.campaigns.media import NOT_CARRIED, check_media
from api.campaigns.orders import carry_out
from api.campaigns.queries import AnyRow
from api.campaigns.schemas import CampaignOut, RestartIn, StepTimeIn, StepTimesIn
from api.campaigns.schemas_of_estimate import ResumeIn
from api.campaigns.times import Times, check_times
from api.deps import Bell, CanManage, Now, Res, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.problems import problems
from shared.domain import campaign as law
from shared.domain import estimate
from shared.domain import policy as rules
from shared.domain.campaign import Status, StepStatus
from shared.domain.quota import QuotaExceeded
from shared.errors import FieldError
from shared.queries.policy import get_policy
from shared.queries.quota import reserve_again

router = APIRouter(prefix="/campaigns", tags=["campaigns"], route_class=IdempotentRoute)


@router.patch(
    "/{campaign_id}/messages/{message_id}",
    responses={
        **problems(404, law.MessageNotMovable, rules.CampaignTimesLocked, InvalidCampaign),
        **answered(examples.SCHEDULED),
    },
)
async def move_message(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    campaign_id: UUID, message_id: UUID, wanted: StepTimesIn, tx: Tx, caller: CanManage, now: Now, bell: Bell
) -> CampaignOut:
    """Give a message of the sequence that has not begun another time; its text and recipients stay as they are."""
    campaign = await queries.lock_campaign(tx, campaign_id)
    step = await queries.lock_step(tx, campaign_id, message_id)
    steps = await queries.list_steps(tx, campaign_id)
    law.check_movable(campaign.status, step.status)
    policy = await get_policy(tx)
    rules.check_movable(policy, begun=campaign.frozen_at is not None or campaign.status is Status.RUNNING)
    times = {name: getattr(step, name) for name in ("send_at", "send_by")} | wanted.model_dump(exclude_unset=True)
    planned = _planned(steps, {message_id: times}, places={message_id: ""})
    content.refuse(check_times(planned, policy=policy, now=now))
    await queries.update_step(tx, message_id, times)
    changes: dict[str, Any] = {}
    if campaign.frozen_at is None:  # one that is held before it has begun starts by its new time, too
        changes["starts_at"] = content.starts_at(planned)
    await carry_out(tx, campaign_id, caller.id, "campaign.message_moved", changes, now)
    bell.ring("bulk")
    return await views.whole(tx, await queries.get_campaign(tx, campaign_id))


@router.post(
    "/{campaign_id}/restart",
    responses={
        **problems(
            *(404, law.CampaignNotRestartable, InvalidCampaign, rules.NotActivated, rules.SenderNotAllowed),
            *(QuotaExceeded, *NOT_CARRIED),
        ),
        **answered(examples.SCHEDULED),
    },
)
async def restart_campaign(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    campaign_id: UUID, tx: Tx, caller: CanManage, now: Now, bell: Bell, res: Res, wanted: RestartIn | None = None
) -> CampaignOut:
    """Let a stopped campaign go on by a rebuilt schedule. Nothing else changes, and nobody gets a message twice.

    What was called back is queued again at its message's new time. A message that is not named keeps its time, which
    must be ahead; `null` as `send_at` sends it at once.
    """
    policy = await get_policy(tx)
    rules.check_activated(policy, rules.Feature.CAMPAIGNS)
    campaign = await queries.lock_campaign(tx, campaign_id)
    steps = await queries.list_steps(tx, campaign_id)
    unsent = [step for step in steps if step.status is StepStatus.CANCELLED]
    errors, times, places = _rebuilt(unsent, wanted.messages if wanted else [], now=now)
    planned = _planned(steps, times, places=places)
    rebuilt = [one for one, step in zip(planned, steps, strict=True) if step.status is StepStatus.CANCELLED]
    status = law.restart(
        campaign.status,
        emptied=campaign.emptied_at is not None,
        whole=campaign.messages_dropped_at is None,
        send_ats=[one.send_at for one in rebuilt],
        now=now,
    )
    rules.check_sender(policy, campaign.sender_id)
    content.refuse([*errors, *check_times(planned, policy=policy, now=now)])
    await check_media(tx, campaign, unsent, res, now=now)
    for step in unsent:
        await queries.renew_step(tx, step.id, times.get(step.id, {}))
    changes = {
        "status": status,
        "released_at": now,
        "starts_at": content.starts_at(rebuilt),
        **dict.fromkeys(("stopped_at", "emptied_at", "finished_at", "held_reason")),
        **({} if campaign.frozen_at else {"recipients": None}),
    }
    await reserve_again(tx, campaign_id, policy=policy, now=now)
    await carry_out(tx, campaign_id, caller.id, "campaign.restarted", changes, now)
    bell.ring("bulk")
    return await views.whole(tx, await queries.get_campaign(tx, campaign_id))


@router.post(
    "/{campaign_id}/resume",
    responses={
        **problems(
            404,
            law.CampaignNotHeld,
            rules.NotActivated,
            rules.SenderNotAllowed,
            QuotaExceeded,
            estimate.AudienceGrown,
            estimate.TextsGrown,
            estimate.ConfirmationRefused,
            estimate.ConfirmationUsed,
        ),
        **answered(examples.SCHEDULED),
    },
)
async def resume_campaign(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    campaign_id: UUID, tx: Tx, caller: CanManage, now: Now, res: Res, bell: Bell, wanted: ResumeIn | None = None
) -> CampaignOut:
    """Let a held campaign go on: what is due is sent now, however late it is.

    One that is held because it would reach more people than were confirmed (`audience`), or take more segments
    (`segments`) before anything of it was sent, goes on with the `confirmation` of a new estimate.
    """
    policy = await get_policy(tx)
    rules.check_activated(policy, rules.Feature.CAMPAIGNS)
    campaign = await queries.lock_campaign(tx, campaign_id)
    steps = await queries.list_steps(tx, campaign_id)
    status = law.resume(
        campaign.status, frozen=campaign.frozen_at is not None, send_ats=[step.send_at for step in steps], now=now
    )
    rules.check_sender(policy, campaign.sender_id)
    confirmation = None if wanted is None else wanted.confirmation
    bound = await book_resume(tx, campaign, steps, Scale(policy, res.pepper, now), confirmation)
    changes = {"status": status, "released_at": now, "held_reason": None, **confirmed_columns(bound)}
    await carry_out(tx, campaign_id, caller.id, "campaign.resumed", changes, now)
    bell.ring("bulk")
    return await views.whole(tx, await queries.get_campaign(tx, campaign_id))


def _rebuilt(
    unsent: Sequence[AnyRow], wanted: Sequence[StepTimeIn], *, now: datetime
) -> tuple[list[FieldError], dict[UUID, dict[str, Any]], dict[UUID, str]]:
    """What is wrong with a restart's schedule, the times it names, and where the body names them."""
    errors: list[FieldError] = []
    times: dict[UUID, dict[str, Any]] = {}
    places: dict[UUID, str] = {}
    known = {step.id for step in unsent}
    for place, one in enumerate(wanted):
        if one.id not in known:
            told = f"The campaign has no unsent message {one.id}; name those that are cancelled."
            errors.append(FieldError(f"/messages/{place}/id", told))
        elif one.id in times:
            errors.append(FieldError(f"/messages/{place}/id", f"The message {one.id} is named twice."))
        else:
            times[one.id] = one.model_dump(exclude_unset=True, exclude={"id"})
            places[one.id] = f"/messages/{place}"
    for step in unsent:
        if step.id not in times and step.send_at is not None and step.send_at <= now:
            told = (
                f"The message {step.id} was due at {step.send_at.isoformat()}; name it with a new send_at, "
                "or with null to send it at once."
            )
            errors.append(FieldError("/messages", told))
    return errors, times, places


def _planned(
    steps: Sequence[AnyRow], times: Mapping[UUID, Mapping[str, Any]], *, places: Mapping[UUID, str]
) -> list[Times]:
    """The whole sequence as it will be; where a message was begun, its time says nothing any more."""
    planned = []
    for step in steps:
        new = times.get(step.id, {})
        begun = step.status in {StepStatus.EXPANDING, StepStatus.SENDING, StepStatus.COMPLETED}
        planned.append(
            Times(
                at=places.get(step.id),
                send_at=None if begun else new.get("send_at", step.send_at),
                send_by=new.get("send_by", step.send_by),
            )
        )
    return planned
