"""What every scenario is given and gives back, and how its world is brought to rest and judged."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.simulator.ledger import Entry
from proof.evidence import await_still, check_sums, judge_world
from proof.judge import NONE_NAMED, Endings, Verdict
from proof.promises import Promises
from proof.world import World


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything. `scale` shrinks campaigns, for runs that have to be short."""

    kills: int = 200
    seed: int = 1
    scale: float = 1.0
    keep: bool = False
    say: Callable[[str], None] = print

    def chance(self, scenario: str) -> random.Random:
        """Its own dice for each scenario, so that one can be run again alone."""
        return random.Random(f"{self.seed} {scenario}")

    def size(self, messages: int) -> int:
        return max(100, round(messages * self.scale))

    def times(self, count: int) -> int:
        """So many repetitions; at least one, whatever the scale."""
        return max(1, round(count * min(1.0, self.scale)))


@dataclass(slots=True)
class Finding:
    """What a scenario came to. An empty `broken` means that every law held."""

    scenario: str
    unit: str  # what a trial is: a kill, a restart, a command
    trials: int = 0
    held: set[str] = field(default_factory=set)  # by the dead of this world: these may have been claimed, never sent
    in_flight: int = 0  # so many more, where nobody could look whose they were
    verdicts: list[Verdict] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def require(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.broken.append(sentence)

    def most(self, name: str, value: float) -> None:
        """Keep the largest of a figure."""
        self.figures[name] = max(self.figures.get(name, value), value)

    def add(self, name: str, value: int) -> None:
        self.figures[name] = self.figures.get(name, 0) + value

    def total(self, law: str) -> int:
        return sum(verdict.laws[law] for verdict in self.verdicts)


def conclude(
    world: World,
    promises: Promises,
    finding: Finding,
    *,
    endings: Endings = NONE_NAMED,
    doubted: int = 0,
    seconds: float = 90.0,
) -> Verdict:
    """Wait until nothing moves, hear the ledgers, and write the verdict down; a world that broke a law is kept.

    So many may stay in doubt: what a gateway took that died with its receipts.
    """
    await_still(world, seconds=seconds)
    verdict = judge_world(world, promises, endings=endings)
    finding.verdicts.append(verdict)
    finding.broken += verdict.broken(held=finding.held, in_flight=finding.in_flight, doubted=doubted)
    finding.held, finding.in_flight = set(), 0
    finding.broken += check_sums(world, promises.campaigns)
    world.keep = world.keep or bool(finding.broken)
    return verdict


def first_after(entries: Sequence[Entry], moment: float) -> float | None:
    """How many seconds after a moment (Unix time) the gateway took the next message."""
    times = [entry.time for entry in entries if entry.kind == "accepted" and entry.time > moment]
    return min(times) - moment if times else None


def sleep_until(moment: float) -> None:
    """Until a monotonic moment."""
    time.sleep(max(0.0, moment - time.monotonic()))
