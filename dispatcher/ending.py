"""Ends a task for sure: a cancellation can be lost on its way."""

import asyncio
from typing import Any, Final

ASK_AGAIN_SECONDS: Final = 0.2


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is over, however it ends; what it raised stays in it.

    redis-py forgets a cancellation that comes in the middle of its connecting, and goes on as if nothing had been said:
    so it is said again until it is heard.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=ASK_AGAIN_SECONDS)
