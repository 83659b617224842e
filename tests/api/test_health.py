"""Alive, ready, degraded, not ready; and the process itself, from start to SIGTERM."""

import asyncio
import dataclasses
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.main import create_app
from api.resources import Resources
from deploy.local.servers import Postgres, Valkey
from shared.db import begin, build_engine
from shared.doorbell import Doorbell
from shared.sealing import new_key
from tests.conftest import ADMIN_KEY

NOWHERE = "postgresql+asyncpg://lapwing@/lapwing?host=/nonexistent"

Calling = Callable[[Resources], AbstractAsyncContextManager[AsyncClient]]


@pytest.fixture
def calling() -> Calling:
    @asynccontextmanager
    async def call(resources: Resources) -> AsyncIterator[AsyncClient]:
        transport = ASGITransport(create_app(resources))
        async with AsyncClient(transport=transport, base_url="https://sms.example.com") as client:
            yield client

    return call


async def test_alive(anonymous: AsyncClient) -> None:
    response = await anonymous.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


async def test_ready(anonymous: AsyncClient) -> None:
    response = await anonymous.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "checks": {"database": "ok", "schema": "ok", "redis": "ok"}}


async def test_without_redis_it_is_ready_and_says_so(resources: Resources, calling: Calling) -> None:
    doorbell = Doorbell("unix:///nonexistent/redis.sock")
    async with calling(dataclasses.replace(resources, doorbell=doorbell)) as client:
        response = await client.get("/readyz")
    await doorbell.close()
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["checks"]["redis"] == "away"


async def test_without_a_database_it_is_alive_but_not_ready(resources: Resources, calling: Calling) -> None:
    engine = build_engine(NOWHERE, application_name="tests")
    async with calling(dataclasses.replace(resources, engine=engine)) as client:
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["checks"] == {"database": "away", "schema": "unknown", "redis": "ok"}
        assert int(response.headers["retry-after"]) > 0
        assert (await client.get("/livez")).status_code == 200
    await engine.dispose()


async def test_an_empty_database_is_not_ready(resources: Resources, calling: Calling, postgres: Postgres) -> None:
    postgres.create_database("never_migrated")
    engine = build_engine(postgres.url("never_migrated"), application_name="tests")
    async with calling(dataclasses.replace(resources, engine=engine)) as client:
        response = await client.get("/readyz")
    await engine.dispose()
    postgres.drop_database("never_migrated")
    assert response.status_code == 503
    assert response.json()["checks"]["schema"] == "behind"
    assert "migrations" in response.json()["detail"]


@pytest.fixture
async def newer_schema(engine: AsyncEngine) -> AsyncIterator[None]:
    async with begin(engine) as tx:
        head = await tx.scalar(text("SELECT version_num FROM alembic_version"))
        await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    yield
    async with begin(engine) as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})


@pytest.mark.usefixtures("newer_schema")
async def test_a_newer_schema_is_no_reason_to_stop(anonymous: AsyncClient) -> None:
    response = await anonymous.get("/readyz")
    assert response.status_code == 200
    assert response.json()["checks"]["schema"] == "newer"


@pytest.fixture
def environment(engine: AsyncEngine, migrated_url: str, valkey: Valkey) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "PATH": os.defpath,
        "LAPWING_DATABASE_URL": migrated_url,
        "LAPWING_REDIS_URL": valkey.url,
        "LAPWING_SECRET_KEYS": new_key(),
        "LAPWING_ADMIN_KEY": ADMIN_KEY,
        "LAPWING_PORT": str(port),
    }


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json"])
async def test_a_probe_may_ask_for_the_head_alone(anonymous: AsyncClient, path: str) -> None:
    head = await anonymous.head(path)
    assert head.status_code == 200
    assert head.headers["content-type"] == (await anonymous.get(path)).headers["content-type"]


async def start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api.main", env=environment, stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.parametrize("farewell", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_serves_and_leaves_in_peace(environment: dict[str, str], farewell: signal.Signals) -> None:
    process = await start(environment)
    address = f"http://127.0.0.1:{environment['LAPWING_PORT']}"
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=address, trust_env=False) as client:
            while True:
                try:
                    ready = await client.get("/readyz")
                    break
                except httpx.ConnectError:
                    assert process.returncode is None
                    await asyncio.sleep(0.1)
            assert ready.json()["status"] == "ready"
            assert "server" not in ready.headers
            probed = [await client.head(path) for path in ("/livez", "/readyz", "/metrics")]
            assert [(answer.status_code, answer.content) for answer in probed] == [(200, b"")] * 3
            keys = await client.get("/v1/api-keys", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
            assert keys.status_code == 200
        process.send_signal(farewell)
        async with asyncio.timeout(15):
            _, written = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, written.decode()
    lines = [json.loads(line) for line in written.decode().splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["route"], line["status"], line["key_id"]) for line in requests] == [("/v1/api-keys", 200, "admin")]
    assert {line["process"] for line in lines} == {"api"}
    assert ADMIN_KEY not in written.decode()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LAPWING_DATABASE_URL", None, "LAPWING_DATABASE_URL"),
        ("LAPWING_SECRET_KEYS", None, "LAPWING_SECRET_KEYS"),
        ("LAPWING_ADMIN_KEY", "short", "LAPWING_ADMIN_KEY"),
        ("LAPWING_SECRET_KEYS", "short", "LAPWING_SECRET_KEYS"),
    ],
)
async def test_a_wrong_setting_stops_it_by_name(
    environment: dict[str, str], name: str, value: str | None, told: str
) -> None:
    changed = {**environment, name: value or ""}
    if value is None:
        del changed[name]
    process = await start(changed)
    async with asyncio.timeout(30):
        _, written = await process.communicate()
    assert process.returncode not in (0, None)
    assert told in written.decode()
    assert "Traceback" not in written.decode()
