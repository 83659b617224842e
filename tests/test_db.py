"""The pool: a dead connection is replaced before anybody is given it, and a living one is not asked every time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared import db


@pytest.fixture
async def pool(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection, as a request finds it."""
    engine = db.build_engine(migrated_url, application_name="tests-pool", pool_size=1)
    yield engine
    await engine.dispose()


async def pid_of(engine: AsyncEngine) -> int:
    async with engine.begin() as tx:
        return int((await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def terminate(engine: AsyncEngine, pid: int) -> None:
    async with engine.begin() as tx:
        await tx.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        while (await tx.execute(text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid})).scalar():
            await asyncio.sleep(0.01)


async def test_one_that_the_server_closed_is_replaced(pool: AsyncEngine, engine: AsyncEngine) -> None:
    before = await pid_of(pool)
    await terminate(engine, before)
    await asyncio.sleep(0.05)  # until the loop has read the end
    assert await pid_of(pool) != before


async def test_one_that_was_quiet_for_long_is_asked(
    pool: AsyncEngine, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await pid_of(pool)
    monkeypatch.setattr(db, "ASK_AFTER_SECONDS", -1.0)
    assert await pid_of(pool) == before, "who answers stays"
    monkeypatch.setattr("asyncpg.connection.Connection.is_closed", lambda _self: False)  # a loss that nobody told of
    await terminate(engine, before)
    assert await pid_of(pool) != before


async def test_a_living_one_is_not_asked(pool: AsyncEngine, engine: AsyncEngine) -> None:
    """Nothing is said to the server before the transaction's first statement."""
    await pid_of(pool)
    seen = text("SELECT query FROM pg_stat_activity WHERE application_name = 'tests-pool'")
    async with pool.connect(), engine.begin() as tx:
        assert (await tx.execute(seen)).scalars().all() == ["COMMIT;"]
