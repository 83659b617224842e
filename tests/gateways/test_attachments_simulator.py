"""What goes with a message, over real sockets: uploaded, handed over, and fetched by the gateway itself."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_network

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from api.attachments.queries import CHUNK_BYTES
from api.main import equip
from api.resources import Resources
from deploy.simulator import ledger as book
from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import Entry, read_ledger
from dispatcher.book import Book
from dispatcher.door.transport import Transport
from tests.conftest import ADMIN_KEY, Clock
from tests.factories import make_gateway, make_msisdn
from tests.stages import run_to_the_end
from tests.worlds import HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * (CHUNK_BYTES // 100)
PDF = b"%PDF-1.7\nmenu"
WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class World:
    """An api that listens, a dispatcher whose door leads to the simulator, and somebody with a key."""

    url: str
    client: httpx.AsyncClient
    worker: HandWorker
    simulator: Simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(dials={"callbacks": False, "fetch_media": True}) as running:
        yield running


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(WAIT_SECONDS):
        while not server.started:
            await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
async def world(
    url: str, app: FastAPI, resources: Resources, worker: HandWorker, simulator: Simulator
) -> AsyncIterator[World]:
    equip(app, replace(resources, public_url=url))
    transport = Transport(allowed_networks=[ip_network("127.0.0.0/8")])
    limits = replace(worker.limits, deadline=20.0, lease=90.0)
    real = replace(worker, transport=transport, limits=limits, book=Book(sealer=worker.sealer, public_url=url))
    settings = {"base_url": simulator.base_url, "account_sid": simulator.account_sid, "from": "+12025550100"}
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, settings=settings, secrets={"api_secret": simulator.auth_token})
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=WAIT_SECONDS) as client:
        yield World(url, client, real, simulator)
    await real.aclose()
    await transport.aclose()


async def upload(world: World, data: bytes, name: str) -> str:
    answer = await world.client.post("/v1/attachments", files={"file": (name, data, "application/octet-stream")})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def lines_of(world: World, kind: str) -> list[Entry]:
    return [one for one in read_ledger(world.simulator.ledger_path) if one.kind == kind]


async def fetched(world: World, count: int) -> list[Entry]:
    """What the gateway's own client got, once it has all of it."""
    async with asyncio.timeout(WAIT_SECONDS):
        while len(entries := lines_of(world, book.MEDIA)) < count:
            await asyncio.sleep(0.05)
    return entries


async def test_the_gateway_fetches_the_very_bytes(world: World, clock: Clock) -> None:
    ids = [await upload(world, JPEG, "photo of today.jpg"), await upload(world, PDF, "menu.pdf")]
    numbers = [make_msisdn(number) for number in range(3)]
    body = {
        "name": "Spring menu",
        "msisdns": numbers,
        "messages": [{"text": "Our new menu.", "attachment_ids": ids}],
        "opt_in_acknowledged": True,
    }
    campaign = (await world.client.post("/v1/campaigns", json=body)).json()
    assert (await world.client.post(f"/v1/campaigns/{campaign['id']}/start")).status_code == 200
    await run_to_the_end(world.worker)

    sent = lines_of(world, book.ACCEPTED)
    assert {one.to for one in sent} == set(numbers)
    (links,) = {tuple(one.media or ()) for one in sent}
    entries = await fetched(world, 6)
    assert {one.result for one in entries} == {"200"}
    digests = {one.url: one.body_sha256 for one in entries}
    assert digests == dict(zip(links, (sha256(data).hexdigest() for data in (JPEG, PDF)), strict=True))

    # The same links, by whoever has them: until they end, and not a character of them changed.
    async with httpx.AsyncClient(timeout=WAIT_SECONDS) as stranger:
        answer = await stranger.get(links[0])
        assert (answer.content, answer.headers["content-type"]) == (JPEG, "image/jpeg")
        assert "set-cookie" not in answer.headers
        forged = re.sub(r"signature=(.)", lambda found: f"signature={'1' if found[1] == '0' else '0'}", links[0])
        assert (await stranger.get(forged)).status_code == 403
        clock.advance(timedelta(days=3))
        assert (await stranger.get(links[0])).status_code == 410
        assert (await stranger.get(forged)).status_code == 403


async def test_a_gateway_that_comes_too_late_gets_nothing(world: World, clock: Clock) -> None:
    """The simulator's own fetch after the end: the message was taken, and its ledger says what was missing."""
    made = (await world.client.get(f"/v1/attachments/{await upload(world, PDF, 'menu.pdf')}")).json()
    before = len(await fetched(world, 0))
    clock.advance(timedelta(days=3))
    form = {"To": "+447700900001", "From": "+12025550100", "Body": "Late.", "MediaUrl": made["link"]}
    simulator = world.simulator
    async with httpx.AsyncClient(auth=(simulator.account_sid, simulator.auth_token), timeout=WAIT_SECONDS) as twilio:
        path = f"/2010-04-01/Accounts/{simulator.account_sid}/Messages.json"
        assert (await twilio.post(f"{simulator.base_url}{path}", data=form)).status_code == 201
    last = (await fetched(world, before + 1))[-1]
    assert (last.url, last.result) == (made["link"], "410")
