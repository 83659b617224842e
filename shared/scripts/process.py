"""The parent's end of one process that runs scripts: orders out, answers in, each by its deadline."""

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from shared.children.frames import Frame, frame_of
from shared.children.parent import ChildDied, end_child, next_frame, start_child
from shared.scripts.words import MOST_ANSWER_BYTES, READY, SCRIPT

_STARVED: Final = 0.25  # of the time it had: less of the processor than that, and the machine is to blame


@dataclass(frozen=True, slots=True)
class Deadlines:
    """In seconds. A call is killed after `call`, or after `starved` if the machine did not let its process run."""

    start: float = 10.0
    call: float = 0.25
    starved: float = 2.0
    farewell: float = 1.0


class OutOfTime(Exception):
    """No answer by the deadline; the process is of no more use."""


class ScriptProcess:
    def __init__(self, process: Process, deadlines: Deadlines) -> None:
        self._process = process
        self._deadlines = deadlines
        self._ran = 0.0
        self.filtered = False

    @classmethod
    async def start(cls, deadlines: Deadlines) -> Self:
        """A process that waits for its first script; raises ChildDied, OutOfTime or OSError."""
        started = cls(await start_child("shared.scripts.child", quiet=True), deadlines)
        is_ready = False
        try:
            async with asyncio.timeout(deadlines.start):
                kind, how = await next_frame(started._process, most=MOST_ANSWER_BYTES)
            is_ready = kind == READY
        except TimeoutError as error:
            raise OutOfTime from error
        finally:
            if not is_ready:
                await started.kill()
        if not is_ready:
            raise ChildDied
        started.filtered = how == b"filtered"
        return started

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    def order(self, script: str, function: str, calls: Sequence[Frame]) -> None:
        """Hand it calls of one function; as many answers follow. What is too much for the pipe waits here."""
        if self._process.stdin is None:
            raise ChildDied
        frames = (frame_of(kind, payload) for kind, payload in calls)
        self._ran = self._processor_seconds()
        head = frame_of(SCRIPT, f"{function}\n{script}".encode("utf-8", "replace"))
        self._process.stdin.write(head + b"".join(frames))

    async def answer(self) -> Frame:
        """The next answer; raises OutOfTime or ChildDied, after which the process must be killed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        reading = asyncio.create_task(next_frame(self._process, most=MOST_ANSWER_BYTES))
        try:
            # Not asyncio.timeout: when our own loop is late, the answer may be here already, and counts.
            while not reading.done():
                await asyncio.wait({reading}, timeout=self._deadlines.call)
                if reading.done() or loop.time() - began < self._deadlines.call:
                    continue
                starved = self._processor_seconds() - self._ran < self._deadlines.call * _STARVED
                if not starved or loop.time() - began > self._deadlines.starved:
                    raise OutOfTime
            return reading.result()
        finally:
            if not reading.done():
                reading.cancel()
                with suppress(asyncio.CancelledError, ChildDied):
                    await reading

    async def end(self) -> None:
        """Let it go: it ends by itself when there is nothing more to read."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._deadlines.farewell):
                await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        await end_child(self._process)

    def _processor_seconds(self) -> float:
        """What it has had of the processor; without a word from the system it counts as never starved."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
            user, system = stat.rpartition(")")[2].split()[11:13]
            return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, AttributeError):
            return asyncio.get_running_loop().time()
