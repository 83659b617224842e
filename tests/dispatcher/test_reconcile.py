"""Reconcile: one free candidate in a whole list is proof; anything else proves nothing."""

from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx

from dispatcher.beside.reconcile import reconcile
from dispatcher.path.receipts import receipts
from shared.domain.message import Status
from tests.dispatcher.answers import asked
from tests.factories import TEXT, make_attempt, make_gateway, make_message, make_msisdn
from tests.stages import attempts_of, execute, message_of
from tests.worlds import HandClock, HandWorker

MSISDN = make_msisdn(0)


@pytest.fixture
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


async def doubt(worker: HandWorker, gateway_id: UUID, **over: Any) -> UUID:
    """A message of unknown fate, to be asked about now."""
    async with worker.transaction() as tx:
        message_id = await make_message(
            tx, worker.pepper, now=worker.now(), **{"status": Status.UNCONFIRMED, "attempt": 1} | over
        )
        await make_attempt(tx, message_id, gateway_id, now=worker.now(), outcome="lost", lookup_at=worker.now())
    return message_id


def listed(worker: HandWorker, sid: str, **over: Any) -> dict[str, Any]:
    """A message as the gateway lists it."""
    return {
        "sid": sid,
        "to": MSISDN,
        "from": "+12025550100",
        "body": TEXT,
        "direction": "outbound-api",
        "status": "delivered",
        "date_created": format_datetime(worker.now()),
    } | over


def page(*messages: dict[str, Any], **over: Any) -> httpx.Response:
    return httpx.Response(200, json={"messages": list(messages), "next_page_uri": None} | over)


async def settled(worker: HandWorker, message_id: UUID) -> Status:
    await reconcile(worker)
    await receipts(worker)
    status: Status = (await message_of(worker.engine, message_id)).status
    return status


async def test_one_candidate_that_is_free(worker: HandWorker, router: respx.MockRouter, gateway: UUID) -> None:
    asked(router).mock(return_value=page(listed(worker, "SM1")))
    message_id = await doubt(worker, gateway)
    assert await settled(worker, message_id) is Status.DELIVERED
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.reference, attempt.lookup_at) == ("accepted", "SM1", None)
    assert worker.bells["receipts"].is_set()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda w: page(), id="none"),
        pytest.param(lambda w: page(listed(w, "SM1"), listed(w, "SM2")), id="two"),
        pytest.param(lambda w: page(listed(w, "SM1"), next_page_uri="/more"), id="one, and a page to come"),
        pytest.param(lambda w: page(listed(w, "SM1", body="other words")), id="other words"),
        pytest.param(lambda w: page(listed(w, "SM1", to=make_msisdn(1))), id="another number"),
        pytest.param(
            lambda w: page(listed(w, "SM1", date_created=format_datetime(w.now() - timedelta(hours=1)))),
            id="an hour before",
        ),
        pytest.param(lambda w: httpx.Response(500), id="no answer to this"),
        pytest.param(lambda w: httpx.Response(200, text="<html>"), id="an answer nobody can read"),
    ],
)
async def test_no_proof(worker: HandWorker, router: respx.MockRouter, gateway: UUID, answer: Any) -> None:
    asked(router).mock(return_value=answer(worker))
    message_id = await doubt(worker, gateway)
    assert await settled(worker, message_id) is Status.UNCONFIRMED
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.reference, attempt.lookups) == (None, 1)
    assert attempt.lookup_at == worker.now() + timedelta(seconds=60)


