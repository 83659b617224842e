"""One worker: takes turns, has a process run them, and puts an end to it when it does not answer."""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from shared.children.frames import Frame
from shared.children.parent import ChildDied
from shared.scripts.explained import explain
from shared.scripts.failures import Reason, ScriptFailed
from shared.scripts.plain import value_of
from shared.scripts.process import Deadlines, OutOfTime, ScriptProcess
from shared.scripts.turns import Turns

log = logging.getLogger(__name__)

_CALLS_IN_A_LIFE: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call on its way; whoever made it may have left."""

    owner: str
    script: str = field(repr=False)
    function: str
    frame: Frame = field(repr=False)
    found: asyncio.Future[Any] = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.frame[1])

    @property
    def is_wanted(self) -> bool:
        return not self.found.done()

    def succeed(self, value: Any) -> None:
        if not self.found.done():
            self.found.set_result(value)

    def fail(self, failure: ScriptFailed) -> None:
        if not self.found.done():
            self.found.set_exception(failure)


def unavailable() -> ScriptFailed:
    return ScriptFailed(Reason.UNAVAILABLE, "no process for scripts is to be had")


def resting() -> ScriptFailed:
    return ScriptFailed(Reason.RESTING, "it was stopped too often and is not tried for a while")


class Worker:
    """Serves until `closing` is set; `work` wakes it. Its process starts with its first turn."""

    def __init__(self, turns: Turns[Call], work: asyncio.Event, closing: asyncio.Event, deadlines: Deadlines) -> None:
        self._turns = turns
        self._work = work
        self._closing = closing
        self._deadlines = deadlines
        self._process: ScriptProcess | None = None
        self._served = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def serve(self) -> None:
        try:
            while True:
                if calls := self._turns.take():
                    await self._take_turn(calls[0].owner, deque(calls))
                elif self._closing.is_set():
                    return
                else:
                    self._work.clear()
                    await self._work.wait()
        finally:
            await self._dismiss()

    async def _take_turn(self, owner: str, calls: deque[Call]) -> None:
        # Unless it goes better: of what nobody foresaw, too, every caller hears.
        stopped: Reason | None = Reason.UNAVAILABLE
        began = _now()
        try:
            stopped = await self._ask(calls)
        finally:
            while calls and stopped is Reason.UNAVAILABLE:
                calls.popleft().fail(unavailable())
            running = calls.popleft() if calls else None
            self._turns.release(owner, calls)
            self._work.set()
        if running and stopped:
            detail, _ = explain(stopped, "", "")
            running.fail(ScriptFailed(stopped, detail))
            self._note(owner, stopped, began)
            await self._kill()

    async def _ask(self, calls: deque[Call]) -> Reason | None:
        """Have the calls answered, one by one; why the first of those that are left has no answer."""
        process = await self._ready()
        if process is None:
            return Reason.UNAVAILABLE
        process.order(calls[0].script, calls[0].function, [call.frame for call in calls])
        try:
            while calls:
                began = _now()
                self._settle(calls[0], await process.answer(), began)
                calls.popleft()
        except OutOfTime:
            return Reason.OVER_TIME
        except ChildDied:
            return Reason.KILLED
        return None

    def _settle(self, call: Call, answer: Frame, began: float) -> None:
        self._served += 1
        try:
            call.succeed(value_of(answer, call.script))
            self._note(call.owner, None, began)
        except ScriptFailed as failure:
            call.fail(failure)
            self._note(call.owner, failure.reason, began)

    def _note(self, owner: str, reason: Reason | None, began: float) -> None:
        now = _now()
        for call in self._turns.note(owner, reason, seconds=now - began, now=now):
            call.fail(resting())
        if self._turns.rests(owner, now):
            log.warning("a gateway's script rests", extra={"owner": owner, "reason": reason})

    async def _ready(self) -> ScriptProcess | None:
        """A process that waits for an order; None if there is none to be had."""
        if self._process and (self._served >= _CALLS_IN_A_LIFE or not self._process.is_alive):
            await self._dismiss()
        if self._process is None:
            try:
                self._process = await ScriptProcess.start(self._deadlines)
            except (OSError, ChildDied, OutOfTime) as error:
                log.warning("no process for scripts", extra={"cause": type(error).__name__})
                return None
            self._served = 0
            if not self._process.filtered:
                log.warning("scripts run without a filter of system calls")
        return self._process

    async def _dismiss(self) -> None:
        process, self._process = self._process, None
        if process:
            await process.end()

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process:
            await process.kill()


def _now() -> float:
    return asyncio.get_running_loop().time()
