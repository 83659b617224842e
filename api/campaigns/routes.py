"""Campaigns over HTTP: read the request, ask the law, write the row. The dispatcher does the rest."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import content, examples, queries, views
from api.campaigns.booking import book_change
from api.campaigns.content import InvalidCampaign, Targets
from api.campaigns.measuring import Scale
from api.campaigns.media import NOT_CARRIED, check_media
from api.campaigns.missing import TagsMissing, find_missing
from api.campaigns.phone_field import check_phone_field
from api.campaigns.queries import AnyRow, Filter
from api.campaigns.results import queries as results
from api.campaigns.schemas import (
    CampaignFilter,
    CampaignIn,
    CampaignMessageOut,
    CampaignOut,
    CampaignPatch,
    CampaignRowOut,
    PreviewOut,
    ReportOut,
    TimelineOut,
)
from api.campaigns.startable import check_still_startable
from api.campaigns.wording import word_steps
from api.deps import CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.paging import PageAsked, PageOut, bad_cursor, encode_cursor
from api.places import id_of, mark_of
from api.problems import problems
from api.regions import asked_number
from shared.domain import campaign as law
from shared.domain import policy as rules
from shared.domain.campaign import Status
from shared.domain.message import Status as MessageStatus
from shared.domain.policy import Policy
from shared.domain.quota import ConfirmationNeeded, QuotaExceeded
from shared.errors import Conflict, NotFound
from shared.ids import uuid7
from shared.queries.audience import find_first, find_number
from shared.queries.audit import difference
from shared.queries.policy import get_policy

router = APIRouter(prefix="/campaigns", tags=["campaigns"], route_class=IdempotentRoute)


class CampaignNameTaken(Conflict):
    """Another campaign has this name."""


@router.post("", status_code=201, responses=problems(CampaignNameTaken, InvalidCampaign, rules.NotActivated))
async def create_campaign(
    wanted: CampaignIn, tx: Tx, caller: CanManage, now: Now, res: Res, deeds: Deeds
) -> CampaignOut:
    """Make a campaign as a draft; nothing is sent before it is started."""
    policy = await get_policy(tx)
    rules.check_activated(policy, rules.Feature.CAMPAIGNS)
    steps, errors = await word_steps(tx, wanted.messages)
    errors += content.check_steps(steps, policy=policy, now=now)
    targets, more = await content.check_targets(
        tx,
        Targets(wanted.target_group_ids, wanted.contact_ids, wanted.msisdns),
        region=(wanted.default_region, res.default_region),
        policy=policy,
    )
    sender_id, yet_more = await content.check_sender(tx, wanted.sender_id, policy=policy)
    phone_field, and_more = await check_phone_field(tx, wanted.phone_field)
    content.refuse([*errors, *more, *yet_more, *and_more])
    await _refuse_taken_name(tx, wanted.name)
    campaign_id = uuid7(now)
    await queries.insert_campaign(
        tx,
        {
            "id": campaign_id,
            "name": wanted.name,
            "status": Status.DRAFT,
            "sender_id": sender_id,
            "owner": wanted.owner,
            "phone_field": phone_field,
            "skip_landlines": wanted.skip_landlines,
            "max_per_minute": wanted.max_per_minute,
            "quiet_hours": content.quiet_hours_of(wanted),
            "created_by": caller.id,
            "starts_at": content.starts_at(steps),
            "created_at": now,
            "updated_at": now,
            **_acknowledged(wanted.opt_in_acknowledged, caller.id, now),
        },
    )
    await queries.replace_steps(tx, campaign_id, content.step_rows(campaign_id, steps))
    await content.store_targets(tx, campaign_id, targets)
    campaign = await queries.get_campaign(tx, campaign_id)
    await deeds.write("campaign.created", ("campaign", campaign_id), {"name": campaign.name})
    return await views.whole(tx, campaign)


@router.get("", response_model=PageOut[CampaignRowOut], responses=problems(422))
async def list_campaigns(
    tx: Reader, _caller: CanRead, page: Page, wanted: Annotated[CampaignFilter, Query()]
) -> dict[str, Any]:
    """Campaigns, newest first unless sorted otherwise; archived ones only when asked for by status."""
    rows = await queries.list_campaigns(
        tx,
        Filter(**wanted.model_dump(include=set(Filter.__dataclass_fields__))),
        sort=wanted.sort,
        after=_place_of(page, wanted.sort),
        limit=page.limit + 1,
    )
    shown = rows[: page.limit]
    cursor = None
    if len(rows) > page.limit:
        last = shown[-1]
        value = last.sort_key
        cursor = encode_cursor(
            {
                "sort": wanted.sort,
                "value": value.isoformat() if isinstance(value, datetime) else value,
                "id": str(last.id),
            }
        )
    return {"items": shown, "next_cursor": cursor}


@router.get("/{campaign_id}", responses={**problems(404), **answered(examples.COMPLETED)})
async def get_campaign(campaign_id: UUID, tx: Reader, _caller: CanRead) -> CampaignOut:
    """One campaign with its messages and targets."""
    return await views.whole(tx, await queries.get_campaign(tx, campaign_id))


@router.patch(
    "/{campaign_id}",
    responses=problems(
        404,
        law.CampaignNotEditable,
        rules.CampaignDetailsLocked,
        law.CampaignNotStartable,
        law.OptInNotAcknowledged,
        TagsMissing,
        CampaignNameTaken,
        QuotaExceeded,
        ConfirmationNeeded,
        InvalidCampaign,
        *NOT_CARRIED,
    ),
)
async def change_campaign(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    campaign_id: UUID, wanted: CampaignPatch, tx: Tx, caller: CanManage, now: Now, res: Res, deeds: Deeds
) -> CampaignOut:
    """Change a draft or a scheduled campaign; what is not named stays as it is. A scheduled one stays fit to start."""
    campaign = await queries.lock_campaign(tx, campaign_id)
    given = wanted.model_fields_set
    policy = await get_policy(tx)
    _check_editable(campaign, policy, given)
    steps, errors = await word_steps(tx, wanted.messages or ())
    errors += content.check_steps(steps, policy=policy, now=now, given=wanted.messages, status=campaign.status)
    targets, more = await content.check_targets(
        tx,
        Targets(wanted.target_group_ids, wanted.contact_ids, wanted.msisdns),
        region=(wanted.default_region, res.default_region),
        policy=policy,
    )
    sender_id, yet_more = await content.check_sender(tx, wanted.sender_id, policy=policy)
    phone_field, and_more = await check_phone_field(tx, wanted.phone_field)
    content.refuse([*errors, *more, *yet_more, *and_more])
    values: dict[str, Any] = {"updated_at": now}
    if wanted.name is not None and wanted.name != campaign.name:
        await _refuse_taken_name(tx, wanted.name)
        values["name"] = wanted.name
    values |= _plain(wanted, sender_id=sender_id, phone_field=phone_field)
    if wanted.opt_in_acknowledged is not None:
        values |= _acknowledged(wanted.opt_in_acknowledged, caller.id, now)
    if wanted.messages is not None:
        await queries.replace_steps(tx, campaign_id, content.step_rows(campaign_id, steps))
        values["starts_at"] = content.starts_at(steps)
    await content.store_targets(tx, campaign_id, targets)
    await queries.update_campaign(tx, campaign_id, values)
    changed = await queries.get_campaign(tx, campaign_id)
    await check_still_startable(tx, changed, policy=policy, now=now)
    steps_now = await queries.list_steps(tx, campaign_id)
    if changed.status is Status.SCHEDULED:
        await check_media(tx, changed, steps_now, res, now=now)
    await book_change(tx, changed, steps_now, Scale(policy, res.pepper, now), given)
    # Texts and numbers are only named as given: the trail holds neither.
    detail = {"given": sorted(given), **difference(_told(campaign), _told(changed))}
    await deeds.write("campaign.changed", ("campaign", campaign_id), detail)
    return await views.whole(tx, changed)


@router.delete("/{campaign_id}", status_code=204, responses=problems(404, law.CampaignNotDeletable))
async def delete_campaign(campaign_id: UUID, tx: Tx, _caller: CanManage, deeds: Deeds) -> None:
    """Delete a draft. A campaign that was started stays, as a record."""
    campaign = await queries.lock_campaign(tx, campaign_id)
    law.check_deletable(campaign.status)
    await queries.delete_campaign(tx, campaign_id)
    await deeds.write("campaign.deleted", ("campaign", campaign_id), {"name": campaign.name})


@router.get("/{campaign_id}/preview", responses=problems(404, law.CampaignNotStartable))
async def preview_campaign(
    campaign_id: UUID,
    tx: Reader,
    _caller: CanRead,
    now: Now,
    res: Res,
    contact_id: Annotated[UUID | None, Query(description="Whose words to show.")] = None,
    msisdn: Annotated[
        str | None, Query(max_length=64, description="Or what this recipient's number would get.")
    ] = None,
) -> PreviewOut:
    """The texts with their tags filled: for the first recipient, or for the contact or the number named."""
    campaign = await queries.get_campaign(tx, campaign_id)
    number = None if msisdn is None else await asked_number(tx, msisdn, res.default_region)
    msisdn, contact = await _previewed(tx, campaign, contact_id, number, now=now)
    steps = await queries.list_steps(tx, campaign_id)
    missing = [] if campaign.frozen_at else await find_missing(tx, campaign_id, steps, now=now)
    return views.preview(campaign, steps, msisdn=msisdn, contact=contact, missing=missing)


async def _previewed(
    tx: AsyncConnection, campaign: AnyRow, contact_id: UUID | None, asked: str | None, *, now: datetime
) -> tuple[str, AnyRow | None]:
    """Whose words a preview shows: the number that is written to, and the contact, if there is one."""
    if contact_id is None:
        unsettled = campaign.frozen_at is None
        first = (
            await find_first(tx, campaign.id, msisdn=asked, now=now)
            if unsettled
            else await queries.find_first_frozen(tx, campaign.id, msisdn=asked)
        )
        if first is None and asked is not None:
            raise NotFound(
                "The campaign has no recipient with this number; GET .../recipients lists them.", pointer="?msisdn"
            )
        if first is None:
            raise law.CampaignNotStartable(
                "The campaign has no recipient to preview; add somebody, or name a contact_id."
            )
        found = None if first.contact_id is None else await queries.find_contact(tx, first.contact_id)
        return first.msisdn, found
    contact = await queries.find_contact(tx, contact_id)
    if contact is None:
        raise NotFound(f"There is no contact {contact_id}.")
    number = await find_number(tx, campaign.id, contact_id, now=now)
    if number is None:
        raise law.CampaignNotStartable(
            f"The contact {contact_id} has no number with its country code in fields.{campaign.phone_field}; "
            "nothing would be sent to them. Give them one, or preview another."
        )
    return number, contact


@router.get("/{campaign_id}/report", responses=problems(404))
async def report_campaign(campaign_id: UUID, tx: Reader, _caller: CanRead, now: Now) -> ReportOut:
    """Where every message is. The counts add up to recipients times messages, at every moment."""
    return await views.report(tx, await queries.get_campaign(tx, campaign_id), now=now)


@router.get("/{campaign_id}/timeline", responses=problems(404))
async def show_timeline(campaign_id: UUID, tx: Reader, _caller: CanRead, now: Now) -> TimelineOut:
    """What happened and what is ahead, oldest first."""
    return await views.timeline(tx, await queries.get_campaign(tx, campaign_id), now=now)


@router.get("/{campaign_id}/messages", response_model=PageOut[CampaignMessageOut], responses=problems(404, 422))
async def list_campaign_messages(
    campaign_id: UUID,
    tx: Reader,
    _caller: CanRead,
    page: Page,
    status: Annotated[MessageStatus | None, Query(description="Only those that are this now.")] = None,
) -> dict[str, Any]:
    """What became of each recipient's message."""
    await queries.get_campaign(tx, campaign_id)
    rows = await results.list_messages(tx, campaign_id, status=status, after=id_of(page), limit=page.limit + 1)
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return {"items": shown, "next_cursor": encode_cursor({"id": str(shown[-1].id)}) if more else None}


