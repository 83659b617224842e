"""Whose script is next: owners take turns, none holds the last process, and one that was stopped too often rests.

Pure: no clock and no process, so that fairness is a matter of tables.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from shared.scripts.failures import STOPPED, Reason

_LARGEST_BATCH: Final = 16
_BATCH_SECONDS: Final = 0.01
_BATCH_BYTES: Final = 256 * 1024
_MOST_OWNERS: Final = 1_000


class Waits(Protocol):
    """A call that waits for its turn. Those of the same `script` and `function` may share an order."""

    @property
    def owner(self) -> str: ...
    @property
    def script(self) -> str: ...
    @property
    def function(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def is_wanted(self) -> bool: ...


J = TypeVar("J", bound=Waits)


@dataclass(frozen=True, slots=True)
class Rules:
    """Stopped `strikes` times in a row, an owner is not tried for `rest` seconds, and then once."""

    strikes: int = 3
    rest: float = 30.0


@dataclass(slots=True)
class Owner(Generic[J]):
    """What is known of one owner's scripts. Trust is earned by an answer in time, and lost by a stop."""

    waiting: deque[J] = field(default_factory=deque)
    holds: int = 0
    trusted: bool = False
    strikes: int = 0
    rests_until: float = 0.0
    seconds: float = _BATCH_SECONDS

    @property
    def batch(self) -> int:
        return min(max(int(_BATCH_SECONDS / self.seconds), 1), _LARGEST_BATCH) if self.trusted else 1


class Turns(Generic[J]):
    """The queues of all owners, for so many `workers`. Times are seconds of any one clock."""

    def __init__(self, workers: int, rules: Rules) -> None:
        # Of two workers or more, one is always left to the others, and to those who are trusted.
        self._share = max(workers - 1, 1)
        self._rules = rules
        self._owners: OrderedDict[str, Owner[J]] = OrderedDict()
        self._doubtful = 0

    def rests(self, owner: str, now: float) -> float:
        """The seconds for which an owner is not to be tried."""
        known = self._owners.get(owner)
        return max(known.rests_until - now, 0.0) if known else 0.0

    def add(self, job: J) -> None:
        if job.owner not in self._owners:
            self._forget_the_idle()
        self._owners.setdefault(job.owner, Owner()).waiting.append(job)

    def take(self) -> list[J]:
        """The next calls to run, all of one script; they are given back by `release`. Empty if none may run now."""
        for name, owner in self._owners.items():
            while owner.waiting and not owner.waiting[0].is_wanted:
                owner.waiting.popleft()
            if not owner.waiting or owner.holds >= self._share:
                continue
            if not owner.trusted and (owner.holds or self._doubtful >= self._share):
                continue
            owner.holds += 1
            self._doubtful += not owner.trusted
            self._owners.move_to_end(name)
            return self._batch(owner)
        return []

    def _batch(self, owner: Owner[J]) -> list[J]:
        first = owner.waiting.popleft()
        batch, size = [first], first.size
        while owner.waiting and len(batch) < owner.batch:
            job = owner.waiting[0]
            size += job.size
            if (job.script, job.function) != (first.script, first.function) or size > _BATCH_BYTES:
                break
            batch.append(owner.waiting.popleft())
        return batch

    def note(self, name: str, reason: Reason | None, *, seconds: float, now: float) -> Sequence[J]:
        """Remember how one call went; the calls that shall not be tried because of it."""
        owner = self._owners[name]
        owner.seconds += (max(seconds, 1e-4) - owner.seconds) / 4
        if reason not in STOPPED:
            self._judge(owner, trusted=True)
            owner.strikes = 0
            return ()
        self._judge(owner, trusted=False)
        owner.strikes += 1
        if owner.strikes < self._rules.strikes:
            return ()
        owner.rests_until = now + self._rules.rest
        dropped = tuple(owner.waiting)
        owner.waiting.clear()
        return dropped

    def release(self, name: str, unserved: Sequence[J] = ()) -> None:
        """A worker is done with an owner; calls that it did not get to are the owner's next."""
        owner = self._owners[name]
        owner.holds -= 1
        self._doubtful -= not owner.trusted
        owner.waiting.extendleft(reversed(unserved))

    def clear(self) -> list[J]:
        """Every call that waits; none of them does any more."""
        jobs = [job for owner in self._owners.values() for job in owner.waiting]
        for owner in self._owners.values():
            owner.waiting.clear()
        return jobs

    def _judge(self, owner: Owner[J], *, trusted: bool) -> None:
        if owner.trusted is not trusted:
            owner.trusted = trusted
            self._doubtful += -owner.holds if trusted else owner.holds

    def _forget_the_idle(self) -> None:
        """Keep the book short: those who came last are remembered, and whoever has work."""
        if len(self._owners) < _MOST_OWNERS:
            return
        for name in [name for name, owner in self._owners.items() if not owner.waiting and not owner.holds]:
            del self._owners[name]
            if len(self._owners) < _MOST_OWNERS // 2:
                break
