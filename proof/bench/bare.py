"""The engine alone, in its own process: the same requests to the same simulator, and nothing recorded anywhere.

`python -m proof.bench.bare WHAT BASE_URL ACCOUNT_SID KEY SECRET CALLS AT_ONCE` prints one line of JSON. WHAT is
`client` (pyreqwest with nothing of ours around it), `engine` (the httpx transport over it that
LAPWING_GATEWAY_HTTP_ENGINE names) or `door` (with addresses, deadline and outcomes, as the dispatcher uses it).
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import uvloop
from pyreqwest.client import ClientBuilder

from dispatcher.door.engine import Limits, Peer, ReqwestEngine
from dispatcher.door.transport import Transport
from proof.numbers import SENDER
from shared.adapter import Account, Answer, Call, Sms
from shared.gateways import twilio
from shared.ids import uuid7

Perform = Callable[[Call], Awaitable[int]]
Close = Callable[[], Awaitable[None]]

TEXT = "Hi Name 12345, news from City 45 for +15550012345. Reply STOP to opt out."


async def drive(what: str, account: Account, *, calls: int, at_once: int) -> dict[str, float]:
    """Calls a second, and the processor time of each in this process."""
    prepared = [
        twilio.build_send(account, [Sms(id=uuid7(), attempt=1, msisdn=f"+1555{n:07}", text=TEXT)]) for n in range(calls)
    ]
    perform, close = _WHAT[what](account, at_once)
    waiting = iter(prepared)
    failed = 0

    async def caller() -> None:
        nonlocal failed
        for call in waiting:
            failed += await perform(call) != 201

    used, begun = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(at_once)))
    elapsed = time.perf_counter() - begun
    spent = time.process_time() - used
    await close()
    return {"calls_per_second": calls / elapsed, "cpu_microseconds": spent / calls * 1e6, "failed": failed}


def _client(_account: Account, at_once: int) -> tuple[Perform, Close]:
    client = ClientBuilder().no_proxy().http1_only().pool_max_idle_per_host(at_once).build()

    async def perform(call: Call) -> int:
        async with (
            client.request(call.method, call.url)
            .headers(list(call.headers))
            .body_bytes(call.body)
            .build_streamed() as answer
        ):
            await answer.body_reader.read(65_536)
            return int(answer.status)

    return perform, client.close


def _door(_account: Account, at_once: int) -> tuple[Perform, Close]:
    transport = Transport(allowed_networks=[ip_network("127.0.0.0/8")], limits=Limits(max_connections=at_once))

    async def perform(call: Call) -> int:
        answer = await transport.perform(call, deadline=30)
        return answer.status if isinstance(answer, Answer) else 0

    return perform, transport.aclose


def _engine(account: Account, at_once: int) -> tuple[Perform, Close]:
    to = urlsplit(account.settings["base_url"])
    peer = Peer(host=to.hostname or "", port=to.port or 80, address=ip_address(to.hostname or ""))
    engine = ReqwestEngine(peer, Limits(max_connections=at_once))

    async def perform(call: Call) -> int:
        request = httpx.Request(call.method, call.url, headers=call.headers, stream=httpx.ByteStream(call.body))
        response = await engine.handle_async_request(request)
        return response.status_code

    return perform, engine.aclose


_WHAT = {"client": _client, "engine": _engine, "door": _door}


def main() -> None:
    what, base_url, account_sid, key, secret, calls, at_once = sys.argv[1:]
    settings = {"account_sid": account_sid, "api_key": key, "from": SENDER, "base_url": base_url}
    account = Account(gateway_id=uuid4(), settings=settings, secrets={"api_secret": secret})
    print(json.dumps(uvloop.run(drive(what, account, calls=int(calls), at_once=int(at_once)))))


if __name__ == "__main__":
    main()
