"""Choice: which claimed message goes to which gateway now, and which waits. No I/O.

The operator's order, what a message needs, health, rest and pace, in this order. A message whose gateway has no room
waits for it: only a certain no moves it to the next one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import uniform
from typing import Final
from uuid import UUID

from dispatcher.breakers import may_probe
from dispatcher.pacing.meter import Meter
from dispatcher.queries.claims import Claimed
from dispatcher.queries.repeats import Repeated
from dispatcher.worker import Worker
from shared.adapter import Account
from shared.domain import routing
from shared.domain.message import Kind
from shared.domain.retries import AGAIN_SECONDS
from shared.domain.routing import Route

# A gateway that is not well is not given what it may have: it is looked at again.
UNWELL_SECONDS: Final = 15.0


@dataclass(slots=True)
class Choice:
    """Who goes where; `waiting` goes back into the queue for so many seconds, `homeless` until a gateway serves it."""

    intents: list[tuple[Claimed, Account]] = field(default_factory=list)
    waiting: list[tuple[Claimed, float]] = field(default_factory=list)
    homeless: list[Claimed] = field(default_factory=list)
    meters: dict[UUID, Meter] = field(default_factory=dict)
    trials: dict[UUID, UUID] = field(default_factory=dict)  # gateways that are tried out, each with a message

    def undo(self, worker: Worker, lane: str) -> None:
        """The claim came to nothing: what it took of paces and trials is given back."""
        for one, account in self.intents:
            if account.gateway_id in self.meters:
                self.meters[account.gateway_id].forget(lane, one.segments)
            worker.healths.end_probe(account.gateway_id, [one.id])


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
        free = worker.healths.free_probes(open_, now=now)
        return len(free) + len(worker.healths.open_probes(open_, name=worker.name))
    rooms = [_meter(worker, route).room(lane) if route.pace else None for route in ready]
    known = [rows for rows in rooms if rows is not None]
    return sum(known) if len(known) == len(rooms) else None


def choose(worker: Worker, lane: str, claimed: Sequence[Claimed]) -> Choice:
    """Decide for each message by the book as it is now; the other lane may read it anew at any moment."""
    chooser = _Chooser(worker, lane)
    # A claim comes in whatever order its rows were written; the room there is, is for passwords first.
    for one in claimed if lane == "bulk" else sorted(claimed, key=lambda one: one.kind != Kind.OTP):
        chooser.decide(one)
    return chooser.choice


def choose_again(worker: Worker, lane: str, doubted: Sequence[Repeated]) -> Choice:
    """Decide for messages in doubt, which may go nowhere but to the gateway that may have them."""
    chooser = _Chooser(worker, lane)
    for one in doubted:
        chooser.decide_again(one)
    return chooser.choice


def triable(worker: Worker, lane: str, claimed: Sequence[Claimed]) -> list[UUID]:
    """The gateways that nobody tries out, and that one of these messages could be a trial for."""
    free = worker.healths.free_probes(worker.book.routes, now=worker.now())
    if not free:
        return []
    chooser = _Chooser(worker, lane)
    return [route.gateway_id for route in free if any(chooser.may_try(one, route) for one in claimed)]


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
        if self.trials and self._try_out(one):
            return
        gateway_id = self._first(one, set())
        if gateway_id is None and one.kind == Kind.OTP and not self.plain:
            gateway_id = self._despite(one)
        if gateway_id is None:
            self._leave(one)
            return
        account = self.worker.book.accounts[gateway_id]
        if self._may_have_it_again(one, gateway_id) and (self.plain or self._has_room(one, gateway_id)):
            self._intend(one, account)

    def decide_again(self, one: Repeated) -> None:
        """To its own gateway, when that is well and has room; until then it stays in doubt, and waits."""
        route = next((route for route in self.near if route.gateway_id == one.gateway_id), None)
        if route is None or route.open or self._choose(one, (), set(), routes=[route]) is None:
            self.choice.waiting.append((one, UNWELL_SECONDS))
        elif self._may_have_it_again(one, route.gateway_id) and self._has_room(one, route.gateway_id):
            self._intend(one, self.worker.book.accounts[route.gateway_id])

    def may_try(self, one: Claimed, route: Route) -> bool:
        """Whether a message may be the trial of a gateway, wherever that is in the order: there are few of them.

        A password is one only where that gateway is the first for it, and has waited long for another message.
        """
        if route not in self.near or routing.rests(route, now=self.now):
            return False
        if one.kind == Kind.OTP:
            id_ = route.gateway_id
            return may_probe(one.kind, waited=route.waited) and self._first(one, {id_}) == id_
        tried = (*(one.tried or ()), *(one.refused or ()))
        return self._choose(one, tried, {route.gateway_id}, routes=[route]) is not None

    def _try_out(self, one: Claimed) -> bool:
        """Whether it goes as a trial to a gateway that is ours to try out."""
        for route in self.near:
            gateway_id = route.gateway_id
            if gateway_id not in self.trials or not self.may_try(one, route):
                continue
            if route.pace is not None:
                meter = _meter(self.worker, route)
                if not meter.take(self.lane, one.segments, password=one.kind == Kind.OTP):
                    continue
                self.choice.meters[gateway_id] = meter
            self.trials.discard(gateway_id)
            self.worker.healths.begin_probe(gateway_id, one.id)
            self.choice.trials[gateway_id] = one.id
            self.choice.intents.append((one, self.worker.book.accounts[gateway_id]))
            return True
        return False

    def _despite(self, one: Claimed) -> UUID | None:
        """Somebody waits for a password now: better through one that fails than through none, and that has rested."""
        rested = self._first(one, {route.gateway_id for route in self.near if route.half_open})
        return rested or self._first(one, {route.gateway_id for route in self.near if route.open})

    def _first(self, one: Claimed, trials: set[UUID]) -> UUID | None:
        refused = one.refused or ()
        tried = (*(one.tried or ()), *refused)
        found = self._choose(one, tried, trials)
        return found if found is not None or not one.tried else self._choose(one, refused, trials)

    def _choose(
        self, one: Claimed, tried: Collection[UUID], trials: set[UUID], *, routes: Sequence[Route] | None = None
    ) -> UUID | None:
        return routing.choose(
            self.near if routes is None else routes,
            sender_id=one.sender_id,
            location_id=one.location_id,
            attachments=self.worker.media.goes_with(one.campaign_message_id),
            tried=tried,
            trials=trials,
        )

    def _may_have_it_again(self, one: Claimed, gateway_id: UUID) -> bool:
        """Whether that is no retry, or retries there are not too many; somebody waits for a password now."""
        if gateway_id not in (one.had or ()) or one.kind == Kind.OTP or self.worker.healths.may_retry(gateway_id):
            return True
        self.choice.waiting.append((one, AGAIN_SECONDS * uniform(1, 2)))  # noqa: S311 - jitter
        return False

    def _intend(self, one: Claimed, account: Account) -> None:
        if account.gateway_id in (one.had or ()):
            self.worker.healths.begin_retry(account.gateway_id, one.id)
        self.choice.intents.append((one, account))

    def _has_room(self, one: Claimed, gateway_id: UUID) -> bool:
        """Whether its gateway can take it now; if not, it waits for that one."""
        route = next(route for route in self.near if route.gateway_id == gateway_id)
        rest = routing.rests(route, now=self.now)
        if rest:
            self._put_off(one, [route])
            return False
        if route.pace is not None:
            meter, password = _meter(self.worker, route), one.kind == Kind.OTP
            if not meter.take(self.lane, one.segments, password=password):
                pause = meter.later(self.lane, one.segments, password=password)
                self.choice.waiting.append((one, pause))
                return False
            self.choice.meters[gateway_id] = meter
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
