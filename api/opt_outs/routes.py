"""Opt-outs over HTTP. Nothing is sent to who has one, from the moment it is kept until it is removed."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from api.deps import Bell, CanManage, CanRead, Now, Page, Reader, RequestId, Res, Tx
from api.idempotency import IdempotentRoute
from api.opt_outs import queries
from api.opt_outs.schemas import Msisdn, OptOutIn, OptOutOut
from api.paging import PageOut, bad_cursor, page_of
from api.problems import problems
from api.regions import usual_region
from shared.domain.automation import OPT_IN
from shared.domain.msisdn import InvalidMsisdn, UnknownRegion, parse
from shared.queries import audit
from shared.queries.automations import tell_inside
from shared.queries.opt_outs import NewOptOut, insert_opt_outs
from shared.sealing import hash_msisdn

router = APIRouter(prefix="/opt-outs", tags=["opt-outs"], route_class=IdempotentRoute)


@router.post(
    "", status_code=201, responses={**problems(422), 200: {"model": OptOutOut, "description": "There was one already."}}
)
async def add_opt_out(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    body: OptOutIn, response: Response, tx: Tx, caller: CanManage, now: Now, res: Res, request_id: RequestId
) -> OptOutOut:
    """Keep a person's no. Who has opted out before stays as they were."""
    msisdn = _parsed(body.msisdn, body.default_region or await usual_region(tx, res.default_region), pointer="/msisdn")
    said = NewOptOut(msisdn, hash_msisdn(res.pepper, msisdn), "api")
    added = await insert_opt_outs(tx, [said], now=now)
    row = await queries.get_opt_out_of(tx, said.msisdn_hash)
    if added:
        await audit.record(
            tx,
            caller=caller.id,
            action="opt_out.added",
            subject=("opt_out", str(row.id)),
            detail={"source": "api"},
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
        number = _parsed(msisdn, await usual_region(tx, res.default_region), pointer="?msisdn")
        asked = hash_msisdn(res.pepper, number)
    rows = await queries.list_opt_outs(tx, msisdn_hash=asked, before=_place(page.after), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[OptOutOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.delete("/{opt_out_id}", status_code=204, responses=problems(404))
async def remove_opt_out(
    opt_out_id: Annotated[UUID, Path(description="The opt-out's id.")],
    tx: Tx,
    caller: CanManage,
    now: Now,
    request_id: RequestId,
    bell: Bell,
) -> Response:
    """Take a no back, because the person said so; the audit log keeps who removed it."""
    row = await queries.delete_opt_out(tx, opt_out_id)
    await audit.record(
        tx,
        caller=caller.id,
        action="opt_out.removed",
        subject=("opt_out", str(opt_out_id)),
        detail={"source": row.source},
        now=now,
        request_id=request_id,
    )
    if row.msisdn is not None and await tell_inside(tx, OPT_IN, msisdn=row.msisdn, now=now):
        bell.ring("bulk")
    return Response(status_code=204)


def _parsed(raw: str, region: str | None, *, pointer: str) -> str:
    try:
        return parse(raw, default_region=region)
    except UnknownRegion as refusal:
        raise refusal.at("/default_region") from None
    except InvalidMsisdn as refusal:
        raise refusal.at(pointer) from None


def _place(after: dict[str, str] | None) -> UUID | None:
    if after is None:
        return None
    try:
        return UUID(after["id"])
    except (KeyError, ValueError, AttributeError):
        raise bad_cursor() from None
