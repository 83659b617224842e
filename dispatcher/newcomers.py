"""Gateways that were not there before: what waits for others need not wait for those.

A message put off for an hour's rest, or until the next round, knows nothing of a gateway that is enabled meanwhile.
Kept in memory, as `dispatcher/pacing/put_off.py` is: a process that dies forgets it, and then they come at the time
that was set. Each dispatcher brings forward what it put off itself.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from dispatcher.pacing.put_off import LEAST, SETTLED, PutOff
from shared.domain.routing import Route

# So many come forward in one transaction, and in one look at the gateways.
SLICE: Final = 2_000
# One that is to be tried out takes one message at a time; which of them fits it is not known here.
SAMPLE: Final = 100
_MOST: Final = 50_000


class Round(NamedTuple):
    """A message that waits until `until`, after that gateway was the last of a round to say no."""

    gateway_id: UUID
    until: datetime


@dataclass(slots=True)
class Newcomers:
    rounds: dict[UUID, Round] = field(default_factory=dict)
    came: dict[UUID, datetime] = field(default_factory=dict)  # who takes messages now, and since when
    early: dict[UUID, None] = field(default_factory=dict)  # what is to come forward, in its order

    def note(self, gateway_id: UUID, message_id: UUID, *, until: datetime, now: datetime) -> None:
        """A message waits for the next round."""
        if until < now + LEAST:
            return
        if len(self.rounds) >= _MOST:
            self.rounds = {id_: one for id_, one in self.rounds.items() if one.until > now}
        if len(self.rounds) < _MOST:
            self.rounds[message_id] = Round(gateway_id, until)

    def look(self, routes: Iterable[Route], put_off: PutOff, *, now: datetime) -> None:
        """These have come. What was put off just before, by who did not know them, is looked at once more."""
        for route in routes:
            if route.open:
                waiting = self._waiting(route.gateway_id, put_off, now=now)
                self.add(random.sample(waiting, min(SAMPLE, len(waiting))))
            else:
                self.came[route.gateway_id] = now
        for gateway_id, since in list(self.came.items()):
            is_last = since + SETTLED <= now
            if since == now or is_last:
                self.add(self._waiting(gateway_id, put_off, now=now))
            if is_last:
                # Whatever waits on after this is put off anew, and noted then.
                del self.came[gateway_id]
                for other, rest in put_off.rests.items():
                    if other != gateway_id:
                        rest.message_ids.clear()

    def _waiting(self, gateway_id: UUID, put_off: PutOff, *, now: datetime) -> list[UUID]:
        """What waits for others than this one."""
        found = {id_ for id_, one in self.rounds.items() if one.gateway_id != gateway_id and one.until > now}
        for other, rest in put_off.rests.items():
            if other != gateway_id and rest.until > now:
                found |= rest.message_ids
        return sorted(found)

    def add(self, message_ids: Iterable[UUID]) -> None:
        self.early |= dict.fromkeys(message_ids)

    def next_slice(self) -> Sequence[UUID]:
        """What comes forward next; it stays until it is forgotten."""
        return list(self.early)[:SLICE] if self.early else ()

    def forget(self, message_ids: Iterable[UUID]) -> None:
        """These have come forward."""
        for id_ in message_ids:
            self.early.pop(id_, None)
            self.rounds.pop(id_, None)
