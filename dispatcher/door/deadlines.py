"""Deadlines of calls in flight: one timer looks after all of them.

`asyncio.timeout` with a timer for each call costs a tenth of the sending. A deadline of seconds
does not need its own, and may be late by a tick.
"""

import asyncio
from dataclasses import dataclass, field

TICK = 0.02


@dataclass(slots=True, eq=False)
class Watch:
    """A task that is to be cancelled at `until`, in the loop's time."""

    task: asyncio.Task[object]
    until: float
    cancelling: int
    expired: bool = field(default=False, init=False)


class Deadlines:
    """The watches of one loop. What starts a watch ends it."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop, until: float) -> Watch:
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a deadline needs a task")
        watch = Watch(task, until, task.cancelling())
        self._watches.add(watch)
        if self._timer is None:
            self._timer = loop.call_later(TICK, self._sweep, loop)
        return watch

    def ran_out(self, watch: Watch) -> bool:
        """Whether the deadline, and nobody else, cancelled the task: asked once, when it was."""
        if not watch.expired:
            return False
        watch.expired = False
        return watch.task.uncancel() <= watch.cancelling

    def end(self, watch: Watch) -> None:
        self._watches.discard(watch)
        if watch.expired:  # our cancellation did not come through, and is not to linger
            watch.task.uncancel()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for watch in self._watches:
            if watch.until <= now and not watch.expired:
                watch.expired = True
                watch.task.cancel()
        self._timer = loop.call_later(TICK, self._sweep, loop) if self._watches else None
