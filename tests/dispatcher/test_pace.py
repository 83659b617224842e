"""Pace: all dispatchers together keep a gateway's limits, with Redis and without, and nothing is lost by it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import respx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis as BlockingRedis
from sqlalchemy import select, update

from deploy.local.servers import Valkey
from dispatcher.ending import end
from dispatcher.pacing.in_flight import CLAIM_AHEAD_SECONDS
from dispatcher.pacing.meter import CREDIT_SECONDS, Meter, Slice
from dispatcher.pacing.pace import _SCRIPT, TURN_SECONDS, Paces
from dispatcher.path.choice import choose, room
from dispatcher.path.due import due
from dispatcher.path.pump import Pump
from dispatcher.worker import keep_book, leave
from shared.db import begin
from shared.domain.message import Status
from shared.domain.pace import AHEAD_SECONDS, BURST_SECONDS, Bucket, Pace
from shared.models import Gateway
from tests.dispatcher.answers import at, taken
from tests.factories import make_campaign, make_gateway, make_message, make_msisdn
from tests.stages import check_tallies, expand_all, message_of, pump_all, pump_once, statuses
from tests.worlds import HandWorker

NUMBERS = [make_msisdn(number) for number in range(12)]
MICRO = 1_000_000
LIFE = 15 * MICRO
TURN = round(TURN_SECONDS * MICRO)
NOWHERE = "redis://127.0.0.1:1/0"


class Account:
    """The script's account of one gateway, asked at times of our own."""

    def __init__(self, valkey: Valkey) -> None:
        self.redis = BlockingRedis.from_url(valkey.url)
        self.script = self.redis.register_script(_SCRIPT)
        self.key = f"lapwing:pace:{{{uuid4()}}}"

    def ask(
        self, name: str = "one", *, rate: float = 0, segments: int = 0, ahead: int = 0, now: int, **requests: int
    ) -> Slice:
        keys = [f"{self.key}:{part}" for part in ("due", "alive", "held", "hungry", "asked", "since")]
        most, wanted, used, beyond = (requests.get(part, 0) for part in ("most", "wanted", "used", "beyond"))
        burst = round(BURST_SECONDS * MICRO)
        told: Any = self.script(keys, [name, rate, segments, ahead, most, wanted, used, burst, LIFE, TURN, beyond, now])
        return Slice(told[0], told[1], told[2], told[3] / MICRO, told[4] > 0)


@pytest.fixture
def account(valkey: Valkey) -> Any:
    account = Account(valkey)
    yield account
    account.redis.close()


# --- the account in Redis


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rate=st.sampled_from([0.5, 1.0, 8.0, 64.0, 1024.0]),
    asked=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 200), st.booleans()), max_size=20),
)
def test_script_keeps_the_law(valkey: Valkey, rate: float, asked: list[tuple[int, int, bool]]) -> None:
    """What the script grants is what the law grants; a microsecond of rounding may move one segment."""
    account = Account(valkey)
    bucket, now = Bucket(rate), 1_700_000_000 * MICRO
    by_script = by_law = 0
    for pause, wanted, urgent in asked:
        now += pause * 1_000
        ahead = AHEAD_SECONDS if urgent else 0.0
        by_script += account.ask(rate=rate, segments=wanted, ahead=round(ahead * MICRO), now=now).segments
        by_law += bucket.take(wanted, now=now / MICRO, ahead=ahead)
        assert abs(by_script - by_law) <= 1
    account.redis.close()


def test_two_dispatchers_together_keep_the_pace(account: Account) -> None:
    """Each asks for as much as it can get, fifty times a second: 2 % over any ten seconds."""
    start = 1_700_000_000 * MICRO
    granted: list[tuple[int, int]] = []
    for turn in range(50 * 30):
        now = start + turn * 20_000
        granted += [(now, account.ask(name, rate=100, segments=10, now=now).segments) for name in ("one", "two")]
    for first in range(20):
        begin_ = start + first * MICRO
        sent = sum(count for at_, count in granted if begin_ <= at_ < begin_ + 10 * MICRO)
        assert 980 <= sent <= 1020


