"""What a campaign says and to whom: checked as a whole, so that one answer names everything that is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import queries
from api.campaigns.schemas import CampaignIn, CampaignPatch, StepIn
from api.campaigns.times import Times, check_times
from api.campaigns.wording import Worded
from api.regions import region_of
from api.sentences import describe
from api.texts.checks import find_unfit
from shared.domain import msisdn as numbers
from shared.domain import policy as rules
from shared.domain.campaign import Status, StepStatus
from shared.domain.policy import Policy
from shared.domain.template import CAMPAIGN_TAGS, compile_template
from shared.errors import FieldError, Invalid
from shared.ids import uuid7
from shared.queries.sender_ids import find_sender


class InvalidCampaign(Invalid):
    """Something in the campaign cannot be used; each place is named."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Whom a campaign is for, checked: ids that exist, numbers in E.164."""

    target_group_ids: Sequence[UUID] | None
    contact_ids: Sequence[UUID] | None
    msisdns: Sequence[str] | None


def check_steps(
    steps: Sequence[Worded],
    *,
    policy: Policy,
    now: datetime,
    given: Sequence[StepIn] | None = None,
    status: Status = Status.DRAFT,
) -> list[FieldError]:
    """What is wrong with the sequence of messages; `given` are those that replace the messages of one in `status`."""
    errors = [error for step in steps for error in _check_words(step, policy)]
    sequence = [Times(f"/messages/{step.place}", step.send_at, step.send_by) for step in steps]
    return [*errors, *check_times(sequence, policy=policy, now=now), *_find_untimed(given or (), status=status)]


def _check_words(step: Worded, policy: Policy) -> list[FieldError]:
    try:
        unfit = find_unfit(compile_template(step.text, known=CAMPAIGN_TAGS), policy)
    except Invalid as error:
        unfit = error.detail
    return [FieldError(f"/messages/{step.place}/{step.named}", unfit)] if unfit else []


def _find_untimed(steps: Sequence[StepIn], *, status: Status) -> list[FieldError]:
    """The first message of a scheduled campaign if nobody says when it goes: it would go at once, unasked."""
    if status is not Status.SCHEDULED or not steps or "send_at" in steps[0].model_fields_set:
        return []
    told = "The campaign is scheduled, and these messages replace its own; name when this one goes. null is at once."
    return [FieldError("/messages/0/send_at", told)]


def step_rows(campaign_id: UUID, steps: Sequence[Worded]) -> list[dict[str, Any]]:
    return [
        {
            "id": uuid7(),
            "campaign_id": campaign_id,
            "position": place,
            "text": step.text,
            "template_id": step.template_id,
            "template_version": step.template_version,
            "send_at": step.send_at,
            "send_by": step.send_by,
            "status": StepStatus.PENDING,
            "attachments": [each.write() for each in step.attachments],
        }
        for place, step in enumerate(steps, start=1)
    ]


def quiet_hours_of(wanted: CampaignIn | CampaignPatch) -> list[dict[str, Any]] | None:
    """The campaign's own windows as they are stored; none is nothing."""
    return [window.model_dump() for window in wanted.quiet_hours or ()] or None


def starts_at(steps: Sequence[Any]) -> datetime | None:
    """When the first message is due; None means at once."""
    moments = [step.send_at for step in steps]
    return None if None in moments else min(moments)


async def check_targets(
    tx: AsyncConnection, wanted: Targets, *, region: tuple[str | None, str | None], policy: Policy
) -> tuple[Targets, list[FieldError]]:
    """The targets as they will be stored, and what is wrong with them; `region` as asked for, and as set."""
    errors: list[FieldError] = []
    if wanted.target_group_ids:
        known = await queries.list_known_groups(tx, wanted.target_group_ids)
        errors += _unknown("target_group_ids", wanted.target_group_ids, known, "target group")
    if wanted.contact_ids:
        known = await queries.list_known_contacts(tx, wanted.contact_ids)
        errors += _unknown("contact_ids", wanted.contact_ids, known, "contact")
    msisdns, more = (None, []) if wanted.msisdns is None else _read_msisdns(wanted.msisdns, region, policy)
    return Targets(wanted.target_group_ids, wanted.contact_ids, msisdns), [*errors, *more]


def _read_msisdns(
    raws: Sequence[str], region: tuple[str | None, str | None], policy: Policy
) -> tuple[list[str], list[FieldError]]:
    """The numbers in E.164. A region that cannot be used is told once, not at every number."""
    asked, setting = region
    msisdns: list[str] = []
    errors: list[FieldError] = []
    try:
        default_region = region_of(asked, policy.default_region or setting) if raws or asked else None
    except Invalid as error:
        return [], [FieldError("/default_region", error.detail)]
    for place, raw in enumerate(raws):
        try:
            msisdns.append(numbers.parse(raw, default_region=default_region))
        except Invalid as error:
            errors.append(FieldError(f"/msisdns/{place}", error.detail))
        else:
            if told := rules.find_country_refused(policy, msisdns[-1]):
                errors.append(FieldError(f"/msisdns/{place}", told))
    return msisdns, errors


def _unknown(field: str, ids: Sequence[UUID], known: set[UUID], noun: str) -> list[FieldError]:
    return [
        FieldError(f"/{field}/{place}", f"There is no {noun} {id_}.")
        for place, id_ in enumerate(ids)
        if id_ not in known
    ]


async def store_targets(tx: AsyncConnection, campaign_id: UUID, targets: Targets) -> None:
    """Replace the sorts of targets that were given; a sort that was not given stays as it is."""
    columns: Mapping[str, Sequence[Any] | None] = {
        "target_group_id": targets.target_group_ids,
        "contact_id": targets.contact_ids,
        "msisdn": targets.msisdns,
    }
    for column, values in columns.items():
        if values is not None:
            rows = [{"id": uuid7(), "campaign_id": campaign_id, column: value} for value in dict.fromkeys(values)]
            await queries.replace_targets(tx, campaign_id, column, rows)
    await queries.update_campaign(tx, campaign_id, {"target": await queries.describe_target(tx, campaign_id)})


async def check_sender(
    tx: AsyncConnection, wanted: str | None, *, policy: Policy
) -> tuple[str | None, list[FieldError]]:
    """The sender as the handset will show it, named by its value or by its id."""
    if wanted is None:
        return None, []
    found = await find_sender(tx, wanted)
    if found is None:
        return None, [
            FieldError(
                "/sender_id", f"There is no sender {wanted!r}; register it under /v1/sender-ids, or leave it out."
            )
        ]
    if told := rules.find_sender_refused(policy, found):
        return None, [FieldError("/sender_id", told)]
    return found, []


def refuse(errors: Sequence[FieldError]) -> None:
    """Raise what was found, all at once."""
    if errors:
        raise InvalidCampaign(errors[0].detail if len(errors) == 1 else describe(errors), errors=errors)
