"""A meter: one gateway's pace as one process keeps it, in memory.

`dispatcher/pace.py` fills it with slices of what all dispatchers may use together.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from shared.domain.pace import AHEAD_SECONDS, Pace, kept_for_urgent, slice_of

# A slice that waits for its use for longer is given up: a burst of old slices would be faster than the pace.
CREDIT_SECONDS: Final = 0.2
# Claimed so far ahead of its time, and held until it comes: well within the time for which a claim is fresh.
CLAIM_AHEAD_SECONDS: Final = 0.3
# Nobody is sent away for longer than this: the pace may be another by then.
LATER_SECONDS: Final = 30.0
# What has no room for lack of free requests is worth another look after this.
_PAUSE: Final = 0.1
_LOOK: Final = 0.01  # while a request waits for one that ends


@dataclass(frozen=True, slots=True)
class Slice:
    """What was granted: segments to use soon, requests to have in flight until told otherwise. `wait` in seconds."""

    segments: int
    requests: int
    live: int
    wait: float


class Meter:
    """One gateway's pace as this process keeps it. `credit` below 0 is what urgent or long messages took ahead.

    What is claimed gets room first, a little ahead of its time, so that a slow claim costs no pace; then, in its turn,
    credit. It leaves once it has that.
    """

    def __init__(self, pace: Pace, *, largest_batch: int = 1) -> None:
        self.pace = pace
        self.largest_batch = largest_batch
        self.credit = 0.0
        self.requests = 0
        self.in_use = {"urgent": 0, "bulk": 0}
        self.live = 1
        self.wanted = asyncio.Event()
        self.waiting: set[str] = set()  # the lanes that shall hear of a new slice
        self._pending = {"urgent": 0, "bulk": 0}  # segments that have room, and no credit yet
        self._turn: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {"urgent": deque(), "bulk": deque()}
        self._taken = 0  # messages that have room and are in no request yet
        self._length = 1.0  # segments of a message, lately
        self._drawn_at = 0.0
        self._later = {"urgent": 0.0, "bulk": 0.0}

    @property
    def used(self) -> int:
        return sum(self.in_use.values())

    @property
    def slice(self) -> int:
        return slice_of(self.pace.segments_per_second or 0, self.live)

    def room(self, lane: str) -> int | None:
        """How many messages of a lane are worth claiming now; None for no limit. Zero asks for more."""
        rows = [rows for rows in (self._by_segments(lane), self._by_requests(lane)) if rows is not None]
        room = min(rows) if rows else None
        if room == 0:
            self.ask(lane)
        return room

    def take(self, lane: str, segments: int) -> bool:
        """Use room for one message, if there is any."""
        if self._by_segments(lane) == 0 or self._by_requests(lane) == 0:
            self.ask(lane)
            return False
        self._length += 0.05 * (segments - self._length)
        self._pending[lane] += segments
        self._taken += 1
        return True

    def forget(self, lane: str, segments: int) -> None:
        """A message that took room is not handed over after all."""
        self._pending[lane] -= segments
        self._taken -= 1

    def later(self, lane: str, segments: int) -> float:
        """Seconds after which it is worth looking for room again: each that waits has its turn after the one before."""
        rate = self.pace.segments_per_second
        now = monotonic()
        turn = max(self._later[lane], now) + (_PAUSE if rate is None else segments * self.live / rate)
        self._later[lane] = min(turn, now + LATER_SECONDS)
        return self._later[lane] - now

    def ask(self, lane: str) -> None:
        """Let a lane hear of the next slice."""
        self.waiting.add(lane)
        self.wanted.set()

    @contextlib.asynccontextmanager
    async def request(self, lane: str, lengths: Sequence[int], *, start_by: float) -> AsyncIterator[bool]:
        """Have one request in flight, of messages that took room, of so many segments. False where it came too late."""
        self._taken -= len(lengths)
        free = await self._get_credit(lane, sum(lengths), start_by) and await self._get_free(lane, start_by)
        self.in_use[lane] += free
        try:
            yield free
        finally:
            self.in_use[lane] -= free

    def draw(self, granted: Slice) -> None:
        """Take a slice, and give it to those whose turn it is."""
        self.live = max(1, granted.live)
        self.requests = granted.requests
        if granted.segments:
            self.credit += granted.segments
            self._drawn_at = monotonic()
        for lane in ("urgent", "bulk"):
            turn = self._turn[lane]
            while turn and self._has_credit(lane):
                segments, served = turn.popleft()
                if not served.done():
                    self.credit -= segments
                    served.set_result(None)

    def wants(self) -> int:
        """Segments to ask for: a slice, and what was taken ahead."""
        if self.pace.segments_per_second is None:
            return 0
        self._give_up_the_old()
        return max(0, self.slice - int(self.credit // 1))

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for more."""
        return bool(self.waiting or self._turn["urgent"] or self._turn["bulk"])

    @property
    def hurries(self) -> bool:
        """Whether somebody who waits is urgent."""
        return "urgent" in self.waiting or bool(self._turn["urgent"])

    def _share(self) -> float:
        return (self.pace.segments_per_second or 0.0) / self.live

    def _has_credit(self, lane: str) -> bool:
        self._give_up_the_old()
        return self.credit + (self._debt() if lane == "urgent" else 0.0) > 0

    def _debt(self) -> float:
        return max(1.0, self._share() * AHEAD_SECONDS)

    def _by_segments(self, lane: str) -> int | None:
        if self.pace.segments_per_second is None:
            return None
        self._give_up_the_old()
        left = self.credit + int(self._share() * CLAIM_AHEAD_SECONDS) - self._pending["urgent"]
        left += self._debt() if lane == "urgent" else -self._pending["bulk"]
        return max(1, round(left / self._length)) if left > 0 else 0

    def _by_requests(self, lane: str) -> int | None:
        if self.pace.in_flight is None:
            return None
        return max(0, self._spare(lane) * self.largest_batch - self._taken)

    def _spare(self, lane: str) -> int:
        kept = 0 if lane == "urgent" else max(0, kept_for_urgent(self.requests) - self.in_use["urgent"])
        return self.requests - kept - self.used

    def _give_up_the_old(self) -> None:
        if self.credit > 0 and monotonic() - self._drawn_at > CREDIT_SECONDS:
            self.credit = 0.0

    async def _get_credit(self, lane: str, segments: int, start_by: float) -> bool:
        try:
            if self.pace.segments_per_second is None:
                return True
            if not self._turn[lane] and self._has_credit(lane):
                self.credit -= segments
                if self.credit < self.slice / 2:
                    self.wanted.set()
                return True
            served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._turn[lane].append((segments, served))
            self.wanted.set()
            await asyncio.wait({served}, timeout=max(0.0, start_by - monotonic()))
            return served.done() or not served.cancel()
        finally:
            self._pending[lane] -= segments

    async def _get_free(self, lane: str, start_by: float) -> bool:
        """Until a request may begin. Rarely waits: what was claimed had room, but may fall into more requests."""
        if self.pace.in_flight is None or self._spare(lane) > 0:
            return True
        while monotonic() < start_by:
            await asyncio.sleep(_LOOK)
            if self._spare(lane) > 0:
                return True
        return False