async def test_candidate_that_another_attempt_holds(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    """The same words were sent to the same person twice; the gateway has one of them, and it is the other."""
    asked(router).mock(return_value=page(listed(worker, "SM1")))
    async with worker.transaction() as tx:
        other = await make_message(tx, worker.pepper, now=worker.now(), status=Status.SUBMITTED, attempt=1)
        await make_attempt(tx, other, gateway, now=worker.now(), outcome="accepted", reference="SM1")
    message_id = await doubt(worker, gateway)
    assert await settled(worker, message_id) is Status.UNCONFIRMED


async def test_candidate_that_may_be_a_twins_on_the_line(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    """Its owner sent it again, and the gateway has not answered that one yet: the one message it has may be that."""
    asked(router).mock(return_value=page(listed(worker, "SM1")))
    async with worker.transaction() as tx:
        again = await make_message(tx, worker.pepper, now=worker.now(), status=Status.SENDING, attempt=1)
        await make_attempt(tx, again, gateway, now=worker.now())
    message_id = await doubt(worker, gateway)
    assert await settled(worker, message_id) is Status.UNCONFIRMED
    assert (await attempts_of(worker.engine, message_id))[0].reference is None


async def test_two_of_which_one_is_held(worker: HandWorker, router: respx.MockRouter, gateway: UUID) -> None:
    asked(router).mock(return_value=page(listed(worker, "SM1"), listed(worker, "SM2", status="sent")))
    async with worker.transaction() as tx:
        other = await make_message(tx, worker.pepper, now=worker.now(), status=Status.SUBMITTED, attempt=1)
        await make_attempt(tx, other, gateway, now=worker.now(), outcome="accepted", reference="SM1")
    message_id = await doubt(worker, gateway)
    assert await settled(worker, message_id) is Status.SENT
    assert (await attempts_of(worker.engine, message_id))[0].reference == "SM2"


async def test_two_doubts_do_not_share_one_candidate(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    """Each finds the one message free. It is one of theirs, and nobody can tell whose: it proves nothing."""
    asked(router).mock(return_value=page(listed(worker, "SM1")))
    doubts = [await doubt(worker, gateway) for _ in range(4)]
    await reconcile(worker)
    await receipts(worker)
    found = [(await message_of(worker.engine, one)).status for one in doubts]
    assert found == [Status.UNCONFIRMED] * 4


async def test_asks_a_few_times_and_then_no_more(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    route = asked(router).mock(return_value=page())
    message_id = await doubt(worker, gateway)
    waits = worker.limits.lookup_waits
    for wait in [*waits[1:], 10**6]:
        assert await reconcile(worker) == 1
        assert await reconcile(worker) == 0
        await by_hand.advance(seconds=wait)
    assert await reconcile(worker) == 0
    assert route.call_count == len(waits)
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.lookups, attempt.lookup_at) == (len(waits), None)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.UNCONFIRMED}))
async def test_nobody_asks_about_what_is_known(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, status: Status
) -> None:
    route = asked(router).mock(return_value=page())
    await doubt(worker, gateway, status=status)
    await reconcile(worker)
    assert not route.called


async def test_nor_about_an_attempt_that_is_not_the_last(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    route = asked(router).mock(return_value=page())
    await doubt(worker, gateway, attempt=2)
    await reconcile(worker)
    assert not route.called


async def test_gateway_that_cannot_be_asked(worker: HandWorker, router: respx.MockRouter) -> None:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer, kind="sandbox")
    message_id = await doubt(worker, gateway_id)
    assert await settled(worker, message_id) is Status.UNCONFIRMED
    assert not router.calls


async def test_one_that_breaks_does_not_stop_the_others(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    """Settings that lost a field: its doubts cannot be asked about, everybody else's can."""
    async with worker.transaction() as tx:
        broken = await make_gateway(tx, worker.sealer, "broken", priority=2, settings={})
    await doubt(worker, broken)
    asked(router).mock(return_value=page(listed(worker, "SM1")))
    message_id = await doubt(worker, gateway)
    assert await settled(worker, message_id) is Status.DELIVERED


async def test_deleted_gateway(worker: HandWorker, router: respx.MockRouter, gateway: UUID) -> None:
    message_id = await doubt(worker, gateway)
    await execute(worker.engine, "DELETE FROM gateways")
    assert await settled(worker, message_id) is Status.UNCONFIRMED
