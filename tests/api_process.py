"""A real api process on the tests' own servers, for what only happens to processes: floods, kills, fuzz.

Fixtures to import.
"""

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.local.servers import Postgres, Valkey
from proof.processes import API, Process, keep
from shared.sealing import new_key
from tests.conftest import ADMIN_KEY, migrate

READY_SECONDS = 60.0
AUTHORIZED = {"Authorization": f"Bearer {ADMIN_KEY}"}


@dataclass(frozen=True, slots=True)
class Api:
    """One start of it."""

    url: str
    process: Process

    def await_ready(self) -> "Api":
        give_up = time.monotonic() + READY_SECONDS
        while True:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return self
            except httpx.TransportError:
                assert self.process.running, self.process.said()
            assert time.monotonic() < give_up, self.process.said()
            time.sleep(0.1)


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """A migrated database of this test's own: what a killed process leaves behind disturbs nobody."""
    name = f"process_{secrets.token_hex(4)}"
    postgres.create_database(name)
    migrate(postgres.url(name))
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def start_api(database: str, valkey: Valkey, tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Starts an api process; each call another one, all on one database and with the same keys."""
    keys = new_key()
    started: list[Process] = []

    def start(**settings: str) -> Api:
        port = free_port()
        environment = {
            "LAPWING_DATABASE_URL": database,
            "LAPWING_REDIS_URL": valkey.url,
            "LAPWING_SECRET_KEYS": keys,
            "LAPWING_ADMIN_KEY": ADMIN_KEY,
            "LAPWING_PORT": str(port),
            **{f"LAPWING_{name.upper()}": value for name, value in settings.items()},
        }
        log = tmp_path / f"api-{len(started)}.log"
        process = Process(keep(API, environment=environment, log=log), log=log)
        started.append(process)
        return Api(f"http://127.0.0.1:{port}", process).await_ready()

    yield start
    for process in started:
        process.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
