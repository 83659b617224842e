"""Requests in flight to one gateway, as one process may have them: who has room, who waits, and what to ask for.

A part of `dispatcher/pacing/meter.py`; how many there are in all, and who may have how many, is in `pace.lua`.
"""

import asyncio
from collections import deque
from math import ceil
from time import monotonic
from typing import Final, NamedTuple

from shared.domain.pace import kept_for_urgent

# Claimed so far ahead of its time, and held until it comes: well within the time for which a claim is fresh.
CLAIM_AHEAD_SECONDS: Final = 0.3
_LANES: Final = ("urgent", "bulk")  # the urgent one first, wherever there is a turn


class Needs(NamedTuple):
    """Requests to ask for, and how many may be in flight until the answer is heard."""

    requests: int
    kept: int


class InFlight:
    """`allowed` may be in flight until told otherwise. Of that `in_use` are; what was claimed waits in a line for them.

    A request counts from when it is let go, so that no two are let go for the same place.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.largest_batch = 1
        self.allowed = 0
        self.in_use = dict.fromkeys(_LANES, 0)
        self.taken = dict.fromkeys(_LANES, 0)  # messages that have room, and are in no request yet
        self.launched = dict.fromkeys(_LANES, 0)  # requests that are made up, and have not come for their turn yet
        self.looking: set[str] = set()  # the lanes that were told of room and have not claimed yet
        self._lanes: set[str] = set()  # that this process serves
        self._line: dict[str, deque[asyncio.Future[None]]] = {lane: deque() for lane in _LANES}
        self._lasts: float | None = None  # seconds of a request, lately
        self._peak = 0

    @property
    def used(self) -> int:
        return sum(self.in_use.values())

    @property
    def busy(self) -> int:
        """Requests in flight, and those that what was claimed will need."""
        waiting = sum(map(len, self._line.values())) + sum(self.launched.values())
        return self.used + waiting + ceil(sum(self.taken.values()) / self.largest_batch)

    @property
    def beyond(self) -> int:
        """How many of all the requests are not for this process: those for urgent messages, where it serves none."""
        return 0 if self.limit is None or "urgent" in self._lanes else kept_for_urgent(self.limit)

    @property
    def seconds_each(self) -> float | None:
        """After how long there is room for one more message, as requests go lately; None while nothing is known."""
        if self._lasts is None or self.allowed <= 0:
            return None
        return self._lasts / (self.allowed * self.largest_batch)

    def waits(self, *lanes: str) -> bool:
        """Whether a request of these lanes, or of any, waits for one that ends."""
        return any(self._line[lane] for lane in lanes or _LANES)

    def room(self, lane: str) -> int | None:
        """How many messages there is room for; None for no limit."""
        self._lanes.add(lane)
        if self.limit is None:
            return None
        if self.allowed <= 0:
            return 0
        before = ("urgent",) if lane == "urgent" else _LANES
        free = self._spare(lane) + self._ahead() - sum(len(self._line[one]) + self.launched[one] for one in before)
        return max(0, free * self.largest_batch - sum(self.taken[one] for one in before))

    def needs(self, *, more: bool) -> Needs:
        """What to ask for; what nobody here needs is given up with it.

        Whoever wants more than it has asks for twice what it uses, beside what is kept for urgent messages, so that its
        share follows what it has to do. Idle, that is one, to look what there is.
        """
        if self.limit is None:
            return Needs(0, 0)
        busy = self.busy
        self._peak = max(busy, self._peak // 2)
        wanted = max(1, self._beside_the_kept(2 * busy)) if more else busy
        if self.looking:
            wanted = max(wanted, self.allowed)
        wanted = min(self.limit - self.beyond, max(wanted, self._peak))
        self.allowed = min(self.allowed, wanted)
        return Needs(wanted, max(self.used, self.allowed))

    def launch(self, lane: str, messages: int) -> None:
        """So many messages that have room make up one request."""
        self.taken[lane] -= messages
        self.launched[lane] += 1

    async def begin(self, lane: str, start_by: float) -> bool:
        """Until a request may begin; False where that comes too late. Whoever began has to `end`."""
        if self._may_begin(lane):
            self.in_use[lane] += 1
            return True
        served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line[lane].append(served)
        try:
            await asyncio.wait({served}, timeout=max(0.0, start_by - monotonic()))
        except asyncio.CancelledError:
            if served.done():
                self.end(lane)
            raise
        finally:
            if not served.done():
                self._line[lane].remove(served)
        return served.done()

    def end(self, lane: str, seconds: float | None = None) -> None:
        """A request has ended, after so many seconds; None where it never began."""
        self.in_use[lane] -= 1
        if seconds is not None:
            # Slower at once, and faster bit by bit: what is claimed ahead in vain is worse than an idle line.
            self._lasts = seconds if self._lasts is None else max(seconds, 0.9 * self._lasts + 0.1 * seconds)
        self.let_begin()

    def let_begin(self) -> None:
        """Let those begin that wait for it, as far as there are requests."""
        for lane in _LANES:
            line = self._line[lane]
            while line and self._may_begin(lane):
                self.in_use[lane] += 1
                line.popleft().set_result(None)

    def _beside_the_kept(self, requests: int) -> int:
        """How many it takes to have so many for campaigns: without these, one that keeps one of two never gets more."""
        if "urgent" not in self._lanes or not requests:
            return requests
        return requests + kept_for_urgent(requests + kept_for_urgent(requests + 1))

    def _may_begin(self, lane: str) -> bool:
        return self.limit is None or self._spare(lane) > 0

    def _spare(self, lane: str) -> int:
        keeps = lane != "urgent" and "urgent" in self._lanes
        kept = max(0, kept_for_urgent(self.allowed) - self.in_use["urgent"]) if keeps else 0
        return self.allowed - kept - self.used

    def _ahead(self) -> int:
        """Requests to claim for before those in flight have ended, so that a slow claim leaves no line idle."""
        if self._lasts is None:
            return 0
        return int(self.allowed * min(1.0, CLAIM_AHEAD_SECONDS / max(self._lasts, 0.001)))
