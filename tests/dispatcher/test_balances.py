"""Balances: asked when due, kept, told once a crossing; and what becomes of answers that are none."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import select

from dispatcher.beside.balances import balances
from dispatcher.queries import balances as queries
from dispatcher.queries.gateways import withdraw_gateway
from shared.db import begin
from shared.models import BalanceReading, Gateway, NoticeEmail, NoticeRow
from shared.sealing import Sealer, new_key
from tests.dispatcher.answers import ACCOUNT, at, refused, taken
from tests.factories import make_gateway, make_message, make_msisdn
from tests.stages import execute, message_of, pump_once
from tests.worlds import HandClock, HandWorker

CHECK = {"every_minutes": 60, "warn_below": "25", "stop_below": "5", "email": ["ops@example.com"], "enabled": True}


def told(amount: str, unit: str = "USD") -> httpx.Response:
    return httpx.Response(200, json={"account_sid": "AC", "balance": amount, "currency": unit})


def credit(router: respx.MockRouter, *answers: Any, name: str = "first") -> respx.Route:
    """Where the gateway of that name tells its credit: one answer after the other, the last for ever."""
    left = list(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now  # type: ignore[no-any-return]  # scripted

    return router.get(host=f"{name}.example.com", path__regex=r".*/Balance\.json").mock(side_effect=answer)


@pytest.fixture
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer, balance_check=CHECK)


async def row_of(worker: HandWorker, gateway_id: UUID) -> Any:
    async with begin(worker.engine) as tx:
        return (await tx.execute(select(Gateway).where(Gateway.id == gateway_id))).one()


async def notices(worker: HandWorker) -> list[Any]:
    async with begin(worker.engine) as tx:
        return list((await tx.execute(select(NoticeRow).order_by(NoticeRow.at, NoticeRow.id))).all())


async def readings(worker: HandWorker) -> list[Decimal]:
    async with begin(worker.engine) as tx:
        question = select(BalanceReading.amount).order_by(BalanceReading.at)
        return list((await tx.execute(question)).scalars())


async def ask_in_turn(worker: HandWorker, by_hand: HandClock, times: int) -> None:
    for _ in range(times):
        await balances(worker)
        await by_hand.advance(hours=1)


async def test_reading_is_kept(worker: HandWorker, router: respx.MockRouter, gateway: UUID) -> None:
    route = credit(router, told("40.1234"))
    assert await balances(worker) == 1
    row = await row_of(worker, gateway)
    assert (row.balance, row.balance_unit, row.balance_at) == (Decimal("40.1234"), "USD", worker.now())
    assert (row.balance_state, row.balance_failures, row.balance_failure) == ("ok", 0, None)
    assert row.balance_due_at == worker.now() + timedelta(hours=1)
    assert await readings(worker) == [Decimal("40.1234")]
    assert await notices(worker) == []
    assert await balances(worker) == 0
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("amounts", "kinds"),
    [
        pytest.param(["40", "30", "26"], [], id="all is well"),
        pytest.param(["40", "24.9999", "20", "18"], ["balance_low"], id="low, and told once"),
        pytest.param(["40", "24", "40"], ["balance_low", "balance_recovered"], id="topped up"),
        pytest.param(["40", "24", "40", "41"], ["balance_low", "balance_recovered"], id="and told once"),
        pytest.param(
            ["24", "40", "24"], ["balance_low", "balance_recovered", "balance_low"], id="each crossing is news"
        ),
        pytest.param(["40", "24", "4"], ["balance_low", "balance_empty"], id="then empty"),
        pytest.param(["40", "-0.05"], ["balance_empty"], id="empty at once, and in debt"),
        pytest.param(["4", "10", "40"], ["balance_empty", "balance_low", "balance_recovered"], id="by and by"),
        pytest.param(["1000000", "1000000"], [], id="post-paid"),
    ],
)
async def test_one_notice_a_crossing(
    worker: HandWorker,
    router: respx.MockRouter,
    gateway: UUID,
    by_hand: HandClock,
    amounts: list[str],
    kinds: list[str],
) -> None:
    credit(router, *(told(amount) for amount in amounts))
    await ask_in_turn(worker, by_hand, len(amounts))
    assert [notice.kind for notice in await notices(worker)] == kinds
    assert await readings(worker) == [Decimal(amount) for amount in amounts]
    assert worker.bells["mail"].is_set() is bool(kinds)


async def test_notice_names_its_gateway_and_has_its_letters(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    credit(router, told("4.20"))
    await balances(worker)
    (notice,) = await notices(worker)
    assert (notice.kind, notice.severity) == ("balance_empty", "critical")
    assert (notice.subject_kind, notice.subject_id, notice.at) == ("gateway", gateway, worker.now())
    assert notice.data["amount"] == "4.20"
    assert notice.acknowledged_at is None
    async with begin(worker.engine) as tx:
        (letter,) = (await tx.execute(select(NoticeEmail))).all()
    assert (letter.notice_id, letter.address, letter.due_at) == (notice.id, "ops@example.com", worker.now())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(httpx.Response(200, text="<html>"), "HTTP 200", id="a page"),
        pytest.param(httpx.Response(200, json=[]), "HTTP 200", id="a list"),
        pytest.param(told("a lot"), "no balance that is a number", id="words"),
        pytest.param(told("NaN"), "no balance in a currency", id="no number"),
        pytest.param(told("1e99"), "no amount that could be one", id="beyond belief"),
        pytest.param(told("4", "monkeys"), "no balance in a currency", id="no currency"),
        pytest.param(httpx.Response(401, json={"code": 20003}), "HTTP 401", id="a wrong password"),
        pytest.param(httpx.Response(503), "HTTP 503", id="out of order"),
        pytest.param(httpx.ConnectError("refused"), "no answer", id="nobody there"),
        pytest.param(httpx.ReadTimeout("late"), "no answer", id="nobody answers"),
    ],
)
async def test_answer_that_is_none(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock, answer: Any, reason: str
) -> None:
    """What was read before stays, the failure is shown, and it is asked again sooner."""
    credit(router, told("40"), answer)
    await balances(worker)
    read_at = worker.now()
    await by_hand.advance(hours=1)
    assert await balances(worker) == 1
    row = await row_of(worker, gateway)
    assert (row.balance, row.balance_at, row.balance_state) == (Decimal(40), read_at, "ok")
    assert row.balance_failures == 1
    assert reason in row.balance_failure
    assert row.balance_due_at == worker.now() + timedelta(minutes=5)
    assert await notices(worker) == []


async def test_failures_in_a_row_are_told_at_the_third_and_once(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    down = httpx.Response(503)
    credit(router, down, down, told("40"), down, down, down, down, down, told("40"))
    counts = []
    for _ in range(9):
        await ask_in_turn(worker, by_hand, 1)
        counts.append(((await row_of(worker, gateway)).balance_failures, len(await notices(worker))))
    assert counts == [(1, 0), (2, 0), (0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (0, 1)]
    (notice,) = await notices(worker)
    assert (notice.kind, notice.data["failures"]) == ("balance_unreadable", 3)
    assert (await row_of(worker, gateway)).balance_failure is None


async def test_failure_is_no_crossing(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    credit(router, told("20"), httpx.Response(503), told("19"))
    await ask_in_turn(worker, by_hand, 3)
    assert [notice.kind for notice in await notices(worker)] == ["balance_low"]


async def test_empty_one_that_cannot_be_read_any_more_is_used_again_after_a_day(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    """Nobody would see it topped up. That is told, and so is what comes after."""
    down = httpx.Response(503)
    route = at(router)
    credit(router, told("4"), *[down] * 24, told("3"))
    await ask_in_turn(worker, by_hand, 24)
    async with worker.transaction() as tx:
        message_id = await make_message(tx, worker.pepper, now=worker.now())
    await pump_once(worker, "urgent")
    assert route.call_count == 0
    await by_hand.advance(minutes=1)
    assert [notice.kind for notice in await notices(worker)] == ["balance_empty", "balance_unreadable"]
    assert "stays skipped" in (await notices(worker))[-1].text

    await balances(worker)
    row = await row_of(worker, gateway)
    assert (row.balance, row.balance_at, row.balance_state) == (None, None, "unknown")
    assert (await notices(worker))[-1].data["used_again"] is True
    assert await readings(worker) == [Decimal(4)]
    await pump_once(worker, "urgent")
    assert route.call_count == 1
    assert (await message_of(worker.engine, message_id)).gateway_id == gateway

    await by_hand.advance(hours=1)
    await balances(worker)
    kinds = [notice.kind for notice in await notices(worker)]
    assert kinds == ["balance_empty", "balance_unreadable", "balance_unreadable", "balance_empty"]


async def test_one_that_is_not_empty_is_not_forgotten(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    credit(router, told("20"), httpx.Response(503))
    await ask_in_turn(worker, by_hand, 30)
    assert (await row_of(worker, gateway)).balance == Decimal(20)
    assert [notice.kind for notice in await notices(worker)] == ["balance_low", "balance_unreadable"]


@pytest.mark.parametrize(
    "over",
    [
        pytest.param({"balance_check": None}, id="nobody watches it"),
        pytest.param({"balance_check": CHECK | {"enabled": False}}, id="switched off"),
        pytest.param({"enabled": False}, id="a disabled gateway"),
        pytest.param({"kind": "sandbox"}, id="a kind without credit"),
        pytest.param({"kind": "carrier-pigeon"}, id="a kind nobody knows"),
    ],
)
async def test_not_asked(worker: HandWorker, router: respx.MockRouter, over: dict[str, Any]) -> None:
    route = credit(router, told("1"))
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, **({"balance_check": CHECK} | over))
    assert await balances(worker) == 0
    assert not route.called


@pytest.mark.parametrize("check", [None, CHECK, CHECK | {"enabled": False}], ids=["none", "on", "off"])
@pytest.mark.parametrize("enabled", [True, False])
async def test_asked_because_somebody_wants_to_know(
    worker: HandWorker, router: respx.MockRouter, check: Any, enabled: bool
) -> None:
    route = credit(router, told("1"))
    now = worker.now()
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(
            tx, worker.sealer, balance_check=check, enabled=enabled, balance_requested_at=now, balance_due_at=now
        )
    assert [await balances(worker), await balances(worker)] == [1, 0]
    row = await row_of(worker, gateway_id)
    assert (row.balance, row.balance_requested_at) == (Decimal(1), None)
    assert row.balance_due_at == (now + timedelta(hours=1) if check is CHECK else None)
    assert route.call_count == 1
    assert len(await notices(worker)) == (1 if check is CHECK else 0)


async def test_switched_off_forgets_and_on_again_tells_anew(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    credit(router, told("20"))
    await balances(worker)
    for check in ('{"enabled": false, "warn_below": "25"}', '{"warn_below": "25"}'):
        await execute(
            worker.engine,
            "UPDATE gateways SET balance_check = CAST(:check AS jsonb), balance_requested_at = now(),"
            " balance_due_at = now()",
            check=check,
        )
        await balances(worker)
        await by_hand.advance(seconds=1)
    assert [notice.kind for notice in await notices(worker)] == ["balance_low", "balance_low"]


async def test_new_limits_are_heeded_at_the_next_reading(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    credit(router, told("40"))
    await balances(worker)
    await execute(
        worker.engine,
        'UPDATE gateways SET balance_due_at = NULL, balance_check = balance_check || \'{"warn_below": "50"}\'',
    )
    await balances(worker)
    assert [notice.kind for notice in await notices(worker)] == ["balance_low"]


async def test_two_dispatchers_ask_once(
    worker: HandWorker, another: Callable[..., HandWorker], router: respx.MockRouter, gateway: UUID
) -> None:
    route = credit(router, told("1"))
    assert sorted(await asyncio.gather(balances(worker), balances(another()))) == [0, 1]
    assert route.call_count == 1
    assert len(await notices(worker)) == 1


async def test_claim_skips_what_another_is_claiming(worker: HandWorker, gateway: UUID) -> None:
    """It neither waits for the other nor takes the same."""
    async with worker.transaction() as tx:
        other = await make_gateway(tx, worker.sealer, "second", priority=2, balance_check=CHECK)
    async with worker.transaction() as tx, worker.transaction() as another_tx:
        (first,) = await queries.claim_balances(tx, kinds=["twilio"], limit=1, lease=32.0)
        (second,) = await queries.claim_balances(another_tx, kinds=["twilio"], limit=2, lease=32.0)
    assert {first.gateway_id, second.gateway_id} == {gateway, other}


async def test_claim_of_a_dispatcher_that_died_runs_out(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    credit(router, told("40"))
    async with worker.transaction() as tx:
        assert len(await queries.claim_balances(tx, kinds=["twilio"], limit=8, lease=32.0)) == 1
    assert await balances(worker) == 0
    await by_hand.advance(seconds=33)
    assert await balances(worker) == 1


async def test_two_that_cross_at_once_tell_once(
    worker: HandWorker, another: Callable[..., HandWorker], router: respx.MockRouter, gateway: UUID
) -> None:
    """A lease that ran out, or a request while it is asked: both readings are kept, the crossing is told once."""
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slowly(_request: httpx.Request) -> httpx.Response:
        arrived.set()
        await go.wait()
        return told("20")

    router.get(host="first.example.com", path__regex=r".*/Balance\.json").mock(side_effect=slowly)
    first = asyncio.create_task(balances(worker))
    await arrived.wait()
    await execute(worker.engine, "UPDATE gateways SET balance_requested_at = now(), balance_due_at = now()")
    arrived.clear()
    second = asyncio.create_task(balances(another()))
    await arrived.wait()
    go.set()
    assert [await first, await second] == [1, 1]
    assert await readings(worker) == [Decimal(20)] * 2
    assert len(await notices(worker)) == 1


async def test_request_while_it_is_asked_is_not_forgotten(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    """The answer on its way is not what was asked for: it may be older than the top-up."""

    async def meanwhile(_request: httpx.Request) -> httpx.Response:
        await execute(worker.engine, "UPDATE gateways SET balance_requested_at = now(), balance_due_at = now()")
        return told("20")

    route = router.get(host="first.example.com", path__regex=r".*/Balance\.json").mock(side_effect=meanwhile)
    await balances(worker)
    row = await row_of(worker, gateway)
    assert row.balance == Decimal(20)
    assert (row.balance_requested_at, row.balance_due_at) == (worker.now(), worker.now())
    route.mock(return_value=told("60"))
    assert await balances(worker) == 1
    assert (await row_of(worker, gateway)).balance_requested_at is None


async def test_old_news_changes_nothing(worker: HandWorker, router: respx.MockRouter, gateway: UUID) -> None:
    """A dispatcher that was paused brings a reading that is older than the one on hand."""
    credit(router, told("1"))
    later = worker.now() + timedelta(minutes=1)
    await execute(worker.engine, "UPDATE gateways SET balance = 90, balance_at = :later", later=later)
    await balances(worker)
    row = await row_of(worker, gateway)
    assert (row.balance, row.balance_at) == (Decimal(90), later)
    assert await readings(worker) == [Decimal(1)]
    assert await notices(worker) == []


async def test_gateway_that_was_deleted_meanwhile(worker: HandWorker, router: respx.MockRouter, gateway: UUID) -> None:
    async def meanwhile(_request: httpx.Request) -> httpx.Response:
        await execute(worker.engine, "DELETE FROM gateways")
        return told("1")

    router.get(host="first.example.com", path__regex=r".*/Balance\.json").mock(side_effect=meanwhile)
    assert await balances(worker) == 1
    assert await readings(worker) == []
    assert await notices(worker) == []


async def test_one_that_breaks_does_not_stop_the_others(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    """Settings that lost a field, and secrets whose key is lost: both are shown as what they are."""
    async with worker.transaction() as tx:
        broken = await make_gateway(tx, worker.sealer, "broken", priority=2, settings={}, balance_check=CHECK)
        locked = await make_gateway(tx, Sealer.from_texts([new_key()]), "locked", priority=3, balance_check=CHECK)
    credit(router, told("40"))
    assert await balances(worker) == 3
    assert (await row_of(worker, gateway)).balance == Decimal(40)
    assert "could not be asked" in (await row_of(worker, broken)).balance_failure
    assert "secrets cannot be opened" in (await row_of(worker, locked)).balance_failure


# --- what it does to the sending


async def test_gateway_below_its_floor_is_skipped_until_it_recovers(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, by_hand: HandClock
) -> None:
    credit(router, told("4.99"), told("5"))
    first, second = at(router), at(router, "second", taken)
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "second", priority=2)
    await balances(worker)
    for number in range(2):
        async with worker.transaction() as tx:
            await make_message(tx, worker.pepper, now=worker.now(), msisdn=make_msisdn(number))
        await pump_once(worker, "urgent")
        assert (first.call_count, second.call_count) == (number, 1)
        await by_hand.advance(hours=1)
        await balances(worker)


async def test_only_gateway_without_credit_lets_messages_wait(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    credit(router, told("0"))
    route = at(router)
    await balances(worker)
    async with worker.transaction() as tx:
        message_id = await make_message(tx, worker.pepper, now=worker.now())
    await pump_once(worker, "urgent")
    assert not route.called
    assert (await message_of(worker.engine, message_id)).status == "queued"


# --- withdrawals


async def test_withdrawal_is_told_once(worker: HandWorker, gateway: UUID) -> None:
    async def withdraw() -> None:
        async with worker.transaction() as tx:
            await withdraw_gateway(tx, gateway, reason="20003", by="one")

    await asyncio.gather(*(withdraw() for _ in range(4)))
    (notice,) = await notices(worker)
    assert (notice.kind, notice.subject_id, notice.data["reason"]) == ("gateway_withdrawn", gateway, "20003")
    row = await row_of(worker, gateway)
    assert (row.health, row.health_reason, row.health_at) == ("withdrawn", "20003", notice.at)
    async with begin(worker.engine) as tx:
        assert [letter.address for letter in await tx.execute(select(NoticeEmail))] == ["ops@example.com"]


async def test_refused_account_is_told_however_many_messages_it_refused(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    at(router, answer=refused(ACCOUNT, status=401))
    async with worker.transaction() as tx:
        for number in range(4):
            await make_message(tx, worker.pepper, now=worker.now(), msisdn=make_msisdn(number))
    await pump_once(worker, "urgent")
    (notice,) = await notices(worker)
    assert (notice.kind, notice.data["reason"]) == ("gateway_withdrawn", str(ACCOUNT))


async def test_second_withdrawal_is_news_again(worker: HandWorker, gateway: UUID, by_hand: HandClock) -> None:
    for _ in range(2):
        async with worker.transaction() as tx:
            await withdraw_gateway(tx, gateway, reason="20003", by="one")
        await execute(worker.engine, "UPDATE gateways SET health = 'ok'")
        await by_hand.advance(minutes=1)
    assert len(await notices(worker)) == 2


async def test_withdrawal_that_is_rolled_back_is_not_told(worker: HandWorker, gateway: UUID) -> None:
    with pytest.raises(ZeroDivisionError):
        async with worker.transaction() as tx:
            await withdraw_gateway(tx, gateway, reason="20003", by="one")
            raise ZeroDivisionError
    assert await notices(worker) == []


async def test_withdrawal_of_a_gateway_that_is_gone(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        await withdraw_gateway(tx, UUID(int=9), reason="20003", by="one")
    assert await notices(worker) == []
