"""Passwords that nobody used in time: each is told of once, whatever dispatchers did meanwhile; the others never."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from dispatcher.beside.otp_expiries import AT_ONCE, GRACE, tell_expired
from tests.dispatcher.hook_receiver import make_webhook
from tests.factories import make_msisdn, make_otp
from tests.worlds import HandClock, HandWorker

ELSEWHERE = "https://hooks.example.com/otp"
LIFE = timedelta(minutes=10)


async def begin(worker: HandWorker, number: int = 0, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        otp_id, _, _ = await make_otp(tx, worker.sealer, now=worker.now(), msisdn=make_msisdn(number), **over)
    return otp_id


async def told(worker: HandWorker) -> list[tuple[UUID, str]]:
    async with worker.transaction() as tx:
        rows = await tx.execute(text("SELECT subject_id, type FROM webhook_events ORDER BY id"))
        return [(row[0], row[1]) for row in rows]


async def tell_all(worker: HandWorker) -> None:
    while await tell_expired(worker):
        pass


@pytest.fixture
async def hooked(worker: HandWorker) -> HandWorker:
    await make_webhook(worker, ELSEWHERE, "otp.*")
    await tell_all(worker)
    return worker


async def test_once_and_after_a_moment_of_grace(hooked: HandWorker, by_hand: HandClock) -> None:
    otp_id = await begin(hooked)
    await by_hand.advance(seconds=LIFE.total_seconds())
    await tell_all(hooked)
    assert await told(hooked) == []
    await by_hand.advance(seconds=GRACE.total_seconds())
    for _ in range(3):
        await tell_all(hooked)
        await by_hand.advance(seconds=30)
    assert await told(hooked) == [(otp_id, "otp.expired")]


async def test_what_ended_otherwise_did_not_expire(hooked: HandWorker, by_hand: HandClock) -> None:
    now = hooked.now()
    for number, over in enumerate(({"used_at": now}, {"cancelled_at": now}, {"attempts": 5})):
        await begin(hooked, number, **over)
    await by_hand.advance(seconds=700)
    await tell_all(hooked)
    assert await told(hooked) == []


async def test_after_days_without_a_dispatcher_all_are_told_in_their_order(
    hooked: HandWorker, by_hand: HandClock
) -> None:
    begun = []
    for number in range(5):
        begun.append(await begin(hooked, number))
        await by_hand.advance(seconds=3 * AT_ONCE.total_seconds() + 7)
    await by_hand.advance(seconds=2 * 86_400)
    await tell_all(hooked)
    assert [subject for subject, _ in await told(hooked)] == begun


async def test_a_webhook_hears_of_what_expires_after_it_was_made(worker: HandWorker, by_hand: HandClock) -> None:
    await tell_all(worker)
    await begin(worker, 1)
    await by_hand.advance(seconds=700)
    await tell_all(worker)
    await make_webhook(worker, ELSEWHERE, "otp.expired")
    later = await begin(worker, 2)
    await by_hand.advance(seconds=700)
    await tell_all(worker)
    assert await told(worker) == [(later, "otp.expired")]


async def test_two_dispatchers_tell_once(hooked: HandWorker, by_hand: HandClock, another: Any) -> None:
    other = another()
    begun = {await begin(hooked, number) for number in range(20)}
    await by_hand.advance(seconds=700)
    await asyncio.gather(*(tell_all(worker) for worker in (hooked, other) * 5))
    await tell_all(hooked)
    heard = [subject for subject, _ in await told(hooked)]
    assert len(heard) == len(begun)
    assert set(heard) == begun
