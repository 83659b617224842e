"""Dispatchers without the second that an interpreter takes to start, so that thousands of kills take minutes.

The zygote (`python -m proof.zygote SOCKET`) has imported the dispatcher and forks a process for each start. What is
forked runs the same `main` and is killed for real; only the import is saved.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from deploy.local.keeper import death_signal

GONE: Final = 128
POLL_SECONDS: Final = 0.01


class Forked:
    """One forked process, in the words of `deploy/local/process.py`."""

    def __init__(self, zygote: "Zygote", pid: int) -> None:
        self._zygote = zygote
        self._code: int | None = None
        self.pid = pid

    @property
    def running(self) -> bool:
        return self.code is None

    @property
    def code(self) -> int | None:
        if self._code is None:
            self._code = self._zygote.ask({"code": self.pid})
        return self._code

    def wait(self, *, seconds: float) -> bool:
        give_up = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > give_up:
                return False
            time.sleep(POLL_SECONDS)
        return True


class Zygote:
    """The proof's end of the line to a zygote that listens at `path`."""

    def __init__(self, path: Path) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        try:
            self._line.connect(str(path))
        except OSError:
            self._line.close()
            raise
        self._answers = self._line.makefile("r")
        self._one_at_a_time = threading.Lock()  # or one thread would hear what another asked

    def start(self, environment: Mapping[str, str], *, log: Path) -> Forked:
        pid = self.ask({"environment": dict(environment), "log": str(log)})
        assert pid is not None
        return Forked(self, pid)

    def ask(self, order: Mapping[str, Any]) -> int | None:
        with self._one_at_a_time:
            self._line.sendall(json.dumps(order).encode() + b"\n")
            answer: int | None = json.loads(self._answers.readline())
        return answer

    def close(self) -> None:
        self._answers.close()
        self._line.close()


def serve(path: str) -> None:
    """Fork at each order of the one proof that connects; end when it is gone."""
    import dispatcher.main  # noqa: F401, PLC0415 - so that what is forked has it already

    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(1)
        line, _ = door.accept()
    codes: dict[int, int | None] = {}
    with line, line.makefile("r") as orders:
        for text in orders:
            order = json.loads(text)
            _reap(codes)
            if "code" in order:
                answer = codes[order["code"]]
            else:
                answer = _fork(order, line)
                codes[answer] = None
            line.sendall(json.dumps(answer).encode() + b"\n")


def _reap(codes: dict[int, int | None]) -> None:
    """Exit codes as a shell tells them."""
    for pid, known in codes.items():
        if known is None:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                code = os.waitstatus_to_exitcode(status)
                codes[pid] = code if code >= 0 else GONE - code


def _fork(order: Mapping[str, Any], line: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        line.close()
        _become(order)
        from dispatcher.main import main  # noqa: PLC0415 - imported before the fork

        main()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:  # noqa: BLE001 - nothing may return into the zygote's loop
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def _become(order: Mapping[str, Any]) -> None:
    end_with_parent = death_signal(signal.SIGKILL)
    if end_with_parent is not None:
        end_with_parent()
    os.environ.clear()
    os.environ.update(order["environment"])
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve(sys.argv[1])
