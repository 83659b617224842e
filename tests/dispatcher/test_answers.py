"""What becomes of an answer: refused, lost, throttled; and which gateway is asked next."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import select, update

from dispatcher.beside.rescue import rescue
from dispatcher.path.choice import Choice, choose
from dispatcher.path.finish import finish
from dispatcher.path.handover import parcels
from dispatcher.path.pump import Pump
from dispatcher.queries import claims
from shared.db import begin
from shared.domain.message import Status
from shared.models import Gateway, Message, OptOut
from tests.conftest import Clock
from tests.dispatcher.answers import (
    ACCOUNT,
    GATEWAY,
    MESSAGE,
    OPTED_OUT,
    THROTTLED,
    at,
    in_turn,
    numbers_of,
    refused,
    taken,
)
from tests.dispatcher.queued import NUMBERS, queue_campaign, queue_one, statuses_of
from tests.factories import make_gateway, make_sender_id
from tests.stages import attempts_of, check_tallies, message_of, pump_all, pump_once, statuses
from tests.worlds import HandClock, HandWorker

FEW = 5  # attempts, where the law would have more of the same
DOWN = httpx.ConnectError("refused")
SILENT = httpx.ReadTimeout("nothing came")


# --- refusals, and who is asked next


@pytest.mark.parametrize(
    ("answer", "status", "failure"),
    [
        pytest.param(refused(MESSAGE), Status.FAILED, str(MESSAGE), id="the message's fault"),
        pytest.param(refused(OPTED_OUT), Status.FAILED, str(OPTED_OUT), id="opted out at the gateway"),
        pytest.param(httpx.Response(201, text="<html>"), Status.UNCONFIRMED, None, id="taken, unreadable"),
        pytest.param(httpx.Response(500), Status.UNCONFIRMED, None, id="5xx"),
        pytest.param(httpx.Response(302), Status.UNCONFIRMED, None, id="redirect"),
    ],
)
async def test_final_answers_are_not_asked_of_the_second_gateway(
    worker: HandWorker,
    router: respx.MockRouter,
    second: UUID,
    answer: httpx.Response,
    status: Status,
    failure: str | None,
) -> None:
    at(router, answer=answer)
    other = at(router, "second")
    await queue_campaign(worker, NUMBERS[:1])
    await pump_all(worker)
    async with begin(worker.engine) as tx:
        row = (await tx.execute(select(Message))).one()
    assert (row.status, row.failure, row.attempt) == (status, failure, 1)
    assert not other.called
    (attempt,) = await attempts_of(worker.engine, row.id)
    assert attempt.exchange["answer"]["status"] == answer.status_code
    assert (attempt.lookup_at is not None) == (status is Status.UNCONFIRMED)
    await check_tallies(worker.engine)


async def test_refused_by_both_gateways_is_final(
    worker: HandWorker, router: respx.MockRouter, second: UUID, by_hand: HandClock
) -> None:
    first_route = at(router, answer=refused(GATEWAY))
    second_route = at(router, "second", answer=refused(GATEWAY))
    message_id = await queue_one(worker)
    for _ in range(3):
        await pump_all(worker, "urgent")
        await by_hand.advance(hours=1)
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.failure, row.attempt) == (Status.FAILED, str(GATEWAY), 2)
    assert (first_route.call_count, second_route.call_count) == (1, 1)


async def test_who_refused_is_not_asked_again_while_the_other_is_busy(
    worker: HandWorker, router: respx.MockRouter, second: UUID, by_hand: HandClock
) -> None:
    first_route = at(router, answer=refused(GATEWAY))
    busy = httpx.Response(429, json={"code": 20429})
    answers = iter([busy, busy, None])
    second_route = at(router, "second", answer=lambda request: next(answers) or taken(request))
    message_id = await queue_one(worker)
    for _ in range(4):
        await pump_all(worker, "urgent")
        await by_hand.advance(hours=1)
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    assert (first_route.call_count, second_route.call_count) == (1, 3)


async def test_silence_is_unconfirmed_and_never_sent_again(
    worker: HandWorker, router: respx.MockRouter, second: UUID, by_hand: HandClock
) -> None:
    at(router, answer=SILENT)
    other = at(router, "second")
    await queue_campaign(worker, NUMBERS[:2])
    message_id = await queue_one(worker)
    await pump_all(worker)
    await pump_all(worker, "urgent")
    await by_hand.advance(days=1)
    assert await pump_all(worker) == await pump_all(worker, "urgent") == await rescue(worker) == 0
    assert await statuses(worker.engine) == {"unconfirmed": 3}
    assert not other.called
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.code) == ("lost", "read_timeout")
    await check_tallies(worker.engine)


async def test_opt_out_told_by_the_gateway_joins_ours(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    at(router, answer=refused(OPTED_OUT))
    await queue_one(worker, msisdn=NUMBERS[4])
    await pump_all(worker, "urgent")
    async with begin(worker.engine) as tx:
        opt_out = (await tx.execute(select(OptOut))).one()
    assert (opt_out.msisdn, opt_out.source, opt_out.gateway_id) == (NUMBERS[4], "gateway", first)
    later = await queue_one(worker, msisdn=NUMBERS[4])
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, later)).status is Status.SKIPPED


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refused(GATEWAY), id="this gateway will not"),
        pytest.param(refused(THROTTLED, status=429, Retry_After="60"), id="throttled for long"),
        pytest.param(DOWN, id="refused connection"),
        pytest.param(httpx.ConnectTimeout("no"), id="connect timeout"),
    ],
)
async def test_certain_no_goes_to_the_next_gateway_at_once(
    worker: HandWorker, router: respx.MockRouter, second: UUID, answer: Any
) -> None:
    at(router, answer=answer) if isinstance(answer, httpx.Response) else at(router, answer=in_turn(answer))
    other = at(router, "second")
    await queue_campaign(worker, NUMBERS[:3])
    await pump_all(worker)
    assert await statuses(worker.engine) == {"submitted": 3}
    assert sorted(numbers_of(other)) == NUMBERS[:3]
    async with begin(worker.engine) as tx:
        row = (await tx.execute(select(Message).limit(1))).one()
    assert (row.attempt, row.gateway_id) == (2, second)
    assert [one.outcome for one in await attempts_of(worker.engine, row.id)][1] == "accepted"
    await check_tallies(worker.engine)


async def test_only_sender_of_a_gateway_is_its_default(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    """Where its settings name none; with two of them nobody can say which."""
    route = at(router)
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, first, "LAPWING")
    await queue_one(worker)
    await pump_all(worker, "urgent")
    assert b"From=%2B12025550100" in route.calls.last.request.content  # its own setting comes first
    kept = {"base_url": "https://first.example.com", "account_sid": "AC" + "0" * 32}
    async with begin(worker.engine) as tx:
        await tx.execute(update(Gateway).values(settings=kept))
    await queue_one(worker)
    await pump_all(worker, "urgent")
    assert b"From=LAPWING" in route.calls.last.request.content
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, first, "OTHER")
        await worker.book.read(tx)
    assert worker.book.sender_for(first, None, NUMBERS[0]) is None
    assert worker.book.sender_for(first, "OTHER", NUMBERS[0]) == "OTHER"


async def test_no_name_where_carriers_take_none(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    """To the United States the gateway's own number stands for the name; elsewhere the name goes."""
    route = at(router)
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, first, "LAPWING")
    await queue_one(worker, sender_id="LAPWING", msisdn="+12025550143")
    await pump_all(worker, "urgent")
    assert b"From=%2B12025550100" in route.calls.last.request.content
    await queue_one(worker, sender_id="LAPWING", msisdn=NUMBERS[0])
    await pump_all(worker, "urgent")
    assert b"From=LAPWING" in route.calls.last.request.content
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, first, "+12025550155")
        await tx.execute(update(Gateway).values(settings={"account_sid": "AC" + "0" * 32}))
        await worker.book.read(tx)
    assert worker.book.sender_for(first, "LAPWING", "+12025550143") == "+12025550155"


