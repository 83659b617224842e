"""How much of what a gateway is handed may be in vain for the second time, so that retries cannot feed an outage.

A retry is a hand-over to a gateway that had the message before; going to the next gateway is none. What counts against
the budget are retries that are under way, and those of the last minute that failed: a gateway that is well again takes
its backlog as fast as it can.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from shared.domain.breaker import Mark

WINDOW_SECONDS: Final = 60.0
# Of what a dispatcher has handed to a gateway within the last minute.
SHARE: Final = 0.1
# Always allowed, so that little traffic and the end of a campaign are retried too: one a second harms nobody.
AT_LEAST: Final = 60
# What has to wait for the budget is looked at again after so many seconds, and a random part of that.
AGAIN_SECONDS: Final = 5.0


@dataclass(slots=True)
class Retries:
    """One gateway's, as one dispatcher keeps them. Times are seconds of any clock that goes on."""

    under_way: set[UUID] = field(default_factory=set)
    failed: deque[float] = field(default_factory=deque)

    def allow(self, *, heard: int, now: float) -> bool:
        """Whether one more may go; `heard` is how many hand-overs the last minute had."""
        while self.failed and self.failed[0] < now - WINDOW_SECONDS:
            self.failed.popleft()
        return len(self.under_way) + len(self.failed) < max(AT_LEAST, SHARE * heard)

    def begin(self, message_id: UUID) -> None:
        self.under_way.add(message_id)

    def end(self, marks: Iterable[tuple[UUID, Mark]], *, now: float) -> None:
        """These came to that; whatever was no retry is none of ours."""
        for message_id, mark in marks:
            if message_id in self.under_way:
                self.under_way.discard(message_id)
                if mark is Mark.FAILED:
                    self.failed.append(now)
