"""Slots: who holds those of a lane in one dispatcher, and how many of them a claim may take. No I/O."""

from collections.abc import Iterable
from math import ceil
from typing import Final

from dispatcher.queries.claims import Claimed
from shared.domain.message import Kind

# Slots are claimed in handfuls: a claim costs two round trips however small it is.
HANDFUL: Final = 8
# Of the urgent slots, for passwords alone: a gateway that hangs with others keeps those it has for a whole deadline.
PASSWORD_SHARE: Final = 0.25


class Slots:
    """`taken` is what is claimed and not settled yet."""

    def __init__(self, lane: str, total: int) -> None:
        self.lane = lane
        self.total = total
        self.taken = 0
        self._passwords = 0

    @property
    def free(self) -> int:
        return self.total - self.taken

    @property
    def handful(self) -> int:
        return max(1, self.total // HANDFUL)

    @property
    def least(self) -> int:
        """How many have to be free for a claim: a handful of those that whoever comes first may have."""
        return max(1, (self.total - self._others) // HANDFUL) if self.lane == "urgent" else self.handful

    @property
    def for_others(self) -> int:
        """How many of those that are free are for more than passwords; none where that is less than a handful."""
        if self.lane != "urgent":
            return self.free
        kept = ceil(self.total * PASSWORD_SHARE) if self.total > 1 else 0  # a single one is for whoever comes
        left = min(self.free, self.total - kept - self._others)
        return left if left >= self.handful else 0

    def take(self, batch: Iterable[Claimed]) -> None:
        self._count(batch, 1)

    def give_back(self, batch: Iterable[Claimed]) -> None:
        self._count(batch, -1)

    @property
    def _others(self) -> int:
        return self.taken - self._passwords

    def _count(self, batch: Iterable[Claimed], by: int) -> None:
        for one in batch:
            self.taken += by
            if one.kind == Kind.OTP:
                self._passwords += by
