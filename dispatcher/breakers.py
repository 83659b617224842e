"""Breakers: what this dispatcher hears of each gateway, and what it makes of it.

A hand-over only leaves its mark in memory; `dispatcher/health.py` writes the verdicts, and every dispatcher reads them
with its book. The law is in `shared/domain/breaker.py`.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final
from uuid import UUID

from shared.domain.breaker import PATIENCE_SECONDS, PROBES, SLOW_SHARE_OF_DEADLINE, Health, Mark, Window, mark_of
from shared.domain.message import Kind
from shared.domain.outcome import Outcome
from shared.domain.routing import THROTTLE_MADE_UP_BY, THROTTLE_MEMORY_SECONDS, Route, rest_after

# Best first: one request is one mark, however many messages it held.
_WEIGHT: Final = (Mark.GOOD, Mark.FAILED, Mark.REFUSED, Mark.SILENT)


@dataclass(slots=True)
class Probe:
    """A gateway that this dispatcher tries out: one message at a time."""

    under_way: bool = False
    good: int = 0
    failed: bool = False

    @property
    def is_over(self) -> bool:
        return self.failed or self.good >= PROBES


@dataclass(slots=True)
class Later:
    """How often in a row a gateway said "later", until when it rests, and how many it took since."""

    count: int = 0
    until: float = 0.0
    taken: int = 0

    def say(self, outcome: Outcome, *, begun: float, now: float) -> float:
        """It says so in an answer to a request that began then; the seconds of rest that it wants.

        However many of those that were under way say so, it is one rest.
        """
        if begun >= self.until:
            self.count = 1 if begun > self.until + THROTTLE_MEMORY_SECONDS else self.count + 1
            self.taken = 0
        rest = rest_after(outcome, in_a_row=self.count)
        self.until = max(self.until, now + rest)
        return rest

    def take(self, *, now: float) -> None:
        """It took a message."""
        if now > self.until:
            self.taken += 1
            if self.taken == THROTTLE_MADE_UP_BY:
                self.count, self.taken = self.count - 1, 0


@dataclass(slots=True)
class Healths:
    """Marks, verdicts that wait to be written, and probes of one process."""

    deadline: float
    ring: Callable[[str], Any]
    windows: dict[UUID, Window] = field(default_factory=dict)
    verdicts: dict[UUID, tuple[Health, str]] = field(default_factory=dict)
    probes: dict[UUID, Probe] = field(default_factory=dict)
    rests: dict[UUID, Later] = field(default_factory=dict)
    begun: dict[UUID, float] = field(default_factory=dict)  # when the request began that was last heard of

    def hear(self, gateway_id: UUID, outcomes: Sequence[Outcome], *, seconds: float) -> None:
        """One request came to this, after so many seconds."""
        mark = min(map(mark_of, outcomes), key=_WEIGHT.index)
        if mark is not Mark.GOOD or len(outcomes) > 1:
            self.begun[gateway_id] = monotonic() - seconds
        probe = self.probes.get(gateway_id)
        if probe is not None and probe.under_way:
            self._hear_probe(probe, mark)
            return
        window = self.windows.get(gateway_id)
        if window is None:
            window = self.windows[gateway_id] = Window()
        if mark is Mark.GOOD and gateway_id in self.rests:
            self._taken(gateway_id)
        slow = mark is Mark.GOOD and seconds > self.deadline * SLOW_SHARE_OF_DEADLINE
        window.hear(mark, slow=slow, now=monotonic())
        verdict = window.verdict() if mark is not Mark.GOOD or slow else None
        if verdict is not None and gateway_id not in self.verdicts:
            self.verdicts[gateway_id] = verdict
            self.ring("health")

    def _hear_probe(self, probe: Probe, mark: Mark) -> None:
        probe.under_way = False
        if mark is Mark.GOOD:
            probe.good += 1
        elif mark is not Mark.SILENT:
            probe.failed = True
        if probe.is_over:
            self.ring("health")
        else:
            self.ring("bulk")
            self.ring("urgent")

    def hear_later(self, gateway_id: UUID, outcome: Outcome) -> float:
        """Seconds of rest that the gateway wants, by this answer of it."""
        now = monotonic()
        begun = self.begun.get(gateway_id, now)
        return self.rests.setdefault(gateway_id, Later()).say(outcome, begun=begun, now=now)

    def _taken(self, gateway_id: UUID) -> None:
        later = self.rests[gateway_id]
        later.take(now=monotonic())
        if later.count <= 0:
            del self.rests[gateway_id]

    def open_probes(self, routes: Iterable[Route], *, name: str) -> frozenset[UUID]:
        """The gateways that may be given one message now, to see how they are."""
        found = []
        for route in routes:
            if not (route.open and route.tried_by == name) or route.shut:
                continue
            probe = self.probes.setdefault(route.gateway_id, Probe())
            if not (probe.under_way or probe.is_over):
                found.append(route.gateway_id)
        return frozenset(found)

    def begin_probe(self, gateway_id: UUID) -> None:
        self.probes[gateway_id].under_way = True

    def end_probe(self, gateway_id: UUID) -> None:
        """It was not handed over after all."""
        probe = self.probes.get(gateway_id)
        if probe is not None:
            probe.under_way = False

    def forget_probes(self, besides: Collection[UUID]) -> None:
        """Others try them out now, or nobody has to."""
        for gateway_id in self.probes.keys() - set(besides):
            del self.probes[gateway_id]


def may_probe(kind: str, *, waited: float) -> bool:
    """Whether a message of this kind may be used to try out a gateway that has waited so many seconds for one."""
    return kind != Kind.OTP or waited >= PATIENCE_SECONDS
