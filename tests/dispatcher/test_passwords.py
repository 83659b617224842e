"""Passwords on their way: the code is filled in at the door and kept nowhere; in doubt, a second try, and no third."""

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.reconcile import reconcile
from dispatcher.beside.rescue import rescue
from dispatcher.path.pump import Pump
from dispatcher.path.receipts import receipts
from dispatcher.path.second_tries import WAIT_SECONDS
from shared.db import begin
from shared.domain.message import Status
from shared.log import JsonLines
from shared.models import Message, Otp
from shared.sealing import Sealer, new_key
from tests.conftest import Clock
from tests.dispatcher.answers import ACCOUNT, GATEWAY, MESSAGE, asked, at, in_turn, refused
from tests.factories import OTP_TEXT, make_gateway, make_otp, make_receipt
from tests.stages import attempts_of, execute, message_of, pump_once
from tests.worlds import HandClock, HandWorker

SILENT = httpx.ReadTimeout("nothing came")
DOWN = httpx.ConnectError("refused")


async def queue_password(worker: HandWorker, **over: Any) -> tuple[UUID, str]:
    async with worker.transaction() as tx:
        _, message_id, code = await make_otp(tx, worker.sealer, now=worker.now(), **over)
    return message_id, code


async def second_tries(worker: HandWorker, *, slots: int = 4) -> None:
    """One look for passwords in doubt, their hand-overs and their settlement."""
    pump = Pump(worker, "urgent")
    pump._slots.total = slots
    worker.book.forget()
    async with worker.transaction() as tx:
        await worker.book.read(tx)
    settling = asyncio.create_task(pump._settler.run())
    await pump._claim_second_tries()
    await pump._drain()
    await pump._settler.close()
    await settling


def texts_of(route: respx.Route) -> list[str]:
    return [parse_qs(call.request.content.decode())["Body"][0] for call in route.calls]


async def everything_in(engine: AsyncEngine) -> str:
    """Every row of every table, as a dump would have them."""
    found: list[str] = []
    async with begin(engine) as tx:
        tables = await tx.execute(
            text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')")
        )
        for table in list(tables.scalars()):
            found += (await tx.execute(text(f'SELECT t::text FROM "{table}" t'))).scalars()
    return "\n".join(found)


# --- the code, and where it is not


async def test_the_handset_reads_the_code_and_the_row_does_not(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    route = at(router)
    message_id, code = await queue_password(worker)
    assert await pump_once(worker, "urgent") == 1
    assert texts_of(route) == [f"Your code is {code}. Tell nobody."]
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.text) == (Status.SUBMITTED, OTP_TEXT)


