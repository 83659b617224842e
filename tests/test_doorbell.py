"""The doorbell: rings are heard, many are one, and without Redis nobody waits."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.local.servers import Valkey
from shared.doorbell import LANES, RING_SECONDS, RINGS_KEPT, Doorbell, bell_of, hear

NOWHERE = "redis://127.0.0.1:1/0"


async def rung(url: str, lane: str) -> int:
    """How many rings of a lane nobody has heard yet."""
    async with Redis.from_url(url) as redis:
        waiting: Any = redis.llen(bell_of(lane))
        return int(await waiting)


async def settle(doorbell: Doorbell) -> None:
    async with asyncio.timeout(5):
        await asyncio.gather(*doorbell._ringing.values())


@pytest.mark.parametrize("lane", LANES)
async def test_ring_waits_in_its_lane(doorbell: Doorbell, valkey: Valkey, lane: str) -> None:
    doorbell.ring(lane)
    await settle(doorbell)
    assert {one: await rung(valkey.url, one) for one in LANES} == {one: int(one == lane) for one in LANES}


async def test_many_in_one_tick_are_one(doorbell: Doorbell, valkey: Valkey) -> None:
    for _ in range(1000):
        doorbell.ring("urgent")
    await settle(doorbell)
    assert await rung(valkey.url, "urgent") == 1


async def test_ring_while_one_is_under_way_is_not_lost(doorbell: Doorbell, valkey: Valkey) -> None:
    """The first may have been heard before the second's message was there."""
    await doorbell.ping()
    doorbell.ring("urgent")
    await asyncio.sleep(0)  # the first is under way
    for _ in range(100):
        doorbell.ring("urgent")
    await settle(doorbell)
    assert await rung(valkey.url, "urgent") == 2


async def test_rings_that_nobody_hears_are_few_and_do_not_stay(doorbell: Doorbell, valkey: Valkey) -> None:
    for _ in range(3 * RINGS_KEPT):
        doorbell.ring("urgent")
        await settle(doorbell)
    assert await rung(valkey.url, "urgent") == RINGS_KEPT
    async with Redis.from_url(valkey.url) as redis:
        assert 0 < await redis.ttl(bell_of("urgent")) <= RING_SECONDS


@contextlib.asynccontextmanager
async def hearing(url: str, lane: str) -> AsyncIterator[list[float]]:
    """The moments at which somebody who listens hears a ring; the first is when he begins."""
    heard: list[float] = []
    task = asyncio.create_task(hear(url, lane, rung=lambda: heard.append(monotonic())))
    async with asyncio.timeout(5):
        while not heard:
            await asyncio.sleep(0.001)
    yield heard
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_ring_is_heard_by_one_of_those_who_listen(doorbell: Doorbell, valkey: Valkey) -> None:
    async with hearing(valkey.url, "urgent") as one, hearing(valkey.url, "urgent") as another:
        for count in range(3, 8):
            doorbell.ring("urgent")
            await settle(doorbell)
            async with asyncio.timeout(5):
                while len(one) + len(another) < count:
                    await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        assert len(one) + len(another) == 7
        assert len(one) > 1, "who has waited longest is next"
        assert len(another) > 1


async def test_listening_ends_when_redis_goes(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey")
    await asyncio.to_thread(server.start)
    try:
        begun = asyncio.Event()
        task = asyncio.create_task(hear(server.url, "urgent", rung=begun.set))
        await asyncio.wait_for(begun.wait(), 5)
        await asyncio.to_thread(server.kill)
        with pytest.raises((RedisError, OSError)):
            await asyncio.wait_for(task, 5)
    finally:
        await asyncio.to_thread(server.close)


async def test_both_lanes_at_once_share_one_connection_pool(valkey: Valkey) -> None:
    doorbell = Doorbell(valkey.url)
    for lane in LANES:
        doorbell.ring(lane)
    assert await doorbell.ping()
    await settle(doorbell)
    await doorbell.close()
    gc.collect()  # a pool that nobody closed would say so here, and warnings are errors


async def test_silent_without_redis(caplog: pytest.LogCaptureFixture) -> None:
    doorbell = Doorbell(NOWHERE)
    begun = monotonic()
    doorbell.ring("urgent")
    assert monotonic() - begun < 1
    await settle(doorbell)
    doorbell.ring("urgent")
    await settle(doorbell)
    assert await doorbell.ping() is False
    assert [record.message for record in caplog.records if record.name == "shared.doorbell"] == ["doorbell is silent"]
    await doorbell.close()


async def test_rings_again_when_redis_is_back(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey")
    await asyncio.to_thread(server.start)
    try:
        doorbell = Doorbell(server.url)
        assert await doorbell.ping()
        await asyncio.to_thread(server.kill)
        doorbell.ring("bulk")
        await settle(doorbell)
        assert not await doorbell.ping()
        await asyncio.to_thread(server.start)
        doorbell.ring("bulk")
        await settle(doorbell)
        assert await rung(server.url, "bulk") == 1
        await doorbell.close()
    finally:
        await asyncio.to_thread(server.close)


async def test_close_in_the_middle_of_a_ring(valkey: Valkey) -> None:
    doorbell = Doorbell(valkey.url)
    doorbell.ring("urgent")
    await doorbell.close()