async def test_sender_that_only_the_second_gateway_has(
    worker: HandWorker, router: respx.MockRouter, second: UUID
) -> None:
    mine, other = at(router), at(router, "second")
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, second, "LAPWING")
    await queue_campaign(worker, NUMBERS[:2], sender_id="LAPWING")
    await pump_all(worker)
    assert not mine.called
    assert other.call_count == 2
    assert b"From=LAPWING" in other.calls.last.request.content


async def test_location_that_nobody_serves_waits_for_its_gateway(
    worker: HandWorker, router: respx.MockRouter, by_hand: HandClock
) -> None:
    route = at(router)
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer, location_ids=["harbour"])
    message_id = await queue_one(worker, location_id="airport")
    assert await pump_once(worker, "urgent") == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt, row.not_before) == (Status.QUEUED, 0, worker.now() + timedelta(seconds=15))
    assert await attempts_of(worker.engine, message_id) == []
    async with begin(worker.engine) as tx:
        await tx.execute(update(Gateway).where(Gateway.id == gateway_id).values(location_ids=["airport"]))
    await by_hand.advance(seconds=15)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    assert route.call_count == 1


async def test_homeless_campaign_adds_up(worker: HandWorker, first: UUID) -> None:
    await queue_campaign(worker, NUMBERS[:5], sender_id="NOBODY")
    assert await pump_once(worker) == 5
    assert await statuses(worker.engine) == {"queued": 5}
    await check_tallies(worker.engine)


