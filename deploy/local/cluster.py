"""A Postgres data directory: made once, configured at every start, cleared after a killed run."""

import contextlib
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from deploy.local.errors import ServerFailed
from deploy.local.places import SystemUser, run_as

OWNER = "lapwing"
PORT = 5432  # only part of the socket's name
SOCKET = f".s.PGSQL.{PORT}"
DATA = "data"
CONFIGURATION = "lapwing.conf"
LEAVE_SECONDS = 10.0
IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def identifier(name: str) -> str:
    if not IDENTIFIER.fullmatch(name):
        raise ValueError(f"database name {name!r}: take lower-case letters, digits and underscores, at most 63")
    return name


def prepare(home: Path, *, binaries: Path, user: SystemUser | None, durable: bool) -> Path:
    """The data directory in this home. It appears whole or not at all."""
    data = home / DATA
    if data.exists():
        return data
    draft = home / f"{DATA}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    # The builtin provider knows C.UTF-8 on every system, whatever locales are installed.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    haste = [] if durable else ["--no-sync"]
    made = run_as(
        [str(binaries / "initdb"), "-D", str(draft), "-U", OWNER, "--auth=trust", "--no-instructions", *locale, *haste],
        user=user,
    )
    if made.returncode:
        raise ServerFailed(f"Postgres could not make its data directory {draft}:\n  {made.stderr.strip()}")
    with (draft / "postgresql.conf").open("a") as written:
        written.write(f"\ninclude = '{CONFIGURATION}'\n")
    draft.rename(data)
    return data


def defaults(sockets: Path, *, durable: bool) -> dict[str, str]:
    """What survives a killed process either way; what survives a power cut only when durable."""
    disk = "on" if durable else "off"
    return {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "shared_buffers": "256MB",
        "wal_level": "replica",
        "fsync": disk,
        "full_page_writes": disk,
        "synchronous_commit": "on",
        "autovacuum": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_checkpoints": "off",
    }


def configure(data: Path, settings: Mapping[str, str]) -> None:
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    path = data / CONFIGURATION
    path.write_text("\n".join(["# Written at every start; add yours to postgresql.conf.", *lines, ""]))
    path.chmod(0o644)  # the directory is private; under root another user reads it


def is_ready(data: Path, *, pid: int) -> bool:
    """What the server itself says: line 1 of postmaster.pid is who, line 8 is how far."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def clear_stale(data: Path, *, sockets: Path) -> None:
    """Remove the pid files of a killed run, whose number may be another process by now.

    Postgres would take that one for itself and refuse to start. The caller holds the directory's
    lock; whoever still works in it is the last of a killed server, and leaves by itself.
    """
    left = [data / "postmaster.pid", sockets / f"{SOCKET}.lock"]
    if not any(path.exists() for path in left) or not Path("/proc/self/cwd").exists():
        return  # elsewhere Postgres' own check must do
    give_up = time.monotonic() + LEAVE_SECONDS
    while pids := _working_in(data):
        if time.monotonic() > give_up:
            raise ServerFailed(f"Another Postgres (process {min(pids)}) still works in {data}. Stop it first.")
        time.sleep(0.05)
    for path in left:
        path.unlink(missing_ok=True)


def _working_in(data: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink() == data:
                    found.append(int(entry.name))
    return found
