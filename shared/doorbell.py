"""The doorbell: tells dispatchers that a lane has work. Fire and forget; a lost ring costs a second, never a message.

Rings are coalesced: many in one tick become one job. One of the two modules that know arq.
"""

import asyncio
import json
import logging
from typing import Any, Final

from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.exceptions import RedisError

LANES: Final = ("urgent", "bulk")
JOB: Final = "ring"

log = logging.getLogger(__name__)


def queue_of(lane: str) -> str:
    return f"lapwing:{lane}"


def serialize(job: dict[str, Any]) -> bytes:
    """JSON, never pickle: whoever can write to Redis must not be able to run code here."""
    return json.dumps(job, default=str).encode()


def deserialize(data: bytes) -> dict[str, Any]:
    job = json.loads(data)
    # arq unpacks positional arguments and keyword arguments by these names
    return {"t": job["t"], "f": job["f"], "a": tuple(job["a"]), "k": job["k"], "et": job["et"]}


def redis_settings(url: str) -> RedisSettings:
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 2
    settings.conn_retries = 1
    settings.conn_retry_delay = 0
    return settings


class Doorbell:
    """Rings without making anyone wait. Without Redis it stays silent, and says so once."""

    def __init__(self, url: str) -> None:
        self._settings = redis_settings(url)
        self._pool: ArqRedis | None = None
        self._ringing: dict[str, asyncio.Task[None]] = {}
        self._wanted: set[str] = set()
        self._silent = False
        self._connecting = asyncio.Lock()

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
        try:
            async with asyncio.timeout(2):
                pool = await self._connect()
                await pool.enqueue_job(JOB, lane, _queue_name=queue_of(lane))
            self._silent = False
        except (RedisError, OSError, TimeoutError) as error:
            if not self._silent:
                log.warning("doorbell is silent", extra={"cause": type(error).__name__})
            self._silent = True

    async def _connect(self) -> ArqRedis:
        async with self._connecting:
            if self._pool is None:
                self._pool = await create_pool(self._settings, job_serializer=serialize, job_deserializer=deserialize)
            return self._pool

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            async with asyncio.timeout(2):
                pool = await self._connect()
                return bool(await pool.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        # Not cancelled: a ring cut short while it connects would leave its socket open. It ends within two seconds.
        await asyncio.gather(*self._ringing.values(), return_exceptions=True)
        if self._pool is not None:
            await self._pool.aclose()
