"""The doorbell: rings are heard, many are one, and without Redis nobody waits."""

import asyncio
import gc
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.local.servers import Valkey
from shared.doorbell import JOB, LANES, Doorbell, deserialize, queue_of, serialize

NOWHERE = "redis://127.0.0.1:1/0"


async def rung(url: str, lane: str) -> list[dict[str, Any]]:
    """The jobs that wait in a lane."""
    async with Redis.from_url(url) as redis:
        ids = await redis.zrange(queue_of(lane), 0, -1)
        return [json.loads(await redis.get(b"arq:job:" + id_)) for id_ in ids]


async def settle(doorbell: Doorbell) -> None:
    async with asyncio.timeout(5):
        await asyncio.gather(*doorbell._ringing.values())


@pytest.mark.parametrize("lane", LANES)
async def test_ring_is_a_job_of_its_lane(doorbell: Doorbell, valkey: Valkey, lane: str) -> None:
    doorbell.ring(lane)
    await settle(doorbell)
    (job,) = await rung(valkey.url, lane)
    assert (job["f"], job["a"], job["k"]) == (JOB, [lane], {})
    for other in set(LANES) - {lane}:
        assert await rung(valkey.url, other) == []


async def test_many_in_one_tick_are_one(doorbell: Doorbell, valkey: Valkey) -> None:
    for _ in range(1000):
        doorbell.ring("urgent")
    await settle(doorbell)
    assert len(await rung(valkey.url, "urgent")) == 1


async def test_ring_while_one_is_under_way_is_not_lost(doorbell: Doorbell, valkey: Valkey) -> None:
    """The first may have been heard before the second's message was there."""
    await doorbell.ping()
    doorbell.ring("urgent")
    await asyncio.sleep(0)  # the first is under way
    for _ in range(100):
        doorbell.ring("urgent")
    await settle(doorbell)
    assert len(await rung(valkey.url, "urgent")) == 2


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
    assert monotonic() - begun < 0.1
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
        assert len(await rung(server.url, "bulk")) == 1
        await doorbell.close()
    finally:
        await asyncio.to_thread(server.close)


async def test_close_in_the_middle_of_a_ring(valkey: Valkey) -> None:
    doorbell = Doorbell(valkey.url)
    doorbell.ring("urgent")
    await doorbell.close()


def test_jobs_are_json() -> None:
    job = {"t": 1, "f": "ring", "a": ("urgent",), "k": {}, "et": 1}
    assert deserialize(serialize(job)) == job
    assert json.loads(serialize(job | {"k": {"at": datetime(2026, 1, 1, tzinfo=UTC)}}))


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_pickle_is_not_read(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    with pytest.raises((ValueError, KeyError)):
        deserialize(pickle.dumps(Bomb(trap)))
    assert not trap.exists()
