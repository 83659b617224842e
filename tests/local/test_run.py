"""`make run` with small stand-ins for api and dispatcher: supervision, keys, draining, words."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.errors import ServerFailed
from deploy.local.keys import FILE, keep_keys
from deploy.local.run import Plan, free_port
from deploy.local.supervisor import Child, Command, Supervisor, Watch, delay
from shared.api_keys import parse
from shared.sealing import Sealer

ROOT = Path(__file__).resolve().parents[2]

# The main of `make run`, with what a JSON object names in place of api, dispatcher and migrations.
DRIVER = """
import json, os, sys
from dataclasses import replace
from deploy.local.run import Plan, main
from deploy.local.supervisor import Command
told = json.loads(sys.argv[1])
commands = [Command(name, [sys.executable, "-c", code]) for name, code in told["commands"].items()]
plan = replace(
    Plan.from_environment(os.environ),
    commands=commands,
    migration=[sys.executable, "-c", told["migration"]],
    durable=False,
)
sys.exit(main(plan))
"""

API = r"""
import http.server, os, pathlib, signal, sys
state = pathlib.Path(os.environ["LAPWING_STATE_DIR"])
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
    def log_message(self, *_): pass
def end(*_):
    (state / "drained").write_text("yes")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
(state / "environment").write_text("\n".join(f"{k}={v}" for k, v in os.environ.items()))
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["LAPWING_PORT"])), Ready)
with (state / "births").open("a") as births: births.write(f"{os.getpid()}\n")
server.serve_forever()
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
PATIENT = "import time; time.sleep(60)"
NOTHING = ""


