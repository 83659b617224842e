"""What one dispatcher process owns: its name, transactions, gateways, door, clock and bells. Handed to every stage."""

import asyncio
import contextlib
import os
import random
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dispatcher.book import Book
from dispatcher.breakers import Healths
from dispatcher.door.logins import Logins
from dispatcher.door.mail_server import MailServer
from dispatcher.door.transport import Transport
from dispatcher.media import MediaBook
from dispatcher.newcomers import Newcomers
from dispatcher.pacing.pace import Paces
from dispatcher.pacing.put_off import PutOff
from dispatcher.queries.claims import bring_forward
from dispatcher.queries.health import be_gone, be_seen
from dispatcher.rules import Rules
from dispatcher.streaks import Streaks
from dispatcher.subscriptions import Subscriptions
from dispatcher.witness import Witness
from shared.clock import utc_now
from shared.db import renew_plans
from shared.domain.message import Status
from shared.metrics import DispatcherMetrics
from shared.scripts.scripts import Scripts
from shared.sealing import Sealer

# Tallies are kept per writer; this many slots keep dispatchers from waiting for each other's rows.
WRITER_SLOTS = 64


def new_name() -> str:
    """A name no other dispatcher has or had: leases are signed with it."""
    return f"{socket.gethostname()[:20]}-{os.getpid()}-{random.getrandbits(32):08x}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once and for how long; times in seconds."""

    deadline: float = 10.0
    lease: float = 30.0
    # What a claim looked at holds for so long, counted from before it looked: no hand-over begins more than a second
    # after a stop or a STOP was committed. One that has to connect first is given another for that, and more only where
    # the peer is known to need it.
    fresh: float = 0.9
    bulk_slots: int = 500
    urgent_slots: int = 100
    expand_slice: int = 5_000
    backlog: int = 200_000
    receipts_batch: int = 2_000
    settle_wait: float = 0.02
    # Campaigns are held after so many failures in a row, or so many seconds without a gateway.
    failures_in_a_row: int = 50
    no_gateway: float = 900.0
    lookup_waits: tuple[float, ...] = (15.0, 60.0, 300.0, 900.0, 3600.0)

    def slots(self, lane: str) -> int:
        return self.urgent_slots if lane == "urgent" else self.bulk_slots


class Gauges:
    """The metrics of the hot path with their labels looked up once: a look-up costs more than the count."""

    def __init__(self, metrics: DispatcherMetrics) -> None:
        self.lane_latency = lru_cache(maxsize=None)(metrics.lane_latency_seconds.labels)
        self.hand_over = lru_cache(maxsize=1000)(metrics.hand_over_seconds.labels)
        self.messages = lru_cache(maxsize=10_000)(metrics.messages.labels)


@dataclass(frozen=True, slots=True)
class Worker:
    engine: AsyncEngine
    key_engine: AsyncEngine  # whose statements find their rows by keys (decision 53)
    book: Book
    transport: Transport
    sealer: Sealer
    pepper: bytes = field(repr=False)
    metrics: DispatcherMetrics
    limits: Limits = Limits()
    name: str = field(default_factory=new_name)
    mail_server: MailServer | None = None
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    witness: Witness | None = None
    streaks: Streaks = field(default_factory=Streaks)
    put_off: PutOff = field(default_factory=PutOff)
    newcomers: Newcomers = field(default_factory=Newcomers)
    gauges: Gauges = field(init=False)
    logins: Logins = field(init=False)
    redis_url: str | None = field(default=None, repr=False)  # None: paces are kept without it
    paces: Paces = field(init=False)
    healths: Healths = field(init=False)
    media: MediaBook = field(init=False)
    scripts: Scripts = field(default_factory=Scripts)
    rules: Rules = field(default_factory=Rules)
    writer: int = field(default_factory=lambda: random.randrange(WRITER_SLOTS))  # noqa: S311 - spreads rows
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    bells: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    ahead: dict[str, Any] = field(default_factory=dict, repr=False)  # what a stage has made for its next turn

    def __post_init__(self) -> None:
        object.__setattr__(self, "gauges", Gauges(self.metrics))
        logins = Logins(self.transport, kind_of=self.book.kind_of, deadline=self.limits.deadline)
        object.__setattr__(self, "logins", logins)
        # Whoever is cut off from Redis may have calls on the line for a deadline yet.
        paces = Paces(self.redis_url, name=self.name, life=self.limits.deadline + 5, ring=self.ring)
        object.__setattr__(self, "paces", paces)
        object.__setattr__(self, "media", MediaBook(public_url=self.book.public_url, pepper=self.pepper))
        object.__setattr__(self, "healths", Healths(deadline=self.limits.deadline, ring=self.ring))

    async def aclose(self) -> None:
        """End what was begun for the gateways: scripts and logins; the transport is its maker's to close."""
        await self.paces.aclose()
        await self.scripts.close()
        await self.logins.aclose()
        if self.witness is not None:
            await self.witness.aclose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One step's transaction: committed at the end of the block. Nothing in it may wait for anything but `tx`."""
        async with self.engine.begin() as tx:
            yield tx

    @asynccontextmanager
    async def by_key(self) -> AsyncIterator[AsyncConnection]:
        """The same for the path of a message: it knows the rows it wants, and tables may be of any size."""
        async with self.key_engine.begin() as tx:
            await renew_plans(tx)
            yield tx

    def now(self) -> datetime:
        return utc_now()

    @property
    def wanted(self) -> frozenset[Status]:
        """The statuses of messages that webhooks want to hear of."""
        return self.subscriptions.statuses

    def ring(self, name: str) -> None:
        """Wake a stage or a lane's pump of this process, by its name."""
        self.bells[name].set()

    def stop(self) -> None:
        """Begin to drain: no new work is taken, and whoever sleeps is woken to see it."""
        self.stopping.set()
        for bell in self.bells.values():
            bell.set()

    async def sleep(self, bell: asyncio.Event, seconds: float) -> None:
        """Wait for a bell, for at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await bell.wait()


async def keep_book(worker: Worker) -> int:
    """Read the gateways, the rules and what webhooks want anew, beside the path, so that the pump finds them fresh."""
    async with worker.transaction() as tx:
        await worker.book.read(tx)
        await worker.rules.read(tx)
        await worker.subscriptions.read(tx)
        worker.paces.dispatchers = await be_seen(tx, name=worker.name)
    if await _bring_forward(worker):
        for lane in ("urgent", "bulk"):
            worker.ring(lane)
    await worker.paces.keep_only([route.gateway_id for route in worker.book.routes if route.pace])
    return 0


async def _bring_forward(worker: Worker) -> int:
    """Let a slice of what waits for one gateway go, where that rests no longer or another has come; how many."""
    newcomers, now = worker.newcomers, worker.now()
    newcomers.add(worker.put_off.cut_short(worker.book.routes, now=now))
    newcomers.look(worker.book.take_newcomers(), worker.put_off, now=now)
    early = newcomers.next_slice()
    if early:
        async with worker.by_key() as tx:
            await bring_forward(tx, early)
        newcomers.forget(early)
    return len(early)


async def leave(worker: Worker) -> None:
    """Be counted no more."""
    async with worker.transaction() as tx:
        await be_gone(tx, name=worker.name)
