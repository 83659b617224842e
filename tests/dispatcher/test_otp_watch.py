"""The watch over passwords: where they are sent and not used they stop, elsewhere they do not, and somebody is told."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.otp_watch import watch_passwords
from shared.db import begin
from shared.models import NoticeRow, OtpBlock
from tests.factories import make_otp
from tests.worlds import HandClock, HandWorker

PUMPED, HONEST = "+44770090", "+3363998"


async def sent(worker: HandWorker, count: int, *, verified: int = 0, ago: float = 130, **over: Any) -> None:
    """Passwords that were begun so many seconds ago, some of them used."""
    at = worker.now() - timedelta(seconds=ago)
    base = over.pop("base", "+447700900")
    async with worker.transaction() as tx:
        for place in range(count):
            used = {"used_at": at, "attempts": 1} if place < verified else {}
            await make_otp(tx, worker.sealer, now=at, msisdn=f"{base}{place:03d}", **used, **over)


async def blocks(engine: AsyncEngine) -> dict[str, tuple[str, int]]:
    async with begin(engine) as tx:
        return {row.value: (row.state, row.level) for row in await tx.execute(select(OtpBlock))}


async def notices(engine: AsyncEngine) -> list[str]:
    async with begin(engine) as tx:
        return sorted((await tx.execute(select(NoticeRow.kind))).scalars())


async def test_nothing_to_judge(worker: HandWorker) -> None:
    assert await watch_passwords(worker) == 0


async def test_unused_ones_are_throttled_then_blocked(worker: HandWorker, by_hand: HandClock) -> None:
    await sent(worker, 30)
    assert await watch_passwords(worker) == 1
    assert await watch_passwords(worker) == 0
    assert await blocks(worker.engine) == {PUMPED: ("throttled", 0)}
    await sent(worker, 30)
    assert await watch_passwords(worker) == 2  # the country as well, which is only told of: nobody said where home is
    assert await blocks(worker.engine) == {PUMPED: ("blocked", 1), "GB": ("alarmed", 0)}
    assert await notices(worker.engine) == ["otp_blocked", "otp_conversion_low"]
    assert await watch_passwords(worker) == 0
    assert len(await notices(worker.engine)) == 2


async def test_honest_traffic_beside_it_is_untouched(worker: HandWorker) -> None:
    await sent(worker, 60)
    await sent(worker, 60, verified=54, base="+33639980")
    await watch_passwords(worker)
    assert PUMPED in await blocks(worker.engine)
    assert not {HONEST, "FR"} & set(await blocks(worker.engine))


@pytest.mark.parametrize(
    "over",
    [
        pytest.param({"ago": 60}, id="they may still be used"),
        pytest.param({"test_code": "123456"}, id="numbers for trying out"),
        pytest.param({"ago": 301}, id="nothing was sent lately"),
    ],
)
async def test_what_proves_nothing(worker: HandWorker, over: dict[str, Any]) -> None:
    await sent(worker, 60, **over)
    assert await watch_passwords(worker) == 0


async def test_another_country_than_ours_is_blocked(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        await tx.execute(
            text("""
            INSERT INTO otp_profiles (id, name, enabled, length, ttl_seconds, max_attempts, resend_waits, max_sends,
                                      text, region, created_at, updated_at)
            VALUES (gen_random_uuid(), 'home', true, 6, 600, 5, '{30}', 5, '{{ code }}', 'FR', now(), now())
            """)
        )
    await sent(worker, 60)
    await sent(worker, 60, base="+33639980")
    await watch_passwords(worker)
    found = await blocks(worker.engine)
    assert (found["GB"], found["FR"]) == (("blocked", 1), ("alarmed", 0))


async def test_a_block_that_is_earned_again_lasts_longer(worker: HandWorker, by_hand: HandClock) -> None:
    await sent(worker, 60)
    await watch_passwords(worker)
    await by_hand.advance(hours=1, seconds=1)
    await sent(worker, 10)
    assert await watch_passwords(worker) == 0  # what it was blocked for is not held against it twice
    await sent(worker, 50, ago=121)
    await watch_passwords(worker)
    assert (await blocks(worker.engine))[PUMPED] == ("blocked", 2)
    async with begin(worker.engine) as tx:
        until = await tx.scalar(select(OtpBlock.until).where(OtpBlock.value == PUMPED))
    assert until == worker.now() + timedelta(hours=2)


async def test_what_was_before_it_was_lifted_does_not_count(worker: HandWorker, by_hand: HandClock) -> None:
    await sent(worker, 60)
    await watch_passwords(worker)
    async with worker.transaction() as tx:
        await tx.execute(text("UPDATE otp_blocks SET lifted_at = :now"), {"now": worker.now()})
    await by_hand.advance(minutes=3)
    await sent(worker, 10, ago=125)
    assert await watch_passwords(worker) == 0


async def test_many_dispatchers_judge_once(worker: HandWorker, another: Any) -> None:
    await sent(worker, 60)
    await asyncio.gather(*(watch_passwords(one) for one in (worker, another(), another())))
    assert await notices(worker.engine) == ["otp_blocked", "otp_conversion_low"]


async def test_wrong_codes_for_many_numbers_are_told_once_an_hour(worker: HandWorker, by_hand: HandClock) -> None:
    await sent(worker, 49, verified=49, ago=60)
    await sent(worker, 60, ago=30, attempts=3)
    for _ in range(2):
        await watch_passwords(worker)
    assert (await notices(worker.engine)).count("otp_failures") == 1
    await by_hand.advance(hours=1, seconds=1)
    await sent(worker, 60, ago=30, attempts=3)
    await watch_passwords(worker)
    assert (await notices(worker.engine)).count("otp_failures") == 2


async def test_slips_are_no_alarm(worker: HandWorker) -> None:
    await sent(worker, 100, verified=100, ago=60)
    async with worker.transaction() as tx:
        await tx.execute(text("UPDATE otps SET attempts = 2 WHERE right(msisdn, 1) < '6'"))
    await watch_passwords(worker)
    assert await notices(worker.engine) == []