async def test_the_gateway_is_told_how_long_it_is_worth_sending(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    route = at(router)
    await queue_password(worker)
    await pump_once(worker, "urgent")
    assert b"ValidityPeriod=600" in route.calls.last.request.content


async def test_a_gateway_that_quotes_the_code_is_not_written_down(
    worker: HandWorker, router: respx.MockRouter, first: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    """In its words, its exchange, and whatever is logged: only the handset has it."""
    caplog.set_level(logging.DEBUG)
    message_id, code = await queue_password(worker, length=8)

    def quoting(request: httpx.Request) -> httpx.Response:
        said = parse_qs(request.content.decode())["Body"][0]
        words = f"cannot send {said!r}, code {code}, <{code[:4]} {code[4:]}>"
        return httpx.Response(400, json={"code": MESSAGE, "message": words, "more": code}, headers={"Server": code})

    at(router, answer=quoting)
    await pump_once(worker, "urgent")
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert attempt.outcome == "refused"
    assert attempt.exchange is not None
    assert code not in json.dumps(attempt.exchange) + str(attempt.detail)
    assert code not in await everything_in(worker.engine)
    lines = "\n".join(JsonLines("test").format(record) for record in caplog.records if record.name != "httpx")
    assert code not in lines


async def test_a_code_that_cannot_be_told_here_waits_for_who_can(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    """Keys are rotated: the api has the new one, this dispatcher does not yet."""
    route = at(router)
    rotated = Sealer((*Sealer.from_texts([new_key()]).keys, *worker.sealer.keys))
    async with worker.transaction() as tx:
        _, message_id, code = await make_otp(tx, rotated, now=worker.now())
    assert await pump_once(worker, "urgent") == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt, route.called) == (Status.QUEUED, 0, False)
    object.__setattr__(worker, "sealer", rotated)
    object.__setattr__(worker.book, "_sealer", rotated)
    await by_hand.advance(seconds=15)
    await pump_once(worker, "urgent")
    assert texts_of(route) == [f"Your code is {code}. Tell nobody."]


async def test_an_old_key_still_answers_for_its_codes(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    route = at(router)
    _, code = await queue_password(worker)
    object.__setattr__(worker, "sealer", Sealer((*Sealer.from_texts([new_key()]).keys, *worker.sealer.keys)))
    await pump_once(worker, "urgent")
    assert texts_of(route) == [f"Your code is {code}. Tell nobody."]


# --- a certain no: the next gateway at once


@pytest.mark.parametrize("no", [DOWN, refused(GATEWAY), refused(ACCOUNT, status=401), refused(20429, status=429)])
async def test_after_a_certain_no_the_next_gateway_at_once(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID, no: Any
) -> None:
    at(router, answer=no if isinstance(no, httpx.Response) else in_turn(no))
    other = at(router, "second")
    message_id, code = await queue_password(worker)
    await pump_once(worker, "urgent")
    await pump_once(worker, "urgent")  # no time has passed
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.gateway_id) == (Status.SUBMITTED, second)
    assert texts_of(other) == [f"Your code is {code}. Tell nobody."]


# --- in doubt: one more, with the same code, elsewhere


@pytest.fixture
async def doubted(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID
) -> tuple[UUID, str, respx.Route]:
    """A password that the first gateway may have; the second one's route."""
    at(router, answer=in_turn(SILENT))
    other = at(router, "second")
    message_id, code = await queue_password(worker)
    await pump_once(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED
    return message_id, code, other


async def test_in_doubt_the_same_code_goes_elsewhere_after_five_seconds(
    worker: HandWorker, doubted: tuple[UUID, str, respx.Route], second: UUID, by_hand: HandClock
) -> None:
    message_id, code, other = doubted
    await by_hand.advance(seconds=WAIT_SECONDS - 1)
    await second_tries(worker)
    assert not other.called
    await by_hand.advance(seconds=1)
    await second_tries(worker)
    assert texts_of(other) == [f"Your code is {code}. Tell nobody."]
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt, row.gateway_id) == (Status.SUBMITTED, 2, second)
    outcomes = [one.outcome for one in await attempts_of(worker.engine, message_id)]
    assert outcomes == ["lost", "accepted"]


async def test_never_a_third(
    worker: HandWorker, router: respx.MockRouter, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock
) -> None:
    message_id, _, other = doubted
    other.mock(side_effect=SILENT)
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "third", priority=3)
    third = at(router, "third")
    for _ in range(5):
        await by_hand.advance(seconds=WAIT_SECONDS)
        await second_tries(worker)
    assert (other.call_count, third.called) == (1, False)
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED


async def test_evidence_within_the_wait_spares_the_second(
    worker: HandWorker, first: UUID, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock
) -> None:
    message_id, _, other = doubted
    async with worker.transaction() as tx:
        await make_receipt(tx, first, now=worker.now(), message_id=message_id, attempt=1)
    await receipts(worker)
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker)
    assert not other.called
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED


async def test_late_evidence_of_the_first_still_counts(
    worker: HandWorker, first: UUID, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock
) -> None:
    message_id, _, other = doubted
    other.mock(side_effect=SILENT)
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker)
    async with worker.transaction() as tx:
        await make_receipt(tx, first, now=worker.now(), message_id=message_id, attempt=1, reference="SM1")
    await receipts(worker)
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.DELIVERED, 2)
    outcomes = [one.outcome for one in await attempts_of(worker.engine, message_id)]
    assert outcomes == ["accepted", "lost"]


