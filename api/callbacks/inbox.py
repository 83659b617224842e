"""Group commit: receipts that come at the same time are written in one transaction.

Whoever puts something in hears back after the commit that holds it, or that it could not be kept; a gateway that hears
the latter comes again. Nothing waits here without bound, and nothing outlives the request that brought it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from shared.errors import Unavailable

_T = TypeVar("_T")

LINGER_SECONDS: Final = 0.003
LARGEST_BATCH: Final = 500
MOST_WAITING: Final = 20_000


@dataclass(frozen=True, slots=True)
class _Put(Generic[_T]):
    items: Sequence[_T]
    failure: asyncio.Future[Exception | None]


class Inbox(Generic[_T]):
    """Collects what comes while `write` is busy, at least for as long as `linger`, and writes that together.

    `at_fault` tells an error of what was written from one of the database: only in the first case is each put written
    alone, so that one bad item does not take the others with it.
    """

    def __init__(
        self,
        write: Callable[[Sequence[_T]], Awaitable[None]],
        *,
        at_fault: Callable[[Exception], bool],
        linger: float = LINGER_SECONDS,
        largest: int = LARGEST_BATCH,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._write = write
        self._at_fault = at_fault
        self._linger = linger
        self._largest = largest
        self._most_waiting = most_waiting
        self._waiting: deque[_Put[_T]] = deque()
        self._full = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    async def put(self, items: Sequence[_T]) -> None:
        """Return once the items are committed; raise if they are not."""
        if not items:
            return
        if len(self._waiting) >= self._most_waiting:
            raise Unavailable("Too much is waiting to be written; come again in a moment.")
        put = _Put(items, asyncio.get_running_loop().create_future())
        self._waiting.append(put)
        if len(self._waiting) >= self._largest:
            self._full.set()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        failure = await put.failure
        if failure is not None:
            # One error is told to many: each of them begins its trace anew.
            raise failure.with_traceback(None)

    async def _write_all(self) -> None:
        while self._waiting:
            if len(self._waiting) < self._largest:
                self._full.clear()
                try:
                    async with asyncio.timeout(self._linger):
                        await self._full.wait()
                except TimeoutError:
                    pass
            count = min(len(self._waiting), self._largest)
            await self._write_batch([self._waiting.popleft() for _ in range(count)])

    async def _write_batch(self, batch: Sequence[_Put[_T]]) -> None:
        try:
            await self._write([item for put in batch for item in put.items])
        except asyncio.CancelledError:
            for put in batch:
                put.failure.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            if len(batch) > 1 and self._at_fault(error):
                for put in batch:
                    await self._write_batch([put])
            else:
                _tell(batch, error)
        else:
            _tell(batch, None)


def _tell(batch: Sequence[_Put[_T]], failure: Exception | None) -> None:
    for put in batch:
        if not put.failure.done():  # who hung up hears nothing
            put.failure.set_result(failure)
