"""Opt-outs over HTTP. Nothing is sent to who has one, from the moment it is kept until it is removed."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from api.deps import Bell, CanManage, CanRead, Deeds, Now, Page, Reader, RequestId, Res, Tx
from api.idempotency import IdempotentRoute
from api.opt_outs import queries
from api.opt_outs.schemas import Msisdn, OptOutIn, OptOutOut
from api.opt_outs.senders import InvalidOptOut, read_senders
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.regions import asked_number, usual_region
from shared.domain.automation import OPT_IN
from shared.domain.msisdn import InvalidMsisdn, UnknownRegion, parse
from shared.domain.opt_out import sender_of
from shared.errors import Conflict
from shared.queries import audit
from shared.queries.automations import tell_inside
from shared.queries.opt_outs import NewOptOut, insert_opt_outs, leave_opt_out
from shared.sealing import hash_msisdn

router = APIRouter(prefix="/opt-outs", tags=["opt-outs"], route_class=IdempotentRoute)


class NotHeldBack(Conflict):
    """The opt-out does not name this sender."""


@router.post(
    "",
    status_code=201,
    responses={**problems(InvalidOptOut), 200: {"model": OptOutOut, "description": "There was one already."}},
)
async def add_opt_out(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    body: OptOutIn, response: Response, tx: Tx, caller: CanManage, now: Now, res: Res, request_id: RequestId
) -> OptOutOut:
    """Keep a person's no: to everybody's messages, or to those of `sender_ids`.

    Who has opted out before stays as they were, and of senders those that are new are added.
    """
    msisdn = _parsed(body.msisdn, body.default_region or await usual_region(tx, res.default_region), pointer="/msisdn")
    senders = read_senders(body.sender_ids)
    said = NewOptOut(msisdn, hash_msisdn(res.pepper, msisdn), "api", sender_ids=senders)
    added = await insert_opt_outs(tx, [said], now=now)
    row = await queries.get_opt_out_of(tx, said.msisdn_hash)
    if added:
        await audit.record(
            tx,
            caller=caller.id,
            action="opt_out.added",
            subject=("opt_out", str(row.id)),
            detail={"source": "api", "sender_ids": row.sender_ids},
            now=now,
            request_id=request_id,
        )
    else:
        response.status_code = 200
    return OptOutOut.model_validate(row)


@router.get("", responses=problems(422))
async def list_opt_outs(
    tx: Reader,
    _: CanRead,
    page: Page,
    res: Res,
    msisdn: Annotated[Msisdn | None, Query(description="Whether this number opted out.")] = None,
) -> PageOut[OptOutOut]:
    """All opt-outs, the latest first."""
    asked = None
    if msisdn is not None:
        number = await asked_number(tx, msisdn, res.default_region)
        asked = hash_msisdn(res.pepper, number)
    rows = await queries.list_opt_outs(tx, msisdn_hash=asked, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[OptOutOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.delete("/{opt_out_id}", status_code=204, responses=problems(404, NotHeldBack))
async def remove_opt_out(
    opt_out_id: Annotated[UUID, Path(description="The opt-out's id.")],
    tx: Tx,
    _caller: CanManage,
    now: Now,
    bell: Bell,
    deeds: Deeds,
    sender_id: Annotated[
        str | None, Query(max_length=64, description="Only for this sender; those of the others stay held back.")
    ] = None,
) -> Response:
    """Take a no back, because the person said so; the audit log keeps who removed it."""
    row = await queries.lock_opt_out(tx, opt_out_id)
    lifted, left = row.sender_ids, list[str]()
    if sender_id is not None:
        lifted, left = _without(row.sender_ids, sender_id)
    await leave_opt_out(tx, opt_out_id, left)
    await deeds.write("opt_out.removed", ("opt_out", opt_out_id), {"source": row.source, "sender_ids": lifted})
    told = {"sender_ids": lifted}
    if row.msisdn is not None and await tell_inside(tx, OPT_IN, msisdn=row.msisdn, data=told, now=now):
        bell.ring("bulk")
    return Response(status_code=204)


def _without(held: list[str] | None, wanted: str) -> tuple[list[str], list[str]]:
    """The sender that is let through again, and those that are still held back."""
    sender_id = sender_of(wanted)
    if held is None:
        raise NotHeldBack("The opt-out holds back everybody's messages; remove it as a whole, without sender_id.")
    if sender_id is None or sender_id not in held:
        raise NotHeldBack(f"The opt-out holds back {', '.join(held)}; name one of these, or remove it as a whole.")
    return [sender_id], [one for one in held if one != sender_id]


def _parsed(raw: str, region: str | None, *, pointer: str) -> str:
    try:
        return parse(raw, default_region=region)
    except UnknownRegion as refusal:
        raise refusal.at("/default_region") from None
    except InvalidMsisdn as refusal:
        raise refusal.at(pointer) from None
