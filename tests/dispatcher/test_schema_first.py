"""A dispatcher on a schema behind its code claims nothing; it begins when the migrations are through."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.servers import Postgres, Valkey
from shared.queries.revision import standing_of
from shared.sealing import new_key
from tests.conftest import migrate
from tests.dispatcher.test_main import start

SECONDS = 40.0


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    name = f"unmigrated_{secrets.token_hex(4)}"
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
async def waiting(empty: str, valkey: Valkey) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await start(LAPWING_SECRET_KEYS=new_key(), LAPWING_DATABASE_URL=empty, LAPWING_REDIS_URL=valkey.url)
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def until_it_says(process: asyncio.subprocess.Process, words: bytes) -> bytes:
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(SECONDS):
        while words not in said:
            line = await process.stderr.readline()
            assert line, said.decode()
            said += line
    return said


async def test_it_waits_for_the_migrations_and_then_begins(waiting: asyncio.subprocess.Process, empty: str) -> None:
    await until_it_says(waiting, b"waiting for the migrations")
    await asyncio.to_thread(migrate, empty, "0001")
    await until_it_says(waiting, b'"revision":"0001"')
    await asyncio.to_thread(migrate, empty)
    said = await until_it_says(waiting, b"dispatcher is ready")
    assert b"stage failed" not in said


async def test_a_stop_ends_it_at_once_while_it_waits(waiting: asyncio.subprocess.Process) -> None:
    """With a handler of its own: the first process of a container does not hear a signal without one."""
    await until_it_says(waiting, b"waiting for the migrations")
    waiting.send_signal(signal.SIGTERM)
    async with asyncio.timeout(3):
        assert await waiting.wait() == 0


@pytest.mark.parametrize(
    ("revision", "standing"), [(None, "behind"), ("0001", "behind"), ("9999", "newer"), ("abc", "newer")]
)
def test_where_a_schema_stands(revision: str | None, standing: str) -> None:
    assert standing_of(revision) == standing
