"""`make run`: the embedded servers, the migrations, api and dispatcher, until Ctrl-C drains them.

For one machine. In production each process is started by its own supervisor, with servers of yours.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from deploy.local.errors import ServerFailed
from deploy.local.keys import ADMIN_KEY, FILE, Keys, keep_keys
from deploy.local.server import Server
from deploy.local.servers import Postgres, Valkey
from deploy.local.supervisor import Child, Command, Supervisor, say

ROOT = Path(__file__).resolve().parents[2]
API = Command("api", (sys.executable, "-m", "api.main"))
DISPATCHER = Command("dispatcher", (sys.executable, "-m", "dispatcher.main"))
MIGRATION = (sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", "upgrade", "head")
LOOPBACK = "127.0.0.0/8,::1/128"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and where; `logs` sends the processes' lines to files of the state directory."""

    environment: Mapping[str, str]
    state: Path
    host: str
    port: int
    commands: Sequence[Command] = (API, DISPATCHER)
    migration: Sequence[str] = MIGRATION
    durable: bool = True
    logs: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Plan":
        port = environment.get("LAPWING_PORT") or "8000"
        if not port.isdigit() or int(port) > 65535:
            raise ServerFailed(f"LAPWING_PORT is {port!r}; it must be a number up to 65535.")
        return cls(
            environment=environment,
            state=Path(environment.get("LAPWING_STATE_DIR") or ".lapwing").resolve(),
            host=environment.get("LAPWING_HOST") or "127.0.0.1",
            port=int(port),
        )


@dataclass(frozen=True, slots=True)
class Base:
    """What the processes stand on: servers, keys, and the environment that names both."""

    servers: Sequence[Server]
    keys: Keys
    environment: Mapping[str, str]
    host: str
    port: int

    @property
    def admin_key_is_new(self) -> bool:
        return self.keys.fresh and self.environment[ADMIN_KEY] == self.keys.admin

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class Interruptions:
    """How often the person asked us to stop; a plain count, safe to raise in a signal handler."""

    def __init__(self) -> None:
        self.count = 0

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1

    @property
    def once(self) -> bool:
        return self.count > 0

    @property
    def twice(self) -> bool:
        return self.count > 1


@contextmanager
def prepared(plan: Plan) -> Iterator[Base]:
    """Servers up, keys kept, schema migrated; servers down at the end."""
    plan.state.mkdir(parents=True, exist_ok=True)
    keys = keep_keys(plan.state)
    port = free_port(plan.host, plan.port)
    ours = {
        **keys.as_environment(),
        "LAPWING_ALLOWED_NETWORKS": LOOPBACK,
        "LAPWING_HOST": plan.host,
        "PYTHONUNBUFFERED": "1",
    }
    with ExitStack() as stack:
        servers: list[Server] = []
        if not plan.environment.get("LAPWING_DATABASE_URL"):
            postgres = stack.enter_context(Postgres(plan.state, durable=plan.durable))
            servers.append(postgres)
            ours["LAPWING_DATABASE_URL"] = postgres.url()
        if not plan.environment.get("LAPWING_REDIS_URL"):
            valkey = stack.enter_context(Valkey(plan.state, durable=plan.durable))
            servers.append(valkey)
            ours["LAPWING_REDIS_URL"] = valkey.url
        given = {name: value for name, value in plan.environment.items() if value}
        fixed = {"LAPWING_PORT": str(port), "LAPWING_STATE_DIR": str(plan.state)}
        environment = {**ours, **given, **fixed}
        migrate(plan.migration, environment=environment)
        yield Base(tuple(servers), keys, environment, plan.host, port)


def free_port(host: str, port: int) -> int:
    """The port asked for, or any when it is 0; a sentence when somebody has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as failure:
            raise ServerFailed(
                f"Cannot listen on {host} port {port}: {failure}. Stop what uses it, or choose "
                "another with LAPWING_HOST and LAPWING_PORT."
            ) from failure
        return int(probe.getsockname()[1])


def migrate(command: Sequence[str], *, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServerFailed(f"The migrations failed:\n{(done.stdout + done.stderr).strip()}")


def children_of(plan: Plan, base: Base) -> list[Child]:
    return [
        Child(
            command,
            environment=base.environment,
            cwd=ROOT,
            log=plan.state / f"{command.name}.log" if plan.logs else None,
        )
        for command in plan.commands
    ]


def is_ready(base: Base) -> bool:
    """Whether the api says that everything it needs is there."""
    connection = http.client.HTTPConnection(_reachable(base.host), base.port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


class Welcome:
    """Says once, when the api answers, where it is and which key opens it."""

    def __init__(self, base: Base, *, state: Path) -> None:
        self._base = base
        self._state = state
        self._said = False

    def __call__(self) -> None:
        if self._said or not is_ready(self._base):
            return
        self._said = True
        say(f"\nLapwing is ready: {self._base.url}/docs")
        if self._base.admin_key_is_new:
            say(f"Admin key, shown this once: {self._base.keys.admin}")
        say(f"Keys are kept in {self._state / FILE}. Ctrl-C drains and stops.\n")


def run(plan: Plan, *, interruptions: Interruptions) -> None:
    with prepared(plan) as base:
        supervisor = Supervisor(children_of(plan, base), servers=base.servers)
        try:
            supervisor.start()
            supervisor.run(stopping=lambda: interruptions.once, each_tick=Welcome(base, state=plan.state))
        finally:
            say("Draining: what is on its way is finished, nothing new is begun.")
            supervisor.drain(impatient=lambda: interruptions.twice)
    say("Stopped.")


def main(plan: Plan | None = None) -> int:
    interruptions = Interruptions()
    interruptions.listen()
    try:
        run(plan or Plan.from_environment(os.environ), interruptions=interruptions)
    except ServerFailed as failure:
        say(f"lapwing: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
