"""Fixtures for whoever runs the path of a message: a worker, scripted gateways, and one clock for everybody.

The worker's connections find a `now()` of ours before Postgres' own, so the database's clock stands still until a
test moves it. Imported by the conftests and tests that need it.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import respx
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.book import Book
from dispatcher.door.transport import Transport
from dispatcher.worker import Limits, Worker
from shared.db import begin
from shared.metrics import dispatcher_metrics
from shared.sealing import Sealer
from tests.conftest import Clock

# public comes first, so that what is created lands there; then our now(), before Postgres' own.
_PATH = "SET search_path = public, by_hand, pg_catalog"
_INSTALL = (
    "CREATE SCHEMA by_hand",
    "CREATE TABLE by_hand.clock (at timestamptz NOT NULL)",
    ("CREATE FUNCTION by_hand.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM by_hand.clock'"),
    "INSERT INTO by_hand.clock VALUES (pg_catalog.now())",
)
_SET = text("UPDATE by_hand.clock SET at = :at")
_BEAT = text("UPDATE heartbeat SET beat_at = beat_at + :by, awake_until = awake_until + :by")

SMALL = Limits(
    deadline=2.0,
    lease=30.0,
    fresh=20.0,  # a busy machine is no reason to claim again
    bulk_slots=8,
    urgent_slots=4,
    expand_slice=10,
    backlog=1_000,
    receipts_batch=100,
    settle_wait=0.0,
)


@dataclass(frozen=True, slots=True)
class HandClock:
    """The clock of the app, the worker and the database at once."""

    clock: Clock
    engine: AsyncEngine

    async def advance(self, **by: float) -> None:
        """Time passes, and a dispatcher is there all the while."""
        await self.sleep(**by)
        async with begin(self.engine) as tx:
            await tx.execute(_BEAT, {"by": timedelta(**by)})

    async def sleep(self, **by: float) -> None:
        """Time passes, and no dispatcher is there."""
        self.clock.advance(timedelta(**by))
        async with begin(self.engine) as tx:
            await tx.execute(_SET, {"at": self.clock.now})


@dataclass(frozen=True, slots=True, kw_only=True)
class HandWorker(Worker):
    """A worker whose clock is moved by hand."""

    clock: Clock

    def now(self) -> Any:
        return self.clock.now


@pytest.fixture
async def by_hand(engine: AsyncEngine, clock: Clock) -> HandClock:
    async with begin(engine) as tx:
        if not (await tx.execute(text("SELECT to_regprocedure('by_hand.now()') IS NOT NULL"))).scalar_one():
            for statement in _INSTALL:
                await tx.execute(text(statement))
        await tx.execute(_SET, {"at": clock.now})
    await engine.dispose()  # connections from now on know the clock

    def know_the_clock(connection: Any, _record: object) -> None:
        connection.run_async(lambda driver: driver.execute(_PATH))

    event.listen(engine.sync_engine, "connect", know_the_clock)
    return HandClock(clock, engine)


@pytest.fixture
def router() -> respx.MockRouter:
    """What stands behind the door: a route for each gateway; anything else is an error."""
    return respx.MockRouter(assert_all_called=False)


@pytest.fixture
async def worker(
    engine: AsyncEngine, sealer: Sealer, pepper: bytes, router: respx.MockRouter, by_hand: HandClock
) -> AsyncIterator[HandWorker]:
    transport = Transport(httpx.MockTransport(router.async_handler))
    worker = HandWorker(
        engine=engine,
        key_engine=engine,
        book=Book(sealer=sealer, public_url="https://sms.example.com"),
        transport=transport,
        sealer=sealer,
        pepper=pepper,
        metrics=dispatcher_metrics(),
        limits=SMALL,
        clock=by_hand.clock,
    )
    yield worker
    await worker.aclose()
    await transport.aclose()


@pytest.fixture
def another(worker: HandWorker) -> Callable[..., HandWorker]:
    """More dispatchers on the same database and behind the same door; what is named differs from the first."""

    def make(**over: Any) -> HandWorker:
        return HandWorker(
            engine=worker.engine,
            key_engine=worker.key_engine,
            book=Book(sealer=worker.sealer, public_url="https://sms.example.com"),
            transport=worker.transport,
            sealer=worker.sealer,
            pepper=worker.pepper,
            metrics=dispatcher_metrics(),
            limits=replace(worker.limits, **over),
            writer=(worker.writer + 1) % 64,
            clock=worker.clock,
        )

    return make
