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
_PORT = "LAPWING_PORT"
_METRICS_PORT = "LAPWING_METRICS_PORT"
_FRAME = "=" * 100
LOOPBACK = "127.0.0.0/8,::1/128"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and where; `logs` sends the processes' lines to files of the state directory.

    At `metrics_port` the one dispatcher tells its metrics: 0 is any free one, None is nowhere.
    """

    environment: Mapping[str, str]
    state: Path
    host: str
    port: int
    metrics_port: int | None = None
    commands: Sequence[Command] = (API, DISPATCHER)
    migration: Sequence[str] = MIGRATION
    durable: bool = True
    logs: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Plan":
        return cls(
            environment=environment,
            state=Path(environment.get("LAPWING_STATE_DIR") or ".lapwing").resolve(),
            host=environment.get("LAPWING_HOST") or "127.0.0.1",
            port=_port_in(environment, _PORT, default="8000"),
            metrics_port=_port_in(environment, _METRICS_PORT, default="0"),
        )


def _port_in(environment: Mapping[str, str], setting: str, *, default: str) -> int:
    port = environment.get(setting) or default
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ServerFailed(f"{setting} is {port!r}; it must be a number up to 65535.")
    return int(port)


@dataclass(frozen=True, slots=True)
class Base:
    """What the processes stand on: servers, keys, and the environment that names both."""

    servers: Sequence[Server]
    keys: Keys
    environment: Mapping[str, str]
    host: str
    port: int
    metrics_port: int | None

    @property
    def admin_key_is_new(self) -> bool:
        return self.keys.fresh and self.environment[ADMIN_KEY] == self.keys.admin

    @property
    def url(self) -> str:
        return self._url_at(self.port)

    @property
    def metrics_url(self) -> str | None:
        """The dispatcher's metrics; the api's are at its own address."""
        return None if self.metrics_port is None else f"{self._url_at(self.metrics_port)}/metrics"

    def _url_at(self, port: int) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"


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
    metrics_port = _free_metrics_port(plan, besides=port)
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
        fixed = {_PORT: str(port), "LAPWING_STATE_DIR": str(plan.state)}
        if metrics_port is not None:
            fixed[_METRICS_PORT] = str(metrics_port)
        environment = {**ours, **given, **fixed}
        migrate(plan.migration, environment=environment)
        yield Base(tuple(servers), keys, environment, plan.host, port, metrics_port)


def _free_metrics_port(plan: Plan, *, besides: int) -> int | None:
    if plan.metrics_port is None:
        return None
    if plan.metrics_port == besides:
        raise ServerFailed(f"{_METRICS_PORT} is {besides}, where the api listens; choose another, or leave it out.")
    while (port := free_port(plan.host, plan.metrics_port, setting=_METRICS_PORT)) == besides:
        pass  # the same one given out twice
    return port


def free_port(host: str, port: int, *, setting: str = _PORT) -> int:
    """The port asked for, or any when it is 0; a sentence when somebody has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as failure:
            raise ServerFailed(
                f"Cannot listen on {host} port {port}: {failure}. Stop what uses it, or choose "
                f"another with LAPWING_HOST and {setting}."
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
        # In one piece and framed: the lines of the log stand before it, and go on behind it.
        say("\n".join(["", _FRAME, "", *self._sentences(), "", _FRAME, ""]))

    def _sentences(self) -> Iterator[str]:
        base, kept = self._base, self._state / FILE
        yield f"Lapwing is ready: {base.url}/docs"
        if base.metrics_url:
            yield f"Metrics: {base.url}/metrics of the api, {base.metrics_url} of the dispatcher"
        if base.admin_key_is_new:
            yield f"Admin key, shown this once: {base.keys.admin}"
        yield f"Keys are kept in {kept}, the admin key as {ADMIN_KEY}. Ctrl-C drains and stops."


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