@pytest.mark.parametrize("no", [refused(MESSAGE), refused(GATEWAY), DOWN])
async def test_a_no_to_the_second_leaves_the_doubt(
    worker: HandWorker, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock, no: Any
) -> None:
    """The first gateway may have it all the same: neither failed nor queued would be true."""
    message_id, _, other = doubted
    other.mock(**({"return_value": no} if isinstance(no, httpx.Response) else {"side_effect": no}))
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker)
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.failure, row.attempt) == (Status.UNCONFIRMED, None, 2)
    assert other.call_count == 1
    assert (await attempts_of(worker.engine, message_id))[1].lookup_at is None  # there is nothing to look up


async def test_after_a_no_a_third_gateway_may_have_the_second_submission(
    worker: HandWorker, router: respx.MockRouter, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock
) -> None:
    message_id, code, other = doubted
    other.mock(return_value=refused(GATEWAY))
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "third", priority=3)
    third = at(router, "third")
    for _ in range(4):
        await by_hand.advance(seconds=WAIT_SECONDS)
        await second_tries(worker)
    assert (other.call_count, texts_of(third)) == (1, [f"Your code is {code}. Tell nobody."])
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_the_only_gateway_is_not_asked_twice(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    route = at(router, answer=in_turn(SILENT))
    message_id, _ = await queue_password(worker)
    await pump_once(worker, "urgent")
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker)
    assert route.call_count == 1
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED


@pytest.mark.parametrize(
    "since",
    [
        pytest.param({"used_at": True}, id="the code was entered"),
        pytest.param({"cancelled_at": True}, id="it was cancelled"),
    ],
)
async def test_nobody_waits_for_it_any_more(
    worker: HandWorker, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock, since: dict[str, bool]
) -> None:
    _, _, other = doubted
    async with worker.transaction() as tx:
        await tx.execute(update(Otp).values(dict.fromkeys(since, worker.now())))
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker)
    assert not other.called


@pytest.mark.parametrize("over", [{"expires_at": timedelta(0)}, {"cancel_requested_at": timedelta(0)}])
async def test_called_back_or_over(
    worker: HandWorker, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock, over: dict[str, timedelta]
) -> None:
    _, _, other = doubted
    await by_hand.advance(seconds=WAIT_SECONDS)
    async with worker.transaction() as tx:
        await tx.execute(update(Message).values({name: worker.now() + by for name, by in over.items()}))
    await second_tries(worker)
    assert not other.called


async def test_only_passwords_get_a_second_try(
    worker: HandWorker, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock
) -> None:
    _, _, other = doubted
    await execute(worker.engine, "UPDATE messages SET kind = 'voucher'")
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker)
    assert not other.called


async def test_two_dispatchers_make_one_second_try(
    worker: HandWorker, another: Any, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock
) -> None:
    _, _, other = doubted
    await by_hand.advance(seconds=WAIT_SECONDS)
    await asyncio.gather(*(second_tries(one) for one in (worker, another(), another())))
    assert other.call_count == 1


async def test_without_a_free_slot_it_waits(
    worker: HandWorker, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock
) -> None:
    message_id, _, other = doubted
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker, slots=0)
    assert not other.called
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED
    await second_tries(worker, slots=1)
    assert other.called


# --- kills


