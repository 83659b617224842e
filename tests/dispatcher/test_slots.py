"""Slots: a gateway that hangs keeps those that it has, and none of those that are kept for others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import update

from dispatcher.path.pump import Pump
from dispatcher.path.slots import Slots
from dispatcher.queries import claims
from shared.clock import utc_now
from shared.domain.message import Kind
from shared.models import Message
from tests.dispatcher.answers import at, taken
from tests.dispatcher.queued import NUMBERS, queue_one
from tests.dispatcher.test_passwords import queue_password
from tests.factories import make_gateway
from tests.stages import statuses
from tests.worlds import HandWorker

# Longer than a test waits: what leaves before has waited for no answer.
PATIENT = {"deadline": 20.0, "lease": 60.0}


@pytest.fixture
async def hanging(worker: HandWorker, router: respx.MockRouter) -> AsyncIterator[list[str]]:
    """What was handed to a gateway that answers when the test is over, to `slow`; at `good` there is `first`."""
    over = asyncio.Event()
    asked: list[str] = []

    async def hang(request: httpx.Request) -> httpx.Response:
        asked.append(parse_qs(request.content.decode())["To"][0])
        await over.wait()
        return taken(request)

    at(router, "slow", answer=hang)
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "slow", priority=0, location_ids=["slow"])
        await make_gateway(tx, worker.sealer, "first", priority=1, location_ids=["good"])
    yield asked
    over.set()


@asynccontextmanager
async def running(pump: Pump) -> AsyncIterator[None]:
    task = asyncio.create_task(pump.run())
    try:
        async with asyncio.timeout(10):
            yield
    finally:
        for one in (task, *pump._tasks):
            one.cancel()
        await asyncio.wait([task])


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


async def put_at(worker: HandWorker, message_id: UUID, location_id: str) -> None:
    async with worker.transaction() as tx:
        await tx.execute(update(Message).where(Message.id == message_id).values(location_id=location_id))


# --- passwords beside other single messages


async def test_a_password_waits_for_no_gateway_that_hangs_with_others(
    worker: HandWorker, another: Any, router: respx.MockRouter, hanging: list[str]
) -> None:
    healthy = at(router)
    for _ in range(10):
        await queue_one(worker, location_id="slow")
    pumped = another(urgent_slots=8, **PATIENT)
    pump = Pump(pumped, "urgent")
    async with running(pump):
        await until(lambda: len(hanging) == 6)
        await asyncio.sleep(0.2)
        assert len(hanging) == pump.in_flight == 6
        for _ in range(2):
            message_id, _ = await queue_password(worker)
            await put_at(worker, message_id, "good")
        pumped.ring("urgent")
        await until(lambda: healthy.call_count == 2)
    assert len(hanging) == 6


@pytest.mark.parametrize("slots", [1, 2, 3])
async def test_few_slots_are_for_both(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID, slots: int
) -> None:
    route = at(router)
    for number in NUMBERS[:4]:
        await queue_one(worker, msisdn=number)
        await queue_password(worker)
    async with running(Pump(another(urgent_slots=slots), "urgent")):
        await until(lambda: route.call_count == 8)


async def test_others_have_what_comes_free_at_once(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a bell, and without the pump's next look; the slots that are kept stay free all the while."""
    monkeypatch.setattr("dispatcher.path.pump.IDLE_SECONDS", 60.0)
    most = 0

    async def slowly(request: httpx.Request) -> httpx.Response:
        nonlocal most
        most = max(most, pump.in_flight)
        await asyncio.sleep(0.02)
        return taken(request)

    route = at(router, answer=slowly)
    for number in NUMBERS:
        await queue_one(worker, msisdn=number)
    pump = Pump(another(urgent_slots=8), "urgent")
    async with running(pump):
        await until(lambda: route.call_count == 20)
        await until(lambda: pump.in_flight == 0)
    assert most == 6
    assert await statuses(worker.engine) == {"submitted": 20}


async def test_many_that_are_over_do_not_use_up_the_slots_of_others(
    worker: HandWorker, another: Any, router: respx.MockRouter, hanging: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is closed by the claim leaves its slots to the next ones, though nothing comes free."""
    monkeypatch.setattr("dispatcher.path.pump.IDLE_SECONDS", 60.0)
    healthy = at(router)
    await queue_one(worker, location_id="slow")
    for number in NUMBERS[:12]:
        await queue_one(worker, msisdn=number, location_id="good", expires_at=worker.now())
    await queue_one(worker, location_id="good")
    async with running(Pump(another(urgent_slots=8, **PATIENT), "urgent")):
        await until(lambda: healthy.call_count == 1)
    assert len(hanging) == 1
    assert (await statuses(worker.engine))["expired"] == 12


@pytest.mark.parametrize(("others", "left"), [(0, "otp"), (1, "otp personal")])
async def test_a_claim_takes_so_many_others(worker: HandWorker, first: UUID, others: int, left: str) -> None:
    await queue_password(worker)
    for number in NUMBERS[:3]:
        await queue_one(worker, msisdn=number)
    async with worker.transaction() as tx:
        found = await claims.claim(tx, lane="urgent", slots=4, others=others, lease=30.0, dispatcher=worker.name)
    assert sorted(one.kind for one in found.claimed) == left.split()


def _claimed(kind: Kind) -> Any:
    return claims.Claimed(UUID(int=0), 1, kind, "", b"", "", None, None, 1, None, None, None, None, utc_now(), None)


def test_passwords_may_have_every_slot_and_are_no_reason_to_keep_more() -> None:
    slots = Slots("urgent", 100)
    assert slots.for_others == 75
    slots.take([_claimed(Kind.OTP)] * 40)
    assert (slots.for_others, slots.free) == (60, 60)
    slots.take([_claimed(Kind.PERSONAL)] * 35)
    assert (slots.for_others, slots.free) == (25, 25)
    slots.give_back([_claimed(Kind.OTP)] * 40)
    slots.take([_claimed(Kind.PERSONAL)] * 40)
    assert (slots.for_others, slots.free, slots.least) == (0, 25, 3)
    slots.give_back([_claimed(Kind.PERSONAL)] * 11)
    assert slots.for_others == 0  # less than a handful
    slots.give_back([_claimed(Kind.PERSONAL)])
    assert slots.for_others == 12
