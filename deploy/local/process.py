"""One process under its keeper, and the lock that keeps a second one out of its directory."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from deploy.local.errors import ServerFailed, StateInUse
from deploy.local.places import SystemUser

KEEPER = Path(__file__).with_name("keeper.py")
GRACE_SECONDS = 20.0
LOG_LINES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, as whom, and how it ends in good order; without a log it speaks here."""

    command: Sequence[str]
    farewell: signal.Signals
    log: Path | None = None
    cwd: Path = Path("/")
    user: SystemUser | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    discard: Sequence[Path] = ()

    def as_order(self) -> str:
        return json.dumps(
            {
                "command": list(self.command),
                "farewell": int(self.farewell),
                "grace": GRACE_SECONDS,
                "cwd": str(self.cwd),
                "uid": self.user.uid if self.user else None,
                "gid": self.user.gid if self.user else None,
                "discard": [str(path) for path in self.discard],
            }
        )


class DirectoryLock:
    """Held by the starter and its keeper together: free only once the process has really ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take()
        except BaseException:
            self.release()
            raise
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)

    def _take(self) -> None:
        give_up = time.monotonic() + GRACE_SECONDS + 1
        while True:
            try:
                return fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = self._holder()
                if holder is None or _lives(holder) or time.monotonic() > give_up:
                    raise StateInUse(self._sentence(holder)) from None
            time.sleep(0.05)  # its starter was killed: the server is on its way out

    def _holder(self) -> int | None:
        text = os.pread(self.descriptor, 32, 0).strip()
        return int(text) if text.isdigit() else None

    def _sentence(self, holder: int | None) -> str:
        who = f"process {holder}" if holder else "another process"
        return (
            f"{self._path.parent} is in use by {who}. Stop that Lapwing first, or give this one "
            "a directory of its own with LAPWING_STATE_DIR."
        )

    def release(self) -> None:
        os.close(self.descriptor)


class KeptProcess:
    """Runs until it is told to end, ends by itself, or this process is gone."""

    def __init__(self, program: Program, *, lock: DirectoryLock | None = None) -> None:
        self.program = program
        with _open_log(program.log) as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(KEEPER), program.as_order()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(program.environment),
                pass_fds=(lock.descriptor,) if lock else (),
                start_new_session=True,
                bufsize=0,
            )
        assert self._keeper.stdout is not None
        with self._keeper.stdout as said:
            first = said.read(32).strip()
        if not first:
            self.wait(seconds=GRACE_SECONDS)
            raise ServerFailed(self.obituary())
        self.pid = int(first)

    @property
    def running(self) -> bool:
        return self._keeper.poll() is None

    @property
    def code(self) -> int | None:
        """As a shell tells it: 128 and the number when a signal ended it."""
        return self._keeper.poll()

    def send(self, number: signal.Signals) -> None:
        assert self._keeper.stdin is not None
        try:
            self._keeper.stdin.write(f"{int(number)}\n".encode())
        except BrokenPipeError:
            return  # it has ended already

    def wait(self, *, seconds: float) -> bool:
        """Whether it has ended within that time."""
        try:
            self._keeper.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        return True

    def end(self, number: signal.Signals, *, seconds: float) -> None:
        """Send the signal and wait; kill what does not end in time."""
        self.send(number)
        if self.wait(seconds=seconds):
            return
        self.send(signal.SIGKILL)
        if not self.wait(seconds=seconds):
            raise ServerFailed(f"Process {self.pid} does not end, not even when killed.")

    def obituary(self) -> str:
        """Why it did not start, as far as its log tells."""
        name, log = Path(self.program.command[0]).name, self.program.log
        if log is None:
            return f"{name} did not start; the reason stands above."
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return "\n  ".join([f"{name} did not start; the end of {log}:", *lines])


def _open_log(path: Path | None) -> BinaryIO | nullcontext[None]:
    """Private: Postgres logs a failed statement with its values."""
    if path is None:
        return nullcontext()
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
