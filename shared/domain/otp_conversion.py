"""Whether passwords that are sent somewhere are ever used: the mark of those who are sent to for the money. Pure.

Few samples prove little, so the judgement is on the most that the share could be, and growing patience is not part of
it: a block that is earned again lasts twice as long.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import sqrt
from typing import Final

# Two-sided 95 %.
_Z: Final = 1.96
LEAST_THROTTLED: Final = 20
LEAST_BLOCKED: Final = 50
THROTTLED_BELOW: Final = 0.35
BLOCKED_BELOW: Final = 0.20
# What was sent a moment ago may still be used.
RIPE_AFTER: Final = timedelta(seconds=120)
LOOK_BACK: Final = timedelta(hours=24)
MOST_SAMPLES: Final = 200

THROTTLE_TIME: Final = timedelta(hours=1)
FIRST_BLOCK: Final = timedelta(hours=1)
# Told again when it is as bad a day later.
ALARM_TIME: Final = timedelta(hours=24)
LONGEST_BLOCK: Final = timedelta(days=7)
# After so long without a block the next one is a first one again.
FORGIVEN_AFTER: Final = timedelta(days=7)
_HIGHEST_LEVEL: Final = 20


class State(StrEnum):
    """What is done about a prefix or a country."""

    FINE = "fine"
    THROTTLED = "throttled"  # one now and then
    BLOCKED = "blocked"  # none, for a time
    ALARMED = "alarmed"  # somebody is told, nothing is stopped: it is home


@dataclass(frozen=True, slots=True)
class Conversion:
    """How many were sent, long enough ago to be used, and how many of them were."""

    sent: int
    verified: int


def upper_bound(conversion: Conversion) -> float:
    """The most that the true share could be (Wilson's interval); 1 while nothing is known."""
    sent = conversion.sent
    if sent <= 0:
        return 1.0
    share = min(1.0, conversion.verified / sent)
    middle = share + _Z * _Z / (2 * sent)
    spread = _Z * sqrt(share * (1 - share) / sent + _Z * _Z / (4 * sent * sent))
    return min(1.0, max(share, (middle + spread) / (1 + _Z * _Z / sent)))


def judge(conversion: Conversion, *, is_home: bool) -> State:
    """What a conversion calls for. Where one's own people are, nothing is stopped for it; somebody should look."""
    bound = upper_bound(conversion)
    if conversion.sent >= LEAST_BLOCKED and bound < BLOCKED_BELOW:
        return State.ALARMED if is_home else State.BLOCKED
    if conversion.sent >= LEAST_THROTTLED and bound < THROTTLED_BELOW:
        return State.FINE if is_home else State.THROTTLED
    return State.FINE


def block_time(level: int) -> timedelta:
    """How long the block of this level lasts; the first is 1."""
    doublings: int = min(max(level, 1) - 1, _HIGHEST_LEVEL)
    return min(LONGEST_BLOCK, FIRST_BLOCK * (1 << doublings))


@dataclass(frozen=True, slots=True)
class Block:
    """What is done about a prefix or a country, until when, and for the how-manieth time."""

    state: State
    level: int
    until: datetime
    lifted_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return self.lifted_at is None and self.until > now


def next_block(before: Block | None, state: State, *, now: datetime) -> Block | None:
    """What follows a judgement; None where nothing is to be done, or enough is done already."""
    if state is State.FINE:
        return None
    if before is not None and before.holds(now) and (before.state is state or before.state is State.BLOCKED):
        return None
    level = _level_kept(before, now=now)
    match state:
        case State.BLOCKED:
            level = min(level + 1, _HIGHEST_LEVEL)
            return Block(state, level, now + block_time(level))
        case State.ALARMED:
            return Block(state, level, now + ALARM_TIME)
        case _:
            return Block(state, level, now + THROTTLE_TIME)


def _level_kept(before: Block | None, *, now: datetime) -> int:
    """How many blocks came before, unless that is long ago or was a mistake."""
    if before is None or before.lifted_at is not None or now - before.until >= FORGIVEN_AFTER:
        return 0
    return before.level
