"""Room: how much is claimed for paced gateways that are slow, take batches, or share a queue with faster ones."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from time import monotonic
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import func, update

from dispatcher.ending import end
from dispatcher.pacing.in_flight import CLAIM_AHEAD_SECONDS
from dispatcher.pacing.meter import CREDIT_SECONDS, GATHER_SECONDS, PASSWORD_SECONDS, Meter, Slice
from dispatcher.path.pump import Pump
from dispatcher.queries import claims
from shared.domain.message import Kind, Status
from shared.domain.pace import Pace, kept_for_urgent
from shared.models import Message
from tests.dispatcher.answers import at, taken
from tests.dispatcher.queued import NUMBERS, queue_campaign, queue_one
from tests.dispatcher.test_passwords import queue_password
from tests.factories import make_gateway
from tests.stages import check_tallies, statuses
from tests.worlds import HandClock, HandWorker

SOON = 30.0


def launch(meter: Meter, *lengths: int) -> Any:
    """A request of messages that take room."""
    assert all(meter.take("bulk", length) for length in lengths)
    return meter.request("bulk", lengths, start_by=monotonic() + SOON)


@pytest.mark.parametrize("urgent", [True, False], ids=["both lanes", "campaigns alone"])
@pytest.mark.parametrize("limit", [2, 3, 9, 20, 100])
async def test_slow_requests_get_all_the_room_there_is(limit: int, *, urgent: bool) -> None:
    """However long the first one takes: the share grows by what is wanted, not by what has ended."""
    meter = Meter(Pace(None, limit))
    if urgent:
        meter.room("urgent")
        meter.looked("urgent")
        meter.waiting.clear()
    turns = []
    for _ in range(12):
        while (room := meter.room("bulk")) and meter.take("bulk", 1):
            assert room > 0
            turns.append(meter.request("bulk", [1], start_by=monotonic() + SOON))
            assert await turns[-1].__aenter__()
        meter.looked("bulk")
        meter.ask("bulk")
        meter.draw(Slice(0, meter.needs().requests, 1, 0.0))
    # Of those that are kept where this process has no urgent messages, another one has the use.
    assert len(turns) == limit - kept_for_urgent(limit)
    for turn in turns:
        await turn.__aexit__(None, None, None)


async def test_a_request_counts_before_it_has_begun() -> None:
    """Seventy of a hundred are a request: the thirty places in it are nobody's."""
    meter = Meter(Pace(None, 1), largest_batch=100)
    meter.room("bulk")
    meter.draw(Slice(0, 1, 1, 0.0))
    assert meter.room("bulk") == 100
    turn = launch(meter, *[1] * 70)
    assert meter.room("bulk") == 0
    assert not meter.take("bulk", 1)
    assert meter.in_flight.busy == 1
    async with turn as free:
        assert free
        assert meter.room("bulk") == 0
    assert meter.in_flight.busy == 0


async def test_a_request_that_got_no_credit_leaves_its_place() -> None:
    meter = Meter(Pace(100.0, 1), largest_batch=100)
    meter.room("bulk")
    meter.draw(Slice(0, 1, 1, 0.0))
    meter.credit = -50.0
    assert meter.take("bulk", 1) is False
    meter.credit = 0.0
    assert meter.take("bulk", 1)
    async with meter.request("bulk", [1], start_by=monotonic()) as free:
        assert not free
    assert meter.in_flight.busy == 0
    assert meter._pending == {"urgent": 0, "bulk": 0}


@pytest.mark.parametrize(("rate", "least"), [(20.0, 2), (200.0, 20), (5_000.0, 100), (1.0, 1)])
async def test_batches_are_gathered_for_a_moment(rate: float, least: int) -> None:
    """Not a request for each crumb of the pace; and what one holds is no burst beyond it."""
    meter = Meter(Pace(rate), largest_batch=100)
    meter.draw(Slice(1, 0, 1, 0.0))
    whole = meter.room("bulk")
    assert whole is not None
    assert whole >= least
    assert least <= max(1, rate * GATHER_SECONDS) <= max(1, rate * CLAIM_AHEAD_SECONDS)
    while (left := whole - meter._pending["bulk"]) >= least:
        assert meter.room("bulk") == left
        assert meter.take("bulk", 1)
    assert meter.room("bulk") == 0
    assert meter.room("urgent") != 0  # somebody waits for these
    assert "bulk" in meter.waiting


async def test_a_batch_leaves_when_all_of_it_may() -> None:
    """Each slice brings a part; ahead of its time only a password goes."""
    meter = Meter(Pace(100.0), largest_batch=100)
    meter.draw(Slice(4, 0, 1, 0.0))
    turn = launch(meter, *[1] * 10)
    going = asyncio.create_task(turn.__aenter__())
    for have in (4, 6, 9):
        await asyncio.sleep(0)
        assert not going.done()
        assert meter.wants() == 10 - have
        meter.draw(Slice({4: 2, 6: 3, 9: 1}[have], 0, 1, 0.0))
    assert await going
    assert meter.credit == 0
    await turn.__aexit__(None, None, None)
    assert meter.take("urgent", 1)
    async with meter.request("urgent", [1], start_by=monotonic()) as free:
        assert free


