"""The lines behind the one door: a peer's checked addresses, an engine at each, free connections.

A name is looked up here, once for all callers, and every engine is pinned to an address that
passed: what is connected to is what was checked, so an answer that changes between the check and
the connection (DNS rebinding) has no window.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

import httpx

from dispatcher.door.engine import EngineFactory, Limits, Peer
from shared.addresses import Address, Network, may_connect, read_addresses

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_STALE_TTLS = 5  # how long checked addresses outlive a name server that does not answer
_MAX_LINES = 256  # peers remembered; owners' webhooks may name many


class NoAddress(StrEnum):
    """Why a host has no address to connect to."""

    FORBIDDEN = "forbidden_address"
    UNKNOWN = "dns_failure"
    LATE = "dns_timeout"


class Host(NamedTuple):
    """One peer as a URL names it, and whether its certificate is checked."""

    name: str
    port: int
    verify_tls: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """What all lines keep to."""

    factory: EngineFactory
    limits: Limits
    allowed: tuple[Network, ...]
    resolver: Resolver


@dataclass(slots=True, eq=False)
class Way:
    """One checked address of a peer, the engines pinned to it, and the calls on it.

    The hasty one is for calls that have to begin soon: an engine begins a call when its connection stands, and takes as
    long for that as it may.
    """

    address: Address
    engine: httpx.AsyncBaseTransport | None = field(default=None, repr=False)
    hasty_engine: httpx.AsyncBaseTransport | None = field(default=None, repr=False)
    patient_until: float = float("-inf")  # it takes long to connect to: until then every call has that time
    calls: int = 0
    retired: bool = False

    async def leave(self) -> None:
        """One call less; the last one out of a retired way closes it, for closing cuts off."""
        self.calls -= 1
        if self.retired and not self.calls:
            await self.close()

    async def retire(self) -> None:
        self.retired = True
        if not self.calls:
            await self.close()

    async def close(self) -> None:
        engines = self.engine, self.hasty_engine
        self.engine = self.hasty_engine = None
        for engine in engines:
            if engine is not None:
                await engine.aclose()


class Slots:
    """How many calls may be on the line at once, first come, first served; asked and given back in constant time.

    asyncio's semaphore walks all that wait at every question, which are hundreds here.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, *, until: float) -> bool:
        """Whether one became free in time; to be given back with `release`."""
        if self._free and not self._waiting:
            self._free -= 1
            return True
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(until):
                await turn
        except TimeoutError:
            return self._give_up(turn)
        except asyncio.CancelledError:
            if self._give_up(turn):
                self.release()
            raise
        return True

    def release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the slot is handed on
                return
        self._free += 1

    def _give_up(self, turn: "asyncio.Future[None]") -> bool:
        """Whether it was given the slot at the last moment, all the same."""
        if turn.done() and not turn.cancelled():
            return True
        turn.cancel()
        return False


