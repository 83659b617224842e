"""Quiet hours: when a recipient may not be disturbed, by the clock on the recipient's wall. Pure.

A window is told in local time and may pass midnight. Where a recipient may live in several zones, every one of them
counts: a moment is open only if it is open in all. Daylight saving is the zone's: an hour that is skipped ends a
window at the moment after the gap, and in an hour that is repeated a window holds both times.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# A window of every day may close this many days in a row before somebody has to be told that it never opens.
LONGEST_SEARCH: Final = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class QuietWindow:
    """From `start` to `end`, local time; `days` are those on which it starts. The same time twice is the whole day."""

    start: time
    end: time
    days: tuple[str, ...] = DAYS

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        days = stored.get("days")
        return cls(
            time.fromisoformat(stored["start"]),
            time.fromisoformat(stored["end"]),
            DAYS if days is None else tuple(day for day in DAYS if day in days),
        )

    def write(self) -> dict[str, Any]:
        told: dict[str, Any] = {"start": self.start.strftime("%H:%M"), "end": self.end.strftime("%H:%M")}
        return {**told, "days": None if self.days == DAYS else list(self.days)}


@lru_cache(maxsize=16_384)
def next_open(windows: tuple[QuietWindow, ...], zones: tuple[str, ...], moment: datetime) -> datetime | None:
    """The first moment, this one or later, at which nobody is disturbed; None if there is none in a week."""
    if not windows:
        return moment
    opened = moment
    while opened - moment < LONGEST_SEARCH:
        later = max((_end_of_quiet(windows, zone, opened) for zone in zones), default=opened)
        if later == opened:
            return opened
        opened = later
    return None


def _end_of_quiet(windows: tuple[QuietWindow, ...], zone: str, moment: datetime) -> datetime:
    """When the last of the windows that hold this moment ends; the moment itself if none does."""
    ends = [end for start, end in _spans(windows, zone, _day_of(zone, moment)) if start <= moment < end]
    return max(ends, default=moment)


def _day_of(zone: str, moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


@lru_cache(maxsize=4096)
def _spans(windows: tuple[QuietWindow, ...], zone: str, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """The windows that may hold a moment of this day: those that start on it or on the day before."""
    local = ZoneInfo(zone)
    spans = []
    for start_day in (day - timedelta(days=1), day):
        for window in windows:
            if DAYS[start_day.weekday()] in window.days:
                end_day = start_day if window.end > window.start else start_day + timedelta(days=1)
                spans.append((_earliest(start_day, window.start, local), _latest(end_day, window.end, local)))
    return tuple(spans)


def _earliest(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first moment at which the wall shows this time; where it never does, the moment the clock jumps over it."""
    return _moments(day, at, zone)[0]


def _latest(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The last moment at which the wall shows this time; where it never does, the moment the clock jumps over it."""
    return _moments(day, at, zone)[1]


def _moments(day: date, at: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    wall = datetime.combine(day, at, zone)
    first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return first, second
    # A gap: read with the offset before it the time lies after the jump, and with the offset after it, before.
    before, after = second, first
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    jump = after.replace(microsecond=0)
    return jump, jump
