"""Pump: hand over once what was claimed, settle it, drain; and nothing of it twice, whoever dies in between."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import text

from api.messages.queries import forbid_return
from dispatcher.beside.rescue import rescue
from dispatcher.path.pump import Pump
from dispatcher.queries import claims, settlements
from dispatcher.queries.settlements import Settled
from shared.db import begin
from shared.domain.message import Status
from tests.dispatcher.answers import at, in_turn, taken
from tests.dispatcher.queued import NUMBERS, queue_campaign, queue_one
from tests.factories import make_gateway, make_message, make_opt_out
from tests.stages import attempts_of, check_tallies, execute, message_of, pump_all, pump_once, send_all, statuses
from tests.worlds import HandClock, HandWorker

# --- who dies in between


class PowerCut(BaseException):
    """The process is gone; nothing after this line runs."""


@pytest.mark.parametrize("lane", ["urgent", "bulk"])
async def test_dies_between_claim_and_send(
    worker: HandWorker,
    another: Any,
    router: respx.MockRouter,
    first: UUID,
    by_hand: HandClock,
    monkeypatch: pytest.MonkeyPatch,
    lane: str,
) -> None:
    """The intent is committed, so nobody knows: unconfirmed by the rescue, and never queued again."""
    route = at(router)
    if lane == "bulk":
        await queue_campaign(worker, NUMBERS[:3])
    else:
        await queue_one(worker)

    def die(name: str) -> None:
        if name == "after_claim_commit":
            raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr("dispatcher.failpoints.hit", die)
        await Pump(worker, lane)._claim(8)
    assert set(await statuses(worker.engine)) == {"sending"}
    survivor = another()
    assert await rescue(survivor) == 0  # the lease lasts
    await by_hand.advance(seconds=31)
    assert await rescue(survivor) == (3 if lane == "bulk" else 1)
    assert set(await statuses(worker.engine)) == {"unconfirmed"}
    await by_hand.advance(days=2)
    assert await pump_all(survivor, lane) == 0
    assert not route.called
    await check_tallies(worker.engine)


async def test_dies_before_the_claim_is_committed(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(router)
    await queue_campaign(worker, NUMBERS[:3])

    def die(name: str) -> None:
        if name == "before_claim_commit":
            raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr("dispatcher.failpoints.hit", die)
        await Pump(worker, "bulk")._claim(8)
    assert await statuses(worker.engine) == {"queued": 3}
    assert await pump_all(another()) == 3
    await check_tallies(worker.engine)


async def test_cancelled_between_answer_and_settlement(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    """Killed while the gateway is on the line: its message is unconfirmed, whatever the gateway did with it."""
    on_the_line = asyncio.Event()

    async def hang(_request: httpx.Request) -> httpx.Response:
        on_the_line.set()
        await asyncio.sleep(60)
        return taken()

    at(router, answer=hang)
    message_id = await queue_one(worker)
    pump = Pump(worker, "urgent")
    worker.book.forget()
    await pump._claim(4)
    await on_the_line.wait()
    (task,) = pump._tasks
    task.cancel()
    await asyncio.wait([task])
    await by_hand.advance(seconds=31)
    assert await rescue(another()) == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.lease_until) == (Status.UNCONFIRMED, None)


async def test_sent_again_and_then_proved_not_to_have_left(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    """A dispatcher sleeps past its lease, the owner sends the message again, it wakes up: one goes out, not two."""
    route = at(router)
    message_id = await queue_one(worker)
    async with worker.transaction() as tx:
        (one,) = (await claims.claim(tx, lane="urgent", slots=1, lease=30.0, dispatcher="asleep")).claimed
        await claims.insert_intents(tx, [(one, first)], dispatcher="asleep")
    await by_hand.advance(seconds=31)
    await rescue(worker)
    async with worker.transaction() as tx:
        await forbid_return(tx, message_id, worker.now())
        await make_message(tx, worker.pepper, now=worker.now(), resend_of=message_id)
    late = Settled(message_id, one.attempt, first, Status.QUEUED, "not_sent", code="lease_margin")
    async with worker.transaction() as tx:
        await settlements.settle(tx, [late])
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.CANCELLED
    assert route.call_count == 1


async def test_lease_too_short_for_a_hand_over_sends_nothing(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID
) -> None:
    """Paused between claim and send for longer than the lease allows: certain, because no byte left."""
    route = at(router)
    message_id = await queue_one(worker)
    await pump_once(another(lease=2.0, deadline=2.0), "urgent")
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.QUEUED, 1)
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.code) == ("not_sent", "lease_margin")
    assert not route.called
    await pump_once(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_lease_too_short_again_and_again(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    """From the third time it pauses, until a gateway is asked; and none of these attempts is held against it."""
    at(router, answer=in_turn(httpx.ConnectError("refused")))
    message_id = await queue_one(worker)
    late = another(lease=2.0, deadline=2.0)
    waits: list[timedelta] = []
    for who in (late, late, late, worker, late, late, late):
        await by_hand.advance(seconds=15)
        assert await pump_once(who, "urgent") == 1
        waits.append((await message_of(worker.engine, message_id)).not_before - worker.now())
    assert [wait > timedelta(0) for wait in waits] == [False, False, True, True, False, False, True]
    assert waits[3] <= timedelta(seconds=1)
    await execute(worker.engine, "DELETE FROM attempts")
    await execute(
        worker.engine,
        "INSERT INTO attempts (message_id, attempt, gateway_id, dispatcher, started_at, outcome, code)"
        " SELECT :id, n, :gateway, 'x', now(), 'not_sent', 'lease_margin' FROM generate_series(1, 99) n",
        id=message_id,
        gateway=first,
    )
    await execute(worker.engine, "UPDATE messages SET attempt = 99")
    await by_hand.advance(seconds=15)
    assert await pump_once(worker, "urgent") == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.QUEUED, 100)
    assert row.not_before <= worker.now() + timedelta(seconds=1)


# --- the stream


async def test_stream_sends_everything_and_drains(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    in_flight = most = 0

    async def slowly(request: httpx.Request) -> httpx.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.01)
        in_flight -= 1
        return taken(request)

    route = at(router, answer=slowly)
    await queue_campaign(worker)
    pump = Pump(worker, "bulk")
    running = asyncio.create_task(pump.run())
    async with asyncio.timeout(10):
        while route.call_count < 20:
            await asyncio.sleep(0.01)
    worker.stop()
    await running
    assert pump.in_flight == 0
    assert 1 < most <= pump.slots
    assert await statuses(worker.engine) == {"submitted": 20}
    await check_tallies(worker.engine)


async def test_stop_waits_for_what_is_on_the_line(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    on_the_line = asyncio.Event()
    answer_now = asyncio.Event()

    async def wait(request: httpx.Request) -> httpx.Response:
        on_the_line.set()
        await answer_now.wait()
        return taken(request)

    route = at(router, answer=wait)
    first_id = await queue_one(worker)
    running = asyncio.create_task(Pump(worker, "urgent").run())
    await on_the_line.wait()
    worker.stop()
    second_id = await queue_one(worker)
    await asyncio.sleep(0.05)
    assert not running.done()
    answer_now.set()
    await running
    assert (await message_of(worker.engine, first_id)).status is Status.SUBMITTED
    assert (await message_of(worker.engine, second_id)).status is Status.QUEUED
    assert route.call_count == 1


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pump's next turn is far away: what happens soon happens for another reason."""
    monkeypatch.setattr("dispatcher.path.pump.IDLE_SECONDS", 60.0)


