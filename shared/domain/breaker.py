"""When a gateway is left alone for a while, and how it comes back. Pure: outcomes and times come in.

    ok ──fails──▶ open ──rests──▶ half_open ──probes arrive──▶ ok
     ▲  └─slow─▶ slow ─┐             │ one fails
     └────── rests ────┘             └──────▶ open, for longer

`open`: nothing is handed to it while another gateway serves. `slow`: it comes after those that are not; where all are,
nothing changes. A message is never used up by a breaker: it waits, or takes the next gateway. What tries a gateway out
goes to it wherever it is in the order.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.domain.remedies import REMEDIES

WINDOW_SECONDS: Final = 60.0
# So many hand-overs that failed, one after the other, open the breaker.
IN_A_ROW: Final = 10
# Or this share of at least so many within the window.
SHARE: Final = 0.5
AT_LEAST: Final = 20
# A refusal of one message says little of the next one: so many in a row, and nothing taken between them, do.
REFUSED_IN_A_ROW: Final = 50
# An answer is slow that takes this share of the deadline; so many of them make the gateway slow.
SLOW_SHARE_OF_DEADLINE: Final = 0.5
SLOW_SHARE: Final = 0.15
REST_SECONDS: Final = 15.0
REST_CAP_SECONDS: Final = 300.0
SLOW_REST_SECONDS: Final = 60.0
PROBES: Final = 3  # that must be taken, one at a time, before it is trusted again
# Who took the right to probe, with a message in hand, keeps it for so long; the next one may try then. Without another
# message it gives the right back after this.
PROBE_SECONDS: Final = 30.0
UNUSED_SECONDS: Final = 1.0
# Passwords are not for trying out a gateway, unless for so long nothing else came.
PATIENCE_SECONDS: Final = 300.0


class Health(StrEnum):
    OK = "ok"
    SLOW = "slow"
    OPEN = "open"
    HALF_OPEN = "half_open"
    WITHDRAWN = "withdrawn"  # by an ACCOUNT fault, until its owner enables it


class Mark(StrEnum):
    """What one hand-over says of its gateway."""

    GOOD = "good"
    FAILED = "failed"  # it was out of reach, or nobody knows what it did
    REFUSED = "refused"  # it would not take this message, but another might
    SILENT = "silent"  # says nothing of it


def mark_of(outcome: Outcome) -> Mark:
    match outcome:
        case Accepted():
            return Mark.GOOD
        case Refused(fault=Fault.MESSAGE | Fault.OPTED_OUT):
            return Mark.GOOD  # it answered, and rightly
        case Refused(fault=Fault.GATEWAY):
            return Mark.REFUSED
        case Refused():  # withdrawn, or asked to wait: both have rules of their own
            return Mark.SILENT
        case Lost(blameless=True):
            return Mark.GOOD  # it did its work, and counted what it did
        case Lost():
            return Mark.FAILED


def rest_of(trips: int) -> float:
    """Seconds of rest after so many openings in a row."""
    return min(REST_CAP_SECONDS, REST_SECONDS * 2.0 ** min(trips - 1, 10))


@dataclass(slots=True)
class Window:
    """What one dispatcher saw of one gateway within the last minute. Times are seconds of any clock that goes on."""

    marks: deque[tuple[float, Mark, bool, int, str]] = field(default_factory=deque)
    messages: int = 0  # of all requests, of which each is one mark
    failed: int = 0
    slow: int = 0
    failed_in_a_row: int = 0
    refused_in_a_row: int = 0
    causes: Counter[str] = field(default_factory=Counter)  # of all that failed
    causes_in_a_row: Counter[str] = field(default_factory=Counter)

    def hear(self, mark: Mark, *, slow: bool, now: float, messages: int = 1, cause: str = "") -> None:
        """One request came to this; `cause` is why it failed."""
        if mark is Mark.SILENT:
            return
        self.failed_in_a_row = self.failed_in_a_row + 1 if mark is Mark.FAILED else 0
        self.refused_in_a_row = self.refused_in_a_row + 1 if mark is Mark.REFUSED else 0
        if mark is Mark.FAILED:
            self.causes[cause] += 1
            self.causes_in_a_row[cause] += 1
        elif self.causes_in_a_row:
            self.causes_in_a_row.clear()
        self.marks.append((now, mark, slow, messages, cause))
        self.messages += messages
        self.failed += mark is Mark.FAILED
        self.slow += slow
        while self.marks and self.marks[0][0] < now - WINDOW_SECONDS:
            self._forget(*self.marks.popleft())

    def _forget(self, _at: float, mark: Mark, slow: bool, messages: int, cause: str) -> None:
        self.messages -= messages
        self.slow -= slow
        if mark is Mark.FAILED:
            self.failed -= 1
            self.causes[cause] -= 1
            if not self.causes[cause]:
                del self.causes[cause]

    def verdict(self) -> tuple[Health, str] | None:
        """What its gateway should be, and why; None while there is nothing to say against it."""
        heard = len(self.marks)
        if self.failed_in_a_row >= IN_A_ROW:
            return Health.OPEN, f"{self.failed_in_a_row} hand-overs in a row failed{_mostly(self.causes_in_a_row)}"
        if self.refused_in_a_row >= REFUSED_IN_A_ROW:
            return Health.OPEN, f"it refused {self.refused_in_a_row} messages in a row"
        if heard >= AT_LEAST and self.failed >= SHARE * heard:
            return Health.OPEN, f"{self.failed} of {heard} hand-overs within a minute failed{_mostly(self.causes)}"
        if heard >= AT_LEAST and self.slow >= SLOW_SHARE * heard:
            return Health.SLOW, f"{self.slow} of {heard} answers within a minute were slow"
        return None


def _mostly(causes: Counter[str]) -> str:
    """The cause that came most often, for its owner; and what that means, where it has words."""
    cause = max(causes, key=causes.__getitem__, default="")
    if not cause:
        return ""
    said = f", {'all' if len(causes) == 1 else 'most of them'} by {cause}"
    remedy = REMEDIES.get(cause)
    return f"{said}. {remedy.removesuffix('.')}" if remedy else said
