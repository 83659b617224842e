"""What the local servers have in common: one in a directory, and gone when its starter is gone."""

import os
import shutil
import signal
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from deploy.local.errors import ServerFailed
from deploy.local.process import DirectoryLock, KeptProcess, Program

STOP_SECONDS = 30.0
POLL_SECONDS = 0.01


class Server(ABC):
    """Start, stop, crash and restart; `with` closes. A restart keeps the url, closing may not."""

    name: ClassVar[str]
    crash: ClassVar[signal.Signals]
    start_seconds: ClassVar[float]

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        self.directory = directory.resolve()
        self.durable = durable
        self._process: KeptProcess | None = None
        self._lock: DirectoryLock | None = None
        self._temporary: list[Path] = []
        weakref.finalize(self, _clear, self._temporary, os.getpid())  # for those who only stop

    @abstractmethod
    def _program(self) -> Program: ...

    @abstractmethod
    def _ready(self, process: KeptProcess) -> bool: ...

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    @property
    def place(self) -> Path:
        return self.directory / self.name

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerFailed(f"{self.name} is not started")
        return self._process.pid

    def start(self) -> None:
        """Return once it answers; nothing to do when it runs; a crash before is recovered."""
        if self.running:
            return
        self._forget()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = DirectoryLock(self.directory / f"{self.name}.lock")
        try:
            self._process = KeptProcess(self._program(), lock=self._lock)
            self._await(self._process)
        except BaseException:
            self.kill()
            raise

    def _await(self, process: KeptProcess) -> None:
        give_up = time.monotonic() + self.start_seconds
        while not self._ready(process):
            if not process.running or time.monotonic() > give_up:
                raise ServerFailed(process.obituary())
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End in good order; the data stays."""
        self._end(None)

    def kill(self) -> None:
        """End as a crash would: nothing is written any more."""
        self._end(self.crash)

    def restart(self, *, immediate: bool = False) -> None:
        """The same server under the same url; after a crash when `immediate`."""
        self._end(self.crash if immediate else None)
        self.start()

    def _end(self, number: signal.Signals | None) -> None:
        process = self._process
        if process is not None and process.running:
            process.end(number or process.program.farewell, seconds=STOP_SECONDS)
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait(seconds=STOP_SECONDS)
            self._process = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def close(self) -> None:
        """Stop, and clear what lived in temporary places; the end of `with`."""
        self.stop()
        _clear(self._temporary, os.getpid())
        if self.place.is_symlink() and not self.place.exists():
            self.place.unlink()

    def _own(self, path: Path) -> Path:
        """Remember a place outside our directory when nobody else will clear it."""
        temporary = Path(tempfile.gettempdir()).resolve()
        outside = not path.is_relative_to(self.directory)
        if outside and path.parent == temporary and path not in self._temporary:
            self._temporary.append(path)
        return path

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _clear(temporary: list[Path], owner: int) -> None:
    """A forked child must not clear what its parent still uses."""
    if os.getpid() != owner:
        return
    for path in temporary:
        shutil.rmtree(path, ignore_errors=True)
    temporary.clear()
