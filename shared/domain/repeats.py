"""Handing over once more what a gateway may have: only to that gateway, under the same id, and for a while.

A gateway that takes nothing twice under one id makes a doubt harmless: the same request again is either the first that
arrives or one that it knows. Whether a gateway is one, by which id and for how long, is its owner's word.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.outcome import Fault, Lost, Outcome, Refused

# What a gateway knew before its owner changed it may be known at another account: a doubt counts only when it began
# well after the last change, by when every call that went by the settings of before had left.
UNCHANGED_FOR: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Repeats:
    """For how many seconds after the first hand-over in doubt, and how often at most, the same may be sent again."""

    window: int
    most: int


def may_repeat(outcome: Outcome) -> bool:
    """Whether a hand-over of a message in doubt that came to this leaves anything to hope of another one.

    A refusal says nothing of the hand-over before it, and would be said again.
    """
    match outcome:
        case Lost():
            return True
        case Refused(fault=fault):
            return fault is Fault.THROTTLED
        case _:
            return False
