"""Repeats: what is in doubt goes once more to the same gateway under the same id; nowhere else, and not for ever."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import delete, update

from dispatcher.beside.reconcile import reconcile
from dispatcher.beside.rescue import rescue
from dispatcher.path.pump import Pump
from dispatcher.path.receipts import receipts
from dispatcher.queries.settlements import Settled, settle
from shared.db import begin
from shared.domain.message import Status
from shared.ids import uuid7
from shared.models import Gateway
from tests.dispatcher.answers import at, in_turn, taken
from tests.dispatcher.queued import queue_campaign, queue_one
from tests.factories import (
    make_attempt,
    make_contact,
    make_gateway,
    make_message,
    make_msisdn,
    make_opt_out,
    make_receipt,
)
from tests.stages import attempts_of, check_tallies, execute, message_of, pump_once, statuses
from tests.worlds import HandClock, HandWorker

URL = "https://own.example/send"
DEDUPLICATION = {"by": "ID", "window": 600, "most": 3}
SETTINGS: dict[str, Any] = {
    "url": URL,
    "method": "POST",
    "content_type": "application/json",
    "payload": '{"to": "%TO%", "text": "%MESSAGE%", "id": "%ID%"}',
    "success_path": "status",
    "success_values": ["OK"],
    "reference_path": "ref",
    "code_path": "code",
    "deduplication": DEDUPLICATION,
    "faults": [{"codes": ["known"], "fault": "duplicate"}, {"codes": ["no"], "fault": "gateway"}],
}
SILENT = httpx.ReadTimeout("nothing came")
LONG_AGO = timedelta(days=1)


@pytest.fixture
async def own(worker: HandWorker) -> UUID:
    """A gateway that takes nothing twice; the other one, who comes next, would take everything."""
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "second", priority=2)
        return await make_gateway(
            tx, worker.sealer, kind="custom", settings=SETTINGS, secrets={}, updated_at=worker.now() - LONG_AGO
        )


def says(router: respx.MockRouter, *answers: Any) -> respx.Route:
    return router.post(URL).mock(side_effect=in_turn(*answers))


def ok(_request: httpx.Request | None = None) -> httpx.Response:
    return httpx.Response(200, json={"status": "OK", "ref": "R1"})


def ids_of(route: respx.Route) -> list[str]:
    return [json.loads(call.request.content)["id"] for call in route.calls]


async def repeat(worker: HandWorker, lane: str = "urgent") -> None:
    """One look for what may be repeated, the hand-overs and their settlement."""
    pump = Pump(worker, lane)
    async with worker.transaction() as tx:
        await worker.book.read(tx)
        await worker.rules.read(tx)
    settling = asyncio.create_task(pump._settler.run())
    await pump._claim_repeats()
    await pump._drain()
    await pump._settler.close()
    await settling


async def doubted(worker: HandWorker, router: respx.MockRouter, *then: Any, **over: Any) -> tuple[UUID, respx.Route]:
    """A message whose first hand-over was not answered, and what its gateway says after that."""
    route = says(router, SILENT, *then)
    message_id = await queue_one(worker, **over)
    await pump_once(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED
    return message_id, route


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        pytest.param(ok, "R1", id="taken, or as it was"),
        pytest.param(httpx.Response(200, json={"code": "known"}), None, id="known"),
        pytest.param(httpx.Response(409, json={"code": "known"}), None, id="known, by a refusal"),
    ],
)
async def test_it_goes_again_to_the_same_gateway_under_the_same_id(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock, answer: Any, reference: str | None
) -> None:
    other = at(router, "second")
    message_id, route = await doubted(worker, router, answer)
    await repeat(worker)
    assert route.call_count == 1, "not before its time"
    await by_hand.advance(seconds=16)
    await repeat(worker)
    assert ids_of(route) == [str(message_id)] * 2
    assert not other.called
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt, row.gateway_id) == (Status.SUBMITTED, 2, own)
    first, second = await attempts_of(worker.engine, message_id)
    assert [(one.attempt, one.outcome, one.gateway_id) for one in (first, second)] == [
        (1, "lost", own),
        (2, "accepted", own),
    ]
    assert (first.lookup_at, second.lookup_at, second.reference) == (None, None, reference)


async def test_a_campaign_s_message_stays_in_doubt_until_it_is_known(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    """Its numbers add up all the while, and no campaign is open again for it."""
    route = says(router, *[SILENT] * 3, *[httpx.Response(500)] * 3, ok)
    await queue_campaign(worker, [make_msisdn(number) for number in range(3)])
    await pump_once(worker)
    for at_status in ({"unconfirmed": 3}, {"submitted": 3}):
        await by_hand.advance(seconds=61)
        await repeat(worker, "bulk")
        assert await statuses(worker.engine) == at_status
        await check_tallies(worker.engine)
    assert len(set(ids_of(route))) == 3
    assert route.call_count == 9


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        pytest.param(SILENT, True, id="silence"),
        pytest.param(httpx.Response(503), True, id="5xx"),
        pytest.param(httpx.Response(200, text="<html>"), True, id="nobody can read it"),
        pytest.param(httpx.ConnectError("refused"), True, id="out of reach"),
        pytest.param(httpx.Response(200, json={"code": "no"}), False, id="refused"),
    ],
)
async def test_whatever_comes_but_a_yes_leaves_the_doubt(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock, answer: Any, more: bool
) -> None:
    """Least of all is it a certain no of the first: nobody else is asked, and nothing is queued."""
    other = at(router, "second")
    message_id, _ = await doubted(worker, router, answer)
    await by_hand.advance(seconds=16)
    await repeat(worker)
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.UNCONFIRMED, 2)
    assert ((await attempts_of(worker.engine, message_id))[1].lookup_at is not None) is more
    await pump_once(worker, "urgent")
    assert not other.called


async def test_as_often_as_was_declared_and_no_longer(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    message_id, route = await doubted(worker, router, SILENT)
    for seconds in (*[61] * 9, 901):
        await by_hand.advance(seconds=seconds)
        await repeat(worker)
    assert route.call_count == 1 + 3
    assert (await attempts_of(worker.engine, message_id))[-1].lookup_at is None


async def test_not_more_often_than_was_declared(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    settings = {**SETTINGS, "deduplication": {"by": "ID", "window": 86_400, "most": 2}}
    async with worker.transaction() as tx:
        await tx.execute(update(Gateway).where(Gateway.id == own).values(settings=settings))
    message_id, route = await doubted(worker, router, SILENT)
    for _ in range(6):
        await by_hand.advance(seconds=901)
        await repeat(worker)
    assert route.call_count == 1 + 2
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.UNCONFIRMED, 3)


async def test_not_after_the_window(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    """It must be over before the gateway forgets: what would still be on the line then is not begun."""
    message_id, route = await doubted(worker, router, ok)
    await by_hand.advance(seconds=600 - worker.limits.lease)
    await repeat(worker)
    assert route.call_count == 1
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED
    assert (await attempts_of(worker.engine, message_id))[0].lookup_at is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE messages SET cancel_requested_at = now()", id="called back"),
        pytest.param("UPDATE messages SET expires_at = now()", id="over"),
        pytest.param("UPDATE messages SET msisdn = ''", id="forgotten"),
        pytest.param("UPDATE messages SET kind = 'otp'", id="a password, which has its own rule"),
        pytest.param("UPDATE messages SET kind = 'test'", id="a test"),
        pytest.param("UPDATE gateways SET updated_at = now()", id="its gateway was changed meanwhile"),
        pytest.param(
            "UPDATE gateways SET updated_at = (SELECT started_at FROM attempts) - interval '59 seconds'",
            id="its gateway was changed just before",
        ),
        pytest.param("UPDATE gateways SET health = 'withdrawn' WHERE kind = 'custom'", id="its gateway is withdrawn"),
        pytest.param("UPDATE gateways SET health = 'open' WHERE kind = 'custom'", id="its gateway is left alone"),
        pytest.param("UPDATE gateways SET enabled = false WHERE kind = 'custom'", id="its gateway is switched off"),
        pytest.param(
            "UPDATE gateways SET resting_until = now() + interval '1 minute' WHERE kind = 'custom'", id="it rests"
        ),
        pytest.param(
            "INSERT INTO heartbeat (id, epoch, system, beat_at, awake_until) "
            "VALUES (1, 'ffffffff-ffff-7fff-bfff-ffffffffffff', 's', now(), now() + interval '1 hour')",
            id="the database was set back after that",
        ),
    ],
)
async def test_what_is_not_repeated(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock, change: str
) -> None:
    other = at(router, "second")
    message_id, route = await doubted(worker, router, ok)
    await by_hand.advance(seconds=16)
    await execute(worker.engine, "DELETE FROM heartbeat")
    await execute(worker.engine, change)
    await repeat(worker)
    await reconcile(worker)
    assert route.call_count == 1
    assert not other.called
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.UNCONFIRMED, 1)
    lookup_at = (await attempts_of(worker.engine, message_id))[0].lookup_at
    assert lookup_at is None or lookup_at > worker.now(), "it is not looked at again at once"


async def test_nothing_goes_again_to_who_said_no_meanwhile(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    message_id, route = await doubted(worker, router, ok)
    async with worker.transaction() as tx:
        await make_opt_out(tx, worker.pepper, make_msisdn(0))
    await by_hand.advance(seconds=16)
    await repeat(worker)
    assert route.call_count == 1
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED


@pytest.mark.parametrize(("made_by", "goes"), [("automation", 0), ("admin", 1)])
async def test_nothing_of_an_automation_goes_again_to_who_took_consent_back(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock, made_by: str, goes: int
) -> None:
    message_id, route = await doubted(worker, router, ok, created_by=made_by)
    async with worker.transaction() as tx:
        await make_contact(tx, msisdn=make_msisdn(0), consent_status="withdrawn")
    await by_hand.advance(seconds=16)
    await repeat(worker)
    assert route.call_count == 1 + goes
    expected = Status.SUBMITTED if goes else Status.UNCONFIRMED
    assert (await message_of(worker.engine, message_id)).status is expected


@pytest.mark.parametrize(("status", "goes"), [("running", 1), ("completed", 1), ("held", 0), ("stopped", 0)])
async def test_what_its_campaign_says(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock, status: str, goes: int
) -> None:
    route = says(router, SILENT, ok)
    await queue_campaign(worker, [make_msisdn(0)])
    await pump_once(worker)
    await execute(worker.engine, "UPDATE campaigns SET status = :status", status=status)
    await by_hand.advance(seconds=16)
    await repeat(worker, "bulk")
    assert route.call_count == 1 + goes


async def test_a_gateway_without_it_is_asked_nothing_twice(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != "deduplication"}
    async with worker.transaction() as tx:
        await tx.execute(update(Gateway).where(Gateway.id == own).values(settings=settings))
    _, route = await doubted(worker, router, ok)
    await by_hand.advance(seconds=61)
    await repeat(worker)
    assert route.call_count == 1


async def test_two_dispatchers_repeat_each_message_once(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock, another: Any
) -> None:
    route = says(router, *[SILENT] * 4, ok)
    messages = [await queue_one(worker, msisdn=make_msisdn(number)) for number in range(4)]
    await pump_once(worker, "urgent")
    await by_hand.advance(seconds=16)
    await asyncio.gather(*(repeat(one) for one in (worker, another(), another())))
    assert sorted(ids_of(route)) == sorted(str(one) for one in messages * 2)
    assert await statuses(worker.engine) == {"submitted": 4}


async def test_who_dies_with_it_on_the_line_leaves_what_is_found_again(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id, route = await doubted(worker, router, ok)
    await by_hand.advance(seconds=16)
    with monkeypatch.context() as patched:
        patched.setattr(Pump, "_launch", lambda *_args, **_named: None)  # it dies after the commit
        await repeat(worker)
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt, route.call_count) == (Status.UNCONFIRMED, 2, 1)
    await repeat(worker)
    assert await rescue(worker) == 0
    assert route.call_count == 1, "somebody may have it on the line"
    await by_hand.advance(seconds=worker.limits.lease + 1)
    await repeat(worker)
    assert ids_of(route) == [str(message_id)] * 2
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.SUBMITTED, 3)
    outcomes = [one.outcome for one in await attempts_of(worker.engine, message_id)]
    assert outcomes == ["lost", "lost", "accepted"]


async def test_a_message_whose_first_dispatcher_died_is_repeated_too(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    route = says(router, ok)
    async with worker.transaction() as tx:
        gone = {"status": Status.SENDING, "attempt": 1, "lease_until": worker.now() - timedelta(seconds=1)}
        message_id = await make_message(tx, worker.pepper, now=worker.now(), **gone)
        await make_attempt(tx, message_id, own, now=worker.now())
    assert await rescue(worker) == 1
    await by_hand.advance(seconds=16)
    await repeat(worker)
    assert ids_of(route) == [str(message_id)]
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


@pytest.mark.parametrize("attempt", [1, 2, None])
async def test_receipts_of_either_attempt_find_it(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock, attempt: int | None
) -> None:
    message_id, _ = await doubted(worker, router, SILENT)
    await by_hand.advance(seconds=16)
    await repeat(worker)
    async with worker.transaction() as tx:
        told = {"message_id": message_id, "attempt": attempt, "status": Status.DELIVERED}
        await make_receipt(tx, own, now=worker.now(), **told)
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED
    await by_hand.advance(seconds=61)
    await repeat(worker)
    assert (await message_of(worker.engine, message_id)).attempt == 2


@pytest.mark.parametrize("together", [True, False])
async def test_the_late_answer_of_an_earlier_attempt_settles_it(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock, together: bool
) -> None:
    """Also where both answers are written at once, in whatever order."""
    message_id, _ = await doubted(worker, router, SILENT)
    await by_hand.advance(seconds=16)
    await repeat(worker)
    late = Settled(message_id, 1, own, Status.SUBMITTED, "accepted", reference="R1")
    again = Settled(message_id, 2, own, Status.UNCONFIRMED, "lost")
    for batch in ([late, again],) if together else ([late], [again]):
        async with worker.transaction() as tx:
            await settle(tx, batch)
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.SUBMITTED, 2)
    assert (await attempts_of(worker.engine, message_id))[0].reference == "R1"


async def test_what_another_gateway_may_have_is_repeated_nowhere(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    route = says(router, ok)
    async with worker.transaction() as tx:
        at_once = {"status": Status.UNCONFIRMED, "attempt": 2}
        message_id = await make_message(tx, worker.pepper, now=worker.now(), **at_once)
        await make_attempt(tx, message_id, uuid7(), now=worker.now(), outcome="lost")
        due = {"outcome": "lost", "attempt": 2, "lookup_at": worker.now()}
        await make_attempt(tx, message_id, own, now=worker.now(), **due)
    await repeat(worker)
    assert not route.called


async def test_a_certain_no_before_the_doubt_is_no_part_of_it(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    """The window and the count begin with the first hand-over that may have arrived."""
    async with worker.transaction() as tx:
        await tx.execute(delete(Gateway).where(Gateway.id != own))
    route = says(router, httpx.ConnectError("refused"), SILENT, ok)
    message_id = await queue_one(worker)
    await pump_once(worker, "urgent")
    await by_hand.advance(seconds=300)
    await pump_once(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED
    await by_hand.advance(seconds=400)
    await repeat(worker)
    assert route.call_count == 3
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_the_pump_looks_by_itself(
    worker: HandWorker, router: respx.MockRouter, own: UUID, by_hand: HandClock
) -> None:
    message_id, route = await doubted(worker, router, taken, ok)
    await by_hand.advance(seconds=16)
    pump = Pump(worker, "urgent")
    settling = asyncio.create_task(pump._settler.run())
    async with begin(worker.engine) as tx:
        await worker.book.read(tx)
        await worker.rules.read(tx)
    await pump._beat()
    await pump._drain()
    await pump._settler.close()
    await settling
    assert route.call_count == 2
    assert (await message_of(worker.engine, message_id)).attempt == 2
