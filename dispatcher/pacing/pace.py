"""Pace: how many segments a gateway may be given now, and how many requests may be on their way to it.

Beside the path. All dispatchers draw on one account in Redis (`pace.lua`), in slices, so that no message costs a round
trip. Without Redis each keeps to its share of the limits.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dispatcher.ending import end
from dispatcher.pacing.in_flight import Needs
from dispatcher.pacing.meter import Meter, Slice
from shared.domain.pace import AHEAD_SECONDS, BURST_SECONDS, Bucket, Pace
from shared.doorbell import redis_of

log = logging.getLogger(__name__)

# So long a dispatcher waits for Redis before it goes by its share.
REDIS_SECONDS: Final = 0.25
RETRY_SECONDS: Final = 1.0
_LEAST_PAUSE: Final = 0.005
_PAUSE: Final = 0.05  # between questions for requests in flight: what comes free here is known without asking
# Where there are fewer requests than dispatchers, each keeps one for so long.
TURN_SECONDS: Final = 0.25
_IDLE_SECONDS: Final = 1.0
_SCRIPT: Final = Path(__file__).with_name("pace.lua").read_text()


class Paces:
    """The meters of all paced gateways of one process, and who fills them."""

    def __init__(self, redis_url: str | None, *, name: str, life: float, ring: Callable[[str], Any]) -> None:
        self._redis: Redis | None = None if redis_url is None else redis_of(redis_url)
        self._script = None if self._redis is None else self._redis.register_script(_SCRIPT)
        self._name = name
        self._life = life
        self._ring = ring
        self._meters: dict[UUID, Meter] = {}
        self._keepers: dict[UUID, asyncio.Task[None]] = {}
        self._alone: dict[UUID, Bucket] = {}
        self._heard: dict[UUID, tuple[int, float]] = {}  # how many Redis told of, and until when that is true
        self._away_until = 0.0
        self.dispatchers = 1  # that live, as Postgres knows them

    def meter(self, gateway_id: UUID, pace: Pace, *, largest_batch: int) -> Meter:
        """The meter of a paced gateway, kept for as long as its pace is the same."""
        meter = self._meters.get(gateway_id)
        if meter is None:
            meter = self._meters[gateway_id] = Meter(pace, largest_batch=largest_batch, ring=self._ring)
            self._keepers[gateway_id] = asyncio.create_task(self._keep(gateway_id, meter))
        elif meter.pace != pace:
            meter.change(pace)
        meter.in_flight.largest_batch = largest_batch
        return meter

    def batch_size(self, gateway_id: UUID, largest: int) -> int:
        """How many messages may share a request to a gateway, which takes up to `largest`."""
        meter = self._meters.get(gateway_id)
        if meter is None or meter.pace.segments_per_second is None:
            return largest
        return min(largest, meter.batch)

    def looked(self, lane: str) -> None:
        """A lane has taken what it found of the room it asked for."""
        for meter in self._meters.values():
            meter.looked(lane)

    async def keep_only(self, gateway_ids: Collection[UUID]) -> None:
        """Forget the gateways that are not paced any more."""
        for gateway_id in self._meters.keys() - set(gateway_ids):
            del self._meters[gateway_id]
            await end(self._keepers.pop(gateway_id))
            self._alone.pop(gateway_id, None)
            self._heard.pop(gateway_id, None)

    async def aclose(self) -> None:
        for keeper in self._keepers.values():
            await end(keeper)
        if self._redis is not None:
            await self._redis.aclose()

    async def _keep(self, gateway_id: UUID, meter: Meter) -> None:
        """Fill one meter whenever somebody wants more, and tell of what it holds while it is used."""
        while True:
            await _await(meter.wanted, min(_IDLE_SECONDS, self._life / 3))
            if meter.is_idle:
                continue
            try:
                await self._fill(gateway_id, meter)
            except Exception:
                # Without a keeper the gateway would be given nothing until the next start.
                log.exception("a slice was not drawn", extra={"gateway_id": str(gateway_id)})
                await asyncio.sleep(RETRY_SECONDS)
                meter.wanted.set()

    async def _fill(self, gateway_id: UUID, meter: Meter) -> None:
        """Draw once, and pause until it is worth asking again."""
        meter.wanted.clear()
        meter.hurry.clear()
        urgent, needs = meter.hurries, meter.needs()
        granted = await self._draw(gateway_id, meter, urgent=urgent, needs=needs)
        meter.draw(granted)
        await asyncio.sleep(_LEAST_PAUSE)
        # Asking for segments before their time is of no use; what others wait for goes back without delay.
        pause = min(granted.wait, 1.0) if meter.wants() else _PAUSE
        await _await(meter.hurry, pause if meter.pace.in_flight is None else min(pause, _PAUSE))
        if meter.is_busy:
            meter.wanted.set()

    async def _draw(self, gateway_id: UUID, meter: Meter, *, urgent: bool, needs: Needs) -> Slice:
        if self._script is not None and monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    return await self._from_redis(gateway_id, meter, urgent=urgent, needs=needs)
            except (RedisError, OSError, TimeoutError) as error:
                self._away_until = monotonic() + RETRY_SECONDS
                log.warning("pace without Redis", extra={"cause": type(error).__name__})
        return self._by_share(gateway_id, meter, urgent=urgent)

    async def _from_redis(self, gateway_id: UUID, meter: Meter, *, urgent: bool, needs: Needs) -> Slice:
        assert self._script is not None
        pace, key = meter.pace, f"lapwing:pace:{{{gateway_id}}}"
        told: Sequence[int] = await self._script(
            keys=[f"{key}:{part}" for part in ("due", "alive", "held", "hungry", "asked", "since")],
            args=[
                self._name,
                pace.segments_per_second or 0,
                meter.wants(),
                _micro(AHEAD_SECONDS) if urgent else 0,
                pace.in_flight or 0,
                needs.requests,
                needs.kept,
                _micro(BURST_SECONDS),
                _micro(self._life),
                _micro(TURN_SECONDS),
                meter.in_flight.beyond,
            ],
        )
        segments, requests, live, wait, hungry = told
        self._alone.pop(gateway_id, None)
        self._heard[gateway_id] = live, monotonic() + self._life
        return Slice(segments, requests, live, wait / 1_000_000, hungry > 0)

    def _by_share(self, gateway_id: UUID, meter: Meter, *, urgent: bool) -> Slice:
        # Those that Redis told of count for as long as they would there; Postgres may not know of all yet.
        heard, until = self._heard.get(gateway_id, (1, 0.0))
        live = max(self.dispatchers, heard if monotonic() < until else 1)
        share = meter.pace.share(live)
        if share.segments_per_second is None:
            return Slice(0, share.in_flight or 0, live, 0.0)
        bucket = self._alone.setdefault(gateway_id, Bucket(share.segments_per_second, due=monotonic()))
        bucket.rate = share.segments_per_second
        now = monotonic()
        segments = bucket.take(meter.wants(), now=now, ahead=AHEAD_SECONDS if urgent else 0.0)
        return Slice(segments, share.in_flight or 0, live, bucket.wait(now=now))


async def _await(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)