class Line:
    """One peer: the ways to it, in order of preference."""

    def __init__(self, host: Host, rules: Rules, *, literal: Address | None) -> None:
        self.slots = Slots(rules.limits.max_connections)
        self.used_at = 0.0
        self._host = host
        self._rules = rules
        self._literal = literal
        self._ways: tuple[Way, ...] = ()
        self._fresh_until = float("-inf")
        self._usable_until = float("-inf")
        self._lookup: asyncio.Task[tuple[Way, ...] | NoAddress] | None = None

    @property
    def is_idle(self) -> bool:
        looking_up = self._lookup is not None and not self._lookup.done()
        return not looking_up and not any(way.calls for way in self._ways)

    def fresh_ways(self, now: float) -> tuple[Way, ...]:
        """The ways to this peer, or none if they have to be asked for."""
        return self._ways if now < self._fresh_until else ()

    async def ways(self, *, until: float) -> tuple[Way, ...] | NoAddress:
        """The ways to this peer, looked up and checked if need be.

        Past their time addresses are looked up again behind the caller's back: the old ones were
        checked too, so using them once more is safe, and a name server's hiccup stops nothing.
        """
        if self._literal is not None:
            return await self._take(self._literal)
        now = asyncio.get_running_loop().time()
        if self._lookup is None or self._lookup.done():
            self._lookup = asyncio.create_task(self._look_up())
        if now < self._usable_until:
            return self._ways
        patience = min(until - now, self._rules.limits.connect_timeout)
        done, _ = await asyncio.wait({self._lookup}, timeout=patience)
        return self._lookup.result() if done and not self._lookup.cancelled() else NoAddress.LATE

    def enter(self, way: Way, *, hasty: bool = False) -> httpx.AsyncBaseTransport:
        """An engine of this way, with one call more on it; `way.leave()` ends the call."""
        engine = way.hasty_engine if hasty else way.engine
        if engine is None:
            limits = self._rules.limits
            if hasty:
                limits = replace(limits, connect_timeout=limits.hasty_connect_timeout)
            peer = Peer(self._host.name, self._host.port, way.address, self._host.verify_tls)
            engine = self._rules.factory(peer, limits)
            way.engine, way.hasty_engine = (way.engine, engine) if hasty else (engine, way.hasty_engine)
        way.calls += 1
        return engine

    def has_haste(self, way: Way, now: float) -> bool:
        """Whether a call that has to begin soon gets less time here than others."""
        limits = self._rules.limits
        return limits.hasty_connect_timeout < limits.connect_timeout and now >= way.patient_until

    def demote(self, way: Way) -> None:
        """Try this way last from now on: it led nowhere."""
        if len(self._ways) > 1 and self._ways[0] is way:
            self._ways = (*self._ways[1:], way)

    async def retire(self) -> None:
        for way in self._ways:
            await way.retire()

    async def aclose(self) -> None:
        if self._lookup is not None:
            self._lookup.cancel()
        for way in self._ways:
            await way.close()

    async def _take(self, literal: Address) -> tuple[Way, ...] | NoAddress:
        if not may_connect(literal, self._rules.allowed):
            return NoAddress.FORBIDDEN
        return await self._adopt((literal,), ttl=float("inf"))

    async def _look_up(self) -> tuple[Way, ...] | NoAddress:
        """Look the name up, check what it stands for, and go by that.

        One forbidden address refuses them all. A name with a public and a private address is a
        trap or a mistake, and picking the good ones would let it pass until it springs.
        """
        try:
            found = read_addresses(await self._rules.resolver(self._host.name, self._host.port))
        except Exception:  # noqa: BLE001 - whatever a resolver raises, there is no address
            return NoAddress.UNKNOWN
        if not found:
            return NoAddress.UNKNOWN
        if not all(may_connect(address, self._rules.allowed) for address in found):
            await self._adopt((), ttl=float("-inf"))
            return NoAddress.FORBIDDEN
        return await self._adopt(found, ttl=self._rules.limits.address_ttl)

    async def _adopt(self, addresses: Sequence[Address], *, ttl: float) -> tuple[Way, ...]:
        """Go by these addresses from now on; a way to another one ends with its last call."""
        now = asyncio.get_running_loop().time()
        self._fresh_until = now + ttl
        self._usable_until = now + _STALE_TTLS * ttl
        # Known ways first, in the order that experience gave them.
        known = [way for way in self._ways if way.address in addresses]
        new = [address for address in addresses if all(way.address != address for way in known)]
        retired = [way for way in self._ways if way.address not in addresses]
        self._ways = (*known, *map(Way, new))
        ways = self._ways
        for way in retired:
            await way.retire()
        return ways


class Lines:
    """All lines of one door."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._lines: dict[Host, Line] = {}

    def known(self, host: Host) -> Line | None:
        return self._lines.get(host)

    async def line(self, host: Host, *, literal: Address | None) -> Line:
        """A new line to a peer; the idle one that was used longest ago makes room for it."""
        await self._make_room()
        return self._lines.setdefault(host, Line(host, self._rules, literal=literal))

    async def aclose(self) -> None:
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.aclose()

    async def _make_room(self) -> None:
        if len(self._lines) < _MAX_LINES:
            return
        idle = [host for host, line in self._lines.items() if line.is_idle]
        if idle:
            oldest = min(idle, key=lambda host: self._lines[host].used_at)
            await self._lines.pop(oldest).retire()


async def resolve(name: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
