"""A meter: one gateway's pace as one process keeps it, in memory.

`dispatcher/pacing/pace.py` fills it with slices of what all dispatchers may use together.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from dispatcher.pacing.in_flight import CLAIM_AHEAD_SECONDS, InFlight, Needs
from shared.domain.pace import AHEAD_SECONDS, Pace, slice_of

# A slice that waits for its use for longer is given up: a burst of old slices would be faster than the pace. One
# segment of it is kept for a lane that was told of it and has not come: a claim may take longer than that.
CREDIT_SECONDS: Final = 0.2
# Nobody is sent away for longer than this: the pace may be another by then.
LATER_SECONDS: Final = 30.0
# A password that had no room looks again well before this, also where a claim is slow.
PASSWORD_SECONDS: Final = 0.5
# Batches are claimed for so much of the pace at a time. More at once would be more than the 2 % by which it is kept.
GATHER_SECONDS: Final = 0.1
# What has no room for lack of free requests is worth another look after this.
_PAUSE: Final = 0.1
_FOR_EACH_PLACE: Final = 8
# A claim costs two round trips: a lane that waits for requests hears of it once this part of them is free.
_PART: Final = 4


@dataclass(frozen=True, slots=True)
class Slice:
    """What was granted: segments to use soon, requests to have in flight until told otherwise. `wait` in seconds."""

    segments: int
    requests: int
    live: int
    wait: float
    hungry: bool = False  # whether other dispatchers have less than their share of the requests


class Meter:
    """One gateway's pace as this process keeps it. `credit` below 0 is what urgent or long messages took ahead.

    What is claimed gets room first, a little ahead of its time, so that a slow claim costs no pace; then, in its turn,
    credit. It leaves once it has that.
    """

    def __init__(self, pace: Pace, *, largest_batch: int = 1, ring: Callable[[str], Any] = lambda _lane: None) -> None:
        self.pace = pace
        self.in_flight = InFlight(pace.in_flight)
        self.in_flight.largest_batch = largest_batch
        self.credit = 0.0
        self.live = 1
        self.wanted = asyncio.Event()
        self.hurry = asyncio.Event()  # somebody waits for what we do not need
        self.waiting: set[str] = set()  # the lanes that shall hear of a new slice
        self._told: set[str] = set()  # those that heard of room, and have not come back from their claim
        self._pending = {"urgent": 0, "bulk": 0}  # segments that have room, and no credit yet
        self._turn: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {"urgent": deque(), "bulk": deque()}
        self._hungry = False
        self._ring = ring
        self._length = 1.0  # segments of a message, lately
        self._drawn_at = self._looked_at = 0.0
        self._kept_until = 0.0  # room is for a password that had none
        self._later = {"password": 0.0, "urgent": 0.0, "bulk": 0.0}

    def change(self, pace: Pace) -> None:
        """Keep another pace. Requests in flight go on being counted; what was granted before is not worth keeping."""
        self.pace, self.credit = pace, min(self.credit, 0.0)
        self.in_flight.limit = pace.in_flight
        self.wanted.set()

    @property
    def slice(self) -> int:
        return slice_of(self.pace.segments_per_second or 0, self.live)

    def room(self, lane: str) -> int | None:
        """How many messages of a lane are worth claiming now; None for no limit. Zero asks for more."""
        room = self._room(lane)
        if room == 0:
            self.ask(lane)
        else:
            self.in_flight.looking.add(lane)
            self._told.add(lane)
        return room

    def looked(self, lane: str) -> None:
        """A lane has claimed what there was: the room it did not need is for others."""
        self.in_flight.looking.discard(lane)
        if lane in self._told:
            self._told.discard(lane)
            self._looked_at = monotonic()  # it may have been told during its claim, and comes again at once
        self._hand_back()

    def _room(self, lane: str) -> int | None:
        rooms = [rows for rows in (self._by_segments(lane), self.in_flight.room(lane)) if rows is not None]
        if not rooms:
            return None
        rows = min(rooms)
        if lane == "urgent":
            return rows
        return 0 if rows < self.batch or self._is_kept() else rows

    @property
    def batch(self) -> int:
        """How many messages share a request at this pace; a campaign claims no fewer at a time."""
        largest = self.in_flight.largest_batch
        if self.pace.segments_per_second is None:
            return 1
        return max(1, min(largest, int(self._share() * GATHER_SECONDS / self._length)))

    def take(self, lane: str, segments: int, *, password: bool = False) -> bool:
        """Use room for one message, if there is any."""
        kept = self._is_kept() and not password
        if kept or self._by_segments(lane) == 0 or self.in_flight.room(lane) == 0:
            self.ask(lane)
            return False
        if password:
            self._kept_until = 0.0
        self._length += 0.05 * (segments - self._length)
        self._pending[lane] += segments
        self.in_flight.taken[lane] += 1
        return True

    def forget(self, lane: str, segments: int) -> None:
        """A message that took room is not handed over after all."""
        self._pending[lane] -= segments
        self.in_flight.taken[lane] -= 1

    def later(self, lane: str, segments: int, *, password: bool = False) -> float:
        """Seconds after which it is worth looking for room again: each that waits has its turn after the one before.

        Passwords have a line of their own, look often, and until then what comes free is for them: others that are due
        all the time would have taken it before the next look.
        """
        rate = self.pace.segments_per_second
        now = monotonic()
        pause = 0.0 if rate is None else segments * self.live / rate
        if self.pace.in_flight is not None:
            pause = max(pause, self._pause_for_requests())
        line = lane
        if password:
            line, pause = "password", min(pause, _PAUSE)
            self._kept_until = now + PASSWORD_SECONDS
        turn = max(self._later[line], now) + pause
        self._later[line] = min(turn, now + LATER_SECONDS)
        return self._later[line] - now

    def _is_kept(self) -> bool:
        return monotonic() < self._kept_until

    def _pause_for_requests(self) -> float:
        """Several for each place, so that somebody is there when a request ends: who looks in between waits longer."""
        each = self.in_flight.seconds_each
        return _PAUSE if each is None else each / _FOR_EACH_PLACE

    def ask(self, lane: str) -> None:
        """Let a lane hear of the next slice."""
        self.waiting.add(lane)
        self.wanted.set()

    def request(
        self, lane: str, lengths: Sequence[int], *, start_by: float
    ) -> contextlib.AbstractAsyncContextManager[bool]:
        """One request, of messages that took room, of so many segments; enter it. False where it came too late.

        It counts as one from now on, however few they are: what is claimed meanwhile makes up another one.
        """
        self.in_flight.launch(lane, len(lengths))
        return self._request(lane, sum(lengths), start_by)

    @contextlib.asynccontextmanager
    async def _request(self, lane: str, segments: int, start_by: float) -> AsyncIterator[bool]:
        free = await self._get_turn(lane, segments, start_by)
        begun = monotonic()
        try:
            yield free
        finally:
            if free:
                self._end(lane, monotonic() - begun)

    def draw(self, granted: Slice) -> None:
        """Take a slice, and give it to those whose turn it is."""
        self.live = max(1, granted.live)
        fewer = granted.requests < self.in_flight.allowed
        self.in_flight.allowed, self._hungry = granted.requests, granted.hungry
        if granted.segments:
            self.credit += granted.segments
            self._drawn_at = monotonic()
        for lane in ("urgent", "bulk"):
            turn = self._turn[lane]
            while turn and self._has_credit(lane, turn[0][0]):
                segments, served = turn.popleft()
                if not served.done():
                    self.credit -= segments
                    served.set_result(None)
        self.in_flight.let_begin()
        self._tell(1)
        if fewer and granted.hungry:
            self.hurry.set()

    def needs(self) -> Needs:
        """Requests to ask for, and what is kept of them."""
        return self.in_flight.needs(more=bool(self.waiting))

    def wants(self) -> int:
        """Segments to ask for: a slice, or what the next batch takes, and what was taken ahead."""
        if self.pace.segments_per_second is None:
            return 0
        self._give_up_the_old()
        first = next((segments for segments, _ in self._turn["bulk"]), 0)
        return max(0, max(self.slice, self._in_advance("bulk", first)) - int(self.credit // 1))

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for more, or there is something to give back."""
        in_flight = self.in_flight
        waits = self.waiting or any(self._turn.values()) or in_flight.waits()
        return bool(waits) or in_flight.allowed > in_flight.used

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to ask for, and nothing held that has to be renewed."""
        return not (self.wanted.is_set() or self.in_flight.allowed or self.in_flight.used)

    @property
    def hurries(self) -> bool:
        """Whether somebody who waits is urgent."""
        return "urgent" in self.waiting or bool(self._turn["urgent"]) or self.in_flight.waits("urgent")

    def _share(self) -> float:
        return (self.pace.segments_per_second or 0.0) / self.live

    def _has_credit(self, lane: str, segments: int) -> bool:
        self._give_up_the_old()
        ahead = self._debt() if lane == "urgent" else 0.0
        return self.credit + ahead > max(0, self._in_advance(lane, segments) - 1)

    def _in_advance(self, lane: str, segments: int) -> int:
        """What has to be there before a request leaves: all that a batch of a campaign takes, lest it be a burst.

        At a slow pace that is one segment: more never gathers, for credit that nobody uses is given up.
        """
        if lane != "bulk" or self.in_flight.largest_batch == 1:
            return 0
        return min(segments, max(1, int(self._share() * GATHER_SECONDS)))

    def _debt(self) -> float:
        return max(1.0, self._share() * AHEAD_SECONDS)

    def _by_segments(self, lane: str) -> int | None:
        if self.pace.segments_per_second is None:
            return None
        self._give_up_the_old()
        left = self.credit + int(self._share() * CLAIM_AHEAD_SECONDS) - self._pending["urgent"]
        left += self._debt() if lane == "urgent" else -self._pending["bulk"]
        return max(1, round(left / self._length)) if left > 0 else 0

    def _give_up_the_old(self) -> None:
        now = monotonic()
        if self.credit > 0 and now - self._drawn_at > CREDIT_SECONDS:
            awaited = self._told or now - self._looked_at <= CREDIT_SECONDS
            self.credit = min(self.credit, 1.0 if awaited else 0.0)

    async def _get_credit(self, lane: str, segments: int, start_by: float) -> bool:
        try:
            if self.pace.segments_per_second is None:
                return True
            if not self._turn[lane] and self._has_credit(lane, segments):
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

    async def _get_turn(self, lane: str, segments: int, start_by: float) -> bool:
        try:
            if not await self._get_credit(lane, segments, start_by):
                return False
        finally:
            self.in_flight.launched[lane] -= 1
        if self.pace.in_flight is not None:
            self.wanted.set()
        begun = await self.in_flight.begin(lane, start_by)
        if not begun and self.pace.segments_per_second is not None:
            # Nothing left: no debt is paid for it. More than that is old by now.
            self.credit = max(self.credit, min(self.credit + segments, 0.0))
        return begun

    def _end(self, lane: str, seconds: float) -> None:
        in_flight = self.in_flight
        owed = in_flight.used > in_flight.allowed
        in_flight.end(lane, seconds)
        if self.pace.in_flight is not None:
            self._tell(max(1, in_flight.allowed * in_flight.largest_batch // _PART))
            self.wanted.set()
            self._hand_back(owed=owed)

    def _hand_back(self, *, owed: bool = False) -> None:
        """At once, where others wait for it."""
        if self._hungry and (owed or self.in_flight.busy < self.in_flight.allowed):
            self.wanted.set()
            self.hurry.set()

    def _tell(self, least: int) -> None:
        """Wake the lanes that wait for room, where there is so much of it."""
        for lane in tuple(self.waiting):
            room = self._room(lane)
            if room is None or room >= least:
                self.waiting.discard(lane)
                self._told.add(lane)
                self._ring(lane)
