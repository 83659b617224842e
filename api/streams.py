"""Streams that stay open: so many at once, and no more, lest watchers use up what senders need."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from shared.errors import LimitReached

MOST: Final = 100
RETRY_SECONDS: Final = 10.0


class TooManyStreams(LimitReached):
    """So many streams of events are open here that no other is begun; ask for the report instead, or come back."""


class Streams:
    """Counts the streams that this process has open."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.open = 0

    def take(self) -> AbstractContextManager[None]:
        """A place, held while the block runs; raises TooManyStreams where there is none."""
        if self.open >= self.most:
            raise TooManyStreams(
                f"{self.open} streams of events are open, as many as there may be; ask for the report instead.",
                retry_after=RETRY_SECONDS,
            )
        return self._held()

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