async def test_a_long_message_leaves_at_a_slow_pace() -> None:
    """Credit that comes once in half a second is not kept until there is enough of it: the rest is paid afterwards."""
    meter = Meter(Pace(2.0), largest_batch=100)
    meter.draw(Slice(1, 0, 1, 0.0))
    async with meter.request("bulk", [3], start_by=monotonic()) as free:
        assert free
    assert meter.credit == -2


async def test_one_segment_is_kept_for_a_claim_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """From when the lane hears of it, whatever it does then, until it has looked; what is more is given up."""
    meter = Meter(Pace(1.0))
    now = monotonic()
    monkeypatch.setattr("dispatcher.pacing.meter.monotonic", lambda: now)
    assert meter.room("bulk") == 0
    meter.draw(Slice(5, 0, 1, 0.0))
    now += 3
    meter.looked("bulk")  # from a claim that began before
    now += CREDIT_SECONDS / 2
    assert meter.room("bulk") == 1
    now += 3
    assert meter.take("bulk", 3)
    meter.forget("bulk", 3)
    meter.looked("bulk")
    now += CREDIT_SECONDS * 1.1
    assert meter.room("bulk") == 0  # nobody came for it


async def test_one_by_one_nothing_is_gathered() -> None:
    meter = Meter(Pace(200.0))
    meter.draw(Slice(1, 0, 1, 0.0))
    while meter.room("bulk") != 1:
        assert meter.take("bulk", 1)
    assert meter.take("bulk", 1)


async def test_who_waits_for_requests_comes_when_one_ends() -> None:
    """As often as there will be room, and some for whom there is none yet; not all within the next seconds."""
    meter = Meter(Pace(None, 2))
    meter.room("bulk")
    meter.draw(Slice(0, 2, 1, 0.0))
    first = meter.later("bulk", 1)
    assert first == pytest.approx(0.1, abs=0.05)  # nothing is known yet
    meter.in_flight._lasts = 8.0
    waits = [meter.later("bulk", 1) for _ in range(10)]
    steps = [after - before for before, after in pairwise(waits)]
    assert steps == pytest.approx([8.0 / 2 / 8] * 9, abs=0.05)


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.path.pump.IDLE_SECONDS", 60.0)


@pytest.mark.usefixtures("seldom")
async def test_those_of_a_full_gateway_hold_up_nobody_behind_them(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID
) -> None:
    """Sixteen for a gateway that has no room stand before four for one that has; the pump does not wait for a bell."""
    route = at(router)
    router.route(host="slow.example.com").mock(side_effect=taken)
    async with worker.transaction() as tx:
        slow = await make_gateway(
            tx, worker.sealer, "slow", priority=0, location_ids=["slow"], pace={"segments_per_second": 0.001}
        )
        await worker.book.read(tx)
    await queue_campaign(worker)
    async with worker.transaction() as tx:
        early = func.now() - func.make_interval(0, 0, 0, 0, 0, 9)
        await tx.execute(
            update(Message).where(Message.msisdn.in_(NUMBERS[:16])).values(location_id="slow", not_before=early)
        )
    pumped = another(bulk_slots=8)
    async with pumped.transaction() as tx:
        await pumped.book.read(tx)
    meter = pumped.paces.meter(slow, Pace(0.001), largest_batch=1)
    assert meter.room("bulk") == 0
    running = asyncio.create_task(Pump(pumped, "bulk").run())
    async with asyncio.timeout(30):
        while route.call_count < 4:
            await asyncio.sleep(0.01)
    pumped.stop()
    await running
    found = await statuses(worker.engine)
    assert found["submitted"] in {4, 5}  # its pace is for one at once, where nothing went before
    assert found["queued"] == 20 - found["submitted"]
    await check_tallies(worker.engine)


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("batches", [1, 100])
async def test_a_slow_claim_costs_no_pace(
    worker: HandWorker, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, batches: int, segments: int
) -> None:
    """A database that takes longer for a claim than a slice is kept for, and a pace of a segment now and then."""
    pace, left = 2.0, list[float]()

    def answer(request: httpx.Request) -> httpx.Response:
        left.append(monotonic())
        return taken(request)

    async def slowly(*args: Any, **named: Any) -> Any:
        await asyncio.sleep(1.5 * CREDIT_SECONDS)
        return await claim(*args, **named)

    claim = claims.claim
    monkeypatch.setattr(claims, "claim", slowly)
    at(router, answer=answer)
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "first", pace={"segments_per_second": pace})
        await worker.book.read(tx)
    (account,) = worker.book.accounts.values()
    adapter = worker.book.adapter_of(account)
    monkeypatch.setattr(adapter, "CAPABILITIES", replace(adapter.CAPABILITIES, largest_batch=batches))
    await queue_campaign(worker)
    async with worker.transaction() as tx:
        await tx.execute(update(Message).values(segments=segments))
    begun = monotonic()
    running = asyncio.create_task(Pump(worker, "bulk").run())
    async with asyncio.timeout(30):
        while len(left) < 3:
            await asyncio.sleep(0.01)
    worker.stop()
    await running
    between = segments / pace
    assert 1.5 * between <= left[2] - begun  # and none of it is much faster


