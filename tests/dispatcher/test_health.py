"""Health: a gateway that fails is left alone, tried out with single messages, trusted again; all of it on record."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import select, update

from dispatcher.beside.health import health
from dispatcher.breakers import Later
from dispatcher.pacing.put_off import PutOff
from dispatcher.path.due import due
from dispatcher.worker import keep_book, leave
from shared.db import begin
from shared.domain.breaker import (
    IN_A_ROW,
    PATIENCE_SECONDS,
    PROBE_SECONDS,
    PROBES,
    REST_SECONDS,
    SLOW_REST_SECONDS,
    UNUSED_SECONDS,
    Health,
)
from shared.domain.message import Kind, Status
from shared.domain.outcome import Accepted, Fault, Lost, Refused
from shared.domain.routing import THROTTLE_CAP_SECONDS, THROTTLE_MADE_UP_BY, THROTTLE_MEMORY_SECONDS, Route
from shared.models import Gateway, HealthChange, Message, NoticeRow
from shared.queries.health import set_health
from tests.dispatcher.answers import GATEWAY, THROTTLED, at, in_turn, refused, taken
from tests.factories import make_campaign, make_message, make_msisdn
from tests.stages import check_tallies, expand_all, message_of, pump_all, pump_once, statuses
from tests.worlds import HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(40)]
DOWN = httpx.ConnectError("refused")
LATER = Refused(Fault.THROTTLED, "x")
SILENT = httpx.ReadTimeout("nothing came")


@pytest.fixture
async def other(another: Any) -> AsyncIterator[HandWorker]:
    other: HandWorker = another()
    yield other
    await other.aclose()


async def queue_campaign(worker: HandWorker, msisdns: list[str] = NUMBERS) -> None:
    async with worker.transaction() as tx:
        await make_campaign(tx, msisdns, now=worker.now())
    await due(worker)
    await expand_all(worker)


async def queue_one(worker: HandWorker, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        return await make_message(tx, worker.pepper, now=worker.now(), **over)


async def state_of(worker: HandWorker, gateway_id: UUID) -> Any:
    async with begin(worker.engine) as tx:
        return (await tx.execute(select(Gateway).where(Gateway.id == gateway_id))).one()


async def history(worker: HandWorker) -> list[tuple[str, str]]:
    async with begin(worker.engine) as tx:
        rows = await tx.execute(select(HealthChange).order_by(HealthChange.id))
        found = rows.all()
    assert all(row.reason and row.by for row in found)
    return [(row.was, row.health) for row in found]


async def notices(worker: HandWorker) -> list[str]:
    async with begin(worker.engine) as tx:
        return list((await tx.execute(select(NoticeRow.kind).order_by(NoticeRow.id))).scalars())


async def fail(worker: HandWorker, first: UUID) -> None:
    """Let the first gateway fail until its breaker opens."""
    while (await state_of(worker, first)).health == "ok":
        assert await pump_once(worker)
        await health(worker)


async def test_failing_one_is_left_alone(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> None:
    mine, other_ = at(router, answer=in_turn(DOWN)), at(router, "second")
    await queue_campaign(worker)
    await fail(worker, first)
    called = mine.call_count
    assert called >= IN_A_ROW
    await pump_all(worker)
    assert mine.call_count == called
    assert other_.call_count == len(NUMBERS)
    assert await statuses(worker.engine) == {"submitted": len(NUMBERS)}
    row = await state_of(worker, first)
    assert (row.health, row.trips) == ("open", 1)
    assert "in a row failed, all by refused_connection. Nobody takes connections there" in row.health_reason
    assert await history(worker) == [("ok", "open")]
    assert await notices(worker) == ["gateway_failing"]
    await check_tallies(worker.engine)


async def test_breaker_consumes_no_message(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    """The only gateway dies without an answer: a handful is unconfirmed, and the rest waits."""
    mine = at(router, answer=in_turn(SILENT))
    await queue_campaign(worker)
    await fail(worker, first)
    assert await pump_all(worker) == 0 or (await statuses(worker.engine))["queued"]
    told = await statuses(worker.engine)
    assert told["unconfirmed"] == mine.call_count < len(NUMBERS)
    assert told["queued"] == len(NUMBERS) - mine.call_count
    await check_tallies(worker.engine)


async def test_trials_one_at_a_time_then_trust(
    worker: HandWorker, other: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    mine = at(router, answer=in_turn(*[DOWN] * IN_A_ROW, taken))
    await queue_campaign(worker, NUMBERS[:20])
    # Claims of eight: the row is full in the second.
    await fail(worker, first)
    await by_hand.advance(seconds=REST_SECONDS - 1)
    await health(worker)
    assert (await state_of(worker, first)).health == "open"
    await by_hand.advance(seconds=400)
    called = mine.call_count
    await health(worker)
    assert (await state_of(worker, first)).health_by is None  # nobody has had a message for it yet
    for trial in range(1, PROBES + 1):
        await pump_once(worker)
        assert mine.call_count == called + trial
        assert (await state_of(worker, first)).health_by == worker.name
        await health(other)
        await pump_once(other)
        assert mine.call_count == called + trial  # one tries it out
        await by_hand.advance(seconds=16)  # what had no gateway is back
    await health(worker)
    row = await state_of(worker, first)
    assert (row.health, row.trips, row.health_by) == ("ok", 0, None)
    await pump_all(worker)
    assert await statuses(worker.engine) == {"submitted": 20}
    assert await history(worker) == [("ok", "open"), ("open", "half_open"), ("half_open", "ok")]
    assert await notices(worker) == ["gateway_failing", "gateway_recovered"]


async def test_trial_that_fails_rests_longer(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID, by_hand: HandClock
) -> None:
    mine = at(router, answer=in_turn(DOWN))
    at(router, "second")
    await queue_campaign(worker, NUMBERS[:30])
    await fail(worker, first)
    await by_hand.advance(seconds=REST_SECONDS)
    await health(worker)
    called = mine.call_count
    await pump_once(worker, slots=30)
    assert mine.call_count == called + 1
    await health(worker)
    row = await state_of(worker, first)
    assert (row.health, row.trips, row.health_reason) == ("open", 2, "it failed a trial")
    assert (row.health_until - row.health_at).total_seconds() == 2 * REST_SECONDS
    assert await notices(worker) == ["gateway_failing"]  # told once, not at every trial
    await pump_all(worker)
    assert await statuses(worker.engine) == {"submitted": 30}


async def half_open(worker: HandWorker, gateway_id: UUID, **over: Any) -> None:
    """Its rest is over; nobody tries it out, and nobody has for an hour."""
    async with worker.transaction() as tx:
        long_ago = worker.now() - timedelta(hours=1)
        values = {"health": "half_open", "health_at": long_ago, "trips": 1} | over
        await tx.execute(update(Gateway).where(Gateway.id == gateway_id).values(**values))
        await worker.book.read(tx)


async def test_who_has_nothing_to_try_with_leaves_it_to_others(
    worker: HandWorker, other: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    mine = at(router)
    await half_open(worker, first)
    for lane in ("bulk", "urgent"):
        await health(other)
        await pump_once(other, lane)
    assert (await state_of(worker, first)).health_by is None
    await queue_campaign(worker, NUMBERS[:1])
    await pump_once(worker)
    assert mine.call_count == 1
    assert (await state_of(worker, first)).health_by == worker.name


async def test_right_to_try_is_given_back_when_nothing_more_comes(
    worker: HandWorker, other: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    """And what was seen until then is not lost: who tries again goes on from there."""
    mine = at(router)
    await half_open(worker, first)
    await queue_one(worker)
    await pump_once(worker, "urgent")
    await health(worker)
    assert (await state_of(worker, first)).health_by == worker.name  # another one may follow
    worker.healths.probes[first].used_at -= 2 * UNUSED_SECONDS
    await health(worker)
    assert (await state_of(worker, first)).health_by is None
    await queue_one(worker)
    await pump_once(other, "urgent")
    assert mine.call_count == 2
    assert (await state_of(worker, first)).health_by == other.name
    await leave(other)
    assert (await state_of(worker, first)).health_by is None
    for _ in range(PROBES - 1):
        await queue_one(worker)
        await keep_book(worker)
        await pump_once(worker, "urgent")
    await health(worker)
    assert (await state_of(worker, first)).health == "ok"


async def test_right_to_try_of_one_that_died_goes_to_another(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    mine = at(router)
    until = worker.now() + timedelta(seconds=PROBE_SECONDS)
    await half_open(worker, first, health_by="dead", health_until=until)
    await queue_one(worker)
    await pump_once(worker, "urgent")
    assert not mine.called
    await by_hand.advance(seconds=PROBE_SECONDS + 1)
    await keep_book(worker)
    await pump_once(worker, "urgent")
    assert mine.call_count == 1
    assert (await state_of(worker, first)).health_by == worker.name


async def test_second_gateway_is_tried_out_while_the_first_serves(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> None:
    """By single messages of a campaign, one at a time, and never by a password."""
    mine, other_ = at(router), at(router, "second")
    await half_open(worker, second)
    await queue_one(worker, kind=Kind.OTP)
    await pump_once(worker, "urgent")
    assert (mine.call_count, other_.call_count) == (1, 0)
    assert (await state_of(worker, second)).health_by is None
    await queue_campaign(worker, NUMBERS[:30])
    for trial in range(1, PROBES + 1):
        await pump_once(worker, slots=4)
        assert (mine.call_count, other_.call_count) == (1 + 3 * trial, trial)
    await health(worker)
    assert (await state_of(worker, second)).health == "ok"
    await pump_all(worker)
    assert other_.call_count == PROBES
    assert await statuses(worker.engine) == {"submitted": 31}
    await check_tallies(worker.engine)


async def test_trial_keeps_to_what_its_gateway_serves(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> None:
    at(router)
    other_ = at(router, "second")
    await half_open(worker, second, location_ids=["elsewhere"])
    await queue_campaign(worker, NUMBERS[:3])
    await pump_all(worker)
    assert not other_.called
    assert (await state_of(worker, second)).health_by is None


async def test_password_without_a_choice_is_no_trial(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    """It goes through a gateway that is being tried out, and its answer says nothing of the trial."""
    mine = at(router)
    until = worker.now() + timedelta(seconds=PROBE_SECONDS)
    await half_open(worker, first, health_at=worker.now(), health_by=worker.name, health_until=until)
    on_its_way = UUID(int=1)
    worker.healths.begin_probe(first, on_its_way)
    for _ in range(PROBES + 1):
        await queue_one(worker, kind=Kind.OTP)
        await pump_once(worker, "urgent")
    assert mine.call_count == PROBES + 1
    assert worker.healths.probes[first].message_id == on_its_way
    assert worker.healths.probes[first].good == 0
    for _ in range(IN_A_ROW):  # nor do failures of others open it anew
        worker.healths.hear(first, [Lost(may_have_arrived=True, cause="x")], seconds=1, message_ids=[UUID(int=2)])
    await health(worker)
    row = await state_of(worker, first)
    assert (row.health, row.trips) == ("half_open", 1)


async def test_password_without_a_choice_takes_the_one_that_has_rested(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> None:
    mine, other_ = at(router), at(router, "second")
    now = worker.now()
    await half_open(worker, first, health="open", health_until=now + timedelta(minutes=1))
    await half_open(worker, second, health_at=now)
    await queue_one(worker, kind=Kind.OTP)
    await pump_once(worker, "urgent")
    assert (mine.call_count, other_.call_count) == (0, 1)


async def test_passwords_are_not_for_trials_and_do_not_wait(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID, by_hand: HandClock
) -> None:
    mine, other_ = at(router, answer=in_turn(*[DOWN] * IN_A_ROW * 3, taken)), at(router, "second")
    await queue_campaign(worker, NUMBERS[:24])
    await fail(worker, first)
    await pump_all(worker)
    await by_hand.advance(seconds=REST_SECONDS)
    await health(worker)
    called = mine.call_count
    await queue_one(worker, kind=Kind.OTP)
    await pump_all(worker, "urgent")
    assert mine.call_count == called
    # With nothing else for so long, a password does.
    await by_hand.advance(seconds=PATIENCE_SECONDS)
    await health(worker)
    await queue_one(worker, kind=Kind.OTP)
    await pump_all(worker, "urgent")
    assert mine.call_count == called + 1
    # And where every gateway fails, it goes through the first of them.
    async with worker.transaction() as tx:
        await tx.execute(update(Gateway).values(health="open", health_until=worker.now()))
        await worker.book.read(tx)
    before = mine.call_count + other_.call_count
    message_id = await queue_one(worker, kind=Kind.OTP)
    await pump_once(worker, "urgent")
    assert mine.call_count + other_.call_count == before + 1
    assert (await message_of(worker.engine, message_id)).attempt == 1


async def test_password_passes_a_gateway_that_is_tried_out_and_rests(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> None:
    """Half open, ours to try out, and asking for time: no trial, and nothing that holds up the claim."""
    mine, other_ = at(router), at(router, "second")
    async with worker.transaction() as tx:
        rest = {"resting_until": worker.now() + timedelta(minutes=10), "health_at": worker.now()}
        half_open = {"health": "half_open", "health_by": worker.name}
        await tx.execute(update(Gateway).where(Gateway.id == first).values(**half_open, **rest))
    await queue_one(worker, kind=Kind.OTP)
    await pump_all(worker, "urgent")
    assert (mine.call_count, other_.call_count) == (0, 1)


async def test_personal_message_may_try_it_out(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID, by_hand: HandClock
) -> None:
    mine = at(router, answer=in_turn(*[DOWN] * IN_A_ROW * 3, taken))
    at(router, "second")
    await queue_campaign(worker, NUMBERS[:24])
    await fail(worker, first)
    await pump_all(worker)
    await by_hand.advance(seconds=REST_SECONDS)
    await health(worker)
    called = mine.call_count
    await queue_one(worker)
    await pump_all(worker, "urgent")
    assert mine.call_count == called + 1


async def test_nothing_but_refusals_is_a_failure(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> None:
    at(router, answer=refused(GATEWAY))
    at(router, "second")
    await queue_campaign(worker, [make_msisdn(number) for number in range(70)])
    await pump_all(worker)
    await health(worker)
    assert (await state_of(worker, first)).health == "open"
    assert await statuses(worker.engine) == {"submitted": 70}


async def test_slow_one_comes_last_and_where_all_are_slow_nothing_changes(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID, by_hand: HandClock
) -> None:
    mine, other_ = at(router), at(router, "second")
    for _ in range(20):
        worker.healths.hear(first, [Accepted()], seconds=worker.limits.deadline * 0.8)
    await health(worker)
    assert (await state_of(worker, first)).health == "slow"
    await queue_campaign(worker, NUMBERS[:2])
    await pump_all(worker)
    assert (mine.call_count, other_.call_count) == (0, 2)
    for _ in range(20):
        worker.healths.hear(second, [Accepted()], seconds=worker.limits.deadline * 0.8)
    await health(worker)
    await queue_campaign(worker, NUMBERS[2:4])
    await pump_all(worker)
    assert (mine.call_count, other_.call_count) == (2, 2)
    await by_hand.advance(seconds=SLOW_REST_SECONDS)
    await health(worker)
    assert (await state_of(worker, first)).health == (await state_of(worker, second)).health == "ok"


async def test_withdrawn_one_stays_withdrawn(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    async with worker.transaction() as tx:
        await tx.execute(update(Gateway).values(health="withdrawn"))
    for _ in range(50):
        worker.healths.hear(first, [Accepted()], seconds=100)
    await health(worker)
    assert (await state_of(worker, first)).health == "withdrawn"
    assert await history(worker) == []


# --- a gateway that asks for time


async def test_throttled_campaign_waits_for_its_gateway(
    worker: HandWorker, other: HandWorker, router: respx.MockRouter, first: UUID, second: UUID, by_hand: HandClock
) -> None:
    """Not a second too early, in no dispatcher; and nothing falls to the second gateway."""
    mine = at(router, answer=in_turn(refused(THROTTLED, status=429, Retry_After="20"), taken))
    other_ = at(router, "second")
    await queue_campaign(worker, NUMBERS[:6])
    async with worker.transaction() as tx:
        rows = (await tx.execute(select(Message.id))).all()
    assert len(rows) == 6
    await pump_once(worker, slots=1)
    assert (await state_of(worker, first)).resting_until is not None
    await pump_all(worker)
    await pump_all(other)
    assert mine.call_count == 1
    await by_hand.advance(seconds=19)
    await pump_all(worker)
    await pump_all(other)
    assert (mine.call_count, other_.call_count) == (1, 0)
    await by_hand.advance(seconds=3)
    await pump_all(other)
    await pump_all(worker)
    assert (mine.call_count, other_.call_count) == (7, 0)
    assert await statuses(worker.engine) == {"submitted": 6}
    await check_tallies(worker.engine)


async def test_throttled_for_long_goes_on_through_the_second(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> None:
    mine = at(router, answer=refused(THROTTLED, status=429, Retry_After="600"))
    other_ = at(router, "second")
    await queue_campaign(worker, NUMBERS[:20])
    await pump_once(worker, slots=1)
    await pump_all(worker)
    assert (mine.call_count, other_.call_count) == (1, 20)


async def test_urgent_does_not_wait_for_a_throttled_gateway(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> None:
    mine, other_ = at(router, answer=refused(THROTTLED, status=429)), at(router, "second")
    for _ in range(3):
        await queue_one(worker)
        await pump_all(worker, "urgent")
    assert (mine.call_count, other_.call_count) == (1, 3)


async def test_many_that_are_throttled_at_once_are_one_rest(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    at(router, answer=refused(THROTTLED, status=429))
    await queue_campaign(worker, NUMBERS[:8])
    await pump_once(worker)
    row = await state_of(worker, first)
    assert (row.resting_until - worker.now()).total_seconds() == pytest.approx(0.1, abs=0.1)
    async with begin(worker.engine) as tx:
        late = (await tx.execute(select(Message.not_before))).scalars().all()
    assert all(0.0 <= (one - worker.now()).total_seconds() <= 1.2 for one in late)
    assert worker.healths.rests[first].count == 1
    assert await statuses(worker.engine) == {"queued": 8}
    await asyncio.sleep(0)
    assert (await message_of(worker.engine, (await _ids(worker))[0])).status is Status.QUEUED


async def test_messages_come_forward_when_a_rest_is_cut_short(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    """Not before; and a message that waits for another reason goes on waiting."""
    mine = at(router, answer=in_turn(refused(THROTTLED, status=429, Retry_After="600"), taken))
    scheduled = await queue_one(worker, not_before=worker.now() + timedelta(minutes=5))
    await queue_one(worker)
    await pump_once(worker, "urgent")
    await queue_one(worker, kind=Kind.OTP)
    await pump_all(worker, "urgent")
    await by_hand.advance(seconds=5)
    await keep_book(worker)
    await pump_all(worker, "urgent")
    assert mine.call_count == 1
    assert len(worker.put_off.rests[first].message_ids) == 2
    # The owner says that it is well.
    async with worker.transaction() as tx:
        row = await state_of(worker, first)
        await set_health(tx, first, was=row.health, health=Health.OK, reason=None, by="owner", now=worker.now())
    await keep_book(worker)
    await pump_all(worker, "urgent")
    assert mine.call_count == 3
    assert await statuses(worker.engine) == {"submitted": 2, "queued": 1}
    assert (await message_of(worker.engine, scheduled)).status is Status.QUEUED
    assert not worker.put_off.rests


@pytest.mark.parametrize(
    ("seconds", "left", "early"),
    [
        pytest.param(1.0, None, False, id="its answer is not written yet"),
        pytest.param(5.0, 600.0, False, id="it rests"),
        pytest.param(5.0, 599.5, False, id="two clocks"),
        pytest.param(5.0, 60.0, True, id="not as long"),
        pytest.param(5.0, None, True, id="enabled"),
        pytest.param(601.0, None, False, id="its time has come anyway"),
    ],
)
def test_rest_that_is_cut_short(seconds: float, left: float | None, early: bool) -> None:
    gateway_id, message_id, now = UUID(int=1), UUID(int=2), datetime(2026, 11, 25, 12, tzinfo=UTC)
    put_off = PutOff()
    put_off.note(gateway_id, message_id, until=now + timedelta(seconds=600), now=now)
    until = None if left is None else now + timedelta(seconds=left)
    routes = [Route(gateway_id, "sandbox", resting_until=until)]
    assert put_off.cut_short(routes, now=now + timedelta(seconds=seconds)) == ([message_id] if early else [])
    assert put_off.cut_short(routes, now=now + timedelta(seconds=seconds)) == []


def test_gateway_that_is_gone_rests_for_nobody() -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    put_off = PutOff()
    put_off.note(UUID(int=1), UUID(int=2), until=now + timedelta(seconds=600), now=now)
    put_off.note(UUID(int=3), UUID(int=4), until=now + timedelta(seconds=1), now=now)  # not worth it
    assert put_off.cut_short([], now=now + timedelta(seconds=5)) == [UUID(int=2)]


def test_rest_grows_only_with_repetition() -> None:
    """A stray "later" costs a tenth of a second; one that is said again and again costs more each time."""
    later, now = Later(), 1000.0
    assert later.say(LATER, begun=now - 0.5, now=now) == 0.1
    assert later.say(LATER, begun=now - 0.4, now=now + 0.05) == 0.1  # under way at the same time
    assert later.say(LATER, begun=now + 0.01, now=now + 0.5) == 0.1
    now += 1
    assert later.say(LATER, begun=now, now=now) == 0.2
    now += 1
    assert later.say(LATER, begun=now, now=now) == 0.4
    for _ in range(2 * THROTTLE_MADE_UP_BY):
        later.take(now=now + 1)
    assert later.count == 1
    assert later.say(LATER, begun=now + 2, now=now + 2) == 0.2
    now += 2 + THROTTLE_MEMORY_SECONDS + 1
    assert later.say(LATER, begun=now, now=now) == 0.1  # long ago
    for _ in range(20):
        now = later.until
        later.say(LATER, begun=now, now=now)
    assert later.until - now == THROTTLE_CAP_SECONDS


async def _ids(worker: HandWorker) -> list[UUID]:
    async with begin(worker.engine) as tx:
        return list((await tx.execute(select(Message.id))).scalars())
