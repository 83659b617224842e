"""Pace: how many segments a gateway may be given now, and how many requests may be on their way to it.

Beside the path. All dispatchers draw on one account in Redis (`pace.lua`), in slices, so that no message costs a round
trip. Without Redis each keeps to its share of the limits.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dispatcher.ending import end
from shared.domain.pace import AHEAD_SECONDS, BURST_SECONDS, Bucket, Pace, kept_for_urgent, slice_of
from shared.doorbell import redis_of

log = logging.getLogger(__name__)

# A slice that waits for its use for longer is given up: a burst of old slices would be faster than the pace.
CREDIT_SECONDS: Final = 0.2
# So long a dispatcher waits for Redis before it goes by its share.
REDIS_SECONDS: Final = 0.25
RETRY_SECONDS: Final = 1.0
_LEAST_PAUSE: Final = 0.005
_PAUSE: Final = 0.1  # between questions for requests in flight: what comes free here is known without asking
_IDLE_SECONDS: Final = 1.0
# Nobody is sent away for longer than this: the pace may be another by then.
LATER_SECONDS: Final = 30.0
_SCRIPT: Final = Path(__file__).with_name("pace.lua").read_text()


@dataclass(frozen=True, slots=True)
class Slice:
    """What was granted: segments to use soon, requests to have in flight until told otherwise. `wait` in seconds."""

    segments: int
    requests: int
    live: int
    wait: float


class Meter:
    """One gateway's pace as this process keeps it. `credit` below 0 is what urgent or long messages took ahead."""

    def __init__(self, pace: Pace, *, largest_batch: int = 1) -> None:
        self.pace = pace
        self.largest_batch = largest_batch
        self.credit = 0.0
        self.requests = 0
        self.in_use = {"urgent": 0, "bulk": 0}
        self.live = 1
        self.wanted = asyncio.Event()
        self.waiting: set[str] = set()  # the lanes that shall hear of a new slice
        self._taken = 0  # messages that have room and are in no request yet
        self._length = 1.0  # segments of a message, lately
        self._drawn_at = 0.0
        self._turns = {"urgent": 0.0, "bulk": 0.0}
        self._free = asyncio.Condition()

    @property
    def used(self) -> int:
        return sum(self.in_use.values())

    def room(self, lane: str) -> int | None:
        """How many messages of a lane are worth claiming now; None for no limit. Zero asks for more."""
        rows = [rows for rows in (self._by_segments(lane), self._by_requests(lane)) if rows is not None]
        room = min(rows) if rows else None
        if room == 0:
            self.ask(lane)
        return room

    def take(self, lane: str, segments: int) -> bool:
        """Use room for one message, if there is any."""
        by_segments, by_requests = self._by_segments(lane), self._by_requests(lane)
        if by_segments == 0 or by_requests == 0:
            self.ask(lane)
            return False
        self._length += 0.05 * (segments - self._length)
        if by_segments is not None:
            self.credit -= segments
            if self.credit < self.slice / 2:
                self.wanted.set()
        self._taken += 1
        return True

    def later(self, lane: str, segments: int) -> float:
        """Seconds after which it is worth looking for room again: each that waits has its turn after the one before."""
        rate = self.pace.segments_per_second
        now = monotonic()
        turn = max(self._turns[lane], now) + (_PAUSE if rate is None else segments * self.live / rate)
        self._turns[lane] = min(turn, now + LATER_SECONDS)
        return self._turns[lane] - now

    def forget(self, messages: int) -> None:
        """So many that took room are not handed over after all."""
        self._taken -= messages

    def ask(self, lane: str) -> None:
        """Let a lane hear of the next slice."""
        self.waiting.add(lane)
        self.wanted.set()

    @property
    def slice(self) -> int:
        return slice_of(self.pace.segments_per_second or 0, self.live)

    @contextlib.asynccontextmanager
    async def request(self, lane: str, messages: int, *, start_by: float) -> AsyncIterator[bool]:
        """Have one request in flight, of so many messages that took room. False where none was free in time."""
        free = self.pace.in_flight is None or await self._wait_free(lane, start_by)
        self._taken -= messages
        self.in_use[lane] += free
        try:
            yield free
        finally:
            self.in_use[lane] -= free
            if self.pace.in_flight is not None:
                await self._tell_free()

    def draw(self, granted: Slice) -> None:
        """Take a slice."""
        self.live = max(1, granted.live)
        self.requests = granted.requests
        if granted.segments:
            self.credit += granted.segments
            self._drawn_at = monotonic()

    def wants(self) -> int:
        """Segments to ask for: a slice, and what was taken ahead."""
        if self.pace.segments_per_second is None:
            return 0
        self._give_up_the_old()
        return max(0, self.slice - int(self.credit // 1))

    def _by_segments(self, lane: str) -> int | None:
        if self.pace.segments_per_second is None:
            return None
        self._give_up_the_old()
        left = self.credit
        if lane == "urgent":
            left += max(1.0, self.pace.segments_per_second * AHEAD_SECONDS / self.live)
        return max(1, round(left / self._length)) if left > 0 else 0

    def _by_requests(self, lane: str) -> int | None:
        if self.pace.in_flight is None:
            return None
        spare = self._spare(lane)
        return max(0, spare * self.largest_batch - self._taken)

    def _spare(self, lane: str) -> int:
        kept = 0 if lane == "urgent" else max(0, kept_for_urgent(self.requests) - self.in_use["urgent"])
        return self.requests - kept - self.used

    def _give_up_the_old(self) -> None:
        if self.credit > 0 and monotonic() - self._drawn_at > CREDIT_SECONDS:
            self.credit = 0.0

    async def _wait_free(self, lane: str, start_by: float) -> bool:
        """Until a request may begin. Rarely waits: what was claimed had room, but may fall into more requests."""
        if self._spare(lane) > 0:
            return True
        async with self._free:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, start_by - monotonic())):
                    await self._free.wait_for(lambda: self._spare(lane) > 0)
                    return True
        return False

    async def _tell_free(self) -> None:
        async with self._free:
            self._free.notify_all()


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
        self._away_until = 0.0
        self.dispatchers = 1  # that live, as Postgres knows them

    def meter(self, gateway_id: UUID, pace: Pace, *, largest_batch: int) -> Meter:
        """The meter of a paced gateway, kept for as long as its pace is the same."""
        meter = self._meters.get(gateway_id)
        if meter is None:
            meter = self._meters[gateway_id] = Meter(pace, largest_batch=largest_batch)
            self._keepers[gateway_id] = asyncio.create_task(self._keep(gateway_id, meter))
        elif meter.pace != pace:
            # Requests in flight go on being counted; what was granted at another pace is not worth keeping.
            meter.pace, meter.credit = pace, min(meter.credit, 0.0)
        meter.largest_batch = largest_batch
        return meter

    async def keep_only(self, gateway_ids: Collection[UUID]) -> None:
        """Forget the gateways that are not paced any more."""
        for gateway_id in self._meters.keys() - set(gateway_ids):
            del self._meters[gateway_id]
            await end(self._keepers.pop(gateway_id))

    async def aclose(self) -> None:
        for keeper in self._keepers.values():
            await end(keeper)
        if self._redis is not None:
            await self._redis.aclose()

    async def _keep(self, gateway_id: UUID, meter: Meter) -> None:
        """Fill one meter whenever somebody wants more, and tell of what it holds while it is used."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_IDLE_SECONDS, self._life / 3)):
                    await meter.wanted.wait()
            if not (meter.wanted.is_set() or meter.requests):
                continue
            lanes = set(meter.waiting)
            meter.wanted.clear()
            try:
                granted = await self._draw(gateway_id, meter, urgent="urgent" in lanes, wants=bool(lanes))
            except Exception:
                log.exception("a slice was not drawn", extra={"gateway_id": str(gateway_id)})
                granted = Slice(0, meter.requests, meter.live, RETRY_SECONDS)
            meter.draw(granted)
            for lane in lanes:
                if meter.room(lane) != 0:
                    meter.waiting.discard(lane)
                    self._ring(lane)
            await asyncio.sleep(max(_LEAST_PAUSE if meter.pace.segments_per_second else _PAUSE, min(granted.wait, 1.0)))
            if meter.waiting:
                meter.wanted.set()

    async def _draw(self, gateway_id: UUID, meter: Meter, *, urgent: bool, wants: bool) -> Slice:
        if self._script is not None and monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    return await self._from_redis(gateway_id, meter, urgent=urgent, wants=wants)
            except (RedisError, OSError, TimeoutError) as error:
                self._away_until = monotonic() + RETRY_SECONDS
                log.warning("pace without Redis", extra={"cause": type(error).__name__})
        return self._by_share(gateway_id, meter, urgent=urgent)

    async def _from_redis(self, gateway_id: UUID, meter: Meter, *, urgent: bool, wants: bool) -> Slice:
        assert self._script is not None
        pace, key = meter.pace, f"lapwing:pace:{{{gateway_id}}}"
        most = pace.in_flight or 0
        told: Sequence[int] = await self._script(
            keys=[f"{key}:due", f"{key}:alive", f"{key}:held", f"{key}:hungry"],
            args=[
                self._name,
                pace.segments_per_second or 0,
                meter.wants(),
                _micro(AHEAD_SECONDS) if urgent else 0,
                most,
                most if wants else meter.used,
                meter.used,
                _micro(BURST_SECONDS),
                _micro(self._life),
            ],
        )
        segments, requests, live, wait = told
        self._alone.pop(gateway_id, None)
        return Slice(segments, requests, live, wait / 1_000_000)

    def _by_share(self, gateway_id: UUID, meter: Meter, *, urgent: bool) -> Slice:
        live = max(self.dispatchers, meter.live)
        share = meter.pace.share(live)
        if share.segments_per_second is None:
            return Slice(0, share.in_flight or 0, live, 0.0)
        bucket = self._alone.setdefault(gateway_id, Bucket(share.segments_per_second, due=monotonic()))
        bucket.rate = share.segments_per_second
        now = monotonic()
        segments = bucket.take(meter.wants(), now=now, ahead=AHEAD_SECONDS if urgent else 0.0)
        return Slice(segments, share.in_flight or 0, live, bucket.wait(now=now))


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)
