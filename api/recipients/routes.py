"""Recipients over HTTP: who they are before and after the audience is frozen, and who is left out."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import queries as campaigns
from api.campaigns.content import Targets, check_targets, refuse
from api.campaigns.missing import TagsMissing
from api.campaigns.startable import check_still_startable
from api.deps import CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.paging import PageAsked, PageOut, encode_cursor
from api.places import Mark, mark_of
from api.problems import problems
from api.recipients import examples, queries
from api.recipients.queries import Found, Listed
from api.recipients.schemas import ExclusionsIn, ExclusionsOut, RecipientOut
from shared.domain import campaign as law
from shared.domain import policy as rules
from shared.domain.campaign import Status
from shared.domain.policy import Policy
from shared.queries.audience import load_audience
from shared.queries.policy import get_policy

router = APIRouter(prefix="/campaigns", tags=["campaigns"], route_class=IdempotentRoute)

Search = Annotated[
    str | None, Query(min_length=1, max_length=200, description="A part of the name in any case, or of the number.")
]
Skipped = Annotated[bool, Query(description="`true` lists those who are left out, with why.")]
_NOT_CHANGED: Final = (
    law.CampaignNotEditable,
    rules.CampaignDetailsLocked,
    law.CampaignNotStartable,
    law.OptInNotAcknowledged,
    TagsMissing,
)

# A list of several parts, one after the other: each asks for rows after a place of its own, says where a row is, and
# how that is read from a cursor.
Stage = tuple[Callable[[Any, int], Awaitable[Found]], Callable[[Listed], Any], Callable[[Mark], Any]]


@router.get("/{campaign_id}/recipients", responses=problems(404, 422))
async def list_recipients(
    campaign_id: UUID, tx: Reader, _caller: CanRead, page: Page, now: Now, q: Search = None, skipped: Skipped = False
) -> PageOut[RecipientOut]:
    """Whom the campaign reaches. Once the audience is frozen, in the order messages are made; before, as of now.

    `q` is looked for among the next 200,000 contacts, or 50,000 recipients of a settled audience: a page may hold fewer
    than `limit`, or none. Read on while there is a `next_cursor`.
    """
    campaign = await campaigns.get_campaign(tx, campaign_id)

    async def frozen(after: Any, limit: int) -> Found:
        return await queries.list_frozen(tx, campaign_id, skipped=skipped, q=q, after=after or 0, limit=limit)

    stages: list[Stage] = [(frozen, lambda row: row.position, _position_in)] if campaign.frozen_at or skipped else []
    if campaign.frozen_at is None:
        audience = await load_audience(tx, campaign_id, now=now)

        async def unreachable(after: Any, limit: int) -> Found:
            return await queries.list_unreachable(tx, audience, q=q, after=after, limit=limit)

        async def contacts(after: Any, limit: int) -> Found:
            return await queries.list_expected_contacts(tx, audience, q=q, after=after, limit=limit)

        async def numbers(after: Any, limit: int) -> Found:
            return await queries.list_expected_numbers(tx, audience, q=q, after=after, limit=limit)

        if skipped:
            stages.append((unreachable, lambda row: row.msisdn, _number_in))
        else:
            stages += [
                (contacts, lambda row: row.contact_id, _contact_in),
                (numbers, lambda row: row.msisdn, _number_in),
            ]
    rows, cursor = await _page_through(stages, page)
    return PageOut(items=[RecipientOut.model_validate(row) for row in rows], next_cursor=cursor)


async def _page_through(stages: Sequence[Stage], page: PageAsked) -> tuple[list[Listed], str | None]:
    """A page that goes on from one part into the next."""
    at, after = _place_of(page, stages)
    rows: list[Listed] = []
    while at < len(stages):
        ask, place, _ = stages[at]
        wanted = page.limit - len(rows)
        found = await ask(after, wanted + 1)
        rows += found.rows[:wanted]
        if len(found.rows) > wanted:
            after = place(rows[-1]) if wanted else after
            return rows, encode_cursor({"stage": at, "after": after})
        if found.further is not None:
            return rows, encode_cursor({"stage": at, "after": found.further})
        at, after = at + 1, None
    return rows, None


def _place_of(page: PageAsked, stages: Sequence[Stage]) -> tuple[int, Any]:
    mark = mark_of(page)
    if mark is None:
        return 0, None
    at = mark.number("stage", least=0, most=len(stages) - 1)
    _, _, read = stages[at]
    return at, read(mark) if mark.parts.get("after") is not None else None


def _position_in(mark: Mark) -> int:
    return mark.number("after")


def _contact_in(mark: Mark) -> UUID:
    return mark.id("after")


def _number_in(mark: Mark) -> str:
    return mark.text("after")


@router.post("/{campaign_id}/exclusions", responses=problems(404, *_NOT_CHANGED, 422))
async def exclude_recipients(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    campaign_id: UUID, body: ExclusionsIn, tx: Tx, caller: CanManage, now: Now, res: Res, deeds: Deeds
) -> ExclusionsOut:
    """Leave contacts, numbers or whoever a search finds out of a campaign, before its audience is frozen.

    One that is held for its audience, or its segments, before it has begun may be made fit like this, too.
    """
    policy, msisdns = await _checked(tx, campaign_id, body, res.default_region, held=True)
    audience = await load_audience(tx, campaign_id, now=now)
    changed = await queries.exclude(
        tx, audience, contact_ids=body.contact_ids, msisdns=msisdns, q=body.q, caller=caller.id
    )
    await check_still_startable(tx, await campaigns.get_campaign(tx, campaign_id), policy=policy, now=now)
    await deeds.write("campaign.recipients_excluded", ("campaign", campaign_id), {"recipients": changed})
    return ExclusionsOut(changed=changed, excluded=await queries.count_excluded(tx, campaign_id))


@router.delete(
    "/{campaign_id}/exclusions", responses={**problems(404, *_NOT_CHANGED, 422), **answered(examples.INCLUDED)}
)
async def include_recipients(
    campaign_id: UUID, body: ExclusionsIn, tx: Tx, _caller: CanManage, now: Now, res: Res, deeds: Deeds
) -> ExclusionsOut:
    """Take contacts, numbers or whoever a search finds among the excluded into the campaign again."""
    policy, msisdns = await _checked(tx, campaign_id, body, res.default_region)
    changed = await queries.include(tx, campaign_id, contact_ids=body.contact_ids, msisdns=msisdns, q=body.q)
    await check_still_startable(tx, await campaigns.get_campaign(tx, campaign_id), policy=policy, now=now)
    await deeds.write("campaign.recipients_included", ("campaign", campaign_id), {"recipients": changed})
    return ExclusionsOut(changed=changed, excluded=await queries.count_excluded(tx, campaign_id))


async def _checked(
    tx: AsyncConnection, campaign_id: UUID, body: ExclusionsIn, region: str | None, *, held: bool = False
) -> tuple[Policy, Sequence[str]]:
    """The policy and the numbers, of a campaign that is locked and may be changed; `held`: or is held unbegun."""
    campaign = await campaigns.lock_campaign(tx, campaign_id)
    if held:
        law.check_excludable(campaign.status, frozen=campaign.frozen_at is not None)
    else:
        law.check_editable(campaign.status)
    policy = await get_policy(tx)
    rules.check_editable(policy, scheduled=campaign.status in {Status.SCHEDULED, Status.HELD})
    wanted = Targets(None, body.contact_ids or None, body.msisdns or None)
    targets, errors = await check_targets(tx, wanted, region=(body.default_region, region), policy=policy)
    refuse(errors)
    return policy, targets.msisdns or ()
