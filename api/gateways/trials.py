"""A gateway tested over HTTP: one real message through it, and all that was said.

The api writes the message down, rings, and watches for what the dispatcher was told (`dispatcher/path/trials.py`).
"""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from api.deps import CanManage, Now, RequestId, Res
from api.examples import answered
from api.gateways import examples, queries
from api.gateways.queries import GatewayRow
from api.gateways.shown import capabilities_of
from api.gateways.trial_schemas import TrialIn, TrialOut
from api.idempotency import REPLAYED, AskingRoute, IdempotencyKey, Replay, claim_key, store_answer
from api.messages import queries as messages
from api.messages.values import TextTooManySegments, UnknownSender, fresh, measured
from api.problems import problems
from api.regions import region_of
from api.resources import Resources
from shared.db import begin, reading
from shared.domain import msisdn as numbers
from shared.domain import policy as rules
from shared.domain.message import OPEN, Kind
from shared.domain.policy import Policy
from shared.domain.quota import QuotaExceeded
from shared.errors import Conflict, Invalid
from shared.gateways import ADAPTERS
from shared.queries import audit
from shared.queries.gateways import open_secrets
from shared.queries.policy import get_policy
from shared.queries.quota import hold_message
from shared.queries.sender_ids import find_sender
from shared.sealing import SealBroken, hash_msisdn

router = APIRouter(prefix="/gateways", tags=["gateways"], route_class=AskingRoute)

# Besides the gateway's own time: for the bell, for a login or a script before the call, and for writing it down.
MARGIN_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.1
# Whoever asked has gone by then; a test that rings an hour later is none.
LIFE: Final = timedelta(minutes=1)

_LATER: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": TrialOut,
        "description": "Not settled yet; look at the message again in a moment.",
        **answered(examples.STILL_SENDING, status=202)[202],
    }
}


_UNFIT: Final = (
    numbers.InvalidMsisdn,
    UnknownSender,
    TextTooManySegments,
    rules.CountryNotAllowed,
    rules.SenderNotAllowed,
    QuotaExceeded,
)


class GatewayNotTestable(Conflict):
    """Nothing can be sent through this gateway as it is configured."""


@router.post("/{gateway_id}/test", responses={**problems(404, GatewayNotTestable, *_UNFIT), **_LATER})
async def try_gateway(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    gateway_id: Annotated[UUID, Path(description="The gateway's id.")],
    body: TrialIn,
    request: Request,
    response: Response,
    caller: CanManage,
    now: Now,
    res: Res,
    request_id: RequestId,
    key: IdempotencyKey = None,
) -> TrialOut:
    """Send a real message through this gateway, also while it is disabled or withdrawn, and show the exchange.

    The answer waits for the gateway. Nobody else is asked in its place, and the message is not sent again by itself.
    The same request with the same `Idempotency-Key` tells what became of the first one.
    """
    # Not by `Tx`: the dispatcher has to see the message, and nobody holds a connection while a gateway thinks.
    try:
        async with begin(res.engine) as tx:
            claim = await claim_key(request, caller, res, tx=tx, now=now, key=key)
            gateway = await queries.get_gateway(tx, gateway_id)
            message_id = await _insert(tx, gateway, body, caller=caller.id, now=now, res=res)
            await audit.record(
                tx,
                caller=caller.id,
                action="gateway.tested",
                subject=("gateway", str(gateway_id)),
                detail={"message_id": str(message_id)},
                now=now,
                request_id=request_id,
            )
            if claim is not None:
                await store_answer(claim, JSONResponse({"message_id": str(message_id)}, status_code=202))
    except Replay as replay:
        message_id = UUID(json.loads(bytes(replay.response.body))["message_id"])
        response.headers[REPLAYED] = "true"
    res.doorbell.ring("urgent")
    trial = await _settled(res, message_id)
    if trial.status in OPEN:
        response.status_code = 202
    return trial


async def _insert(
    tx: AsyncConnection, gateway: GatewayRow, given: TrialIn, *, caller: str, now: datetime, res: Resources
) -> UUID:
    """Queue the message; its id."""
    _check_testable(gateway, res)
    policy = await get_policy(tx)
    msisdn = _number(given.msisdn, policy.default_region or res.default_region)
    if told := rules.find_country_refused(policy, msisdn):
        raise rules.CountryNotAllowed(told, pointer="/msisdn")
    begun = fresh(Kind.TEST, caller, now)
    text = given.text if given.text is not None else f"A test of the gateway {gateway.name}."
    words = measured(text, policy)
    await hold_message(tx, begun["id"], text, policy=policy, now=now)
    row = await messages.insert_message(
        tx,
        {
            **begun,
            **words,
            "gateway_id": gateway.id,
            "msisdn": msisdn,
            "msisdn_hash": hash_msisdn(res.pepper, msisdn),
            "sender_id": await _sender(tx, given.sender_id, gateway, policy),
            "location_id": given.location_id,
            "not_before": now,
            "expires_at": now + LIFE,
        },
    )
    message_id: UUID = row.id
    return message_id


def _check_testable(gateway: GatewayRow, res: Resources) -> None:
    if gateway.kind not in ADAPTERS:
        raise GatewayNotTestable(f"The kind {gateway.kind} is not known here; delete the gateway or add the kind.")
    try:
        open_secrets(gateway.secrets_sealed, gateway_id=gateway.id, sealer=res.sealer)
    except SealBroken:
        raise GatewayNotTestable("The gateway's secrets cannot be opened any more; enter them again first.") from None


def _number(given: str, default_region: str | None) -> str:
    try:
        return numbers.parse(given, default_region=region_of(None, default_region))
    except Invalid as error:
        raise error.at("/msisdn") from None


async def _sender(tx: AsyncConnection, wanted: str | None, gateway: GatewayRow, policy: Policy) -> str | None:
    if wanted is None:
        return None
    found = await find_sender(tx, wanted, gateway_id=gateway.id)
    if found is None:
        raise UnknownSender(
            f"This gateway has no sender {wanted!r}; register it under /v1/sender-ids, or leave it out.",
            pointer="/sender_id",
        )
    if told := rules.find_sender_refused(policy, found):
        raise rules.SenderNotAllowed(told, pointer="/sender_id")
    return found


async def _settled(res: Resources, message_id: UUID) -> TrialOut:
    """The test once it is settled, or as it is when waiting for it takes too long."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + res.gateway_deadline + MARGIN_SECONDS
    while True:
        async with reading(res.engine) as tx:
            message = await messages.get_message(tx, message_id)
            attempts = await messages.list_attempts(tx, message_id)
            gateway = await queries.find_gateway(tx, message.gateway_id)
        can = capabilities_of(gateway) if gateway is not None else None
        receipts = can is not None and can.receipts
        trial = TrialOut.of(message, attempts[-1] if attempts else None, gateway, receipts=receipts)
        if trial.status not in OPEN or loop.time() >= give_up:
            return trial
        await asyncio.sleep(LOOK_SECONDS)
