"""How many messages share a request at a gateway that may count what it did not take, and not say whose it was.

One such person leaves all that share their request in doubt, so after such an answer fewer share one; alone, a count
names its message. While nothing of the kind comes, they grow together again.
"""

from dataclasses import dataclass
from typing import Final

SHRINKS_BY: Final = 4
GROWS_AFTER: Final = 10  # requests of full size without such a count


@dataclass(slots=True)
class BatchSize:
    """One gateway's, as one dispatcher keeps it. `most` is what is allowed now; None as many as it takes."""

    most: int | None = None
    clean: int = 0

    def of(self, largest: int) -> int:
        """How many may share a request, of `largest` that the gateway takes."""
        return largest if self.most is None else min(self.most, largest)

    def hear(self, size: int, *, unnamed: bool, largest: int) -> None:
        """A request of so many was answered; `unnamed` that somebody was counted in it and not named."""
        if unnamed:
            # A larger one was under way already when fewer were allowed.
            if 1 < size <= self.of(largest):
                self.most, self.clean = max(1, size // SHRINKS_BY), 0
        elif self.most is not None and size >= self.most:
            self.clean += 1
            if self.clean >= GROWS_AFTER:
                self.most, self.clean = 2 * self.most, 0
                if self.most >= largest:
                    self.most = None
