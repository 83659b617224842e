"""Real PostgreSQL and Valkey on unix sockets, for `make run`, `make demo` and the tests.

Blocking on purpose: they are started before there is a loop. Not for production: one machine, one
starter.
"""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from deploy.local import bells, cluster, places
from deploy.local.errors import ServerFailed
from deploy.local.process import KeptProcess, Program
from deploy.local.server import Server


class Postgres(Server):
    """PostgreSQL 18 with a superuser and a database `lapwing`.

    Without `durable` it survives any killed process but no power cut, and under root what could not
    live in `directory` is thrown away at the end. `settings` are lines of postgresql.conf
    and win over ours.
    """

    name = "postgres"
    crash = signal.SIGQUIT
    start_seconds = 120.0  # after a crash a large database is recovered first

    def __init__(self, directory: Path, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(directory, durable=durable)
        self._settings = dict(settings or {})
        self._sockets: Path | None = None
        self._data = self.place / cluster.DATA

    def start(self) -> None:
        if self.running:
            return
        super().start()
        try:
            if cluster.OWNER not in self.ask("SELECT datname FROM pg_database").splitlines():
                self.create_database(cluster.OWNER)
        except BaseException:
            self.kill()
            raise

    def _program(self) -> Program:
        user = places.server_user(self.place)
        home = self._own(places.settle(self.place, user=user, durable=self.durable))
        binaries = places.postgres_binaries(user=user)
        self._data = cluster.prepare(home, binaries=binaries, user=user, durable=self.durable)
        if self._sockets is None or not self._sockets.exists():
            self._sockets = self._own(places.socket_directory(home, name=cluster.SOCKET, user=user))
        defaults = cluster.defaults(self._sockets, durable=self.durable)
        cluster.configure(self._data, {**defaults, **self._settings})
        cluster.clear_stale(self._data, sockets=self._sockets)
        return Program(
            command=(str(binaries / "postgres"), "-D", str(self._data)),
            log=self.log,
            farewell=signal.SIGINT,
            user=user,
            environment={"TZ": "UTC", "PATH": os.defpath},
            discard=tuple(self._temporary),
        )

    def _ready(self, process: KeptProcess) -> bool:
        return cluster.is_ready(self._data, pid=process.pid)

    @property
    def sockets(self) -> Path:
        """The directory of the socket: `psql -h` takes it, too."""
        if self._sockets is None:
            raise ServerFailed("postgres is not started")
        return self._sockets

    def url(self, database: str = cluster.OWNER) -> str:
        """For SQLAlchemy with asyncpg, which without the port would take PGPORT's."""
        name = cluster.identifier(database)
        where = quote(str(self.sockets), safe="/")
        return f"postgresql+asyncpg://{cluster.OWNER}@/{name}?host={where}&port={cluster.PORT}"

    def create_database(self, name: str, *, template: str | None = None) -> None:
        """Empty, or a copy of another that nobody is connected to."""
        copy = f" TEMPLATE {cluster.identifier(template)}" if template else ""
        self.ask(f"CREATE DATABASE {cluster.identifier(name)}{copy}")

    def drop_database(self, name: str) -> None:
        """Gone, along with whoever is still connected; nothing happens when there is none."""
        self.ask(f"DROP DATABASE IF EXISTS {cluster.identifier(name)} WITH (FORCE)")

    def ask(self, statement: str, *, database: str = "postgres") -> str:
        """One statement through psql; its rows as lines."""
        psql = places.postgres_binaries(user=None) / "psql"
        where = ["-h", str(self.sockets), "-p", str(cluster.PORT), "-U", cluster.OWNER, "-d", database]
        answer = subprocess.run(
            [str(psql), "-XqAt", "-v", "ON_ERROR_STOP=1", *where, "-c", statement],
            env={"PATH": os.defpath, "PGCLIENTENCODING": "UTF8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            raise ServerFailed(f"Postgres refused {statement!r}: {answer.stderr.strip()}")
        return answer.stdout.strip()


class Valkey(Server):
    """Valkey, or what stands in for it here; `fake` takes the last resort straight away."""

    name = "valkey"
    crash = signal.SIGKILL
    start_seconds = 20.0

    def __init__(self, directory: Path, *, durable: bool = False, fake: bool = False) -> None:
        super().__init__(directory, durable=durable)
        self._fake = fake
        self._address: bells.Address | None = None

    def _program(self) -> Program:
        self.place.mkdir(mode=0o700, exist_ok=True)
        server = None if self._fake else bells.find_server()
        if server is None:
            self._address = self._address or bells.fake_address()
            command, environment = bells.fake_command(self._address), dict(os.environ)
        else:
            if self._address is None or not Path(self._address.name).parent.exists():
                sockets = self._own(places.socket_directory(self.place, name=bells.SOCKET, user=None))
                self._address = bells.Address(str(sockets / bells.SOCKET))
            command = bells.command(server, self._address, directory=self.place, durable=self.durable)
            environment = {"TZ": "UTC", "PATH": os.defpath}
        return Program(
            command=command,
            log=self.log,
            farewell=signal.SIGTERM,
            environment=environment,
            discard=tuple(self._temporary),
        )

    def _ready(self, process: KeptProcess) -> bool:
        return process.running and self._address is not None and bells.answers(self._address)

    @property
    def url(self) -> str:
        if self._address is None:
            raise ServerFailed("valkey is not started")
        return self._address.url
