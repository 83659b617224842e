"""Keeps processes and servers running: starts again what died, and drains them all at the end."""

import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.local.errors import ServerFailed
from deploy.local.process import KeptProcess, Program

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
STEADY_SECONDS = 20.0
DRAIN_SECONDS = 40.0
TICK_SECONDS = 0.1
MISCONFIGURED = 2  # the exit code of a process whose settings are wrong; starting again cannot help


def delay(failures: int) -> float:
    """How long to wait before the next start after so many in a row that did not last."""
    return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(failures, 10))


def say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Command:
    """A process of ours: its name and what runs it."""

    name: str
    argv: Sequence[str]


class Keepable(Protocol):
    """What can be watched: a server or a child."""

    @property
    def name(self) -> str: ...

    @property
    def running(self) -> bool: ...

    def start(self) -> None: ...


class Child:
    """One process of ours, started again under the same environment."""

    def __init__(self, command: Command, *, environment: Mapping[str, str], cwd: Path, log: Path | None = None) -> None:
        self.name = command.name
        self._program = Program(
            command=command.argv, farewell=signal.SIGTERM, log=log, cwd=cwd, environment=environment
        )
        self._process: KeptProcess | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def code(self) -> int | None:
        return self._process.code if self._process else None

    def start(self) -> None:
        self.wait(seconds=0)
        self._process = KeptProcess(self._program)

    def ask_to_end(self) -> None:
        if self._process is not None and self._process.running:
            self._process.send(signal.SIGTERM)

    def wait(self, *, seconds: float) -> bool:
        return self._process is None or self._process.wait(seconds=seconds)

    def kill(self) -> None:
        if self._process is not None and self._process.running:
            self._process.end(signal.SIGKILL, seconds=DRAIN_SECONDS)


class Watch:
    """One thing that has to run, and the patience with it."""

    def __init__(self, kept: Keepable) -> None:
        self.kept = kept
        self._failures = 0
        self._started = 0.0
        self._due: float | None = None

    def begin(self, now: float) -> None:
        self._started = now
        self._due = None
        self.kept.start()

    def look(self, now: float) -> None:
        """Notice that it died, and start it again once its delay is over."""
        if self.kept.running:
            return
        if self._due is None:
            if now - self._started > STEADY_SECONDS:
                self._failures = 0
            self._due = now + self._mourn()
        if now < self._due:
            return
        try:
            self.begin(now)
        except ServerFailed as failure:
            say(str(failure))

    def _mourn(self) -> float:
        """Say that it ended; how long to wait before it is started again."""
        name, how = self.kept.name, ""
        if isinstance(self.kept, Child):
            if self.kept.code == MISCONFIGURED:
                raise ServerFailed(f"{name} does not accept its settings; see above.")
            how = f" with code {self.kept.code}"
        pause = delay(self._failures)
        self._failures += 1
        say(f"{name} ended{how}; starting it again in {pause:g} s.")
        return pause


class Supervisor:
    """Servers are already started by whoever stops them; the children are ours."""

    def __init__(self, children: Sequence[Child], *, servers: Sequence[Keepable] = ()) -> None:
        self._children = children
        self._watches = [Watch(kept) for kept in (*servers, *children)]

    def start(self) -> None:
        for child in self._children:
            child.start()

    def run(self, *, stopping: Callable[[], bool], each_tick: Callable[[], None]) -> None:
        """Until told to stop; servers first, since the processes need them."""
        while not stopping():
            for watch in self._watches:
                watch.look(time.monotonic())
            each_tick()
            time.sleep(TICK_SECONDS)

    def drain(self, *, impatient: Callable[[], bool]) -> None:
        """Ask all to end and wait; kill what takes too long, or when asked a second time."""
        give_up = time.monotonic() + DRAIN_SECONDS
        for child in self._children:
            child.ask_to_end()
        while any(child.running for child in self._children):
            if impatient() or time.monotonic() > give_up:
                self._kill_the_rest()
            time.sleep(TICK_SECONDS)
        for child in self._children:
            child.wait(seconds=0)

    def _kill_the_rest(self) -> None:
        for child in self._children:
            if child.running:
                say(f"{child.name} is killed: it did not end in time.")
                child.kill()