def test_requests_are_shared_out(account: Account) -> None:
    """`used` is what may be in flight until the answer is heard, and counts until then."""
    now = 1_700_000_000 * MICRO

    def ask(name: str, wanted: int, used: int = 0, after: int = 0) -> tuple[int, bool]:
        told = account.ask(name, most=10, wanted=wanted, used=used, now=now + after)
        return told.requests, told.hungry

    assert ask("one", 10) == (10, False)
    assert ask("two", 10) == (0, False)  # and says that it is hungry
    assert ask("one", 10, used=10) == (5, True)  # its half: it begins nothing before it is below that
    assert ask("two", 10) == (0, False)  # nobody knows yet whether `one` has heard
    assert ask("one", 10, used=8) == (5, True)
    assert ask("two", 10) == (2, False)
    assert ask("one", 10, used=5) == (5, True)
    assert ask("two", 10, used=2) == (5, False)
    assert ask("two", 3, used=3) == (3, False)
    assert ask("one", 10, used=5) == (7, False)  # what the other one leaves
    assert ask("two", 0, used=0) == (0, False)  # idle
    assert ask("one", 10, used=7) == (10, False)
    assert ask("two", 1) == (0, False)
    assert ask("one", 10, used=10) == (9, True)  # for one that only looks it gives up one
    assert account.ask("two", most=10, now=now + LIFE - 1).live == 2
    assert ask("three", 10, after=2 * LIFE) == (10, False)  # the others are gone, and what they held is free


def test_what_does_not_go_evenly_is_used(account: Account) -> None:
    now = 1_700_000_000 * MICRO
    used = dict.fromkeys(("one", "three", "two"), 0)
    for _ in range(3):
        for name in used:
            used[name] = account.ask(name, most=8, wanted=8, used=used[name], now=now).requests
    assert used == {"one": 3, "three": 3, "two": 2}


def test_what_is_kept_for_urgent_messages(account: Account) -> None:
    """Processes without any share the rest; what they leave is there at once, and they do not lose by it."""
    now = 1_700_000_000 * MICRO

    def bulk(name: str, used: int = 0) -> int:
        return account.ask(name, most=20, wanted=18, used=used, beyond=2, now=now).requests

    assert bulk("one") == 18
    assert account.ask("urgent", most=20, wanted=2, now=now).requests == 2
    assert bulk("one", 18) == 18
    assert bulk("two") == 0
    assert bulk("one", 18) == 9
    assert bulk("one", 9) == 9
    assert bulk("two") == 9
    assert account.ask("urgent", most=20, wanted=5, used=2, now=now).requests == 2
    assert bulk("one", 9) == 8  # urgent ones may have more than that part, as anybody may


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    most=st.integers(1, 12),
    turns=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 12), st.floats(0, 1)), max_size=60),
    beyond=st.integers(0, 1),
)
def test_never_more_than_the_limit_together(
    valkey: Valkey, most: int, turns: list[tuple[str, int, float]], beyond: int
) -> None:
    """Whoever asks for whatever: each uses some of what it was told, and never more, and hears the answer late."""
    account, now = Account(valkey), 1_700_000_000 * MICRO
    allowed, used = dict.fromkeys("abcd", 0), dict.fromkeys("abcd", 0)
    for name, wanted, part in turns:
        now += 50_000
        # It begins what it may while it asks, and afterwards some of it ends.
        most_used, without = max(used[name], allowed[name]), beyond if name in "ab" else 0
        told = account.ask(name, most=most, wanted=wanted, used=most_used, beyond=without, now=now)
        used[name] = max(used[name], allowed[name])
        assert sum(used.values()) <= most
        allowed[name] = told.requests
        used[name] = max(used[name], allowed[name])
        assert sum(used.values()) <= most
        used[name] = round(used[name] * part)
    account.redis.close()


def test_fewer_requests_than_dispatchers_go_round(account: Account) -> None:
    """Two requests for three, always wanted: each has a turn, and nobody waits for ever."""
    now = 1_700_000_000 * MICRO
    names = ("one", "two", "three")
    served, used = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for turn in range(120):
        for name in names:
            told = account.ask(name, most=2, wanted=2, used=used[name], now=now + turn * 50_000).requests
            used[name] = told  # what was in flight has ended, and the next one begins if it may
            served[name] += told
            assert sum(used.values()) <= 2
    assert min(served.values()) >= 50
    assert sum(served.values()) >= 170  # of 240