def eventually(holds: Callable[[], bool], *, seconds: float = 15) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if holds():
            return True
        time.sleep(0.02)
    return False


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Run:
    """A `make run` in a process of its own, and what it has said so far."""

    def __init__(self, state: Path, *, told: Mapping[str, object], given: Mapping[str, str]) -> None:
        self.state = state
        self._said = state.with_name(f"{state.name}.said")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LAPWING_")}
        ours = {"LAPWING_STATE_DIR": str(state), "LAPWING_PORT": "0", **given}
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, json.dumps(told)],
                cwd=ROOT,
                env={**inherited, **ours},
                stdout=said,
                stderr=said,
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def births(self) -> list[int]:
        path = self.state / "births"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def says(self, words: str) -> bool:
        return eventually(lambda: words in self.said)

    def is_born(self, times: int) -> bool:
        return eventually(lambda: len(self.births) == times)

    def ends(self, number: signal.Signals | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def running(
    state: Path, *, commands: Mapping[str, str], migration: str = NOTHING, given: Mapping[str, str] | None = None
) -> Iterator[Run]:
    told = {"commands": commands, "migration": migration}
    run = Run(state, told=told, given=given or {})
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


# No server is needed for what the supervisor does by itself.
ELSEWHERE = {"LAPWING_DATABASE_URL": "postgresql+asyncpg://nobody@/nothing", "LAPWING_REDIS_URL": "redis://127.0.0.1:1"}


def test_it_starts_says_where_it_is_and_drains(tmp_path: Path) -> None:
    state = tmp_path / "state"
    migration = "import os, pathlib; pathlib.Path(os.environ['LAPWING_STATE_DIR'], 's').touch()"
    with running(state, commands={"api": API, "dispatcher": PATIENT}, migration=migration) as run:
        assert run.says("Lapwing is ready: http://127.0.0.1:")
        assert run.says("Ctrl-C drains")
        environment = dict(
            line.split("=", 1)
            for line in (state / "environment").read_text().splitlines()
            if line.startswith("LAPWING_")
        )
        assert (state / "s").exists()
        assert environment["LAPWING_DATABASE_URL"].startswith("postgresql+asyncpg://lapwing@/lapwing?")
        assert environment["LAPWING_REDIS_URL"].startswith("unix://")
        assert environment["LAPWING_ALLOWED_NETWORKS"] == "127.0.0.0/8,::1/128"
        assert f"http://127.0.0.1:{environment['LAPWING_PORT']}/docs" in run.said
        assert environment["LAPWING_METRICS_PORT"] not in {"0", environment["LAPWING_PORT"]}
        assert f"http://127.0.0.1:{environment['LAPWING_METRICS_PORT']}/metrics of the dispatcher" in run.said
        assert run.said.count(environment["LAPWING_ADMIN_KEY"]) == 1
        assert environment["LAPWING_SECRET_KEYS"] not in run.said
        assert (state / FILE).stat().st_mode & 0o777 == 0o600
        assert run.ends(signal.SIGINT) == 0
    assert (state / "drained").exists()
    assert "Stopped." in run.said
    assert not any(lives(pid) for pid in run.births)


def test_what_has_to_be_seen_stands_in_a_frame(tmp_path: Path) -> None:
    """Between lines of a log nobody finds a key that is shown once."""
    chatter = "import sys, time\nwhile True: sys.stderr.write('{}\\n'); sys.stderr.flush(); time.sleep(0.001)"
    with running(tmp_path / "s", commands={"api": API, "dispatcher": chatter}, given=ELSEWHERE) as run:
        assert run.says("Ctrl-C drains")
        (framed,) = re.findall(r"^=+$(.*?)^=+$", run.said, re.DOTALL | re.MULTILINE)
        lines = [line.partition(": ")[0] for line in framed.split("\n") if line]
        assert [line for line in lines if not line.startswith("Keys are kept")] == [
            "Lapwing is ready",
            "Metrics",
            "Admin key, shown this once",
        ]
        assert run.ends(signal.SIGTERM) == 0


def test_the_admin_key_is_shown_the_first_time_only(tmp_path: Path) -> None:
    key = ""
    for showing in (1, 0):
        with running(tmp_path / "s", commands={"api": API}, given=ELSEWHERE) as run:
            assert run.says("Ctrl-C drains")
            assert run.said.count("Admin key") == showing
            before, key = key, (tmp_path / "s" / FILE).read_text()
            assert run.ends(signal.SIGTERM) == 0
    assert before == key


def test_what_the_environment_names_wins(tmp_path: Path) -> None:
    given = {**ELSEWHERE, "LAPWING_ADMIN_KEY": "lw_mine", "LAPWING_ALLOWED_NETWORKS": "10.0.0.0/8"}
    with running(tmp_path / "s", commands={"api": API}, given=given) as run:
        assert run.says("Ctrl-C drains")
        lines = (tmp_path / "s" / "environment").read_text().splitlines()
        assert {f"{name}={value}" for name, value in given.items()} <= set(lines)
        assert not (tmp_path / "s" / "postgres").exists()
        assert "Admin key" not in run.said
        assert run.ends(signal.SIGTERM) == 0


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    with running(tmp_path / "s", commands={"api": API}, given=ELSEWHERE) as run:
        for generation in (1, 2, 3):
            assert run.is_born(generation)
            if generation < 3:
                os.kill(run.births[-1], signal.SIGKILL)
        assert "api ended with code 137; starting it again in 0.5 s." in run.said
        assert "api ended with code 137; starting it again in 1 s." in run.said
        assert run.ends(signal.SIGTERM) == 0


def pid_in(path: Path) -> int | None:
    """Whose pid file it is. A server that starts takes a dead one's away, and writes its own in pieces."""
    try:
        return int(path.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def test_a_server_that_dies_is_started_again(tmp_path: Path) -> None:
    state = tmp_path / "s"
    with running(state, commands={"api": API}) as run:
        assert run.says("Ctrl-C drains")
        pid_file = state / "postgres" / "data" / "postmaster.pid"
        first = pid_in(pid_file)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert run.says("postgres ended; starting it again in 0.5 s.")
        assert eventually(lambda: pid_in(pid_file) not in {None, first})
        assert run.ends(signal.SIGTERM) == 0
        assert len(run.births) == 1


def test_wrong_settings_end_the_run_instead_of_going_round(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write('LAPWING_PACE: is not set.\\n'); sys.exit(2)"
    with running(tmp_path / "s", commands={"api": code}, given=ELSEWHERE) as run:
        assert run.ends() == 1
        assert "LAPWING_PACE: is not set." in run.said
        assert "api does not accept its settings" in run.said
        assert "Traceback" not in run.said


def test_a_child_that_does_not_end_is_killed_when_asked_twice(tmp_path: Path) -> None:
    with running(tmp_path / "s", commands={"api": API, "deaf": STUBBORN}, given=ELSEWHERE) as run:
        assert run.says("Ctrl-C drains")
        time.sleep(0.2)
        run.process.send_signal(signal.SIGTERM)
        assert run.says("Draining")
        assert eventually((tmp_path / "s" / "drained").exists)
        assert run.process.poll() is None
        assert run.ends(signal.SIGTERM) == 0
        assert "deaf is killed" in run.said


def test_nothing_survives_a_killed_run(tmp_path: Path) -> None:
    state = tmp_path / "s"
    with running(state, commands={"api": API}) as run:
        assert run.says("Ctrl-C drains")
        pid_file = state / "postgres" / "data" / "postmaster.pid"
        pids = [*run.births, int(pid_file.read_text().splitlines()[0])]
        assert all(lives(pid) for pid in pids)
        run.process.kill()
        assert eventually(lambda: not any(lives(pid) for pid in pids))


def test_failing_migrations_are_shown_and_end_the_run(tmp_path: Path) -> None:
    migration = "import sys; sys.exit('no such revision: 0099')"
    with running(tmp_path / "s", commands={"api": API}, migration=migration, given=ELSEWHERE) as run:
        assert run.ends() == 1
        assert "The migrations failed:\nno such revision: 0099" in run.said
        assert run.births == []


def test_a_second_run_in_the_same_state_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "s", commands={"api": API}) as first:
        assert first.says("Ctrl-C drains")
        told = {"commands": {"api": API}, "migration": NOTHING}
        (tmp_path / "other").mkdir()
        second = subprocess.run(
            [sys.executable, "-c", DRIVER, json.dumps(told)],
            cwd=ROOT,
            env={**os.environ, "LAPWING_STATE_DIR": str(tmp_path / "s"), "LAPWING_PORT": "0"},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert second.returncode == 1
        assert f"is in use by process {first.process.pid}." in second.stderr
        assert "LAPWING_STATE_DIR" in second.stderr
        assert first.ends(signal.SIGTERM) == 0


def test_a_taken_port_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerFailed, match=rf"127\.0\.0\.1 port {port}.*LAPWING_PORT"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", 0) > 0


@pytest.mark.parametrize("setting", ["LAPWING_PORT", "LAPWING_METRICS_PORT"])
@pytest.mark.parametrize("port", ["http", "-1", "65536", "²"])
def test_a_port_that_is_none_is_named(setting: str, port: str) -> None:
    with pytest.raises(ServerFailed, match=setting):
        Plan.from_environment({setting: port})


def test_the_port_for_metrics_that_is_named_is_taken(tmp_path: Path) -> None:
    port = free_port("127.0.0.1", 0)
    given = {**ELSEWHERE, "LAPWING_METRICS_PORT": str(port)}
    with running(tmp_path / "s", commands={"api": API}, given=given) as run:
        assert run.says("Ctrl-C drains")
        assert f"LAPWING_METRICS_PORT={port}" in (tmp_path / "s" / "environment").read_text().splitlines()
        assert f"http://127.0.0.1:{port}/metrics of the dispatcher" in run.said
        assert run.ends(signal.SIGTERM) == 0


def test_a_port_for_metrics_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        given = {**ELSEWHERE, "LAPWING_METRICS_PORT": port}
        with running(tmp_path / "s", commands={"api": API}, given=given) as run:
            assert run.ends() == 1
            assert f"port {port}" in run.said
            assert "another with LAPWING_HOST and LAPWING_METRICS_PORT" in run.said
    both = {**ELSEWHERE, "LAPWING_METRICS_PORT": port, "LAPWING_PORT": port}
    with running(tmp_path / "s", commands={"api": API}, given=both) as run:
        assert run.ends() == 1
        assert f"LAPWING_METRICS_PORT is {port}, where the api listens" in run.said


def test_several_dispatchers_are_not_given_one_port() -> None:
    """The demo has two: a plan that names no port gives none."""
    assert Plan(environment={}, state=Path(), host="127.0.0.1", port=0).metrics_port is None


def test_keys_are_made_once_and_fit_the_sealer(tmp_path: Path) -> None:
    first, second = keep_keys(tmp_path), keep_keys(tmp_path)
    assert (first.fresh, second.fresh) == (True, False)
    assert first.as_environment() == second.as_environment()
    Sealer.from_texts([first.secret])
    assert parse(first.admin) is not None
    assert first.admin not in repr(first)
    assert first.secret not in repr(first)


def test_lost_keys_are_not_replaced_silently(tmp_path: Path) -> None:
    keep_keys(tmp_path)
    (tmp_path / "postgres").mkdir()
    (tmp_path / FILE).unlink()
    with pytest.raises(ServerFailed, match="only those keys open"):
        keep_keys(tmp_path)
    (tmp_path / FILE).write_text("LAPWING_ADMIN_KEY=lw_x\n")
    with pytest.raises(ServerFailed, match="no line LAPWING_SECRET_KEYS"):
        keep_keys(tmp_path)


def test_the_delay_doubles_up_to_ten_seconds() -> None:
    assert [delay(n) for n in (0, 1, 2, 3, 4, 5, 500)] == [0.5, 1, 2, 4, 8, 10, 10]


class Frail:
    """Something that is never up for long."""

    name = "frail"
    running = False
    starts = 0

    def start(self) -> None:
        self.starts += 1


def test_patience_returns_after_a_long_life(capsys: pytest.CaptureFixture[str]) -> None:
    frail = Frail()
    watch = Watch(frail)
    for now, starts in ((0.0, 0), (0.4, 0), (0.5, 1), (0.6, 1), (1.5, 1), (1.6, 2), (100, 2), (100.5, 3)):
        watch.look(now)
        assert frail.starts == starts, now
    assert [line.split()[-2] for line in capsys.readouterr().err.splitlines()] == ["0.5", "1", "0.5"]


def test_a_child_that_cannot_start_is_a_sentence(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = Command("absent", ["/no/such/program"])
    child = Child(command, environment={}, cwd=tmp_path, log=log)
    with pytest.raises(ServerFailed, match=r"program did not start.*\n.*No such file"):
        Supervisor([child]).start()
    assert not child.running
