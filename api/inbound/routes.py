"""Inbound messages over HTTP. They come in through `api/callbacks`; here they are read."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.idempotency import IdempotentRoute
from api.inbound import queries
from api.inbound.schemas import InboundOut, ResolveIn
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.regions import asked_number
from api.schemas import Moment
from shared.domain.keywords import Keyword
from shared.domain.msisdn import InvalidMsisdn
from shared.domain.opt_out import sender_meant
from shared.errors import Conflict
from shared.queries.opt_outs import NewOptOut, insert_opt_outs
from shared.queries.policy import get_policy
from shared.sealing import hash_msisdn

router = APIRouter(prefix="/inbound", tags=["inbound"], route_class=IdempotentRoute)


class NothingToReview(Conflict):
    """The message needs no review, or somebody has resolved it."""


@router.get("", responses=problems(422))
async def list_inbound(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    tx: Reader,
    _: CanRead,
    page: Page,
    res: Res,
    msisdn: Annotated[str | None, Query(max_length=64, description="Who wrote.")] = None,
    keyword: Annotated[Keyword | None, Query(description="Texts that are this word, in any of its languages.")] = None,
    gateway_id: Annotated[UUID | None, Query(description="Through which gateway it came.")] = None,
    since: Annotated[Moment | None, Query(alias="from", description="Received at this time or later.")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Received before this time.")] = None,
    review: Annotated[bool | None, Query(description="true: only what somebody should still read.")] = None,
) -> PageOut[InboundOut]:
    """Messages from handsets, the latest first."""
    wanted = queries.Wanted(
        msisdn=None if msisdn is None else await _as_stored(tx, msisdn, res.default_region),
        keyword=keyword,
        gateway_id=gateway_id,
        since=since,
        until=until,
        review=review,
    )
    rows = await queries.list_inbound(tx, wanted, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[InboundOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.post("/{inbound_id}/resolve", responses=problems(404, NothingToReview))
async def resolve_inbound(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    inbound_id: UUID, wanted: ResolveIn, tx: Tx, caller: CanManage, now: Now, res: Res, deeds: Deeds
) -> InboundOut:
    """Say what a message that may have meant stop did mean; with `opt_out` the person's no is kept."""
    row = await queries.lock_inbound(tx, inbound_id)
    if not row.review or row.reviewed_at is not None:
        raise NothingToReview("The message needs no review, or was resolved already.")
    if wanted.opt_out:
        senders = sender_meant((await get_policy(tx)).opt_out_scope, row.to)
        said = NewOptOut(row.msisdn, hash_msisdn(res.pepper, row.msisdn), "inbound", row.gateway_id, senders)
        await insert_opt_outs(tx, [said], now=now)
    await deeds.write("inbound.resolved", ("inbound", inbound_id), {"opt_out": wanted.opt_out})
    return InboundOut.model_validate(await queries.mark_reviewed(tx, inbound_id, caller=caller.id, now=now))


async def _as_stored(tx: AsyncConnection, raw: str, region: str | None) -> str:
    """A number in E.164; a short code or a name, who write too, as it is."""
    try:
        return await asked_number(tx, raw, region)
    except InvalidMsisdn:
        return raw