def test_urgent_does_not_wait_for_a_turn(account: Account) -> None:
    now = 1_700_000_000 * MICRO
    assert account.ask("one", most=1, wanted=1, now=now).requests == 1
    assert account.ask("two", most=1, wanted=1, ahead=50_000, now=now).requests == 0
    assert account.ask("one", most=1, wanted=1, now=now).requests == 0
    assert account.ask("two", most=1, wanted=1, ahead=50_000, now=now).requests == 1


async def test_in_flight_is_given_back_by_who_died(account: Account) -> None:
    now = 1_700_000_000 * MICRO
    assert account.ask("dead", most=4, wanted=4, used=4, now=now).requests == 4
    assert account.ask("alive", most=4, wanted=4, now=now + LIFE - 1).requests == 0
    assert account.ask("alive", most=4, wanted=4, now=now + LIFE + 1).requests == 4


def test_a_clock_that_is_set_back_stops_nobody(account: Account) -> None:
    """A standby's clock may be behind by a minute; so may the pace have been a segment in a minute until now."""
    now = 1_700_000_000 * MICRO
    assert account.ask(rate=10, segments=5, now=now).segments == 2
    assert account.ask("two", rate=10, segments=5, now=now).segments == 0
    now -= 60 * MICRO
    assert account.ask(rate=10, segments=1, now=now).wait <= 0.3
    assert account.ask(rate=10, segments=1, now=now + MICRO // 4).segments == 1
    assert account.ask(rate=10, now=now + LIFE + 1).live == 1
    assert account.ask(rate=1 / 60, segments=1, now=now + LIFE + MICRO).segments == 1
    assert account.ask(rate=10, segments=1, now=now + LIFE + MICRO).wait <= 0.2


# --- one process's meters


@pytest.fixture
async def paces(valkey: Valkey) -> AsyncIterator[Paces]:
    paces = Paces(valkey.url, name="one", life=15, ring=lambda lane: None)
    yield paces
    await paces.aclose()


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_meter_is_filled_when_it_is_asked(paces: Paces) -> None:
    meter = paces.meter(uuid4(), Pace(1.0), largest_batch=1)
    assert meter.room("bulk") == 0
    assert not meter.take("bulk", 1)
    await until(lambda: meter.room("bulk"))
    assert meter.take("bulk", 1)


async def pass_(meter: Meter, lane: str = "bulk", *lengths: int) -> bool:
    """One request that ends at once."""
    async with meter.request(lane, lengths or (1,), start_by=monotonic()) as free:
        return free


async def test_urgent_takes_ahead_of_the_slice() -> None:
    meter = Meter(Pace(100.0))
    ahead = 0
    while meter.take("urgent", 1):
        ahead += 1
    assert ahead == 100 * AHEAD_SECONDS + 100 * CLAIM_AHEAD_SECONDS
    assert not meter.take("bulk", 1)
    passed = [await pass_(meter, "urgent") for _ in range(ahead)]
    assert sum(passed) == 100 * AHEAD_SECONDS  # the others are too late: no slice came
    assert meter.wants() == meter.slice + sum(passed)  # it is paid back


async def test_urgent_has_the_first_turn() -> None:
    meter = Meter(Pace(100.0))
    soon = monotonic() + 30
    done: list[str] = []

    async def go(name: str, lane: str) -> None:
        assert meter.take(lane, 1)
        async with meter.request(lane, [1], start_by=soon) as free:
            assert free
            done.append(name)

    meter.credit = -5.0
    meter._drawn_at = monotonic()
    tasks = [asyncio.create_task(go(name, lane)) for name, lane in (("a", "bulk"), ("b", "bulk"), ("c", "urgent"))]
    async with asyncio.timeout(30):
        await asyncio.sleep(0)
        assert done == []
        meter.draw(Slice(6, 0, 1, 0.0))
        await asyncio.gather(tasks[2])
        assert done == ["c"]
        meter.draw(Slice(2, 0, 1, 0.0))
        await asyncio.gather(*tasks)
    assert done == ["c", "a", "b"]
    assert meter.credit == 0
    assert meter._pending == {"urgent": 0, "bulk": 0}


async def test_long_messages_count_by_segments() -> None:
    meter = Meter(Pace(1.0))  # too slow to claim anything ahead
    assert meter.room("bulk") == 0
    meter.draw(Slice(10, 0, 1, 0.0))
    for _ in range(4):
        assert meter.take("bulk", 3)
    assert not meter.take("bulk", 3)
    assert [await pass_(meter, "bulk", 3) for _ in range(4)] == [True] * 4
    assert meter.credit == -2


async def test_old_credit_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(Pace(1.0))
    meter.draw(Slice(5, 0, 1, 0.0))
    later = monotonic() + CREDIT_SECONDS + 0.01
    monkeypatch.setattr("dispatcher.pacing.meter.monotonic", lambda: later)
    assert meter.room("bulk") == 0


async def test_requests_in_flight_are_bounded_and_some_kept_for_urgent() -> None:
    meter = Meter(Pace(None, 3), largest_batch=2)
    assert meter.room("urgent") == 0
    meter.draw(Slice(0, 3, 1, 0.0))
    assert meter.room("bulk") == 4  # two requests of two messages; the third is for urgent ones
    assert meter.room("urgent") == 6
    assert all(meter.take("bulk", 1) for _ in range(4))
    assert not meter.take("bulk", 1)
    soon = monotonic() + 30
    async with meter.request("bulk", [1, 1], start_by=soon) as one, meter.request("bulk", [1, 1], start_by=soon) as two:
        assert one
        assert two
        assert meter.room("bulk") == 0
        assert meter.room("urgent") == 2
        async with meter.request("bulk", [], start_by=monotonic()) as three:
            assert not three  # there was none free in time
    assert meter.in_flight.used == 0
    assert meter.room("bulk") == 4 + 3 * 2  # they are short: as much is claimed before those in flight have ended


async def test_request_waits_for_one_that_ends() -> None:
    meter = Meter(Pace(None, 1))
    meter.draw(Slice(0, 1, 1, 0.0))
    soon = monotonic() + 30
    async with asyncio.timeout(30):
        async with meter.request("bulk", [], start_by=soon):
            waiting = asyncio.create_task(meter.request("bulk", [], start_by=soon).__aenter__())
            await asyncio.sleep(0)
            assert not waiting.done()
        assert await waiting


@pytest.mark.parametrize("url", [None, NOWHERE], ids=["none", "away"])
async def test_without_redis_each_keeps_to_its_share(url: str | None) -> None:
    paces = Paces(url, name="one", life=15, ring=lambda lane: None)
    paces.dispatchers = 4
    try:
        gateway_id = uuid4()
        meter = paces.meter(gateway_id, Pace(1000.0, 8), largest_batch=1)
        meter.ask("bulk")
        await until(lambda: meter.in_flight.allowed)
        assert meter.in_flight.allowed == 2
        assert paces._alone[gateway_id].rate == 250
    finally:
        await paces.aclose()


async def test_those_that_leave_while_redis_is_away_leave_their_share(paces: Paces) -> None:
    """Who was heard of there counts for as long as it would there, and no longer."""
    gateway_id = uuid4()
    paces._away_until = monotonic() + 60
    paces._heard[gateway_id] = 4, monotonic() + 0.3
    meter = paces.meter(gateway_id, Pace(None, 8), largest_batch=1)
    paces.dispatchers = 2
    async with busy(meter, 8):
        await until(lambda: meter.in_flight.allowed == 2)
        await until(lambda: meter.in_flight.allowed == 4)
        paces.dispatchers = 1
        await until(lambda: meter.in_flight.allowed == 8)


async def test_keeper_survives_whatever_happens(paces: Paces, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = paces.meter(uuid4(), Pace(100.0), largest_batch=1)

    def fail() -> None:
        monkeypatch.undo()
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(meter, "needs", fail)
    meter.ask("bulk")
    await until(lambda: meter.credit > 0)


async def test_no_debt_is_paid_for_what_never_left() -> None:
    meter = Meter(Pace(1.0, 1))
    meter.draw(Slice(1, 1, 1, 0.0))
    async with meter.request("bulk", [1], start_by=monotonic() + 30) as free:
        assert free
        meter.draw(Slice(1, 1, 1, 0.0))
        async with meter.request("bulk", [9], start_by=monotonic()) as late:
            assert not late
    assert meter.credit == 0


async def test_redis_that_dies_and_comes_back(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path / "valkey")
    valkey.start()
    paces = Paces(valkey.url, name="one", life=3, ring=lambda lane: None)
    try:
        meter = paces.meter(uuid4(), Pace(None, 8), largest_batch=1)
        paces.dispatchers = 2
        async with busy(meter, 8):
            await until(lambda: meter.in_flight.allowed == 8)
            valkey.kill()
            await until(lambda: meter.in_flight.allowed == 4)
            valkey.start()
            await until(lambda: meter.in_flight.allowed == 8)
    finally:
        await paces.aclose()
        valkey.stop()


@contextlib.asynccontextmanager
async def busy(meter: Meter, most: int, lane: str = "urgent") -> AsyncIterator[None]:
    """Have as many requests as there is room for in flight, up to so many, one after the other."""

    async def keep_one() -> None:
        while True:
            if meter.room(lane) == 0 or not meter.take(lane, 1):
                await asyncio.sleep(0.005)
                continue
            meter.looked(lane)
            async with meter.request(lane, [1], start_by=monotonic() + 30) as free:
                assert free
                await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(keep_one()) for _ in range(most)]
    try:
        yield
    finally:
        for task in tasks:
            await end(task)


@pytest.fixture
async def others(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Paces]:
    """Another dispatcher, on a machine that may stand still: neither takes a moment's silence of Redis for its end."""
    monkeypatch.setattr("dispatcher.pacing.pace.REDIS_SECONDS", 30.0)
    others = Paces(valkey.url, name="two", life=15, ring=lambda lane: None)
    yield others
    await others.aclose()


async def test_share_follows_what_there_is_to_do(paces: Paces, others: Paces) -> None:
    """One alone has all of it; two share it, never more together; and one that has little leaves the rest."""
    gateway_id, together = uuid4(), list[int]()
    one, two = (each.meter(gateway_id, Pace(None, 8), largest_batch=1) for each in (paces, others))

    async def watch() -> None:
        while True:
            together.append(one.in_flight.used + two.in_flight.used)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    async with busy(one, 20):
        await until(lambda: one.in_flight.used == 8)
        async with busy(two, 20):
            await until(lambda: one.in_flight.used == two.in_flight.used == 4)
        await until(lambda: one.in_flight.used == 8)
        async with busy(two, 1):
            await until(lambda: two.in_flight.used == 1 and one.in_flight.used >= 6)
        await until(lambda: one.in_flight.used == 8)
    await until(lambda: one.in_flight.allowed == two.in_flight.allowed == 0)
    assert not watching.done()
    await end(watching)
    assert max(together) == 8


async def test_campaigns_in_a_process_of_their_own_leave_the_urgent_part(paces: Paces, others: Paces) -> None:
    """It is free at once for a process that serves urgent messages; one that serves both keeps some of what it has."""
    gateway_id = uuid4()
    one, two = (each.meter(gateway_id, Pace(None, 20), largest_batch=1) for each in (paces, others))
    async with busy(one, 40, "bulk"):
        await until(lambda: one.in_flight.used == 18)
        async with busy(two, 2):
            await until(lambda: two.in_flight.used == 2)
            assert one.in_flight.allowed == 18
        await until(lambda: not two.in_flight.allowed)
        assert one.room("urgent") is not None
        await until(lambda: one.in_flight.allowed == 20)
        assert one.in_flight.used <= 18


async def test_one_that_only_looks_takes_no_share(paces: Paces, others: Paces) -> None:
    """It holds one request while it looks, and gives it back as soon as it has found nothing."""
    gateway_id = uuid4()
    one, two = (each.meter(gateway_id, Pace(None, 8), largest_batch=1) for each in (paces, others))
    async with busy(one, 20):
        await until(lambda: one.in_flight.used == 8)
        for _ in range(3):
            assert two.room("bulk") == 0
            await until(lambda: two.in_flight.allowed)
            assert two.room("bulk") == 1
            assert two.in_flight.allowed == 1
            await asyncio.sleep(0.2)
            assert two.in_flight.allowed == 1  # it is still looking
            two.looked("bulk")
            await until(lambda: one.in_flight.used == 8 and not two.in_flight.allowed)


async def test_another_pace_is_another_account_of_the_same_requests(paces: Paces) -> None:
    gateway_id = uuid4()
    meter = paces.meter(gateway_id, Pace(100.0), largest_batch=1)
    meter.credit = 3.0
    assert paces.meter(gateway_id, Pace(1.0), largest_batch=1) is meter
    assert meter.credit == 0.0
    await paces.keep_only([])
    assert paces.meter(gateway_id, Pace(1.0), largest_batch=1) is not meter


# --- on the path


async def set_pace(worker: HandWorker, **pace: Any) -> None:
    async with worker.transaction() as tx:
        await tx.execute(update(Gateway).values(pace=pace))
        await worker.book.read(tx)


async def queue_campaign(worker: HandWorker, msisdns: list[str] = NUMBERS, **over: Any) -> None:
    async with worker.transaction() as tx:
        await make_campaign(tx, msisdns, now=worker.now(), **over)
    await due(worker)
    await expand_all(worker)


async def test_what_has_no_room_goes_back_unspent(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    """Claimed beyond the pace: back in the queue, in order, with no attempt and right numbers."""
    route = at(router)
    await set_pace(worker, segments_per_second=2)
    await queue_campaign(worker, NUMBERS[:4])
    await pump_once(worker)
    assert not route.called
    assert await statuses(worker.engine) == {"queued": 4}
    await check_tallies(worker.engine)
    async with begin(worker.engine) as tx:
        rows = (await tx.execute(select(Gateway.id))).all()
    assert len(rows) == 1


async def test_campaign_at_a_pace(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    """Never faster than the pace, and to the end."""
    started: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        started.append(monotonic())
        return taken(request)

    at(router, answer=answer)
    await set_pace(worker, segments_per_second=20)
    await queue_campaign(worker)
    running = asyncio.create_task(Pump(worker, "bulk").run())
    await until(lambda: len(started) == len(NUMBERS))
    worker.stop()
    await running
    assert await statuses(worker.engine) == {"submitted": len(NUMBERS)}
    # A busy machine makes it slower, and never faster: all but a first handful wait for their time.
    assert started[-1] - started[0] >= (len(NUMBERS) - 3) / 20 - 0.1
    await check_tallies(worker.engine)


async def test_one_request_at_a_time(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    under_way = most = count = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most, count
        under_way, count = under_way + 1, count + 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return taken(request)

    at(router, answer=answer)
    await set_pace(worker, in_flight=1)
    await queue_campaign(worker, NUMBERS[:6])
    running = asyncio.create_task(Pump(worker, "bulk").run())
    await until(lambda: count == 6)
    worker.stop()
    await running
    assert most == 1
    assert await statuses(worker.engine) == {"submitted": 6}


async def test_password_does_not_wait_for_a_campaign_at_the_same_gateway(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    at(router)
    await set_pace(worker, segments_per_second=1)
    await queue_campaign(worker)
    await pump_once(worker)  # the campaign has taken what there was
    async with worker.transaction() as tx:
        message_id = await make_message(tx, worker.pepper, now=worker.now())
    await pump_once(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_claim_that_fails_gives_its_room_back(
    worker: HandWorker, router: respx.MockRouter, first: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(router)
    await set_pace(worker, in_flight=4)
    await queue_campaign(worker, NUMBERS[:2])
    (route,) = worker.book.routes
    assert route.pace is not None
    meter = worker.paces.meter(first, route.pace, largest_batch=1)
    meter.draw(Slice(0, 4, 1, 0.0))

    def fail(name: str) -> None:
        if name == "before_claim_commit":
            raise RuntimeError("the commit failed")

    with monkeypatch.context() as patch:
        patch.setattr("dispatcher.failpoints.hit", fail)
        with pytest.raises(RuntimeError):
            await pump_once(worker)
    assert meter.in_flight.taken["bulk"] == 0
    assert await pump_all(worker) == 2


async def test_room_is_known_before_a_claim(worker: HandWorker, first: UUID) -> None:
    assert room(worker, "bulk") is None  # nothing has been read yet
    await set_pace(worker, segments_per_second=1)
    assert room(worker, "bulk") == 0
    await set_pace(worker, segments_per_second=100)
    assert room(worker, "bulk") == 100 * CLAIM_AHEAD_SECONDS
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "second", priority=2)
        await worker.book.read(tx)
    assert room(worker, "bulk") is None  # the other one has no pace
    assert choose(worker, "bulk", []).intents == []


async def test_dispatchers_count_each_other(worker: HandWorker, another: Any) -> None:
    other = another()
    await keep_book(worker)
    assert worker.paces.dispatchers == 1
    await keep_book(other)
    await keep_book(worker)
    assert worker.paces.dispatchers == other.paces.dispatchers == 2
    await leave(other)
    await keep_book(worker)
    assert worker.paces.dispatchers == 1
    await other.aclose()
