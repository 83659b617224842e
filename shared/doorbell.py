"""The doorbell: tells dispatchers that a lane has work. Fire and forget; a lost ring costs a second, never a message.

A lane's bell is a short list in Redis: a ring is pushed in one round trip, and the dispatcher that has waited for it
longest takes it at once. Rings say nothing but that there is something to look for, so many of them count as one.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

LANES: Final = ("urgent", "bulk")
CONNECT_SECONDS: Final = 2.0
# A dispatcher waits so long for a ring before it asks again; a peer that says nothing for longer is gone.
PATIENCE_SECONDS: Final = 5
# Nobody listens to a lane that is not served: its rings are kept for this long and to this number.
RINGS_KEPT: Final = 8
RING_SECONDS: Final = 10

log = logging.getLogger(__name__)


def bell_of(lane: str) -> str:
    return f"lapwing:bell:{lane}"


def redis_of(url: str) -> Redis:
    """A client that fails soon rather than trying again by itself."""
    redis: Redis = Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=PATIENCE_SECONDS + CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return redis


async def hear(url: str, lane: str, *, rung: Callable[[], Any]) -> None:
    """Call `rung` for every ring of a lane, until cancelled; raises RedisError or OSError when Redis goes away."""
    redis = redis_of(url)
    try:
        await redis.ping()
        rung()  # for what was rung while nobody listened
        while True:
            # redis-py types both its faces at once
            heard: Any = redis.blpop([bell_of(lane)], timeout=PATIENCE_SECONDS)
            if await heard:
                rung()
    finally:
        await redis.aclose()


class Doorbell:
    """Rings without making anyone wait. Without Redis it stays silent, and says so once."""

    def __init__(self, url: str) -> None:
        self._redis = redis_of(url)
        self._ringing: dict[str, asyncio.Task[None]] = {}
        self._wanted: set[str] = set()
        self._silent = False

    def ring(self, lane: str) -> None:
        """Wake one dispatcher of a lane, soon. Never raises, never blocks."""
        self._wanted.add(lane)
        task = self._ringing.get(lane)
        if task is None or task.done():
            self._ringing[lane] = asyncio.create_task(self._ring_while_wanted(lane))

    async def _ring_while_wanted(self, lane: str) -> None:
        # A wish that comes while a ring is under way needs a ring of its own: that one may have been heard already.
        while lane in self._wanted:
            self._wanted.discard(lane)
            await self._ring(lane)

    async def _ring(self, lane: str) -> None:
        bell = bell_of(lane)
        try:
            async with asyncio.timeout(CONNECT_SECONDS), self._redis.pipeline(transaction=False) as rope:
                rope.lpush(bell, 1)
                rope.ltrim(bell, 0, RINGS_KEPT - 1)
                rope.expire(bell, RING_SECONDS)
                await rope.execute()
            self._silent = False
        except (RedisError, OSError, TimeoutError) as error:
            if not self._silent:
                log.warning("doorbell is silent", extra={"cause": type(error).__name__})
            self._silent = True

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return bool(await self._redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        # Not cancelled: a ring cut short while it connects would leave its socket open. It ends within two seconds.
        await asyncio.gather(*self._ringing.values(), return_exceptions=True)
        await self._redis.aclose()
