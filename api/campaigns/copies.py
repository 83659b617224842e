"""A campaign made from another: a draft of the same content, or the messages of it that are sent once more."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain, count
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import content, examples, queries, views
from api.campaigns.media import NOT_CARRIED, check_media
from api.campaigns.orders import carry_out
from api.campaigns.queries import AnyRow
from api.campaigns.routes import CampaignNameTaken
from api.campaigns.schemas import CampaignOut, DuplicateIn, ResendIn
from api.deps import Bell, CanManage, Now, Res, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.problems import problems
from shared.domain import campaign as law
from shared.domain import policy as rules
from shared.domain.campaign import WHICH, Status, StepStatus, Which
from shared.ids import uuid7
from shared.queries import audit
from shared.queries.policy import get_policy

router = APIRouter(prefix="/campaigns", tags=["campaigns"], route_class=IdempotentRoute)

LONGEST_NAME = 200


@router.post(
    "/{campaign_id}/duplicate",
    status_code=201,
    responses={**problems(404, CampaignNameTaken), **answered(examples.COPY, status=201)},
)
async def duplicate_campaign(
    campaign_id: UUID, tx: Tx, caller: CanManage, now: Now, wanted: DuplicateIn | None = None
) -> CampaignOut:
    """Make a draft with the messages, targets, exclusions, quiet hours and sender of another campaign.

    Times are copied while all of them are ahead. That the recipients agreed has to be acknowledged anew.
    """
    original = await queries.get_campaign(tx, campaign_id)
    steps = await queries.list_steps(tx, campaign_id)
    name = await _name(tx, None if wanted is None else wanted.name, f"{original.name} (copy")
    ahead = all(step.send_at is not None and step.send_at > now for step in steps)
    rows = [
        {
            **_fresh(step),
            "position": place,
            "send_at": step.send_at if ahead else None,
            "send_by": step.send_by if ahead else None,
        }
        for place, step in enumerate(steps, start=1)
    ]
    values = {"status": Status.DRAFT, "starts_at": content.starts_at(steps) if ahead else None}
    made = await _insert(tx, original, {"name": name, **values}, rows, caller=caller.id, now=now)
    await queries.copy_targets(tx, campaign_id, made)
    await _record(tx, "campaign.duplicated", campaign_id, made, caller=caller.id, now=now)
    return await views.whole(tx, await queries.get_campaign(tx, made))


@router.post(
    "/{campaign_id}/resend",
    status_code=202,
    responses={
        **problems(
            404, CampaignNameTaken, law.CampaignNotResendable, rules.NotActivated, rules.SenderNotAllowed, *NOT_CARRIED
        ),
        **answered(examples.RESENT, status=202),
    },
)
async def resend_campaign(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    campaign_id: UUID, wanted: ResendIn, tx: Tx, caller: CanManage, now: Now, bell: Bell, res: Res
) -> CampaignOut:
    """Send the messages of a stopped or completed campaign once more that failed, were not sent, or are unconfirmed.

    The answer is a campaign of its own that starts at once and names this one as `resend_of`: a deliberate second
    message. Who has got the message meanwhile, by a resend of that message alone, does not get it again.
    """
    policy = await get_policy(tx)
    rules.check_activated(policy, rules.Feature.CAMPAIGNS)
    original = await queries.lock_campaign(tx, campaign_id)
    law.check_resendable(original.status, whole=original.messages_dropped_at is None)
    rules.check_sender(policy, original.sender_id)
    steps = [
        step
        for step, messages in await queries.count_resendable(
            tx, original, statuses=WHICH[wanted.which], unmade=wanted.which is Which.UNSENT
        )
        if messages
    ]
    if not steps:
        raise law.CampaignNotResendable(f"No message of the campaign is {wanted.which}; there is nothing to send.")
    await check_media(tx, original, steps, res, now=now)
    name = await _name(tx, wanted.name, f"{original.name} ({wanted.which}")
    values = {
        "name": name,
        "status": Status.RUNNING,
        "released_at": now,
        "resend_of": campaign_id,
        "resend_which": wanted.which,
        "opt_in_acknowledged_at": original.opt_in_acknowledged_at,
        "opt_in_acknowledged_by": original.opt_in_acknowledged_by,
    }
    rows = [{**_fresh(step), "position": place, "resend_of": step.id} for place, step in enumerate(steps, start=1)]
    made = await _insert(tx, original, values, rows, caller=caller.id, now=now)
    await _record(tx, "campaign.resent", campaign_id, made, caller=caller.id, now=now)
    await carry_out(tx, made, caller.id, "campaign.started", {"status": Status.RUNNING}, now)
    bell.ring("bulk")
    return await views.whole(tx, await queries.get_campaign(tx, made))


async def _name(tx: AsyncConnection, wanted: str | None, base: str) -> str:
    """The name asked for, if it is free; else the first free one that begins with `base`, a bracket still open."""
    if wanted is not None:
        await queries.lock_name(tx, wanted)
        if (taken := await queries.find_id_of_name(tx, wanted)) is not None:
            raise CampaignNameTaken(
                f"The campaign {taken} is named {wanted!r} already; choose another name.", pointer="/name"
            )
        return wanted
    base = base[: LONGEST_NAME - 8]
    await queries.lock_name(tx, base)
    for name in chain([f"{base})"], (f"{base} {number})" for number in count(2))):
        if await queries.find_id_of_name(tx, name) is None:
            return name
    raise AssertionError("there is always a next number")


def _fresh(step: AnyRow) -> dict[str, Any]:
    """What a copied message of the sequence has in common with its original."""
    copied = ("text", "template_id", "template_version", "attachments")
    return {"id": uuid7(), "status": StepStatus.PENDING, **{name: getattr(step, name) for name in copied}}


async def _insert(
    tx: AsyncConnection,
    original: AnyRow,
    values: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    *,
    caller: str,
    now: datetime,
) -> UUID:
    made = uuid7(now)
    row = {
        "id": made,
        "sender_id": original.sender_id,
        "owner": original.owner,
        "phone_field": original.phone_field,
        "skip_landlines": original.skip_landlines,
        "max_per_minute": original.max_per_minute,
        "quiet_hours": original.quiet_hours,
        "target": original.target,
        "created_by": caller,
        "created_at": now,
        "updated_at": now,
    }
    await queries.insert_campaign(tx, {**row, **values})
    await queries.replace_steps(tx, made, [{**step, "campaign_id": made} for step in steps])
    return made


async def _record(
    tx: AsyncConnection, action: str, campaign_id: UUID, made: UUID, *, caller: str, now: datetime
) -> None:
    subject = ("campaign", str(campaign_id))
    await audit.record(tx, caller=caller, action=action, subject=subject, detail={"as": str(made)}, now=now)
