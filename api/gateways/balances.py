"""A gateway's credit over HTTP: asked for now, and as it was.

The api asks no gateway: it writes the request down, rings, and watches for what the dispatcher was told.
"""

import asyncio
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Response

from api.deps import CanManage, CanRead, Now, Page, Reader, RequestId, Res
from api.examples import answered
from api.gateways import examples, queries
from api.gateways.queries import GatewayRow
from api.gateways.schemas import BalanceAnswerOut, ReadingOut
from api.gateways.shown import balance_of
from api.idempotency import AskingRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.resources import Resources
from shared.db import begin, reading
from shared.queries import audit

router = APIRouter(prefix="/gateways", tags=["gateways"], route_class=AskingRoute)

WAIT_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.1

GatewayId = Annotated[UUID, Path(description="The gateway's id.")]
_LATER: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": BalanceAnswerOut,
        "description": "The gateway has not answered yet; this is what it said before.",
        **answered(examples.BALANCE_ASKED, status=202)[202],
    }
}


@router.post("/{gateway_id}/balance", responses={**problems(404, queries.NoBalanceToAskFor), **_LATER})
async def ask_balance(
    gateway_id: GatewayId, response: Response, caller: CanManage, now: Now, res: Res, request_id: RequestId
) -> BalanceAnswerOut:
    """Ask the gateway for its credit, now. The answer waits up to ten seconds for what it says."""
    # Not by `Tx`, which would hold its connection for as long as the gateway thinks.
    async with begin(res.engine) as tx:
        row = await queries.request_balance(tx, gateway_id)
        await audit.record(
            tx,
            caller=caller.id,
            action="gateway.balance_asked",
            subject=("gateway", str(gateway_id)),
            detail={},
            now=now,
            request_id=request_id,
        )
    res.doorbell.ring("bulk")
    answered = await _answered(res, gateway_id)
    if answered is None:
        response.status_code = 202
        return BalanceAnswerOut(status="asked", **balance_of(row).model_dump())
    status: Literal["read", "failed"] = "read" if answered.balance_failure is None else "failed"
    return BalanceAnswerOut(status=status, **balance_of(answered).model_dump())


async def _answered(res: Resources, gateway_id: UUID) -> GatewayRow | None:
    """The gateway once nobody's request is open any more; None if that takes too long."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + WAIT_SECONDS
    while loop.time() < give_up:
        async with reading(res.engine) as tx:
            row = await queries.get_gateway(tx, gateway_id)
        if row.balance_requested_at is None:
            return row
        await asyncio.sleep(LOOK_SECONDS)
    return None


@router.get("/{gateway_id}/balances", responses=problems(404, 422))
async def list_balances(gateway_id: GatewayId, tx: Reader, _: CanRead, page: Page) -> PageOut[ReadingOut]:
    """What the gateway said of its credit in the last 90 days, the latest first."""
    await queries.get_gateway(tx, gateway_id)
    rows = await queries.list_readings(tx, gateway_id, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[ReadingOut.model_validate(row) for row in shown], next_cursor=cursor)
