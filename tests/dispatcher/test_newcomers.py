"""Who waits for one gateway does not wait for it alone: another may come, and its own time may end first."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import update

from dispatcher.newcomers import SAMPLE, SLICE, Newcomers
from dispatcher.pacing.put_off import PutOff
from dispatcher.worker import keep_book
from shared.db import begin
from shared.domain.breaker import Health
from shared.domain.message import Status
from shared.domain.routing import Route
from shared.models import Gateway, Message
from tests.dispatcher.answers import THROTTLED, at, in_turn, refused
from tests.dispatcher.queued import NUMBERS, queue_campaign, queue_one
from tests.factories import make_gateway
from tests.stages import message_of, pump_all, pump_once, statuses
from tests.worlds import HandClock, HandWorker

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RESTING, COMER, OTHER = (UUID(int=number) for number in (1, 2, 3))
DOWN = httpx.ConnectError("refused")
AN_HOUR = refused(THROTTLED, status=429, Retry_After="3600")


async def set_gateway(worker: HandWorker, gateway_id: UUID, **values: object) -> None:
    async with begin(worker.engine) as tx:
        await tx.execute(update(Gateway).where(Gateway.id == gateway_id).values(**values))


@pytest.mark.parametrize("asked", [pytest.param(True, id="it was asked"), pytest.param(False, id="another was asked")])
async def test_rest_of_a_gateway_outlasts_no_message(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock, asked: bool
) -> None:
    """Put off for an hour, with five minutes left: over after five minutes, not after the hour."""
    at(router, answer=AN_HOUR)
    if not asked:
        await queue_one(worker)
        await pump_once(worker, "urgent")
    id_ = await queue_one(worker, expires_at=worker.now() + timedelta(minutes=5))
    await pump_once(worker, "urgent")
    row = await message_of(worker.engine, id_)
    assert (row.status, row.not_before, row.attempt) == (Status.QUEUED, row.expires_at, int(asked))
    await by_hand.advance(seconds=300)
    await keep_book(worker)
    await pump_once(worker, "urgent")
    assert (await message_of(worker.engine, id_)).status is Status.EXPIRED


@pytest.mark.parametrize("lane", ["urgent", "bulk"])
async def test_gateway_that_comes_is_given_what_waits_for_another(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock, lane: str
) -> None:
    at(router, answer=AN_HOUR)
    second = at(router, "second")
    await (queue_one(worker) if lane == "urgent" else queue_campaign(worker, NUMBERS[:3]))
    scheduled = await queue_one(worker, not_before=worker.now() + timedelta(minutes=5))
    await pump_all(worker, lane)
    await keep_book(worker)
    async with worker.transaction() as tx:
        id_ = await make_gateway(tx, worker.sealer, "second", priority=2, enabled=False)
    await by_hand.advance(seconds=60)
    await keep_book(worker)
    assert await pump_all(worker, lane) == 0
    await set_gateway(worker, id_, enabled=True)
    await keep_book(worker)
    await pump_all(worker, lane)
    assert second.call_count == (1 if lane == "urgent" else 3)
    assert (await message_of(worker.engine, scheduled)).status is Status.QUEUED


async def test_gateway_that_recovers_is_tried_out_and_trusted(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID, by_hand: HandClock
) -> None:
    at(router, answer=AN_HOUR)
    recovered = at(router, "second")
    await set_gateway(worker, second, health=Health.OPEN)
    for _ in range(3):
        await queue_one(worker)
    await pump_all(worker, "urgent")
    await by_hand.advance(seconds=60)
    await keep_book(worker)
    assert await statuses(worker.engine) == {"queued": 3}
    await set_gateway(worker, second, health=Health.HALF_OPEN, health_at=worker.now())
    await keep_book(worker)
    await pump_once(worker, "urgent")
    assert recovered.call_count == 1
    await set_gateway(worker, second, health=Health.OK)
    await keep_book(worker)
    await pump_all(worker, "urgent")
    assert await statuses(worker.engine) == {"submitted": 3}


async def test_next_round_begins_when_another_gateway_comes(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    """Nobody rests: only this message was told to wait, for up to five minutes."""
    at(router, answer=in_turn(DOWN))
    second = at(router, "second")
    id_ = await queue_one(worker)
    async with worker.transaction() as tx:
        await tx.execute(update(Message).where(Message.id == id_).values(attempt=20))
    await pump_once(worker, "urgent")
    await keep_book(worker)
    assert await pump_all(worker, "urgent") == 0
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "second", priority=2)
    await keep_book(worker)
    await pump_all(worker, "urgent")
    assert second.call_count == 1


def test_only_a_sample_comes_forward_for_one_that_is_tried_out() -> None:
    put_off = PutOff()
    for number in range(SAMPLE * 2):
        put_off.note(RESTING, UUID(int=number), until=NOW + timedelta(hours=1), now=NOW)
    newcomers = Newcomers()
    newcomers.look([Route(COMER, "sandbox", open=True, half_open=True)], put_off, now=NOW)
    assert len(newcomers.next_slice()) == SAMPLE


def test_slice_by_slice_until_all_have_come_forward() -> None:
    put_off, ids = PutOff(), [UUID(int=number) for number in range(SLICE * 2 + 1)]
    for id_ in ids:
        put_off.note(RESTING, id_, until=NOW + timedelta(hours=1), now=NOW)
    newcomers = Newcomers()
    newcomers.look([Route(COMER, "sandbox")], put_off, now=NOW)
    found: list[UUID] = []
    while early := newcomers.next_slice():
        assert len(early) <= SLICE
        assert newcomers.next_slice() == early  # until they are known to have come
        newcomers.forget(early)
        found += early
    assert found == ids


@pytest.mark.parametrize(
    ("gateway_id", "seconds", "early"),
    [
        pytest.param(COMER, 0, True, id="it waits for another"),
        pytest.param(RESTING, 0, False, id="it waits for this one"),
        pytest.param(COMER, 600, False, id="its time has come anyway"),
    ],
)
@pytest.mark.parametrize("rests", [True, False])
def test_what_comes_forward(gateway_id: UUID, seconds: int, early: bool, rests: bool) -> None:
    put_off, newcomers, until = PutOff(), Newcomers(), NOW + timedelta(seconds=600)
    (put_off if rests else newcomers).note(RESTING, OTHER, until=until, now=NOW)
    newcomers.look([Route(gateway_id, "sandbox")], put_off, now=NOW + timedelta(seconds=seconds))
    assert list(newcomers.next_slice()) == ([OTHER] if early else [])


def test_what_was_put_off_by_who_did_not_know_it_comes_forward_too() -> None:
    """And once: what waits on after that has been looked at with the newcomer known."""
    put_off, newcomers = PutOff(), Newcomers()
    newcomers.look([Route(COMER, "sandbox")], put_off, now=NOW)
    put_off.note(RESTING, OTHER, until=NOW + timedelta(hours=1), now=NOW + timedelta(seconds=0.5))
    newcomers.look([], put_off, now=NOW + timedelta(seconds=1))
    assert not newcomers.next_slice()
    newcomers.look([], put_off, now=NOW + timedelta(seconds=2))
    assert list(newcomers.next_slice()) == [OTHER]
    newcomers.forget([OTHER])
    newcomers.look([], put_off, now=NOW + timedelta(seconds=4))
    assert not newcomers.next_slice()
