"""What is done with a callback, whichever way it came in: admitted, read by its gateway's adapter, kept, answered.

What is kept is kept before the answer; what cannot be kept is refused in a way that makes a gateway come again. The
address is rebuilt from our public URL and the raw path and query: a signature covers those, and whatever `Host` or
`X-Forwarded-*` say is a stranger's word.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from api.callbacks.desk import Desk
from api.callbacks.facts import facts_of
from api.callbacks.inbound import record_inbound
from shared.adapter import (
    Account,
    Adapter,
    Callback,
    ForgedCallback,
    Inbound,
    Receipt,
    Reply,
    Replying,
    UnreadableCallback,
)
from shared.clock import utc_now
from shared.db import begin
from shared.errors import Forbidden, NotFound, Unavailable
from shared.gateways import ADAPTERS, adapter_for

log = logging.getLogger(__name__)


class CallbackNotSigned(Forbidden):
    """The callback does not carry this gateway's signature, so nothing of it was kept."""

    remedy: ClassVar[str] = (
        "Compare the gateway's secrets with those at the vendor's (`PATCH /v1/gateways/{id}` changes them), and the "
        "address that the vendor calls with `callback_urls`; then have it sent again."
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: path and query raw, headers in lower case, the body only once it is wanted."""

    gateway_id: str
    token: str
    method: str
    path: bytes
    query: bytes
    headers: Mapping[str, str]
    read: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class _Admitted:
    """A callback that came to a known gateway's address."""

    account: Account
    adapter: Adapter
    callback: Callback


async def take_status(desk: Desk, asked: Asked) -> Reply:
    """Keep the receipts that a gateway brings."""
    visit = await _admit(desk, asked)
    receipts, messages = _read(visit, what="status")
    if messages:
        await _keep_messages(desk, visit, messages)
    await _keep_receipts(desk, visit, receipts)
    return visit.adapter.RECEIPT_REPLY if isinstance(visit.adapter, Replying) else Reply()


async def take_inbound(desk: Desk, asked: Asked) -> Reply:
    """Keep the messages from handsets that a gateway passes on, and obey what they say."""
    visit = await _admit(desk, asked)
    receipts, messages = _read(visit, what="inbound")
    await _keep_messages(desk, visit, messages)
    if receipts:
        await _keep_receipts(desk, visit, receipts)
    return visit.adapter.INBOUND_REPLY


def _read(visit: _Admitted, *, what: Literal["status", "inbound"]) -> tuple[Sequence[Receipt], Sequence[Inbound]]:
    """What the gateway tells; both kinds where they can be told apart, whichever address it was told at."""
    adapter, account, callback = visit.adapter, visit.account, visit.callback
    either = adapter.CAPABILITIES.either_address
    try:
        receipts = adapter.read_callback(account, callback) if what == "status" or either else ()
        messages = adapter.read_inbound(account, callback) if what == "inbound" or either else ()
    except UnreadableCallback as refusal:
        raise _refused(refusal, visit, what=what) from None
    return receipts, messages


async def _keep_receipts(desk: Desk, visit: _Admitted, receipts: Sequence[Receipt]) -> None:
    gateway_id = visit.account.gateway_id
    await desk.inbox.put(facts_of(receipts, gateway_id=gateway_id, callback=visit.callback, now=utc_now()))


async def _keep_messages(desk: Desk, visit: _Admitted, messages: Sequence[Inbound]) -> None:
    resources = desk.resources
    async with begin(resources.engine) as tx:
        await record_inbound(
            tx,
            messages,
            gateway_id=visit.account.gateway_id,
            pepper=resources.pepper,
            default_region=resources.default_region,
            now=utc_now(),
        )


async def _admit(desk: Desk, asked: Asked) -> _Admitted:
    gateway = await desk.known.find(asked.gateway_id, asked.token)
    if gateway is None or gateway.kind not in ADAPTERS:
        raise NotFound("There is nothing at this address.")
    if gateway.account is None:
        log.error("secrets cannot be opened", extra={"gateway_id": str(gateway.id)})
        raise Unavailable("This gateway's callbacks cannot be checked for now; send this again.")
    address = asked.path + b"?" + asked.query if asked.query else asked.path
    callback = Callback(
        method=asked.method,
        url=desk.resources.public_url + address.decode("latin-1"),
        headers=asked.headers,
        body=await asked.read(),
        received_at=utc_now(),
    )
    return _Admitted(gateway.account, adapter_for(gateway.kind, gateway.account), callback)


def _refused(refusal: UnreadableCallback, visit: _Admitted, *, what: str) -> Exception:
    gateway_id = str(visit.account.gateway_id)
    forged = isinstance(refusal, ForgedCallback)
    log.warning("callback refused", extra={"gateway_id": gateway_id, "what": what, "forged": forged})
    return CallbackNotSigned(refusal.detail) if forged else refusal
