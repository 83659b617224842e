"""Worlds for the tests: real Postgres and Valkey on unix sockets, one migrated database, an app over ASGI.

Rows are committed for real and cleared after each test, so that locks, snapshots and SKIP LOCKED behave as they do
in production.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.deps import current_time
from api.main import create_app, equip
from api.resources import Resources
from deploy.local.servers import Postgres, Valkey
from shared.api_keys import digest_of
from shared.clock import utc_now
from shared.db import begin, build_engine
from shared.doorbell import Doorbell
from shared.queries.installation import open_pepper
from shared.queries.partitions import ensure_partitions
from shared.sealing import Sealer, new_key
from shared.speeds import Speeds

ADMIN_KEY = "lw_bootstrap_for_the_tests_only"  # 31 characters, of no use anywhere else

# What is cleared is found out, not listed: a new table needs no line here. Most are empty and cost one look.
_CLEAR = """
DO $$
DECLARE name text; filled boolean;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN
        SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
          AND relname <> 'alembic_version'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', name) INTO filled;
        IF filled THEN
            EXECUTE format('DELETE FROM %s', name);
        END IF;
    END LOOP;
END $$
"""


@dataclass(slots=True)
class Clock:
    """What time it is for the app; it stands still until it is moved."""

    now: datetime

    def advance(self, by: timedelta) -> datetime:
        self.now += by
        return self.now


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres") / "server")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey") / "server")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def migrated_url(postgres: Postgres) -> str:
    """The address of a database that alembic has brought to HEAD, with its months made."""
    url = postgres.url()
    migrate(url)
    return url


def migrate(url: str, revision: str = "head") -> None:
    """Bring a database to a revision, as `alembic upgrade` does."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, revision)


@pytest.fixture
async def engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    """Committed rows are real; when the test is over every table is emptied."""
    engine = build_engine(migrated_url, application_name="tests", pool_size=10)
    async with begin(engine) as tx:
        await ensure_partitions(tx, utc_now())
    try:
        yield engine
        async with begin(engine) as tx:
            await tx.execute(text("SET LOCAL lock_timeout = '5s'"))
            await tx.execute(text(_CLEAR))
    finally:
        await engine.dispose()


@pytest.fixture
def sealer() -> Sealer:
    return Sealer.from_texts([new_key()])


@pytest.fixture
async def pepper(engine: AsyncEngine, sealer: Sealer, now: datetime) -> bytes:
    async with begin(engine) as tx:
        return await open_pepper(tx, sealer, now)


@pytest.fixture
def now() -> datetime:
    """When the test begins; the app's clock stands there."""
    return utc_now().replace(microsecond=0)


@pytest.fixture
def clock(now: datetime) -> Clock:
    """The app's clock, for tests that let time pass."""
    return Clock(now)


@pytest.fixture
async def doorbell(valkey: Valkey) -> AsyncIterator[Doorbell]:
    """Rings in a Valkey that is empty when the test begins."""
    async with Redis.from_url(valkey.url) as redis:
        await redis.flushall()
    doorbell = Doorbell(valkey.url)
    yield doorbell
    await doorbell.close()


@pytest.fixture
async def speeds(doorbell: Doorbell, valkey: Valkey) -> AsyncIterator[Speeds]:
    """Limits in the same Valkey, emptied as well."""
    speeds = Speeds(valkey.url)
    yield speeds
    await speeds.close()


@pytest.fixture
def resources(engine: AsyncEngine, sealer: Sealer, pepper: bytes, doorbell: Doorbell, speeds: Speeds) -> Resources:
    return Resources(
        engine=engine,
        sealer=sealer,
        pepper=pepper,
        doorbell=doorbell,
        public_url="https://sms.example.com",
        default_region=None,
        admin_key_digest=digest_of(ADMIN_KEY),
        allowed_networks=(),
        speeds=speeds,
    )


@pytest.fixture(scope="session")
def apps() -> dict[str, FastAPI]:
    """Where the one app is kept: putting its routes together takes longer than most tests."""
    return {}


@pytest.fixture
def app(apps: dict[str, FastAPI], resources: Resources, clock: Clock) -> Iterator[FastAPI]:
    """The app, as new: with this test's resources and clock. Do not add routes to it; take `app_of_its_own`."""
    if "app" not in apps:
        apps["app"] = create_app(resources)
    app = apps["app"]
    equip(app, resources)
    _set(app, clock)
    yield app
    app.dependency_overrides.clear()


@pytest.fixture
def app_of_its_own(resources: Resources, clock: Clock) -> FastAPI:
    """An app that a test may change."""
    app = create_app(resources)
    _set(app, clock)
    return app


def _set(app: FastAPI, clock: Clock) -> None:
    async def standing_clock() -> datetime:
        return clock.now

    app.dependency_overrides[current_time] = standing_clock


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Calls the app with the admin key."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with _client(app, headers) as client:
        yield client


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Calls the app without a key."""
    async with _client(app, {}) as client:
        yield client


def _client(app: FastAPI, headers: dict[str, str]) -> AsyncClient:
    transport = ASGITransport(app, raise_app_exceptions=True)
    return AsyncClient(transport=transport, base_url="https://sms.example.com", headers=headers)
