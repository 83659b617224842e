"""`/metrics` in Prometheus' text format: the requests of this process, and what waits in Postgres.

It needs no key, like /livez: it holds counts and route templates, nothing of any person. What is asked of Postgres is
asked at most every few seconds, however often this is read. Dispatchers tell of their work at their own port.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.requests import Request

from api.deps import Now
from shared.db import reading
from shared.doorbell import LANES
from shared.metrics import CONTENT_TYPE, HttpMetrics, exposition
from shared.queries import depths

router = APIRouter(tags=["operation"])
log = logging.getLogger(__name__)

FRESH_FOR: Final = timedelta(seconds=5)
T = TypeVar("T")
_EXAMPLE: Final = """\
# HELP lapwing_messages Messages by status and kind; of those outside campaigns only the open ones.
# TYPE lapwing_messages gauge
lapwing_messages{kind="campaign",status="delivered"} 1.0
"""


@dataclass(slots=True)
class QueueMetrics:
    """What waits in Postgres, read when asked and kept for a few seconds."""

    engine: AsyncEngine
    text: bytes = b""
    read_at: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def exposition(self, now: datetime) -> bytes:
        async with self.lock:
            if self.read_at is None or not timedelta(0) <= now - self.read_at < FRESH_FOR:
                self.text = exposition(await _read(self.engine, now))
                self.read_at = now
        return self.text


@router.head("/metrics", include_in_schema=False)
@router.get(
    "/metrics",
    summary="Counts for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": _EXAMPLE}}, "description": "Prometheus' text format."}},
)
async def metrics(request: Request, now: Now) -> Response:
    """Counts for Prometheus. No key is needed: they are of no person."""
    http: HttpMetrics = request.app.state.metrics
    queue: QueueMetrics = request.app.state.queue_metrics
    body = exposition(http.registry) + await queue.exposition(now)
    return Response(body, headers={"Content-Type": CONTENT_TYPE})


async def _read(engine: AsyncEngine, now: datetime) -> CollectorRegistry:
    """What could not be asked is left out: a zero would be a lie."""
    registry = CollectorRegistry()
    asking = _Asking(engine)
    messages = Gauge(
        "lapwing_messages",
        "Messages by status and kind; of those outside campaigns only the open ones.",
        ("status", "kind"),
        registry=registry,
    )
    for question in (depths.count_campaign_messages, depths.count_waiting_urgent, depths.count_unconfirmed_urgent):
        for depth in await asking.ask(question) or ():
            messages.labels(depth.status, depth.kind).set(depth.messages)
    oldest = Gauge(
        "lapwing_oldest_due_seconds",
        "For how long the message that has waited longest in a lane could have gone.",
        ("lane",),
        registry=registry,
    )
    for lane in LANES:
        age = await asking.ask(partial(depths.measure_oldest_due, lane=lane, now=now))
        if age is not None:
            oldest.labels(lane).set(age.total_seconds())
    pending = await asking.ask(depths.count_pending_receipts)
    if pending is not None:
        Gauge("lapwing_receipts_pending", "Receipts not applied yet.", registry=registry).set(pending)
    await _tell_webhooks(registry, asking, now)
    Gauge(
        "lapwing_queue_metrics_complete",
        "0 when the database was away, or too slow to be asked all of it.",
        registry=registry,
    ).set(asking.complete)
    return registry


async def _tell_webhooks(registry: CollectorRegistry, asking: "_Asking", now: datetime) -> None:
    outbox = await asking.ask(depths.measure_outbox)
    waiting = await asking.ask(depths.measure_backlog)
    dead = await asking.ask(depths.count_dead)
    counted = {
        "unplaced": None if outbox is None else outbox.events,
        "waiting": None if waiting is None else waiting.events,
        "dead": dead,
    }
    events = Gauge(
        "lapwing_webhook_events",
        "Events not taken by webhooks: not placed yet, waiting for enabled ones, dead.",
        ("state",),
        registry=registry,
    )
    for state, count in counted.items():
        if count is not None:
            events.labels(state).set(count)
    if outbox is not None and waiting is not None:
        since = min((found.since for found in (outbox, waiting) if found.since is not None), default=now)
        Gauge(
            "lapwing_webhook_oldest_seconds",
            "How long ago the oldest event happened that an enabled webhook has not taken.",
            registry=registry,
        ).set(max(0.0, (now - since).total_seconds()))


@dataclass(slots=True)
class _Asking:
    """Asks one question a transaction, so that the one that is given up does not take the others with it."""

    engine: AsyncEngine
    complete: bool = True

    async def ask(self, question: Callable[[AsyncConnection], Awaitable[T]]) -> T | None:
        try:
            async with reading(self.engine) as tx:
                await depths.give_up_early(tx)
                return await question(tx)
        except Exception as error:
            if self.complete:
                log.warning("queue metrics are incomplete", exc_info=error)
            self.complete = False
            return None
