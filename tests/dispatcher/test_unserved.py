"""Single messages that no gateway takes: told once, whoever looks and however many, and again when it ends."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from dispatcher.beside.unserved import look_for_unserved
from dispatcher.worker import Worker, keep_book
from shared.db import begin
from shared.domain.message import Kind
from shared.models import Gateway, NoticeRow
from tests.factories import make_campaign, make_gateway, make_message, make_msisdn
from tests.stages import pump_once
from tests.worlds import HandClock, HandWorker

MISSING, FOUND = "gateway_missing", "gateway_found"


async def message(worker: HandWorker, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        return await make_message(tx, worker.pepper, now=worker.now(), **over)


async def gateway(worker: HandWorker, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer, **over)


async def change(worker: HandWorker, **values: Any) -> None:
    async with worker.transaction() as tx:
        await tx.execute(update(Gateway).values(**values))


async def look(worker: Worker) -> None:
    await keep_book(worker)
    assert await look_for_unserved(worker) == 0


async def told(worker: HandWorker) -> list[str]:
    async with begin(worker.engine) as tx:
        return list(await tx.scalars(select(NoticeRow.kind).order_by(NoticeRow.id)))


async def data(worker: HandWorker) -> dict[str, Any]:
    async with begin(worker.engine) as tx:
        question = select(NoticeRow.data).where(NoticeRow.kind == MISSING).order_by(NoticeRow.id.desc()).limit(1)
        found: dict[str, Any] = (await tx.execute(question)).scalar_one()
        return found


async def test_no_gateway_is_told_once_and_its_end_once(worker: HandWorker, by_hand: HandClock) -> None:
    await gateway(worker, enabled=False)
    await message(worker, kind=Kind.OTP)
    await message(worker)
    await look(worker)
    assert await told(worker) == []  # they wait for a moment only
    await by_hand.advance(seconds=11)
    for _ in range(3):
        await look(worker)
        await message(worker, kind=Kind.VOUCHER)
    assert await told(worker) == [MISSING]
    assert await data(worker) == {"cause": "none_enabled", "messages": 2, "sender_ids": [], "location_ids": []}
    await change(worker, enabled=True)
    for _ in range(2):
        await look(worker)
    assert await told(worker) == [MISSING, FOUND]


async def test_it_is_told_anew_when_it_comes_again(worker: HandWorker, by_hand: HandClock) -> None:
    await gateway(worker, enabled=False)
    await message(worker)
    for enabled in (False, True, False, True):
        await change(worker, enabled=enabled)
        await by_hand.advance(seconds=11)
        await look(worker)
    assert await told(worker) == [MISSING, FOUND] * 2


async def test_withdrawn_and_empty_ones_are_none(worker: HandWorker, by_hand: HandClock) -> None:
    await gateway(worker, health="withdrawn")
    await message(worker)
    await by_hand.advance(seconds=11)
    await look(worker)
    assert (await data(worker))["cause"] == "all_shut"


async def test_one_that_fails_or_rests_is_one(worker: HandWorker, by_hand: HandClock) -> None:
    await gateway(worker, health="open", resting_until=worker.now() + timedelta(minutes=5))
    await message(worker)
    await by_hand.advance(seconds=60)
    await look(worker)
    assert await told(worker) == []


async def test_sender_that_no_gateway_has(worker: HandWorker, by_hand: HandClock) -> None:
    """Claims take such a message and put it back for some seconds, again and again: its time is always ahead."""
    await gateway(worker)
    await message(worker, sender_id="NOBODY", location_id="cafe")
    for _ in range(3):
        assert await pump_once(worker, "urgent") == 1
        await look(worker)
        await by_hand.advance(seconds=12)
        await look(worker)
        await by_hand.advance(seconds=4)
    assert await told(worker) == [MISSING]
    expected = {"cause": "none_suited", "messages": 1, "sender_ids": ["NOBODY"], "location_ids": ["cafe"]}
    assert await data(worker) == expected
    await change(worker, enabled=False)  # now nobody is left for any message: that is worse
    await message(worker)
    await by_hand.advance(seconds=11)
    await look(worker)
    assert (await told(worker), (await data(worker))["cause"]) == ([MISSING, MISSING], "none_enabled")


async def test_expired_without_a_gateway_is_no_end_of_it(worker: HandWorker, by_hand: HandClock) -> None:
    await message(worker, expires_at=worker.now() + timedelta(seconds=30))
    await by_hand.advance(seconds=11)
    await look(worker)
    await by_hand.advance(seconds=30)
    await message(worker)
    await look(worker)
    await by_hand.advance(seconds=11)
    await look(worker)
    assert await told(worker) == [MISSING]


async def test_what_is_not_due_and_what_is_a_campaigns_is_no_matter(worker: HandWorker, by_hand: HandClock) -> None:
    await message(worker, not_before=worker.now() + timedelta(hours=1))
    await message(worker, cancel_requested_at=worker.now())
    await message(worker, kind=Kind.TEST)
    async with worker.transaction() as tx:
        await make_campaign(tx, [make_msisdn(1)], now=worker.now())
    await by_hand.advance(minutes=5)
    await look(worker)
    assert await told(worker) == []


async def test_many_look_and_one_tells(
    worker: HandWorker, by_hand: HandClock, another: Callable[..., HandWorker]
) -> None:
    others = [worker, *(another() for _ in range(3))]
    await message(worker)
    await by_hand.advance(seconds=11)
    for _ in range(2):
        await asyncio.gather(*(look(one) for one in others))
    assert await told(worker) == [MISSING]
    await gateway(worker)
    await look(another())  # all that knew of it are gone: the new one asks
    assert await told(worker) == [MISSING, FOUND]
