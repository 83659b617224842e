"""What was put off because its gateway rests, so that it comes forward when the rest ends before its time.

Kept in memory: a process that dies forgets it, and then they come at the time that was set.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.domain.routing import Route

# Rests that are hardly longer than a look at the gateways are not worth it.
LEAST: Final = timedelta(seconds=2)
# The rest that an answer asks for is in the gateway's row only when the answer has been written.
SETTLED: Final = timedelta(seconds=2)
# Two clocks tell how long a rest is: ours here, and the database's.
_DIFFERENCE: Final = timedelta(seconds=1)
_MOST: Final = 50_000


@dataclass(slots=True)
class Rest:
    """One gateway's rest, as its messages were put off for it."""

    until: datetime
    noted_at: datetime
    message_ids: set[UUID] = field(default_factory=set)

    def is_cut_short(self, route: Route | None, *, now: datetime) -> bool:
        if now < self.noted_at + SETTLED:
            return False
        return route is None or route.resting_until is None or route.resting_until < self.until - _DIFFERENCE


@dataclass(slots=True)
class PutOff:
    rests: dict[UUID, Rest] = field(default_factory=dict)

    def note(self, gateway_id: UUID, message_id: UUID, *, until: datetime, now: datetime) -> None:
        """A message waits until this gateway has rested."""
        if until < now + LEAST:
            return
        rest = self.rests.get(gateway_id)
        if rest is None:
            rest = self.rests[gateway_id] = Rest(until, now)
        rest.until, rest.noted_at = max(rest.until, until), now
        if len(rest.message_ids) < _MOST:
            rest.message_ids.add(message_id)

    def cut_short(self, routes: Iterable[Route], *, now: datetime) -> list[UUID]:
        """The messages whose gateway rests no longer, or not as long; those whose time has come are forgotten."""
        if not self.rests:
            return []
        known = {route.gateway_id: route for route in routes}
        found: set[UUID] = set()
        for gateway_id, rest in list(self.rests.items()):
            ends = rest.is_cut_short(known.get(gateway_id), now=now)
            if ends or rest.until <= now:
                del self.rests[gateway_id]
            if ends and rest.until > now:
                found |= rest.message_ids
        return sorted(found)
