"""The pool: a dead connection is replaced before anybody is given it, and a living one is not asked every time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event, text
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


@pytest.fixture
async def by_key(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    engine = db.build_engine(migrated_url, application_name="tests-plans", pool_size=1, ping=False, by_key=True)
    yield engine
    await engine.dispose()


async def test_lasting_plans_are_let_go_where_tables_may_have_grown(
    by_key: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(db, "monotonic", lambda: clock[0])
    said: list[str] = []
    event.listen(by_key.sync_engine, "before_cursor_execute", lambda *told: said.append(told[2]))

    async def use(times: int) -> int:
        """How often plans were let go of."""
        said.clear()
        for _ in range(times):
            async with by_key.begin() as tx:
                await db.renew_plans(tx)
        return said.count("DISCARD PLANS")

    assert await use(50) == 0, "none has had the time to grow old"
    clock[0] += 1.0
    assert await use(1) == 1
    assert await use(50) == 0
    clock[0] += 1.0
    assert await use(1) == 1
    clock[0] += 59.0
    assert await use(19) == 0, "hardly anybody was there"
    clock[0] += 1.0
    assert await use(1) == 1


async def test_rows_are_reached_by_keys_alone(by_key: AsyncEngine) -> None:
    async with by_key.begin() as tx:
        names = "plan_cache_mode", "enable_seqscan", "enable_hashjoin", "enable_mergejoin"
        told = [(await tx.execute(text(f"SHOW {name}"))).scalar_one() for name in names]
    assert told == ["force_generic_plan", "off", "off", "off"]


async def test_a_pooler_hears_nothing_it_does_not_know() -> None:
    """PgBouncer knows these words of a first packet, and closes on any other."""
    heard: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(4))
        packet = await reader.readexactly(length - 4)
        if length == 8:  # whether we speak TLS
            writer.write(b"N")
            length = int.from_bytes(await reader.readexactly(4))
            packet = await reader.readexactly(length - 4)
        heard.set_result(packet[4:].rstrip(b"\0").split(b"\0"))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        engine = db.build_engine(f"postgresql+asyncpg://someone@127.0.0.1:{port}/lapwing", application_name="tests")
        with pytest.raises(Exception) as refused:  # noqa: PT011 - whatever says that it was hung up on
            async with engine.begin():
                pass
        await engine.dispose()
    assert db.is_outage(refused.value)
    words = (await heard)[::2]
    assert set(words) <= {b"user", b"database", b"application_name", b"client_encoding"}