def _check_editable(campaign: Any, policy: Policy, given: set[str]) -> None:
    """Refuse a change that comes too late. A pace is no later than the messages that are not made yet."""
    if given == {"max_per_minute"} and law.allows(law.Event.MOVE, campaign.status):
        return
    law.check_editable(campaign.status)
    rules.check_editable(policy, scheduled=campaign.status is Status.SCHEDULED)


def _plain(wanted: CampaignPatch, *, sender_id: str | None, phone_field: str | None) -> dict[str, Any]:
    """What is given of the columns that nothing else depends on."""
    plain: dict[str, Any] = {
        "sender_id": sender_id,
        "owner": wanted.owner,
        "quiet_hours": content.quiet_hours_of(wanted),
    }
    plain |= {"phone_field": phone_field, "max_per_minute": wanted.max_per_minute}
    given = {name: value for name, value in plain.items() if name in wanted.model_fields_set}
    return given if wanted.skip_landlines is None else given | {"skip_landlines": wanted.skip_landlines}


def _told(campaign: Any) -> dict[str, Any]:
    """What the audit trail may know of a campaign."""
    plain = ("name", "sender_id", "owner", "starts_at", "skip_landlines", "max_per_minute")
    return {
        **{name: getattr(campaign, name) for name in plain},
        "opt_in_acknowledged": campaign.opt_in_acknowledged_at is not None,
    }


async def _refuse_taken_name(tx: AsyncConnection, name: str) -> None:
    await queries.lock_name(tx, name)
    taken = await queries.find_id_of_name(tx, name)
    if taken is not None:
        raise CampaignNameTaken(
            f"The campaign {taken} is named {name!r} already; choose another name.", pointer="/name"
        )


def _place_of(page: PageAsked, sort: str) -> tuple[Any, UUID] | None:
    """Where the page before ended, in the same order."""
    mark = mark_of(page)
    if mark is None:
        return None
    if mark.text("sort") != sort:
        raise bad_cursor()
    if sort.endswith("_at"):
        return mark.moment("value"), mark.id()
    if sort.endswith("messages"):
        return mark.number("value"), mark.id()
    value = mark.text("value")
    if sort.endswith("status") and value not in set(Status):
        raise bad_cursor()
    return value, mark.id()


def _acknowledged(acknowledged: bool, caller: str, now: datetime) -> dict[str, Any]:
    return {
        "opt_in_acknowledged_at": now if acknowledged else None,
        "opt_in_acknowledged_by": caller if acknowledged else None,
    }
