"""When a webhook is tried, when it is tried again, and when it is given up. Pure.

Two clocks: a delivery's own, for an event that its receiver will not have, and the endpoint's, for a receiver that is
away. While it is away only one delivery at a time asks whether it is back; the others wait for that and lose no try.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.domain.notice import Kind, Notice


class DeliveryStatus(StrEnum):
    WAITING = "waiting"  # for its turn, or for its next try
    DELIVERED = "delivered"  # answered with 2xx
    DEAD = "dead"  # given up; kept to be sent again on request


class DisabledReason(StrEnum):
    OWNER = "owner"
    GONE = "gone"  # its receiver answered 410
    FAILING = "failing"  # nothing was taken for days


# As Standard Webhooks proposes.
WAITS: Final[Sequence[timedelta]] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
TRIES: Final = len(WAITS) + 1
# An event dies when it has had its tries and its days: an outage that used up the tries quickly kills none.
LIFE: Final = timedelta(days=3)
DISABLED_AFTER: Final = timedelta(days=5)
# And only when what it refuses now was tried for so long: with a webhook that is seldom told of anything, days may lie
# between the last event, which died, and a new one that comes in a bad moment.
TRIED_FOR: Final = timedelta(hours=1)
# So many rounds in a row without one success, and the receiver counts as away.
AWAY_AFTER: Final = 3
_FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=5)
LONGEST_RETRY_AFTER: Final = timedelta(hours=1)
GONE: Final = 410
_BUSY: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Heard:
    """What one try came to: the answer's status, and why there is none, or what was wrong with the answer's body."""

    status: int | None = None
    cause: str | None = None
    retry_after: float | None = None  # seconds, as the receiver asked for

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        return self.status == GONE


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a receiver has been doing: rounds in a row without a success, and since when."""

    failures: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None

    @property
    def is_away(self) -> bool:
        return self.failures >= AWAY_AFTER


def wait_after(tries: int, *, chance: float) -> timedelta:
    """How long a delivery rests after so many tries; `chance` in 0..1 spreads those of one outage by a fifth."""
    return WAITS[min(tries, len(WAITS)) - 1] * (0.9 + 0.2 * chance)


def is_over(tries: int, *, since: datetime, now: datetime) -> bool:
    """Whether a delivery that failed once more is given up."""
    return tries >= TRIES and now - since >= LIFE


def after_round(endpoint: Endpoint, heard: Sequence[Heard], *, now: datetime, chance: float) -> Endpoint:
    """What a round of tries says of the receiver. One success is enough: it is there, though it may ask for a pause."""
    pause = _asked_pause(heard)
    if any(one.is_taken for one in heard):
        return Endpoint(retry_at=now + pause if pause else None)
    failures = endpoint.failures + 1
    if pause is None and failures >= AWAY_AFTER:
        doubled = _FIRST_PAUSE * (1 << min(failures - AWAY_AFTER, 10))
        pause = min(doubled, LONGEST_PAUSE) * (0.9 + 0.2 * chance)
    return Endpoint(failures, endpoint.failing_since or now, now + pause if pause else None)


def disabled_by(
    endpoint: Endpoint, heard: Sequence[Heard], *, tried_since: datetime, now: datetime
) -> DisabledReason | None:
    """Why the webhook is switched off after this round, if it is; `tried_since`, the oldest of its events."""
    if any(one.is_gone for one in heard):
        return DisabledReason.GONE
    was_failing = endpoint.failing_since is not None and now - endpoint.failing_since >= DISABLED_AFTER
    if was_failing and now - tried_since >= TRIED_FOR:
        return DisabledReason.FAILING
    return None


def disabled_notice(webhook_id: UUID, *, host: str, reason: DisabledReason) -> Notice:
    why = (
        "its receiver answered 410, which says that it wants no more"
        if reason is DisabledReason.GONE
        else f"its receiver has taken nothing for {DISABLED_AFTER.days} days"
    )
    return Notice(
        Kind.WEBHOOK_DISABLED,
        ("webhook", webhook_id),
        f"The webhook to {host} is disabled",
        f"The webhook to {host} is disabled: {why}. It is told nothing any more. Mend the receiver and enable the "
        "webhook; what was waiting then goes on, and what has died can be sent again.",
        {"host": host, "reason": reason.value},
    )


def _asked_pause(heard: Sequence[Heard]) -> timedelta | None:
    """The longest pause that a busy receiver asked for."""
    asked = [one.retry_after for one in heard if one.status in _BUSY and one.retry_after]
    return min(timedelta(seconds=max(asked)), LONGEST_RETRY_AFTER) if asked else None
