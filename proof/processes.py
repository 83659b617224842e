"""One process of the service under the proof's hand: started for real, killed, paused, asked to end.

It never outlives the proof (`deploy/local/keeper.py`). What it said is in its log.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.local.process import KeptProcess, Program
from proof.zygote import Forked

ROOT: Final = Path(__file__).parents[1]
DISPATCHER: Final = (sys.executable, "-m", "dispatcher.main")
API: Final = (sys.executable, "-m", "api.main")
ZYGOTE: Final = (sys.executable, "-m", "proof.zygote")
POLL_SECONDS: Final = 0.02


class NotReady(RuntimeError):
    """A process did not come up, or did not end, in time."""


def keep(command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> KeptProcess:
    """Start a program from the checkout; it speaks into its log."""
    return KeptProcess(
        Program(
            command=command,
            farewell=signal.SIGTERM,
            log=log,
            cwd=ROOT,
            environment={"PATH": os.defpath, "PYTHONUNBUFFERED": "1", **environment},
        )
    )


class Process:
    """One start of one program; a restart is another object."""

    def __init__(self, kept: KeptProcess | Forked, *, log: Path, seen: int = 0, ready: str | None = None) -> None:
        """`seen` is how much of the log others wrote before; `ready` the sentence by which it says that it is."""
        self.log = log
        self.pid = kept.pid
        self._kept = kept
        self._seen = seen
        self._ready = ready

    @property
    def running(self) -> bool:
        return self._kept.running

    @property
    def code(self) -> int | None:
        """As a shell tells it: 137 when it was killed."""
        return self._kept.code

    @property
    def is_ready(self) -> bool:
        """Whether its log has the sentence by which it says so."""
        return self._ready is None or self._ready in self.said()

    def said(self) -> str:
        """What this start has logged so far; what a zygote has only just forked has no log yet."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._seen)
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def await_ready(self, *, seconds: float = 30.0) -> "Process":
        give_up = time.monotonic() + seconds
        while not self.is_ready:
            if not self.running or time.monotonic() > give_up:
                raise NotReady(f"{self.log.name}, process {self.pid}, is not ready:\n{self.said()[-2000:]}")
            time.sleep(POLL_SECONDS)
        return self

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        if self._kept.running:
            os.kill(self.pid, number)

    def wait(self, *, seconds: float = 60.0) -> int:
        """Its exit code, once it has ended."""
        if not self._kept.wait(seconds=seconds):
            raise NotReady(f"{self.log.name}, process {self.pid}, has not ended within {seconds:g} s")
        return self._kept.code or 0

    def end(self) -> None:
        """However it stands: gone."""
        if self._kept.running:
            self.resume()
            self.terminate()
        if not self._kept.wait(seconds=20.0):
            self.kill()
