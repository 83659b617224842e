"""A world: Postgres, Valkey, a gateway simulator, api and dispatcher processes, all real, all of its own.

It lives in a temporary directory on unix sockets and free loopback ports, and ends with its `with`. It makes nothing
wrong by itself: what goes wrong is done to it by `proof/chaos/`, and measured by `proof/bench/`.
"""

import csv
import io
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from deploy.local.errors import ServerFailed
from deploy.local.process import KeptProcess
from deploy.local.run import LOOPBACK, MIGRATION, free_port, migrate
from deploy.local.servers import Postgres, Valkey
from deploy.simulator.launch import Simulator
from proof.client import Client, Refused, Unanswered
from proof.numbers import SENDER
from proof.processes import API, DISPATCHER, ZYGOTE, NotReady, Process, keep
from proof.zygote import Forked, Zygote
from shared import api_keys, sealing

READY_SECONDS: Final = 60.0
KEPT_TABLES: Final = ("messages", "attempts", "receipts")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a world is made of. `environment` adds `LAPWING_...` settings; a `zygote` forks the dispatchers."""

    dispatchers: int = 2
    bulk_slots: int = 100
    urgent_slots: int = 20
    lease: float = 6.0
    deadline: float = 2.0
    latency_ms: float = 50.0
    dials: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    postgres: Mapping[str, str] = field(default_factory=dict)
    simulator_arguments: tuple[str, ...] = ()
    zygote: bool = False

    @property
    def slots(self) -> int:
        """The in-flight window of one dispatcher: what a kill may leave unconfirmed."""
        return self.bulk_slots + self.urgent_slots


class World:
    """Up between `with`; `api` is its client, `simulator.ledger_path` what its gateway swears to."""

    def __init__(self, shape: Shape | None = None, *, keep: bool = False) -> None:
        self.shape = shape or Shape()
        self.keep = keep
        self.directory = Path(tempfile.mkdtemp(prefix="lapwing-proof-"))
        self.postgres = Postgres(self.directory / "servers", settings=self.shape.postgres)
        self.valkey = Valkey(self.directory / "servers")
        self.simulator = Simulator(
            self.directory / "ledger.jsonl",
            latency_ms=self.shape.latency_ms,
            dials=dict(self.shape.dials),
            arguments=self.shape.simulator_arguments,
        )
        self.others: list[Simulator] = []  # gateways besides the first
        self.dispatchers: list[Process] = []
        self.environment: dict[str, str] = {}
        self.gateway: dict[str, Any] = {}
        self._stack = ExitStack()
        self._started = 0
        self._api_process: Process | None = None
        self._client: Client | None = None
        self._zygote: Zygote | None = None

    def __enter__(self) -> Self:
        try:
            self._rise()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.keep = self.keep or isinstance(error, Exception)
        self.close()

    def close(self) -> None:
        for process in [*self.dispatchers, self._api_process]:
            if process is not None:
                process.end()
        if self._client is not None:
            self._client.close()
        if self.keep:
            self._keep_tables()
        self._stack.close()
        if self.keep:
            print(f"  kept, with logs and the ledger: {self.directory}", flush=True)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _keep_tables(self) -> None:
        """The tables that tell a message's story, as CSV beside the ledger; none if the database is gone."""
        with suppress(ServerFailed):
            for table in KEPT_TABLES:
                told = f"COPY (SELECT * FROM {table}) TO '{self.directory / table}.csv' (FORMAT csv, HEADER)"
                self.postgres.ask(told, database="lapwing")

    @property
    def api(self) -> Client:
        if self._client is None:
            raise ServerFailed("the world is not up; use it in a `with`")
        return self._client

    @property
    def api_process(self) -> Process:
        if self._api_process is None:
            raise ServerFailed("the api is not started")
        return self._api_process

    def start_dispatcher(self, *, wait: bool = True, **settings: str) -> Process:
        """One more dispatcher, listed in `dispatchers`; `settings` such as FAILPOINTS="before_send:3"."""
        self._started += 1
        extra = {f"LAPWING_{name}": value for name, value in settings.items()}
        environment = {**self.environment, **extra}
        log = self.directory / f"dispatcher-{self._started}.log"
        if self._zygote is not None:
            kept: KeptProcess | Forked = self._zygote.start(environment, log=log)
        else:
            kept = keep(DISPATCHER, environment=environment, log=log)
        process = Process(kept, log=log, ready="dispatcher is ready")
        for gone in [one for one in self.dispatchers if not one.running]:
            gone.end()
            self.dispatchers.remove(gone)
        self.dispatchers.append(process)
        return process.await_ready() if wait else process

    def start_api(self) -> Process:
        """The api at the world's address, once it answers; after a kill, too."""
        if self._api_process is not None:
            self._api_process.end()
        log = self.directory / "api.log"
        seen = log.stat().st_size if log.exists() else 0
        self._api_process = Process(keep(API, environment=self.environment, log=log), log=log, seen=seen)
        self.await_api()
        return self._api_process

    def await_api(self, *, seconds: float = READY_SECONDS) -> None:
        give_up = time.monotonic() + seconds
        while True:
            try:
                self.api.get("/readyz")
            except (Unanswered, Refused):
                if time.monotonic() > give_up or not self.api_process.running:
                    raise ServerFailed(f"the api is not ready:\n{self.api_process.said()[-2000:]}") from None
                time.sleep(0.05)
            else:
                return

    def stop_dispatchers(self) -> None:
        """SIGTERM to all, and wait until they have drained."""
        for process in self.dispatchers:
            process.terminate()
        for process in self.dispatchers:
            process.wait()
        self.dispatchers.clear()

    def ask(self, statement: str) -> list[list[str]]:
        """Rows of a SELECT, as text, straight from Postgres: no code of the service is in between."""
        answer = self.postgres.ask(f"COPY ({statement}) TO STDOUT (FORMAT csv)", database="lapwing")
        return list(csv.reader(io.StringIO(answer)))

    def count(self, statement: str) -> int:
        """The one number that a SELECT comes to."""
        return int(self.ask(statement)[0][0])

    @property
    def simulators(self) -> list[Simulator]:
        return [self.simulator, *self.others]

    def add_simulator(self, name: str) -> Simulator:
        """One more gateway process with a ledger of its own, at the end of the order."""
        other = Simulator(
            self.directory / f"{name}.jsonl",
            latency_ms=self.shape.latency_ms,
            dials=dict(self.shape.dials),
            arguments=self.shape.simulator_arguments,
        )
        self._stack.enter_context(other)
        self.others.append(other)
        self.add_gateway(name, simulator=other)
        return other

    def add_gateway(
        self, name: str = "simulator", *, simulator: Simulator | None = None, **changes: Any
    ) -> dict[str, Any]:
        """A Twilio account at a simulator: the first, unless another is named."""
        simulator = simulator or self.simulator
        answer: dict[str, Any] = self.api.post(
            "/v1/gateways",
            {
                "name": name,
                "kind": "twilio",
                "settings": {
                    "account_sid": simulator.account_sid,
                    "api_key": simulator.api_key,
                    "from": SENDER,
                    "base_url": simulator.base_url,
                },
                "secrets": {"api_secret": simulator.api_secret, "auth_token": simulator.auth_token},
                **changes,
            },
        )
        return answer

    def _rise(self) -> None:
        self._stack.enter_context(self.postgres)
        self._stack.enter_context(self.valkey)
        self._stack.enter_context(self.simulator)
        key = api_keys.new_key().text
        port = free_port("127.0.0.1", 0)
        shape = self.shape
        self.environment = {
            "LAPWING_DATABASE_URL": self.postgres.url(),
            "LAPWING_REDIS_URL": self.valkey.url,
            "LAPWING_SECRET_KEYS": sealing.new_key(),
            "LAPWING_ADMIN_KEY": key,
            "LAPWING_HOST": "127.0.0.1",
            "LAPWING_PORT": str(port),
            "LAPWING_STATE_DIR": str(self.directory),
            "LAPWING_ALLOWED_NETWORKS": LOOPBACK,
            "LAPWING_LEASE_SECONDS": str(shape.lease),
            "LAPWING_GATEWAY_DEADLINE_SECONDS": str(shape.deadline),
            "LAPWING_BULK_SLOTS": str(shape.bulk_slots),
            "LAPWING_URGENT_SLOTS": str(shape.urgent_slots),
            **shape.environment,
        }
        migrate(MIGRATION, environment=self.environment)
        self._client = Client("127.0.0.1", port, key=key)
        self.start_api()
        self.gateway = self.add_gateway()
        if shape.zygote:
            self._zygote = self._start_zygote()
        for _ in range(shape.dispatchers):
            self.start_dispatcher(wait=False)
        for process in self.dispatchers:
            process.await_ready()

    def _start_zygote(self) -> Zygote:
        path, log = self.directory / "zygote.socket", self.directory / "zygote.log"
        process = Process(keep((*ZYGOTE, str(path)), environment=self.environment, log=log), log=log)
        self._stack.callback(process.end)
        give_up = time.monotonic() + READY_SECONDS
        while True:
            try:
                zygote = Zygote(path)
            except OSError:
                if not process.running or time.monotonic() > give_up:
                    raise NotReady(f"the zygote did not start:\n{process.said()}") from None
                time.sleep(0.02)
            else:
                self._stack.callback(zygote.close)
                return zygote