@pytest.mark.parametrize(
    ("over", "room"),
    [
        pytest.param({}, True, id="no other serves them"),
        pytest.param({"pace": {"segments_per_second": 1.0}}, False, id="their other has no room"),
    ],
)
async def test_newer_ones_with_nowhere_to_go_hold_up_none(
    worker: HandWorker,
    router: respx.MockRouter,
    by_hand: HandClock,
    monkeypatch: pytest.MonkeyPatch,
    over: dict[str, Any],
    room: bool,
) -> None:
    monkeypatch.setattr("dispatcher.path.second_tries.LIMIT", 6 if room else 20)
    at(router, "only", answer=in_turn(SILENT))
    at(router, "slow")
    at(router, answer=in_turn(SILENT))
    other = at(router, "second")
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "only", priority=0, location_ids=["L"])
        await make_gateway(tx, worker.sealer, "first", priority=1, location_ids=["M"])
        await make_gateway(tx, worker.sealer, "second", priority=2, location_ids=["M"])
        if over:
            await make_gateway(tx, worker.sealer, "slow", priority=3, location_ids=["L"], **over)
    mine, _ = await queue_password(worker)
    await execute(worker.engine, "UPDATE messages SET location_id = 'M'")
    await by_hand.advance(seconds=1)
    for _ in range(10):
        await queue_password(worker)
    await execute(worker.engine, "UPDATE messages SET location_id = 'L' WHERE location_id IS NULL")
    await pump_once(worker, "urgent", slots=20)
    await by_hand.advance(seconds=20)
    await second_tries(worker)
    assert other.call_count == 1
    assert (await message_of(worker.engine, mine)).status is Status.SUBMITTED


async def test_killed_between_the_two_it_is_the_second_that_follows(
    worker: HandWorker, router: respx.MockRouter, first: UUID, second: UUID, by_hand: HandClock
) -> None:
    """Whoever had it died; nobody knows whether it left. That counts as one."""
    await _claim_and_die(worker)
    other = at(router, "second")
    await by_hand.advance(seconds=worker.limits.lease + 1)
    assert await rescue(worker) == 1
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker)
    assert other.call_count == 1


async def test_killed_during_the_second_there_is_no_third(
    worker: HandWorker, router: respx.MockRouter, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock
) -> None:
    message_id, _, other = doubted
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "third", priority=3)
    third = at(router, "third")
    await by_hand.advance(seconds=WAIT_SECONDS)
    await _die_during_the_second(worker)
    await by_hand.advance(seconds=worker.limits.lease + 1)
    await second_tries(worker)  # the lease has run out and nobody has rescued it yet
    assert await rescue(worker) == 1
    for _ in range(3):
        await by_hand.advance(seconds=WAIT_SECONDS)
        await second_tries(worker)
    assert not other.called
    assert not third.called
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED


async def _claim_and_die(worker: HandWorker) -> None:
    """Up to the commit of the claim, and not a step further."""
    await queue_password(worker)
    pump = Pump(worker, "urgent")
    pump._start = lambda *_, **__: None  # type: ignore[method-assign]  # nothing leaves
    worker.book.forget()
    await pump._claim(1)


async def _die_during_the_second(worker: HandWorker) -> None:
    pump = Pump(worker, "urgent")
    pump._start = lambda *_, **__: None  # type: ignore[method-assign]  # nothing leaves
    await pump._claim_second_tries()


async def test_a_late_acceptance_of_the_first_is_what_it_came_to(
    worker: HandWorker, first: UUID, doubted: tuple[UUID, str, respx.Route], by_hand: HandClock
) -> None:
    """The dispatcher of the first try wakes up with an acceptance, when the second try was refused."""
    message_id, _, other = doubted
    other.mock(return_value=refused(MESSAGE))
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker)
    await execute(worker.engine, "UPDATE attempts SET outcome = 'accepted', reference = 'SM1' WHERE attempt = 1")
    await by_hand.advance(seconds=WAIT_SECONDS)
    await second_tries(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    assert other.call_count == 1


# --- looking it up


async def test_a_lookup_asks_for_the_words_that_were_sent(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock, clock: Clock
) -> None:
    at(router, answer=in_turn(SILENT))
    message_id, code = await queue_password(worker)
    await pump_once(worker, "urgent")
    row = {
        "sid": "SM" + "a" * 32,
        "status": "delivered",
        "to": "+447700900000",
        "from": "+12025550100",
        "body": f"Your code is {code}. Tell nobody.",
        "direction": "outbound-api",
        "date_created": clock.now.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    }
    asked(router).mock(return_value=httpx.Response(200, json={"messages": [row], "next_page_uri": None}))
    await by_hand.advance(seconds=20)
    assert await reconcile(worker) == 1
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED
