"""Which gateway first, which next, and when to try again. Pure: health and order come in, a choice goes out."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.domain.outcome import Fault, Outcome, Refused
from shared.domain.pace import Pace
from shared.domain.repeats import Repeats

# A gateway may be out of reach for hours: with the waits below this is about four of them. A message whose
# `expires_at` comes first expires.
MAX_ATTEMPTS: Final = 100
# Attempts at which nobody was asked are none of those: this dispatcher was too late, or the gateway was deleted. Where
# that happens again and again it is not done without a pause; and an attempt's number has an end (a smallint).
NOBODY_ASKED: Final = frozenset({"lease_margin", "gateway_gone"})
UNASKED_AT_ONCE: Final = 2
UNASKED_BASE_SECONDS: Final = 0.5
UNASKED_CAP_SECONDS: Final = 15.0
UNASKED_MOST: Final = 30_000
BACKOFF_BASE_SECONDS: Final = 1.0
BACKOFF_CAP_SECONDS: Final = 300.0
RETRY_AFTER_CAP_SECONDS: Final = 3600.0
# What no gateway takes is looked at again after so long.
UNSERVED_SECONDS: Final = 15.0
# A gateway that asks for time gets it from campaigns, which keep their order; for longer than this they do not wait.
THROTTLE_PATIENCE_SECONDS: Final = 30.0
THROTTLE_CAP_SECONDS: Final = 60.0
# Without a word of how long: a stray "later" among a thousand answers must not stop a campaign.
THROTTLE_BASE_SECONDS: Final = 0.1
# It is stray again when so long after the rest no other came; and each so many messages taken make up for one.
THROTTLE_MEMORY_SECONDS: Final = 10.0
THROTTLE_MADE_UP_BY: Final = 20


@dataclass(frozen=True, slots=True)
class Route:
    """What the choice needs to know of one enabled gateway. No `location_ids` means that it serves all."""

    gateway_id: UUID
    kind: str
    location_ids: frozenset[str] = frozenset()
    sender_ids: frozenset[str] = frozenset()
    attachments: bool = False  # whether it takes messages with any
    withdrawn: bool = False
    empty: bool = False  # its credit is below the floor that its owner set
    open: bool = False  # its breaker is: it is left alone, but for trials
    half_open: bool = False  # its rest is over, and it is to be tried out
    tried_by: str | None = None  # the dispatcher that may try it out, and until when
    tried_until: datetime | None = None
    waited: float = 0.0  # seconds for which it has been waiting for a trial
    slow: bool = False
    pace: Pace | None = None
    resting_until: datetime | None = None  # it asked to be given time
    default_sender: str | None = None  # of a message that names none
    default_number: str | None = None  # where a name may not be shown
    repeats: Repeats | None = None  # what it may have is safe with it once more
    changed_at: datetime | None = None  # by its owner

    @property
    def shut(self) -> bool:
        """Whether nothing at all is handed to it for now."""
        return self.withdrawn or self.empty


@dataclass(frozen=True, slots=True)
class Again:
    """Hand it over once more, after `delay` seconds, and not to those in `tried` first."""

    delay: float
    tried: tuple[UUID, ...]


def choose(
    routes: Sequence[Route],
    *,
    sender_id: str | None,
    location_id: str | None,
    attachments: bool = False,
    tried: Collection[UUID] = (),
    trials: Collection[UUID] = (),
) -> UUID | None:
    """The first gateway, in the operator's order, that may take the message; None while there is none.

    One with an open breaker only where it is in `trials`. Slow ones come last; where all are slow, nothing changes.
    """
    slow: UUID | None = None
    for route in routes:
        if route.gateway_id in tried:
            continue
        if not serves(route, sender_id=sender_id, location_id=location_id, attachments=attachments):
            continue
        if route.open and route.gateway_id not in trials:
            continue
        if not route.slow:
            return route.gateway_id
        slow = slow or route.gateway_id
    return slow


def rests(route: Route, *, now: datetime) -> float:
    """Seconds for which a gateway wants nothing; 0 when it is ready."""
    if route.resting_until is None or route.resting_until <= now:
        return 0.0
    return (route.resting_until - now).total_seconds()


def is_away(route: Route, *, now: datetime, urgent: bool) -> bool:
    """Whether it rests for longer than such a message waits for it."""
    patience = timedelta(0) if urgent else timedelta(seconds=THROTTLE_PATIENCE_SECONDS)
    return route.resting_until is not None and route.resting_until > now + patience


def is_newcomer(route: Route, before: Route | None) -> bool:
    """Whether an enabled gateway may take what it could not at the last look, or is to be tried out now."""
    if route.shut or (route.open and not route.half_open):
        return False
    if before is None or before.shut:
        return True
    if route.open or before.open:
        return (route.open, route.half_open) != (before.open, before.half_open)
    needs = (route.location_ids, route.sender_ids, route.attachments)
    return needs != (before.location_ids, before.sender_ids, before.attachments)


def serves(route: Route, *, sender_id: str | None, location_id: str | None, attachments: bool = False) -> bool:
    """Whether it could take such a message at all; one with attachments never goes without them."""
    if route.shut or (attachments and not route.attachments):
        return False
    if route.location_ids and location_id not in route.location_ids:
        return False
    return sender_id is None or sender_id in route.sender_ids


def rest_after(outcome: Outcome, *, in_a_row: int) -> float:
    """Seconds of rest that a gateway wants which says "later" the n-th time in a row; 0 if it says no such thing."""
    if not isinstance(outcome, Refused) or outcome.fault is not Fault.THROTTLED:
        return 0.0
    if outcome.retry_after is not None:
        return min(max(outcome.retry_after, 0.0), RETRY_AFTER_CAP_SECONDS)
    return min(THROTTLE_CAP_SECONDS, THROTTLE_BASE_SECONDS * 2.0 ** min(max(in_a_row, 1) - 1, 20))


def after_certain_no(  # noqa: PLR0913 - what a fate depends on
    outcome: Outcome,
    *,
    gateway_id: UUID,
    tried: Sequence[UUID],
    attempt: int,
    others: Collection[UUID],
    later: Collection[UUID],
    rest: float | None = None,
) -> Again | None:
    """What follows a hand-over that certainly did not arrive; None means that nobody is left to ask.

    `others` are the gateways that could still take this message in this round, `later` those that could in another
    one: all that serve it and have not refused it. `gateway_id` is in neither. `attempt` counts those at which
    somebody was asked. `rest` is for how many seconds a message that can wait gives a throttled gateway time; None for
    one that cannot.
    """
    fault = outcome.fault if isinstance(outcome, Refused) else None
    if fault is Fault.ACCOUNT:
        # The gateway is withdrawn, so it need not be remembered as tried; the message waits for its owner.
        return Again(0.0, tuple(tried))
    # This gateway will not change its mind about this message; one that was out of reach may come back.
    final = fault in {Fault.MESSAGE, Fault.OPTED_OUT} or (fault is Fault.GATEWAY and not later)
    if final or attempt >= MAX_ATTEMPTS:
        return None
    if fault is Fault.THROTTLED and rest is not None and rest <= THROTTLE_PATIENCE_SECONDS:
        return Again(rest + random.uniform(0, 1), tuple(tried))  # noqa: S311 - jitter, no secret
    if others:
        return Again(0.0, (*tried, gateway_id))
    asked = outcome.retry_after if isinstance(outcome, Refused) else None
    # Nobody else is left: a new round begins, in which every gateway may be asked again that has not refused.
    return Again(_delay(attempt, asked), ())


def after_nobody_was_asked(*, tried: Sequence[UUID], attempt: int, in_a_row: int) -> Again | None:
    """What follows the n-th hand-over in a row at which no gateway was asked: the same ones may be."""
    if attempt >= UNASKED_MOST:
        return None
    if in_a_row <= UNASKED_AT_ONCE:
        return Again(0.0, tuple(tried))
    delay = min(UNASKED_CAP_SECONDS, UNASKED_BASE_SECONDS * 2.0 ** min(in_a_row - UNASKED_AT_ONCE - 1, 20))
    return Again(delay * random.uniform(0.5, 1), tuple(tried))  # noqa: S311 - jitter, no secret


def _delay(attempt: int, asked: float | None) -> float:
    if asked is not None:
        return min(max(asked, 0.0), RETRY_AFTER_CAP_SECONDS) + random.uniform(0, 1)  # noqa: S311 - jitter, no secret
    ceiling = min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2 ** (attempt - 1))
    return random.uniform(0, ceiling)  # noqa: S311 - full jitter, no secret
