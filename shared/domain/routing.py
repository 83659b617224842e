"""Which gateway first, which next, and when to try again. Pure: health and order come in, a choice goes out."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.domain.outcome import Fault, Outcome, Refused

# A gateway may be out of reach for hours: with the waits below this is about four of them. A message whose
# `expires_at` comes first expires.
MAX_ATTEMPTS: Final = 100
BACKOFF_BASE_SECONDS: Final = 1.0
BACKOFF_CAP_SECONDS: Final = 300.0
RETRY_AFTER_CAP_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Route:
    """What the choice needs to know of one enabled gateway. No `location_ids` means that it serves all."""

    gateway_id: UUID
    kind: str
    location_ids: frozenset[str] = frozenset()
    sender_ids: frozenset[str] = frozenset()
    withdrawn: bool = False
    empty: bool = False  # its credit is below the floor that its owner set

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
    routes: Sequence[Route], *, sender_id: str | None, location_id: str | None, tried: Collection[UUID] = ()
) -> UUID | None:
    """The first gateway, in the operator's order, that may take the message; None while there is none."""
    for route in routes:
        if route.gateway_id not in tried and serves(route, sender_id=sender_id, location_id=location_id):
            return route.gateway_id
    return None


def serves(route: Route, *, sender_id: str | None, location_id: str | None) -> bool:
    if route.shut:
        return False
    if route.location_ids and location_id not in route.location_ids:
        return False
    return sender_id is None or sender_id in route.sender_ids


def after_certain_no(
    outcome: Outcome,
    *,
    gateway_id: UUID,
    tried: Sequence[UUID],
    attempt: int,
    others: Collection[UUID],
    later: Collection[UUID],
) -> Again | None:
    """What follows a hand-over that certainly did not arrive; None means that nobody is left to ask.

    `others` are the gateways that could still take this message in this round, `later` those that could in another
    one: all that serve it and have not refused it. `gateway_id` is in neither.
    """
    fault = outcome.fault if isinstance(outcome, Refused) else None
    if fault in {Fault.MESSAGE, Fault.OPTED_OUT}:
        return None
    if fault is Fault.ACCOUNT:
        # The gateway is withdrawn, so it need not be remembered as tried; the message waits for its owner.
        return Again(0.0, tuple(tried))
    # This gateway will not change its mind about this message; one that was out of reach may come back.
    if fault is Fault.GATEWAY and not later:
        return None
    if attempt >= MAX_ATTEMPTS:
        return None
    if others:
        return Again(0.0, (*tried, gateway_id))
    asked = outcome.retry_after if isinstance(outcome, Refused) else None
    # Nobody else is left: a new round begins, in which every gateway may be asked again that has not refused.
    return Again(_delay(attempt, asked), ())


def _delay(attempt: int, asked: float | None) -> float:
    if asked is not None:
        return min(max(asked, 0.0), RETRY_AFTER_CAP_SECONDS) + random.uniform(0, 1)  # noqa: S311 - jitter, no secret
    ceiling = min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2 ** (attempt - 1))
    return random.uniform(0, ceiling)  # noqa: S311 - full jitter, no secret
