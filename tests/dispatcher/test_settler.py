"""Settler: answers are written together, kept while the database is away, and a late writer is fenced."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.servers import Postgres
from dispatcher.beside.rescue import rescue
from dispatcher.book import Book
from dispatcher.door.transport import Transport
from dispatcher.path.due import due
from dispatcher.path.finish import empty_stopped, finish
from dispatcher.path.pump import Pump
from dispatcher.path.receipts import receipts
from dispatcher.path.settler import Settler
from dispatcher.queries import claims, settlements
from dispatcher.queries.settlements import Settled
from dispatcher.queries.tallies import write_tallies
from dispatcher.worker import Worker
from shared.clock import utc_now
from shared.db import begin, build_engine
from shared.domain.campaign import Status as CampaignStatus
from shared.domain.message import MOVES, Status, after_outcome
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused, name_of
from shared.ids import uuid7
from shared.metrics import dispatcher_metrics
from shared.models import Campaign, Message
from shared.queries.partitions import ensure_partitions
from shared.sealing import Sealer
from tests.conftest import migrate
from tests.dispatcher.answers import GATEWAY, at, numbers_of, refused, taken
from tests.factories import make_attempt, make_campaign, make_gateway, make_message, make_msisdn, make_receipt
from tests.stages import attempts_of, check_tallies, expand_all, message_of, pump_once, statuses
from tests.worlds import SMALL, HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(5)]

ACCEPTED = Accepted("SM-late", 1)
LOST = Lost(may_have_arrived=True, cause="read_timeout")
NOT_SENT = Lost(may_have_arrived=False, cause="refused_connection")
REFUSED = Refused(Fault.MESSAGE, "21211")


def settled(outcome: Outcome, message_id: UUID, gateway_id: UUID, *, attempt: int = 1, again: bool = True) -> Settled:
    """What a hand-over makes of an outcome."""
    return Settled(
        id=message_id,
        attempt=attempt,
        gateway_id=gateway_id,
        status=after_outcome(Status.SENDING, outcome, again=again),
        outcome=name_of(outcome),
        reference=outcome.reference if isinstance(outcome, Accepted) else None,
        code=outcome.code if isinstance(outcome, Refused) else getattr(outcome, "cause", None),
        fault=str(outcome.fault) if isinstance(outcome, Refused) else None,
    )


async def settle(worker: Worker, *answers: Settled) -> None:
    async with worker.transaction() as tx:
        moves = await settlements.settle(tx, answers)
        await write_tallies(tx, moves, writer=1)


@pytest.fixture
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


async def claim_campaign(worker: HandWorker, msisdns: list[str]) -> list[UUID]:
    """A campaign whose messages are all on the line."""
    async with worker.transaction() as tx:
        await make_campaign(tx, msisdns, now=worker.now())
    await due(worker)
    await expand_all(worker)
    async with worker.transaction() as tx:
        found = await claims.claim(tx, lane="bulk", slots=100, lease=30.0, dispatcher="the first")
        gateway_id = (await tx.execute(text("SELECT id FROM gateways LIMIT 1"))).scalar_one()
        await claims.insert_intents(tx, [(one, gateway_id) for one in found.claimed], dispatcher="the first")
        await write_tallies(tx, found.moves, writer=2)
    return [one.id for one in found.claimed]


# --- the guard says what the law says


@pytest.mark.parametrize(
    "outcome", [ACCEPTED, LOST, NOT_SENT, REFUSED], ids=["accepted", "lost", "not sent", "refused"]
)
@pytest.mark.parametrize("again", [True, False], ids=["again", "never again"])
async def test_sql_moves_what_the_law_moves(
    worker: HandWorker, gateway: UUID, outcome: Outcome, *, again: bool
) -> None:
    """Every status, in one batch."""
    ids: dict[Status, UUID] = {}
    async with worker.transaction() as tx:
        for current in Status:
            ids[current] = await make_message(tx, worker.pepper, now=worker.now(), status=current, attempt=1)
            await make_attempt(tx, ids[current], gateway, now=worker.now())
    await settle(worker, *(settled(outcome, message_id, gateway, again=again) for message_id in ids.values()))
    found = {current: (await message_of(worker.engine, message_id)).status for current, message_id in ids.items()}
    assert found == {current: after_outcome(current, outcome, again=again) for current in Status}
    assert all(after is current or after in MOVES[current] for current, after in found.items())


@pytest.mark.parametrize(
    "outcome", [ACCEPTED, LOST, NOT_SENT, REFUSED], ids=["accepted", "lost", "not sent", "refused"]
)
async def test_answer_of_an_older_attempt_moves_nothing(worker: HandWorker, gateway: UUID, outcome: Outcome) -> None:
    async with worker.transaction() as tx:
        message_id = await make_message(tx, worker.pepper, now=worker.now(), status=Status.SENDING, attempt=2)
        await make_attempt(tx, message_id, gateway, now=worker.now())
        await make_attempt(tx, message_id, gateway, now=worker.now(), attempt=2)
    await settle(worker, settled(outcome, message_id, gateway, attempt=1))
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.SENDING, 2)
    older, newer = await attempts_of(worker.engine, message_id)
    assert (older.outcome, newer.outcome) == (name_of(outcome), None)  # evidence is kept all the same


# --- the late writer


async def test_acceptance_after_the_rescue_is_recorded_and_counts(
    worker: HandWorker, gateway: UUID, by_hand: HandClock
) -> None:
    (message_id,) = await claim_campaign(worker, NUMBERS[:1])
    await by_hand.advance(seconds=31)
    assert await rescue(worker) == 1
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.detail) == ("lost", "lease ran out")
    assert attempt.lookup_at is not None
    await settle(worker, settled(ACCEPTED, message_id, gateway))
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.reference, attempt.lookup_at) == ("accepted", "SM-late", None)
    await check_tallies(worker.engine)


@pytest.mark.parametrize(
    ("outcome", "again", "status"),
    [
        pytest.param(NOT_SENT, True, Status.QUEUED, id="not sent, somebody left"),
        pytest.param(NOT_SENT, False, Status.FAILED, id="not sent, nobody left"),
        pytest.param(REFUSED, False, Status.FAILED, id="refused"),
        pytest.param(LOST, True, Status.UNCONFIRMED, id="lost"),
    ],
)
async def test_late_answer_while_the_campaign_runs(
    worker: HandWorker, gateway: UUID, by_hand: HandClock, outcome: Outcome, status: Status, *, again: bool
) -> None:
    one, other = await claim_campaign(worker, NUMBERS[:2])
    await by_hand.advance(seconds=31)
    await rescue(worker)
    async with begin(worker.engine) as tx:  # so that the campaign is not over
        await tx.execute(update(Message).where(Message.id == other).values(status=Status.SENDING))
        await tx.execute(
            text(
                "INSERT INTO tallies SELECT campaign_message_id, s, 999, n, n * segments FROM messages,"
                " (VALUES ('sending', 1), ('unconfirmed', -1)) AS v (s, n) WHERE id = :id"
            ),
            {"id": other},
        )
    await finish(worker)
    await settle(worker, settled(outcome, one, gateway, again=again))
    assert (await message_of(worker.engine, one)).status is status
    await check_tallies(worker.engine)


@pytest.mark.parametrize("ended", ["completed", "stopped"])
async def test_late_not_sent_of_a_campaign_that_is_over_fails(
    worker: HandWorker, gateway: UUID, by_hand: HandClock, ended: str
) -> None:
    """Back in the queue nobody would claim it any more: a completed campaign has nothing open, ever."""
    one, other = await claim_campaign(worker, NUMBERS[:2])
    await by_hand.advance(seconds=31)
    await rescue(worker)
    if ended == "completed":
        assert await finish(worker) == 1
    else:
        async with begin(worker.engine) as tx:
            await tx.execute(update(Campaign).values(status=CampaignStatus.STOPPED, stopped_at=worker.now()))
        await empty_stopped(worker)
    await settle(worker, settled(NOT_SENT, one, gateway), settled(ACCEPTED, other, gateway))
    row = await message_of(worker.engine, one)
    assert (row.status, row.failure) == (Status.FAILED, "refused_connection")
    assert (await message_of(worker.engine, other)).status is Status.SUBMITTED
    await check_tallies(worker.engine)


async def test_finish_and_a_late_answer_at_once(worker: HandWorker, gateway: UUID, by_hand: HandClock) -> None:
    """Whoever is first, a completed campaign has nothing in its queue."""
    (one,) = await claim_campaign(worker, NUMBERS[:1])
    await by_hand.advance(seconds=31)
    await rescue(worker)
    async with worker.transaction() as tx:
        moves = await settlements.settle(tx, [settled(NOT_SENT, one, gateway)])
        finishing = asyncio.create_task(finish(worker))
        await asyncio.sleep(0.1)
        await write_tallies(tx, moves, writer=1)
    await finishing
    found = await statuses(worker.engine)
    async with begin(worker.engine) as tx:
        status = (await tx.execute(text("SELECT status FROM campaigns"))).scalar_one()
    assert (status, found) in [("running", {"queued": 1}), ("completed", {"failed": 1})]
    await check_tallies(worker.engine)


async def test_told_twice_is_counted_once(worker: HandWorker, gateway: UUID) -> None:
    """A commit whose answer was lost is written again."""
    (message_id,) = await claim_campaign(worker, NUMBERS[:1])
    answer = settled(ACCEPTED, message_id, gateway)
    await settle(worker, answer)
    await settle(worker, answer)
    assert await statuses(worker.engine) == {"submitted": 1}
    await check_tallies(worker.engine)


async def test_receipt_before_the_answer(worker: HandWorker, gateway: UUID) -> None:
    (message_id,) = await claim_campaign(worker, NUMBERS[:1])
    async with worker.transaction() as tx:
        await make_receipt(tx, gateway, now=worker.now(), message_id=message_id, attempt=1, reference="SM-early")
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED
    await settle(worker, settled(LOST, message_id, gateway))
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.lease_until) == (Status.DELIVERED, None)
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.reference, attempt.lookup_at) == ("accepted", "SM-early", None)
    await check_tallies(worker.engine)


# --- micro-batches


async def test_one_bad_answer_does_not_hold_up_the_rest(
    worker: HandWorker, gateway: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    """What the database will not take is given up to its lease; everybody else's answer is written."""
    ids = await claim_campaign(worker, NUMBERS)
    freed: list[claims.Claimed] = []
    settler = Settler(worker, "bulk", on_settled=freed.extend)
    for place, message_id in enumerate(ids):
        answer = settled(ACCEPTED, message_id, gateway)
        bad = answer._replace(reference="no text holds this: \x00") if place == 2 else answer
        settler.put(_claimed(message_id), bad)
    caplog.set_level(logging.CRITICAL, "dispatcher.path.settler")
    running = asyncio.create_task(settler.run())
    await settler.close()
    async with asyncio.timeout(5):
        await running
    assert len(freed) == 5
    assert await statuses(worker.engine) == {"submitted": 4, "sending": 1}
    await check_tallies(worker.engine)


