"""Opt-outs at Twilio over real sockets: the simulator passes on what handsets write, and refuses who said STOP."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.resources import Resources
from deploy.simulator.launch import Simulator
from deploy.simulator.ledger import accepted, read_ledger
from dispatcher.door.transport import Transport
from shared.db import begin
from shared.domain.message import Status
from shared.models import InboundRow, Message, OptOut
from shared.sealing import Sealer
from tests.factories import make_gateway, make_message, make_sender_id
from tests.simulator.receiver import Receiver
from tests.stages import attempts_of, message_of, pump_all
from tests.worlds import HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

ANNA = "+12025550142"
OURS, OTHERS = "+12025550100", "+12025550101"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(dials={"callbacks": False}) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Our address as Twilio sees it; what comes there is handed on to the app."""
    with Receiver() as listening:
        yield listening


@pytest.fixture
def resources(resources: Resources, receiver: Receiver) -> Resources:
    return replace(resources, public_url=receiver.url(""))


@pytest.fixture
async def sender(worker: HandWorker) -> AsyncIterator[HandWorker]:
    """A dispatcher whose door leads to the simulator."""
    transport = Transport(allowed_networks=[ip_network("127.0.0.0/8")])
    real = replace(worker, transport=transport, limits=replace(worker.limits, deadline=10.0, lease=60.0, fresh=20.0))
    yield real
    await real.aclose()
    await transport.aclose()


@pytest.fixture
async def twilio(engine: AsyncEngine, sealer: Sealer, simulator: Simulator) -> UUID:
    """A gateway at the simulator with our number, and behind it one that takes everything and has another."""
    settings = {"base_url": simulator.base_url, "account_sid": simulator.account_sid, "from": OURS}
    async with begin(engine) as tx:
        gateway_id = await make_gateway(
            tx, sealer, settings=settings, secrets={"api_secret": simulator.auth_token}, priority=1
        )
        await make_sender_id(tx, gateway_id, OURS)
        other = await make_gateway(tx, sealer, "second", kind="sandbox", priority=2)
        await make_sender_id(tx, other, OTHERS)
    return gateway_id


class Scene:
    """One handset, and what becomes of what it writes and is written."""

    def __init__(
        self, client: httpx.AsyncClient, simulator: Simulator, receiver: Receiver, gateway_id: UUID, sender: HandWorker
    ) -> None:
        self.client, self.simulator, self.receiver, self.sender = client, simulator, receiver, sender
        self.path = f"/callbacks/{gateway_id}/token-of-first/inbound"

    async def write(self, text: str, **more: Any) -> httpx.Response:
        """The handset writes, Twilio passes it on, and hears our answer."""
        before = len(self.receiver.told)
        self.simulator.inbound(sender=ANNA, to=OURS, text=text, url=self.receiver.url(self.path), **more)
        (told,) = self.receiver.told[before:]
        passed = ("content-type", "x-twilio-signature")
        headers = {name: told.headers[name] for name in passed}
        answer = await self.client.post(told.target, content=told.raw, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    async def send(self, sender_id: str | None = None) -> Any:
        """A message to the handset, when it has come to rest."""
        async with self.sender.transaction() as tx:
            now = self.sender.now()
            message_id = await make_message(tx, self.sender.pepper, now=now, msisdn=ANNA, sender_id=sender_id)
        await pump_all(self.sender, "urgent")
        return await message_of(self.sender.engine, message_id)

    async def held_back(self) -> list[tuple[str, list[str] | None]]:
        async with self.sender.transaction() as tx:
            return [(row.source, row.sender_ids) for row in await tx.execute(select(OptOut))]


@pytest.fixture
async def scene(
    client: httpx.AsyncClient, simulator: Simulator, receiver: Receiver, twilio: UUID, sender: HandWorker
) -> AsyncIterator[Scene]:
    scene = Scene(client, simulator, receiver, twilio, sender)
    answer = await client.put("/v1/policy", json={"opt_out_scope": "sender"})
    assert answer.status_code == 200, answer.text
    sender.rules.forget()
    yield scene
    simulator.inbound(sender=ANNA, to=OURS, text="START", url=receiver.url("/elsewhere"))


async def test_what_twilio_calls_it_is_obeyed_and_answered_by_nobody_else(scene: Scene, engine: AsyncEngine) -> None:
    """Advanced Opt-Out has words of its own, and answers them by itself: our answer to it says nothing."""
    for text, kind, held in (
        ("Info please", "HELP", []),
        ("Basta", "STOP", [("inbound", [OURS])]),
        ("stop", "HELP", [("inbound", [OURS])]),
        ("Ciao", "START", []),
    ):
        answer = await scene.write(text, opt_out_type=kind)
        assert (answer.content, answer.headers["content-type"].split(";")[0]) == (b"<Response/>", "text/xml")
        assert await scene.held_back() == held, text
    async with begin(engine) as tx:
        assert [row.keyword for row in await tx.execute(select(InboundRow).order_by(InboundRow.id))] == [
            "help",
            "stop",
            "help",
            "start",
        ]
        assert (await tx.execute(select(Message))).all() == []  # no confirmation of ours


async def test_from_stop_to_start(scene: Scene) -> None:
    assert (await scene.send()).status is Status.SUBMITTED
    await scene.write("STOP")
    assert [(await scene.send(one)).status for one in (None, OURS)] == [Status.SKIPPED, Status.SKIPPED]
    assert (await scene.send(OTHERS)).status is Status.SUBMITTED  # another sender of ours goes on
    await scene.write("START")
    assert (await scene.send(OURS)).status is Status.SUBMITTED


async def test_21610_is_a_no_to_that_sender_and_goes_nowhere_else(scene: Scene, simulator: Simulator) -> None:
    """Twilio knows of a STOP that never came to us. The next gateway has another number, and is not asked instead."""
    simulator.inbound(sender=ANNA, to=OURS, text="STOP", url=scene.receiver.url("/elsewhere"))
    before = len(accepted(read_ledger(simulator.ledger_path)))
    row = await scene.send()
    assert (row.status, row.failure, row.attempt) == (Status.FAILED, "21610", 1)
    (attempt,) = await attempts_of(scene.sender.engine, row.id)
    assert (attempt.outcome, attempt.fault, attempt.code) == ("refused", "opted_out", "21610")
    assert await scene.held_back() == [("gateway", [OURS])]
    assert (await scene.send(OURS)).status is Status.SKIPPED
    assert (await scene.send(OTHERS)).status is Status.SUBMITTED
    assert len(accepted(read_ledger(simulator.ledger_path))) == before
    await scene.write("UNSTOP")
    assert await scene.held_back() == []
    assert (await scene.send(OURS)).status is Status.SUBMITTED


async def test_21610_is_a_no_to_all_where_senders_are_one(
    scene: Scene, simulator: Simulator, client: httpx.AsyncClient
) -> None:
    await client.put("/v1/policy", json={})
    scene.sender.rules.forget()
    simulator.inbound(sender=ANNA, to=OURS, text="STOP", url=scene.receiver.url("/elsewhere"))
    assert (await scene.send()).status is Status.FAILED
    assert await scene.held_back() == [("gateway", None)]
    assert (await scene.send(OTHERS)).status is Status.SKIPPED
