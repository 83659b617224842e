"""What one dispatcher saw of its latest hand-overs: failures in a row, and messages that no gateway serves.

Kept in memory and of no use to anybody else: a process that dies forgets it and sees it again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

from dispatcher.queries.claims import Claimed
from shared.domain.message import Status


@dataclass(slots=True)
class Streak:
    """Of one campaign message, since a gateway last took one of it."""

    failed: int = 0
    lost: int = 0


@dataclass(slots=True)
class Streaks:
    of: dict[UUID, Streak] = field(default_factory=dict)
    homeless_since: dict[UUID | None, float] = field(default_factory=dict)
    shut_since: float | None = None

    def note(self, step: UUID | None, status: Status, *, blameless: bool = False) -> None:
        """One hand-over was settled; on the hot path, so a success without a streak costs one look.

        A doubt that is no sign of trouble (`Lost.blameless`) neither makes a streak nor ends one.
        """
        if step is None or blameless:
            return
        if status is Status.FAILED or status is Status.UNCONFIRMED:
            streak = self.of.setdefault(step, Streak())
            streak.failed += status is Status.FAILED
            streak.lost += status is Status.UNCONFIRMED
        elif status is Status.SUBMITTED and self.of:
            self.of.pop(step, None)

    def routed(self, *, served: Iterable[Claimed], homeless: Iterable[Claimed]) -> None:
        """What a claim found a gateway for, and what not."""
        self.shut_since = None
        if self.homeless_since:
            for one in served:
                self.homeless_since.pop(one.campaign_message_id, None)
        for one in homeless:
            if one.campaign_message_id is not None:
                self.homeless_since.setdefault(one.campaign_message_id, monotonic())

    def shut(self) -> None:
        """There is no gateway at all."""
        if self.shut_since is None:
            self.shut_since = monotonic()

    def failing(self, *, failures: int, losses: int) -> list[UUID]:
        """The campaign messages of which so many in a row were refused, or are in doubt."""
        return [step for step, streak in self.of.items() if streak.failed >= failures or streak.lost >= losses]

    def unserved(self, *, seconds: float) -> list[UUID]:
        """The campaign messages of which nothing found a gateway for so long."""
        return [step for step, since in self.homeless_since.items() if step and monotonic() - since >= seconds]

    def is_shut(self, *, seconds: float) -> bool:
        return self.shut_since is not None and monotonic() - self.shut_since >= seconds

    def forget(self, steps: Iterable[UUID]) -> None:
        for step in steps:
            self.of.pop(step, None)
            self.homeless_since.pop(step, None)
