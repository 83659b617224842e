"""A task is ended however often it overhears that it should."""

import asyncio

import pytest

from deploy.local.servers import Valkey
from dispatcher.ending import end
from shared.doorbell import hear


async def test_deaf_task_is_told_again() -> None:
    heard = 0

    async def deaf() -> None:
        nonlocal heard
        while heard < 3:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end(task)
    assert heard == 3
    assert task.cancelled()


async def test_what_it_raised_stays_in_it() -> None:
    async def broken() -> None:
        raise ValueError("a bug")

    task = asyncio.create_task(broken())
    await asyncio.sleep(0)
    await end(task)
    with pytest.raises(ValueError, match="a bug"):
        await task


async def test_listening_ends_whenever_it_is_told(valkey: Valkey) -> None:
    """In the middle of connecting, too, where a cancellation gets lost."""
    for step in range(60):
        task = asyncio.create_task(hear(valkey.url, "urgent", rung=lambda: None))
        for _ in range(step):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await end(task)
