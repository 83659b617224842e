"""How often within how long, counted without remembering every time: this window, and what still counts of the last.

The estimate is what a window that slides would hold if the last one's were spread evenly: it forgives nothing at the
border of two windows. Pure; `shared/speeds.lua` says the same to Redis.
"""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Speed:
    """At most `count` in any `seconds`."""

    count: int
    seconds: int


class Counted(NamedTuple):
    """What was counted under a key: in which window, in it, and in the one before."""

    window: int = 0
    now: int = 0
    before: int = 0


def rolled(counted: Counted, speed: Speed, *, at: float) -> Counted:
    """The count as it stands at a moment. A clock that is behind does not turn it back."""
    window = int(at // speed.seconds)
    if counted.window >= window:
        return counted
    return Counted(window, 0, counted.now if counted.window == window - 1 else 0)


def seconds_to_wait(counted: Counted, speed: Speed, *, at: float) -> float:
    """How long until one more fits; 0 when it does. `counted` stands as of that moment."""
    passed = min(1.0, max(0.0, at / speed.seconds - counted.window))
    if counted.before * (1 - passed) + counted.now + 1 <= speed.count:
        return 0.0
    if counted.now + 1 <= speed.count:
        fits_at = 1 - (speed.count - 1 - counted.now) / counted.before
        return (fits_at - passed) * speed.seconds
    # Not in this window any more. In the next one this one fades.
    fits_at = 1 - (speed.count - 1) / counted.now
    return (1 - passed + max(0.0, fits_at)) * speed.seconds


def counted_once_more(counted: Counted) -> Counted:
    return counted._replace(now=counted.now + 1)


def counted_once_less(counted: Counted, speed: Speed, *, at: float) -> Counted:
    """Without the one that was counted at that moment, as far as it still counts."""
    window = int(at // speed.seconds)
    if counted.window == window:
        return counted._replace(now=max(0, counted.now - 1))
    return counted._replace(before=max(0, counted.before - 1)) if counted.window == window + 1 else counted