async def test_without_any_gateway_everything_waits(worker: HandWorker, by_hand: HandClock) -> None:
    message_id = await queue_one(worker)
    assert await pump_once(worker, "urgent") == 0
    assert (await message_of(worker.engine, message_id)).status is Status.QUEUED


async def test_without_any_gateway_what_is_over_expires(worker: HandWorker, by_hand: HandClock) -> None:
    """Nothing is claimed then, and a message that nobody may send any more is not `queued` for ever."""
    until = worker.now() + timedelta(minutes=1)
    await queue_campaign(worker, NUMBERS[:3], steps=[{"send_by": until}])
    over, waits = await queue_one(worker, expires_at=until), await queue_one(worker)
    await by_hand.advance(minutes=1)
    for lane in ("urgent", "bulk"):
        assert await pump_once(worker, lane) == 0
    assert (await message_of(worker.engine, over)).status is Status.EXPIRED
    assert (await message_of(worker.engine, waits)).status is Status.QUEUED
    assert await statuses(worker.engine) == {"expired": 4, "queued": 1}
    await check_tallies(worker.engine)


async def test_refused_account_withdraws_the_gateway_and_the_message_waits(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    route = at(router, answer=in_turn(refused(ACCOUNT, status=401), taken))
    message_id = await queue_one(worker)
    await pump_once(worker, "urgent")
    async with begin(worker.engine) as tx:
        gateway = (await tx.execute(select(Gateway))).one()
    assert (gateway.health, gateway.health_reason, gateway.health_at) == ("withdrawn", str(ACCOUNT), worker.now())
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.QUEUED, 1)
    await by_hand.advance(hours=1)
    assert await pump_all(worker, "urgent") == 0
    assert route.call_count == 1
    async with begin(worker.engine) as tx:
        await tx.execute(update(Gateway).values(health="ok"))
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_refusal_of_an_old_secret_does_not_withdraw_a_mended_gateway(
    worker: HandWorker, router: respx.MockRouter, first: UUID, clock: Clock
) -> None:
    """Its owner gave it a new one while the call was on the line."""

    async def mend(_request: httpx.Request) -> httpx.Response:
        async with begin(worker.engine) as tx:
            await tx.execute(update(Gateway).values(updated_at=Gateway.updated_at + timedelta(seconds=1)))
        return refused(ACCOUNT, status=401)

    route = at(router, answer=mend)
    message_id = await queue_one(worker)
    await pump_once(worker, "urgent")
    async with begin(worker.engine) as tx:
        assert (await tx.execute(select(Gateway.health))).scalar_one() == "ok"
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt, route.call_count) == (Status.QUEUED, 1, 1)
    at(router)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_gateway_that_is_gone_when_the_claim_is_committed(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    """Its messages go back into the queue at once, and no lease has to run out for them."""
    at(router)
    message_id = await queue_one(worker)
    pump = Pump(worker, "urgent")
    settling = asyncio.create_task(pump._settler.run())
    async with worker.transaction() as tx:
        await worker.book.read(tx)
        taken = await claims.claim(tx, lane="urgent", slots=1, lease=30, dispatcher=worker.name)
        choice = choose(worker, "urgent", taken.claimed)
        batches = parcels(worker, choice.intents)
        await pump._intend(tx, choice, [], taken.moves)
    worker.book.take([], now=worker.now())
    pump._launch(choice, batches, begun=time.monotonic())
    await pump._drain()
    await pump._settler.close()
    await settling
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.lease_until, pump.in_flight) == (Status.QUEUED, None, 0)
    assert not router.calls


