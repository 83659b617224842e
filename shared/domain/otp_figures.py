"""Figures of passwords: which hours are counted for good, and how long people take. Pure.

A million challenges are too many to count each time somebody looks. An hour is counted once, when nothing of it can
change any more; only the hours since, and the edges of what is asked for, are counted from the challenges themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from shared.domain.otp import LONGEST_LIFE

HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked for: challenges begun from `since` to before `until`; the hours in between are counted already."""

    since: datetime
    until: datetime
    counted_from: datetime
    counted_until: datetime


class Took(NamedTuple):
    """Codes that were entered within the same second after the start: how many, and their seconds together."""

    second: int
    codes: int
    seconds: float


def hour_of(at: datetime) -> datetime:
    """The full hour before a moment, or at it."""
    return at - (at - _EPOCH) % HOUR


def countable_until(now: datetime) -> datetime:
    """Up to when every challenge is over: neither a code nor a message of it may come any more."""
    return hour_of(now - LONGEST_LIFE)


def span_of(since: datetime, until: datetime, *, counted_until: datetime | None) -> Span:
    """Full hours that are counted, and what is left on both sides; none of them where nothing is counted."""
    if counted_until is None or since >= counted_until:  # the end of the calendar is not far from some of them
        return Span(since, until, until, until)
    begin, end = hour_of(since + HOUR - timedelta(microseconds=1)), hour_of(min(until, counted_until))
    return Span(since, until, begin, end) if begin < end else Span(since, until, until, until)


def median_of(took: Iterable[Took]) -> float | None:
    """The median of how long people took, to a second's mean; None where nobody entered a code."""
    known = sorted(took)
    codes = sum(one.codes for one in known)
    if not codes:
        return None
    return (_at(known, (codes - 1) // 2) + _at(known, codes // 2)) / 2


def _at(known: list[Took], place: int) -> float:
    for one in known:
        if place < one.codes:
            return one.seconds / one.codes
        place -= one.codes
    raise ValueError(f"there is no place {place} beyond the last")