@pytest.fixture
async def always_due(worker: HandWorker, by_hand: HandClock) -> AsyncIterator[None]:
    """Time goes on, and whatever is no password is due again at once, as messages are that have just been made."""

    async def hurry() -> None:
        last = monotonic()
        while True:
            await asyncio.sleep(0.03)
            await by_hand.advance(seconds=(now := monotonic()) - last)
            last = now
            async with worker.transaction() as tx:
                rest = Message.kind != Kind.OTP, Message.status == Status.QUEUED
                await tx.execute(update(Message).where(*rest).values(not_before=worker.now()))

    hurrying = asyncio.create_task(hurry())
    yield
    await end(hurrying)


@pytest.mark.usefixtures("always_due")
async def test_passwords_come_before_others_that_wait_for_the_same_pace(
    worker: HandWorker, another: Any, router: respx.MockRouter
) -> None:
    """All of them are claimed, for another gateway has no pace; what room there is goes to the password."""
    left: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        left.append(parse_qs(request.content.decode())["Body"][0])
        return taken(request)

    at(router)
    at(router, "slow", answer=answer)
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "slow", priority=0, pace={"segments_per_second": 2})
        await make_gateway(tx, worker.sealer, "first", location_ids=["other"])
    for _ in range(20):
        await queue_one(worker)
    pumped = another(urgent_slots=100)
    async with pumped.transaction() as tx:
        await pumped.book.read(tx)
    running = asyncio.create_task(Pump(pumped, "urgent").run())
    async with asyncio.timeout(30):
        for _ in range(4):
            before = len(left) + 1
            while len(left) < before:  # the room there was is gone
                await asyncio.sleep(0.01)
            _, code = await queue_password(worker)
            pumped.ring("urgent")
            while not any(code in body for body in left):
                await asyncio.sleep(0.01)
            assert len(left) - before <= 2
    pumped.stop()
    await running


async def test_room_is_kept_for_a_password_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the next one, and no line of others puts it off; one that does not come back holds up nobody."""
    now = monotonic()
    monkeypatch.setattr("dispatcher.pacing.meter.monotonic", lambda: now)
    meter = Meter(Pace(1.0))
    assert meter.take("urgent", 1)
    assert meter.later("urgent", 1) == pytest.approx(1)
    assert not meter.take("urgent", 1, password=True)
    waits = [meter.later("urgent", 1, password=True) for _ in range(3)]
    assert waits == pytest.approx([0.1, 0.2, 0.3])
    meter.draw(Slice(2, 0, 1, 0.0))
    assert not meter.take("urgent", 1)
    assert meter.room("bulk") == 0
    assert meter.room("urgent") == 2
    assert meter.take("urgent", 1, password=True)
    assert meter.room("bulk") == 0
    assert meter.take("urgent", 1)
    meter.later("urgent", 1, password=True)
    meter.draw(Slice(2, 0, 1, 0.0))
    assert meter.room("bulk") == 0
    now += PASSWORD_SECONDS
    meter.draw(Slice(1, 0, 1, 0.0))
    assert meter.room("bulk") != 0


async def test_a_paced_portal_is_asked_in_batches(worker: HandWorker, router: respx.MockRouter) -> None:
    """From end to end: as few requests as the pace allows."""
    base = "https://smsportal.test"
    async with worker.transaction() as tx:
        await make_gateway(
            tx,
            worker.sealer,
            "portal",
            kind="smsportal",
            settings={"base_url": base, "authentication": "basic"},
            secrets={"client_id": "the-client", "api_secret": "the-secret-of-the-client"},
            pace={"segments_per_second": 80, "in_flight": 4},
        )
        await worker.book.read(tx)
    asked: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(len(json.loads(request.content)["messages"]))
        return httpx.Response(200, json={"statusCode": 200, "sendResponse": {"eventId": 7, "messages": asked[-1]}})

    router.post(f"{base}/v3/BulkMessages").mock(side_effect=answer)
    await queue_campaign(worker)
    running = asyncio.create_task(Pump(worker, "bulk").run())
    async with asyncio.timeout(30):
        while sum(asked) < len(NUMBERS):
            await asyncio.sleep(0.01)
    worker.stop()
    await running
    assert len(asked) <= len(NUMBERS) / 2
    assert max(asked) <= 80 * GATHER_SECONDS  # more at once would be faster than the pace
    assert await statuses(worker.engine) == {"submitted": len(NUMBERS)}