async def test_refused_account_hands_its_messages_to_the_second_gateway(
    worker: HandWorker, router: respx.MockRouter, second: UUID
) -> None:
    at(router, answer=refused(ACCOUNT, status=401))
    other = at(router, "second")
    await queue_campaign(worker, NUMBERS[:3])
    await pump_all(worker)
    assert other.call_count == 3
    assert await statuses(worker.engine) == {"submitted": 3}
    await check_tallies(worker.engine)


async def test_retry_after_is_honoured(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    at(router, answer=in_turn(refused(THROTTLED, status=429, Retry_After="40"), taken))
    message_id = await queue_one(worker)
    await pump_all(worker, "urgent")
    row = await message_of(worker.engine, message_id)
    assert timedelta(seconds=40) <= row.not_before - worker.now() <= timedelta(seconds=41)
    await by_hand.advance(seconds=39)
    assert await pump_all(worker, "urgent") == 0
    await by_hand.advance(seconds=2)
    assert await pump_all(worker, "urgent") == 1
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_one_gateway_out_of_reach_is_tried_later_and_later_and_then_no_more(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.domain.routing.MAX_ATTEMPTS", FEW)
    route = at(router, answer=in_turn(DOWN))
    campaign_id = await queue_campaign(worker, NUMBERS[:1])
    for _ in range(FEW - 1):
        assert await pump_once(worker) == 1
        await check_tallies(worker.engine)
        async with begin(worker.engine) as tx:
            row = (await tx.execute(select(Message))).one()
        assert row.status is Status.QUEUED
        assert worker.now() <= row.not_before <= worker.now() + timedelta(minutes=5)
        await by_hand.advance(minutes=5)
    assert await pump_once(worker) == 1
    row = await message_of(worker.engine, row.id)
    assert (row.status, row.attempt, row.failure) == (Status.FAILED, FEW, "refused_connection")
    assert route.call_count == len(await attempts_of(worker.engine, row.id)) == FEW
    assert await finish(worker) == 1
    assert await statuses_of(worker.engine, campaign_id) == {Status.FAILED}
    await check_tallies(worker.engine)


async def test_what_was_claimed_too_long_ago_is_claimed_again(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID
) -> None:
    """A stop may have been committed while the process was paused: nothing leaves on what it saw before."""
    route = at(router)
    await queue_campaign(worker, NUMBERS[:3])
    assert await pump_once(another(fresh=-1.0)) == 3
    assert not route.called
    assert await statuses(worker.engine) == {"queued": 3}
    await check_tallies(worker.engine)
    assert await pump_all(another()) == 3
    assert route.call_count == 3


async def test_stop_during_a_slow_claim_is_honoured(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the statement saw is stale by the time of its commit: nothing leaves, and the next claim is smaller."""
    route = at(router)
    await queue_campaign(worker, NUMBERS[:8])
    hurried = another(fresh=0.2)
    pump = Pump(hurried, "bulk")

    def slow(name: str) -> None:
        if name == "before_claim_commit":
            time.sleep(0.3)  # the database takes its time

    with monkeypatch.context() as patch:
        patch.setattr("dispatcher.failpoints.hit", slow)
        assert await pump_once(hurried, pump=pump) == 8
    assert not route.called
    assert await statuses(worker.engine) == {"queued": 8}
    assert pump._most == 4
    pump._pace_claims(4, Choice(), seconds=0.01)
    assert pump._most == 8
