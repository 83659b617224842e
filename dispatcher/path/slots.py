"""Slots: who holds those of a lane in one dispatcher, and how many of them a claim may take. No I/O."""

from collections import Counter
from collections.abc import Iterable
from math import ceil
from typing import Final
from uuid import UUID

from dispatcher.queries.claims import Claimed
from shared.domain.message import Kind

# Slots are claimed in handfuls: a claim costs two round trips however small it is.
HANDFUL: Final = 8
# Of the urgent slots, for passwords alone: a gateway that hangs with others keeps those it has for a whole deadline.
PASSWORD_SHARE: Final = 0.25
# Of a lane's slots, for those of whom one gateway has most: the rest of them is for everybody else's.
LEFT_SHARE: Final = 0.25

# A message, and the gateway that it is handed to.
Held = tuple[Claimed, UUID]


class Slots:
    """`taken` is what is claimed and not settled yet."""

    def __init__(self, lane: str, total: int) -> None:
        self.lane = lane
        self.total = total
        self.taken = 0
        self._passwords = 0
        self._at: Counter[UUID] = Counter()

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

    def room(self, *, among: int) -> int:
        """How many more any gateway may have, of so many that may be asked (0: unknown yet). One alone may have all."""
        most = self.total - int(self.total * LEFT_SHARE) if among != 1 else self.total
        return max(0, min(self.free, most - max(self._at.values(), default=0)))

    def most_are_at(self) -> UUID | None:
        """The gateway that has the most of them."""
        return max(self._at, key=self._at.__getitem__, default=None)

    def take(self, batch: Iterable[Held]) -> None:
        self._count(batch, 1)

    def give_back(self, batch: Iterable[Held]) -> None:
        self._count(batch, -1)

    @property
    def _others(self) -> int:
        return self.taken - self._passwords

    def _count(self, batch: Iterable[Held], by: int) -> None:
        for one, gateway_id in batch:
            self.taken += by
            self._at[gateway_id] += by
            if not self._at[gateway_id]:
                del self._at[gateway_id]
            if one.kind == Kind.OTP:
                self._passwords += by
