"""Choice: which claimed message goes to which gateway now, and which waits. No I/O.

The operator's order, what a message needs, health, rest and pace, in this order. A message whose gateway has no room
waits for it: only a certain no moves it to the next one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import uniform
from uuid import UUID

from dispatcher.breakers import may_probe
from dispatcher.meter import Meter
from dispatcher.queries.claims import Claimed
from dispatcher.worker import Worker
from shared.adapter import Account
from shared.domain import routing
from shared.domain.message import Kind
from shared.domain.routing import Route


@dataclass(slots=True)
class Choice:
    """Who goes where; `waiting` goes back into the queue for so many seconds, `homeless` until a gateway serves it."""

    intents: list[tuple[Claimed, Account]] = field(default_factory=list)
    waiting: list[tuple[Claimed, float]] = field(default_factory=list)
    homeless: list[Claimed] = field(default_factory=list)
    meters: dict[UUID, Meter] = field(default_factory=dict)
    trials: set[UUID] = field(default_factory=set)

    def undo(self, worker: Worker, lane: str) -> None:
        """The claim came to nothing: what it took of paces and trials is given back."""
        for one, account in self.intents:
            if account.gateway_id in self.meters:
                self.meters[account.gateway_id].forget(lane, one.segments)
        for gateway_id in self.trials:
            worker.healths.end_probe(gateway_id)


def room(worker: Worker, lane: str) -> int | None:
    """How many messages of a lane are worth claiming now; None for no limit but the free slots."""
    if not worker.book.is_fresh:  # the claim will read it
        return None
    now = worker.now()
    open_ = [route for route in worker.book.routes if not route.shut]
    ready = [route for route in open_ if not (route.open or routing.rests(route, now=now))]
    if not ready:
        if lane == "urgent":
            return None if open_ else 0  # a password goes even to one that fails
        return len(worker.healths.open_probes(open_, name=worker.name))
    rooms = [_meter(worker, route).room(lane) if route.pace else None for route in ready]
    known = [rows for rows in rooms if rows is not None]
    return sum(known) if len(known) == len(rooms) else None


def choose(worker: Worker, lane: str, claimed: Sequence[Claimed]) -> Choice:
    """Decide for each message by the book as it is now; the other lane may read it anew at any moment."""
    chooser = _Chooser(worker, lane)
    for one in claimed:
        chooser.decide(one)
    return chooser.choice


class _Chooser:
    def __init__(self, worker: Worker, lane: str) -> None:
        self.worker = worker
        self.lane = lane
        self.choice = Choice()
        self.now: datetime = worker.now()
        book = worker.book
        self.routes = book.routes
        urgent = lane == "urgent"
        # Plain is what nothing is known of: then the order alone decides, and nothing more is asked for each message.
        self.plain = not any(route.open or route.resting_until or route.pace for route in self.routes)
        self.near = [route for route in self.routes if not routing.is_away(route, now=self.now, urgent=urgent)]
        self.trials = set(worker.healths.open_probes(self.near, name=worker.name)) if not self.plain else set()

    def decide(self, one: Claimed) -> None:
        gateway_id = self._first(one, self._trials_for(one))
        if gateway_id is None and one.kind == Kind.OTP and not self.plain:
            # Somebody waits for it now: better through one that fails than through none.
            gateway_id = self._first(one, {route.gateway_id for route in self.near if route.open})
        if gateway_id is None:
            self._leave(one)
            return
        account = self.worker.book.accounts[gateway_id]
        if self.plain or self._has_room(one, gateway_id):
            self.choice.intents.append((one, account))

    def _first(self, one: Claimed, trials: set[UUID]) -> UUID | None:
        refused = one.refused or ()
        tried = (*(one.tried or ()), *refused)
        found = self._choose(one, tried, trials)
        return found if found is not None or not one.tried else self._choose(one, refused, trials)

    def _choose(self, one: Claimed, tried: Collection[UUID], trials: set[UUID]) -> UUID | None:
        return routing.choose(
            self.near,
            sender_id=one.sender_id,
            location_id=one.location_id,
            attachments=self.worker.media.goes_with(one.campaign_message_id),
            tried=tried,
            trials=trials,
        )

    def _trials_for(self, one: Claimed) -> set[UUID]:
        if not self.trials or one.kind != Kind.OTP:
            return self.trials
        waited = {route.gateway_id: route.waited for route in self.near}
        return {id_ for id_ in self.trials if may_probe(one.kind, waited=waited[id_])}

    def _has_room(self, one: Claimed, gateway_id: UUID) -> bool:
        """Whether its gateway can take it now; if not, it waits for that one."""
        route = next(route for route in self.near if route.gateway_id == gateway_id)
        rest = routing.rests(route, now=self.now)
        if rest:
            self._put_off(one, [route])
            return False
        if route.pace is not None:
            meter = _meter(self.worker, route)
            if not meter.take(self.lane, one.segments):
                self.choice.waiting.append((one, meter.later(self.lane, one.segments)))
                return False
            self.choice.meters[gateway_id] = meter
        if gateway_id in self.trials and route.open:
            self.worker.healths.begin_probe(gateway_id)
            self.trials.discard(gateway_id)
            self.choice.trials.add(gateway_id)
        return True

    def _leave(self, one: Claimed) -> None:
        """Nobody takes it now. One that only rests is waited for."""
        attachments = self.worker.media.goes_with(one.campaign_message_id)
        resting = [
            route
            for route in self.routes
            if route not in self.near
            and route.gateway_id not in (one.refused or ())
            and routing.serves(route, sender_id=one.sender_id, location_id=one.location_id, attachments=attachments)
        ]
        if resting:
            self._put_off(one, resting)
        else:
            self.choice.homeless.append(one)

    def _put_off(self, one: Claimed, resting: Sequence[Route]) -> None:
        """It waits for the first of these gateways whose rest is over."""
        rest = min(routing.rests(route, now=self.now) for route in resting)
        self.choice.waiting.append((one, rest + uniform(0, 1)))  # noqa: S311 - jitter
        for route in resting:
            if route.resting_until is not None:
                self.worker.put_off.note(route.gateway_id, one.id, until=route.resting_until, now=self.now)


def _meter(worker: Worker, route: Route) -> Meter:
    assert route.pace is not None
    account = worker.book.accounts[route.gateway_id]
    largest = worker.book.adapter_of(account).CAPABILITIES.largest_batch
    return worker.paces.meter(route.gateway_id, route.pace, largest_batch=largest)
