"""How fast a gateway may be given messages: segments a second, and requests in flight. Pure: the time comes in.

The law of `dispatcher/pacing/pace.lua`, which keeps it for all dispatchers at once, and of whoever has to keep it
alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Self

# Time that nobody used is kept for so long, and no longer: over any 10 seconds the pace is kept to 2 %, and what is
# granted at once counts in full. Slices and credit below are part of those 2 %.
BURST_SECONDS: Final = 0.1
# What all dispatchers together hold ahead of its use.
SLICE_SECONDS: Final = 0.05
# So far ahead of its time an urgent message may go; what it took is missing from the next slices of campaigns.
AHEAD_SECONDS: Final = 0.05
# Of the requests in flight, so much is for urgent messages alone.
URGENT_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """The limits of one gateway; None where there is none."""

    segments_per_second: float | None = None
    in_flight: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> Self | None:
        """The limits as a gateway's row holds them; None without any."""
        if not settings:
            return None
        rate, most = settings.get("segments_per_second"), settings.get("in_flight")
        if rate is None and most is None:
            return None
        return cls(None if rate is None else float(rate), None if most is None else int(most))

    def share(self, among: int) -> Self:
        """What is left for one of so many who cannot hear each other; one request each at the least.

        Together they stay within the limits, unless there are more of them than requests allowed.
        """
        among = max(1, among)
        rate = None if self.segments_per_second is None else self.segments_per_second / among
        most = None if self.in_flight is None else max(1, self.in_flight // among)
        return type(self)(rate, most)


@dataclass(slots=True)
class Bucket:
    """Grants segments at a rate (a second). `due` is when the next one may go, in the seconds of the caller's clock."""

    rate: float
    due: float = 0.0

    def take(self, wanted: int, *, now: float, ahead: float = 0.0) -> int:
        """How many of `wanted` segments may go now; up to `ahead` seconds before their time."""
        due = min(max(self.due, now - BURST_SECONDS), now + BURST_SECONDS + 1 / self.rate)  # it may have been slower
        if wanted <= 0 or due > now + ahead:
            return 0
        granted = min(wanted, int((now + ahead - due) * self.rate) + 1)
        self.due = due + granted / self.rate
        return granted

    def wait(self, *, now: float) -> float:
        """Seconds until the next segment may go."""
        return max(0.0, self.due - now)


def slice_of(rate: float, among: int) -> int:
    """How many segments one of so many dispatchers asks for at a time."""
    return max(1, ceil(rate * SLICE_SECONDS / max(1, among)))


def kept_for_urgent(requests: int) -> int:
    """How many of so many requests in flight no campaign may use; a single one is for whoever comes."""
    return ceil(requests * URGENT_SHARE) if requests > 1 else 0