def _claimed(message_id: UUID) -> claims.Claimed:
    return claims.Claimed(
        message_id, 1, "campaign", NUMBERS[0], b"", "", None, None, 1, None, None, None, None, utc_now(), None
    )


async def test_gateway_that_answers_unstorable_words(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    body = {"code": 21211, "message": "bad\x00number \ud800"}
    at(router, answer=httpx.Response(400, content=json.dumps(body)))
    async with worker.transaction() as tx:
        message_id = await make_message(tx, worker.pepper, now=worker.now())
    await pump_once(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.FAILED


# --- the database goes away


@pytest.fixture
async def frail(tmp_path: Path) -> AsyncIterator[tuple[Postgres, AsyncEngine]]:
    """A Postgres of our own, to be killed."""
    with Postgres(tmp_path / "frail") as server:
        await asyncio.to_thread(migrate, server.url())
        engine = build_engine(server.url(), application_name="tests", pool_size=5)
        async with begin(engine) as tx:
            await ensure_partitions(tx, utc_now())
        yield server, engine
        await engine.dispose()


async def test_answers_are_kept_while_the_database_is_away(
    frail: tuple[Postgres, AsyncEngine], sealer: Sealer, router: respx.MockRouter
) -> None:
    server, engine = frail
    transport = Transport(httpx.MockTransport(router.async_handler))
    worker = Worker(
        engine=engine,
        key_engine=engine,
        book=Book(sealer=sealer, public_url="https://sms.example.com"),
        transport=transport,
        sealer=sealer,
        pepper=b"pepper",
        metrics=dispatcher_metrics(),
        limits=SMALL,
    )
    on_the_line = asyncio.Event()
    answer_now = asyncio.Event()

    async def wait(request: httpx.Request) -> httpx.Response:
        on_the_line.set()
        await answer_now.wait()
        return taken(request)

    route = at(router, answer=wait)
    now = utc_now() - timedelta(seconds=1)
    async with begin(engine) as tx:
        await make_gateway(tx, sealer)
        ids = [await make_message(tx, worker.pepper, now=now, id=uuid7(now), msisdn=number) for number in NUMBERS[:2]]
    pump = Pump(worker, "urgent")
    running = asyncio.create_task(pump.run())
    await on_the_line.wait()
    await asyncio.to_thread(server.kill)
    answer_now.set()
    await asyncio.sleep(0.3)
    assert pump.in_flight == 2  # answered, and not written: no slot is free for more
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(20):
        while pump.in_flight:
            await asyncio.sleep(0.05)
    for message_id in ids:
        assert (await message_of(engine, message_id)).status is Status.SUBMITTED
    assert route.call_count == 2
    worker.stop()
    await running
    await transport.aclose()


async def test_what_goes_to_another_gateway_keeps_its_place(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    """Behind everything else that is due, "at once" would be the end of the campaign."""
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "second", priority=2)
    refusing = at(router, answer=refused(GATEWAY))
    other = at(router, "second")
    async with worker.transaction() as tx:
        await make_campaign(tx, NUMBERS, now=worker.now())
    await due(worker)
    await expand_all(worker)
    await by_hand.advance(seconds=5)
    await pump_once(worker, slots=1)
    assert (refusing.call_count, other.call_count) == (1, 0)
    assert worker.bells["bulk"].is_set()  # nobody sleeps while another gateway could take it
    await pump_once(worker, slots=1)
    assert numbers_of(other) == numbers_of(refusing)
