"""Breakers: what this dispatcher hears of each gateway, and what it makes of it.

A hand-over only leaves its mark in memory; `dispatcher/beside/health.py` writes the verdicts, and every dispatcher
reads them with its book. The law is in `shared/domain/breaker.py`.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final
from uuid import UUID

from shared.domain.batch_size import BatchSize
from shared.domain.breaker import (
    PATIENCE_SECONDS,
    PROBES,
    SLOW_SHARE_OF_DEADLINE,
    UNUSED_SECONDS,
    Health,
    Mark,
    Window,
    mark_of,
)
from shared.domain.message import Kind
from shared.domain.outcome import Lost, Outcome
from shared.domain.retries import Retries
from shared.domain.routing import THROTTLE_MADE_UP_BY, THROTTLE_MEMORY_SECONDS, Route, rest_after

# Best first: one request is one mark, however many messages it held.
_WEIGHT: Final = (Mark.GOOD, Mark.FAILED, Mark.REFUSED, Mark.SILENT)


@dataclass(slots=True)
class Probe:
    """A gateway that this dispatcher tries out: one message at a time, `message_id` while it is on its way."""

    message_id: UUID | None = None
    good: int = 0
    failed: bool = False
    used_at: float = field(default_factory=monotonic)

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
    retries: dict[UUID, Retries] = field(default_factory=dict)
    batches: dict[UUID, BatchSize] = field(default_factory=dict)
    held: set[UUID] = field(default_factory=set)  # gateways whose retries had to wait, which waits to be written

    def hear(
        self, gateway_id: UUID, outcomes: Sequence[Outcome], *, seconds: float, message_ids: Collection[UUID] = ()
    ) -> None:
        """One request with these messages came to this, after so many seconds.

        Only the answer to a trial counts as one: others may be to what left before, or to a password without a choice.
        """
        marks = [mark_of(outcome) for outcome in outcomes]
        mark = min(marks, key=_WEIGHT.index)
        self._end_retries(gateway_id, zip(message_ids, marks, strict=False))
        if mark is not Mark.GOOD or len(outcomes) > 1:
            self.begun[gateway_id] = monotonic() - seconds
        probe = self.probes.get(gateway_id)
        if probe is not None and probe.message_id in message_ids:
            self._hear_probe(probe, mark)
            return
        window = self.windows.get(gateway_id)
        if window is None:
            window = self.windows[gateway_id] = Window()
        if mark is Mark.GOOD and gateway_id in self.rests:
            self._taken(gateway_id)
        slow = mark is Mark.GOOD and seconds > self.deadline * SLOW_SHARE_OF_DEADLINE
        cause = next((one.cause for one in outcomes if isinstance(one, Lost)), "")
        window.hear(mark, slow=slow, now=monotonic(), messages=len(outcomes), cause=cause)
        verdict = window.verdict() if mark is not Mark.GOOD or slow else None
        if verdict is not None and gateway_id not in self.verdicts:
            self.verdicts[gateway_id] = verdict
            self.ring("health")

    def _hear_probe(self, probe: Probe, mark: Mark) -> None:
        probe.message_id, probe.used_at = None, monotonic()
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
        return frozenset(route.gateway_id for route in routes if route.tried_by == name and self._is_to_try(route))

    def free_probes(self, routes: Iterable[Route], *, now: datetime) -> list[Route]:
        """The gateways that nobody tries out, and which this dispatcher might, with a message in hand."""
        return [
            route
            for route in routes
            if route.half_open
            and (route.tried_by is None or (route.tried_until is not None and route.tried_until <= now))
            and self._is_to_try(route)
        ]

    def _is_to_try(self, route: Route) -> bool:
        if not route.half_open or route.shut:
            return False
        probe = self.probes.get(route.gateway_id)
        return probe is None or not (probe.message_id or probe.is_over)

    def begin_probe(self, gateway_id: UUID, message_id: UUID) -> None:
        probe = self.probes.setdefault(gateway_id, Probe())
        probe.message_id, probe.used_at = message_id, monotonic()

    def batch_size(self, gateway_id: UUID, largest: int) -> int:
        """How many messages may share a request to this gateway, which takes up to `largest`."""
        batches = self.batches.get(gateway_id)
        return largest if batches is None else batches.of(largest)

    def hear_batch(self, gateway_id: UUID, outcomes: Sequence[Outcome], *, largest: int) -> None:
        """A request was answered: whether that left some in doubt only because nobody was named."""
        unnamed = any(isinstance(one, Lost) and one.blameless and one.may_have_arrived for one in outcomes)
        if largest > 1 and (unnamed or gateway_id in self.batches):
            batches = self.batches.setdefault(gateway_id, BatchSize())
            batches.hear(len(outcomes), unnamed=unnamed, largest=largest)

    def may_retry(self, gateway_id: UUID) -> bool:
        """Whether a message that this gateway had before may be handed to it again now."""
        window = self.windows.get(gateway_id)
        heard = window.messages if window is not None else 0
        retries = self.retries.setdefault(gateway_id, Retries())
        if retries.allow(heard=heard, now=monotonic()):
            return True
        self.held.add(gateway_id)
        return False

    def begin_retry(self, gateway_id: UUID, message_id: UUID) -> None:
        self.retries.setdefault(gateway_id, Retries()).begin(message_id)

    def _end_retries(self, gateway_id: UUID, marks: Iterable[tuple[UUID, Mark]]) -> None:
        if gateway_id in self.retries:
            self.retries[gateway_id].end(marks, now=monotonic())

    def end_probe(self, gateway_id: UUID, message_ids: Collection[UUID]) -> None:
        """Its message was not handed over after all."""
        self._end_retries(gateway_id, ((message_id, Mark.SILENT) for message_id in message_ids))
        probe = self.probes.get(gateway_id)
        if probe is not None and probe.message_id in message_ids:
            probe.message_id = None

    def unused_probes(self, gateway_ids: Collection[UUID]) -> list[UUID]:
        """Those of these gateways that nothing was tried out with lately."""
        now = monotonic()
        for gateway_id in gateway_ids:
            self.probes.setdefault(gateway_id, Probe())
        return [
            gateway_id
            for gateway_id in gateway_ids
            if self.probes[gateway_id].message_id is None and now > self.probes[gateway_id].used_at + UNUSED_SECONDS
        ]

    def forget_probes(self, besides: Collection[UUID]) -> None:
        """Nobody has to try out any but these."""
        for gateway_id in self.probes.keys() - set(besides):
            del self.probes[gateway_id]


def may_probe(kind: str, *, waited: float) -> bool:
    """Whether a message of this kind may be used to try out a gateway that has waited so many seconds for one."""
    return kind != Kind.OTP or waited >= PATIENCE_SECONDS