@pytest.mark.usefixtures("seldom")
async def test_bell_is_heard_at_once(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    heard = asyncio.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        heard.set()
        return taken(request)

    at(router, answer=answer)
    running = asyncio.create_task(Pump(worker, "urgent").run())
    await asyncio.sleep(0.1)  # it looked, and found nothing
    await queue_one(worker)
    worker.ring("urgent")
    async with asyncio.timeout(20):
        await heard.wait()
    worker.stop()
    await running


@pytest.mark.usefixtures("seldom")
async def test_many_that_may_not_be_sent_hold_up_nobody(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    """Nineteen opted out before the one who did not, and another campaign takes its share of the slots for nothing.

    It does not wait for the next turn after each handful.
    """
    heard = asyncio.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        heard.set()
        return taken(request)

    at(router, answer=answer)
    await queue_campaign(worker)
    await queue_campaign(worker, NUMBERS[:1])
    async with begin(worker.engine) as tx:
        for number in NUMBERS[:19]:
            await make_opt_out(tx, worker.pepper, number)
    running = asyncio.create_task(Pump(worker, "bulk").run())
    async with asyncio.timeout(20):
        await heard.wait()
    worker.stop()
    await running
    assert await statuses(worker.engine) == {"skipped": 20, "submitted": 1}
    await check_tallies(worker.engine)


@pytest.mark.usefixtures("seldom")
async def test_share_that_is_not_used_goes_to_the_others_soon(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID
) -> None:
    """Beside a small campaign a large one gets half of the slots; it must not wait for its next turn with the rest."""
    route = at(router)
    await queue_campaign(worker, NUMBERS[:1])
    await queue_campaign(worker, NUMBERS[1:])
    running = asyncio.create_task(Pump(another(bulk_slots=16), "bulk").run())
    async with asyncio.timeout(20):
        while route.call_count < 20:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])


async def test_bug_in_the_settlement_is_not_hidden(
    worker: HandWorker, router: respx.MockRouter, first: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a settler no slot would ever come free again: the pump ends, and with it the process."""
    at(router)
    await queue_one(worker)

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("dispatcher.path.settler.Settler._count", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        async with asyncio.timeout(5):
            await Pump(worker, "urgent").run()


async def test_scheduled_ones_are_not_read_to_find_the_due(worker: HandWorker) -> None:
    """A claim costs what is due, however much is scheduled for later: the index is asked for both, in one search."""
    async with worker.transaction() as tx:
        for way in ("enable_seqscan", "enable_bitmapscan"):  # which a table this small would invite
            await tx.execute(text(f"SET LOCAL {way} = off"))
        rows = await tx.execute(
            text("EXPLAIN " + claims._URGENT.text),
            {"slots": 100, "others": 75, "lease": 30.0, "dispatcher": worker.name},
        )
        plan = [line.strip() for line in rows.scalars()]
    searches = [line for line in plan if line.startswith("Index Cond: ") and "not_before" in line]
    assert searches
    assert all("priority = " in line and "not_before <= " in line for line in searches)


async def test_sandbox_sends_without_a_network(worker: HandWorker, router: respx.MockRouter) -> None:
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, kind="sandbox")
    await queue_campaign(worker, NUMBERS[:10])
    await send_all(worker)
    assert not router.calls
    assert await statuses(worker.engine) == {
        "submitted": 7,  # 0 to 6
        "unconfirmed": 1,  # 7
        "queued": 1,  # 8: busy on the first attempt
        "failed": 1,  # 9
    }
    await check_tallies(worker.engine)
