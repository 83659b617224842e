"""The clock: it ticks every second, each dispatcher hears its own, and its queue is never read as pickle."""

import asyncio
import contextlib
import json
import pickle
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from redis.exceptions import RedisError

from deploy.local.servers import Valkey
from dispatcher.ticks import deserialize, serialize, tick


@contextlib.asynccontextmanager
async def ticking(url: str, dispatcher: str) -> AsyncIterator[list[float]]:
    heard: list[float] = []
    task = asyncio.create_task(tick(url, dispatcher, ticked=lambda: heard.append(monotonic())))
    yield heard
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_every_dispatcher_hears_every_second(valkey: Valkey) -> None:
    async with ticking(valkey.url, "one") as one, ticking(valkey.url, "another") as another:
        async with asyncio.timeout(10):
            while min(len(one), len(another)) < 3:
                await asyncio.sleep(0.01)
    assert abs(len(one) - len(another)) <= 1


async def test_ends_when_redis_goes(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey")
    await asyncio.to_thread(server.start)
    try:
        heard = asyncio.Event()
        task = asyncio.create_task(tick(server.url, "one", ticked=heard.set))
        await asyncio.wait_for(heard.wait(), 5)
        await asyncio.to_thread(server.kill)
        with pytest.raises((RedisError, OSError)):
            await asyncio.wait_for(task, 10)
    finally:
        await asyncio.to_thread(server.close)


def test_jobs_are_json() -> None:
    job = {"t": 1, "f": "tick", "a": ("urgent",), "k": {}, "et": 1}
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
