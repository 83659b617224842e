"""Retries at a gateway are a small part of what it is handed; going to the next gateway is none."""

from uuid import UUID, uuid4

import httpx
import pytest
import respx
from sqlalchemy import select

from dispatcher.beside.health import health
from shared.db import begin
from shared.domain.outcome import Accepted
from shared.models import Gateway
from tests.dispatcher.answers import at, in_turn, taken
from tests.dispatcher.queued import queue_one
from tests.dispatcher.test_passwords import queue_password
from tests.factories import make_msisdn
from tests.stages import attempts_of, message_of, pump_once, statuses
from tests.worlds import HandClock, HandWorker

DOWN = httpx.ConnectError("refused")
FEW = 2


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.domain.retries.AT_LEAST", FEW)


async def queue(worker: HandWorker, count: int = 4) -> list[UUID]:
    return [await queue_one(worker, msisdn=make_msisdn(number)) for number in range(count)]


async def test_only_a_few_are_retried_while_that_is_in_vain(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    """What waits is queued, and no attempt of it was made."""
    route = at(router, answer=in_turn(DOWN))
    messages = await queue(worker)
    assert await pump_once(worker, "urgent") == 4
    for _ in range(3):
        await by_hand.advance(seconds=20)
        await pump_once(worker, "urgent")
    assert route.call_count == 4 + FEW
    assert await statuses(worker.engine) == {"queued": 4}
    tried = sorted([(await message_of(worker.engine, one)).attempt for one in messages])
    assert tried == [1, 1, 2, 2]
    assert sorted([len(await attempts_of(worker.engine, one)) for one in messages]) == tried


async def test_it_is_written_down_for_its_owner(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    at(router, answer=in_turn(DOWN))
    await queue(worker)
    for held in (False, True):
        await pump_once(worker, "urgent")
        await health(worker)
        async with begin(worker.engine) as tx:
            noted = (await tx.execute(select(Gateway.retries_held_at))).scalar_one()
        assert (noted == worker.now()) is held
        await by_hand.advance(seconds=20)


async def test_a_gateway_that_is_well_again_takes_all_that_waits(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    at(router, answer=in_turn(*[DOWN] * 4, taken))
    await queue(worker)
    for _ in range(3):
        await pump_once(worker, "urgent")
        await by_hand.advance(seconds=20)
    assert await statuses(worker.engine) == {"submitted": 4}


async def test_the_next_gateway_is_no_retry(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> None:
    at(router, answer=in_turn(DOWN))
    next_one = at(router, "second")
    await queue(worker)
    await pump_once(worker, "urgent")
    await pump_once(worker, "urgent")
    assert next_one.call_count == 4
    assert await statuses(worker.engine) == {"submitted": 4}


async def test_nobody_waits_for_a_password(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    route = at(router, answer=in_turn(DOWN))
    for number in range(4):
        await queue_password(worker, msisdn=make_msisdn(number))
    await pump_once(worker, "urgent")
    await by_hand.advance(seconds=20)
    await pump_once(worker, "urgent")
    assert route.call_count == 8


async def test_what_a_claim_took_that_came_to_nothing_is_given_back(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(router, answer=in_turn(*[DOWN] * 4, taken))
    await queue(worker)
    await pump_once(worker, "urgent")
    await by_hand.advance(seconds=20)
    with monkeypatch.context() as patched:
        patched.setattr("dispatcher.queries.claims.insert_intents", _fail)
        with pytest.raises(RuntimeError):
            await pump_once(worker, "urgent")
    assert not worker.healths.retries[first].under_way
    await pump_once(worker, "urgent")
    assert (await statuses(worker.engine))["submitted"] == FEW


async def _fail(*_args: object, **_named: object) -> None:
    raise RuntimeError("the database went away")


@pytest.mark.parametrize("requests", [50, 1])
async def test_a_tenth_is_of_messages_however_many_share_a_request(worker: HandWorker, requests: int) -> None:
    gateway, messages = uuid4(), 50
    for _ in range(requests):
        worker.healths.hear(gateway, [Accepted()] * (messages // requests), seconds=0.1)
    allowed = 0
    while worker.healths.may_retry(gateway):
        worker.healths.begin_retry(gateway, uuid4())
        allowed += 1
    assert allowed == messages // 10
