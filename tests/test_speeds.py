"""Limits shared through Redis: all or none, the same in both counters, and kept while Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from redis.asyncio import Redis

from deploy.local.servers import Valkey
from shared import speeds as module
from shared.domain.speed import Speed
from shared.speeds import Speeds, Wish

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def shared(valkey: Valkey) -> AsyncIterator[Speeds]:
    async with Redis.from_url(valkey.url) as redis:
        await redis.flushall()
    speeds = Speeds(valkey.url)
    yield speeds
    await speeds.close()


async def test_redis_counts_as_the_process_does(shared: Speeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script and the law, told the same for an hour."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 30.0)
    alone, chance, now = Speeds(), Random(7), NOW
    for _ in range(300):
        now += timedelta(seconds=chance.choice((0, 1, 7, 20, 61)))
        keys = chance.sample(("a", "b", "c"), chance.randint(1, 3))
        wishes = [
            Wish(f"{key}{seconds}", Speed(count, seconds)) for key in keys for count, seconds in ((3, 60), (9, 600))
        ]
        told = await shared.take(wishes, now=now), await alone.take(wishes, now=now)
        assert told[0] == pytest.approx(told[1], abs=0.002)


async def test_all_or_none(shared: Speeds) -> None:
    tight, wide = Wish("tight", Speed(1, 60)), Wish("wide", Speed(3, 60))
    assert await shared.take([tight, wide], now=NOW) == 0
    for _ in range(5):
        assert await shared.take([tight, wide], now=NOW) > 0
    assert await shared.take([wide], now=NOW) == 0
    assert await shared.take([wide], now=NOW) == 0
    assert await shared.take([wide], now=NOW) > 0


async def test_what_came_to_nothing_is_given_back_alike(shared: Speeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this window and out of the one before, and never more than was taken."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 30.0)
    alone, chance, now = Speeds(), Random(11), NOW
    taken: list[tuple[datetime, list[Wish]]] = []
    for _ in range(300):
        now += timedelta(seconds=chance.choice((0, 1, 7, 20, 61)))
        wishes = [
            Wish(f"{chance.choice('ab')}{seconds}", Speed(count, seconds)) for count, seconds in ((3, 60), (9, 600))
        ]
        told = await shared.take(wishes, now=now), await alone.take(wishes, now=now)
        assert told[0] == pytest.approx(told[1], abs=0.002)
        if told[1] == 0:
            taken.append((now, wishes))
        if taken and chance.random() < 0.4:
            at, back = taken.pop(chance.randrange(len(taken)))
            await shared.give_back(back, now=at)
            await alone.give_back(back, now=at)


async def test_what_was_given_back_may_be_taken(shared: Speeds) -> None:
    wish = [Wish("key", Speed(1, 60))]
    for _ in range(3):
        assert await shared.take(wish, now=NOW) == 0
        await shared.give_back(wish, now=NOW)
    await shared.give_back(wish, now=NOW)
    assert await shared.take(wish, now=NOW) == 0
    assert await shared.take(wish, now=NOW) > 0


async def test_nothing_can_be_given_back_to_who_is_away() -> None:
    away = Speeds("redis://127.0.0.1:1")
    await away.give_back([Wish("key", Speed(5, 60))], now=NOW)
    await away.close()


async def test_nothing_asked_is_nothing_refused(shared: Speeds) -> None:
    assert await shared.take([], now=NOW) == 0


async def test_two_processes_share_one_count(shared: Speeds, valkey: Valkey) -> None:
    other = Speeds(valkey.url)
    wish = [Wish("key", Speed(10, 60))]
    told = await asyncio.gather(*(speeds.take(wish, now=NOW) for speeds in (shared, other) for _ in range(20)))
    assert told.count(0) == 10
    await other.close()


async def test_counts_go_by_themselves(shared: Speeds, valkey: Valkey) -> None:
    await shared.take([Wish("key", Speed(1, 60))], now=NOW)
    async with Redis.from_url(valkey.url) as redis:
        assert 0 < await redis.pttl("key") <= 120_000


async def test_a_script_that_redis_forgot_is_told_again(shared: Speeds, valkey: Valkey) -> None:
    wish = [Wish("key", Speed(2, 60))]
    await shared.take(wish, now=NOW)
    async with Redis.from_url(valkey.url) as redis:
        await redis.script_flush()
    assert await shared.take(wish, now=NOW) == 0
    assert await shared.take(wish, now=NOW) > 0


async def test_without_redis_half_of_it_and_never_without_end(caplog: pytest.LogCaptureFixture) -> None:
    away = Speeds("redis://127.0.0.1:1")
    told = [await away.take([Wish("key", Speed(5, 60))], now=NOW) for _ in range(6)]
    assert [wait == 0 for wait in told] == [True, True, True, False, False, False]
    assert caplog.messages.count("limits are kept by this process alone") == 1
    await away.close()


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_KEYS", 10)
    alone = Speeds()
    for place in range(100):
        # what is used all the time is not what goes
        await alone.take([Wish(f"key {place}", Speed(1, 60)), Wish("all", Speed(99, 60))], now=NOW)
    assert len(alone._counted) == 10
    assert await alone.take([Wish("all", Speed(99, 60))], now=NOW) > 0
