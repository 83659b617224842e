"""The arithmetic of a report: at every moment, recipients times messages is the sum over all statuses.

Messages are made slice by slice. Who has none yet is counted where the missing message stands: waiting, or called back
with the rest of its step.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.campaign import StepStatus
from shared.domain.message import Status

# Whose segments a gateway will charge, or may.
CHARGEABLE: Final = frozenset(
    {Status.SENDING, Status.SUBMITTED, Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.UNCONFIRMED}
)


@dataclass(frozen=True, slots=True)
class Counted:
    """Messages and segments of one status."""

    status: Status
    messages: int
    segments: int


def count_step(counted: Iterable[Counted], *, status: StepStatus, recipients: int, expanded: int) -> dict[Status, int]:
    """How many of a step's messages are in each status, those not made yet included."""
    counts = dict.fromkeys(Status, 0)
    for one in counted:
        counts[one.status] += one.messages
    unmade = Status.CANCELLED if status is StepStatus.CANCELLED else Status.QUEUED
    counts[unmade] += recipients - expanded
    return counts


def segments_of(counted: Iterable[Counted]) -> int:
    return sum(one.segments for one in counted if one.status in CHARGEABLE)


def add_up(steps: Iterable[Mapping[Status, int]]) -> dict[Status, int]:
    """The counts of a whole campaign."""
    total = dict.fromkeys(Status, 0)
    for counts in steps:
        for status, messages in counts.items():
            total[status] += messages
    return total


@dataclass(frozen=True, slots=True)
class Summary:
    """Where messages are, in six words that add up to all of them."""

    waiting: int
    on_the_way: int
    delivered: int
    not_delivered: int
    unconfirmed: int
    not_sent: int

    @property
    def deliverability(self) -> float | None:
        """What arrived of those whose fate is known; None while there is none."""
        known = self.delivered + self.not_delivered
        return round(self.delivered / known, 4) if known else None


def summarize(counts: Mapping[Status, int]) -> Summary:
    def of(*statuses: Status) -> int:
        return sum(counts.get(status, 0) for status in statuses)

    return Summary(
        waiting=of(Status.QUEUED, Status.SENDING),
        on_the_way=of(Status.SUBMITTED, Status.SENT),
        delivered=of(Status.DELIVERED),
        not_delivered=of(Status.FAILED, Status.UNDELIVERED),
        unconfirmed=of(Status.UNCONFIRMED),
        not_sent=of(Status.EXPIRED, Status.SKIPPED, Status.CANCELLED),
    )
