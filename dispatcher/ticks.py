"""The clock: arq makes every lane look once a second, whatever else was heard. The one module that knows arq.

Its jobs carry nothing, and one that is lost costs a second.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from arq import Worker as ArqWorker
from arq import cron
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.typing import WorkerCoroutine

from dispatcher.ending import end

TICK: Final = "tick"
EVERY_SECOND: Final = set(range(60))
POLL_SECONDS: Final = 0.2


def queue_of(dispatcher: str) -> str:
    """A clock for each dispatcher: in a queue of all, one would take the ticks of another."""
    return f"lapwing:clock:{dispatcher}"


def serialize(job: dict[str, Any]) -> bytes:
    """JSON, never pickle: whoever can write to Redis must not be able to run code here."""
    return json.dumps(job, default=str).encode()


def deserialize(data: bytes) -> dict[str, Any]:
    job = json.loads(data)
    # arq unpacks positional arguments and keyword arguments by these names
    return {"t": job["t"], "f": job["f"], "a": tuple(job["a"]), "k": job["k"], "et": job["et"]}


async def tick(url: str, dispatcher: str, *, ticked: Callable[[], Any]) -> None:
    """Call `ticked` once a second, until cancelled; raises what arq dies of when Redis goes away."""

    async def job(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ARG001 - arq's shape
        ticked()

    pool = await create_pool(_settings(url), job_serializer=serialize, job_deserializer=deserialize)
    running = asyncio.create_task(_clock(dispatcher, pool, job).async_run())
    try:
        await asyncio.wait({running})
        running.result()
    finally:
        await end(running)
        await pool.aclose()


def _settings(url: str) -> RedisSettings:
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 2
    settings.conn_retries = 1
    settings.conn_retry_delay = 0
    return settings


def _clock(dispatcher: str, pool: ArqRedis, job: WorkerCoroutine) -> ArqWorker:
    return ArqWorker(
        cron_jobs=[cron(job, name=TICK, second=EVERY_SECOND, unique=False, max_tries=1, keep_result=0, timeout=5)],
        queue_name=queue_of(dispatcher),
        redis_pool=pool,
        job_serializer=serialize,
        job_deserializer=deserialize,
        handle_signals=False,
        poll_delay=POLL_SECONDS,
        keep_result=0,
        max_tries=1,
        retry_jobs=False,
        health_check_interval=10,
        max_jobs=50,
    )
