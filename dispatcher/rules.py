"""The policy as this process knows it, with the quiet hours of campaigns that run: read every second, like the book.

It says when a recipient may be disturbed. Nothing here moves a message.
"""

from collections.abc import Mapping
from datetime import datetime
from time import monotonic
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.claims import Claimed
from dispatcher.queries.quiet import list_quiet_steps
from shared.domain.policy import Policy
from shared.domain.quiet_hours import QuietWindow
from shared.domain.rest import Recipient, first_open
from shared.queries.policy import get_policy
from shared.queries.quota import is_limited

FRESH_SECONDS: Final = 1.0

Windows = tuple[QuietWindow, ...]


class Rules:
    """What the operator wants, at most a second old."""

    def __init__(self) -> None:
        self._read_at = -FRESH_SECONDS
        self.policy = Policy()
        self.is_limited = False  # whether there is a quota at all
        self._of_policy: Windows = ()
        self._of_steps: Mapping[UUID, Windows] = {}

    @property
    def is_fresh(self) -> bool:
        return monotonic() - self._read_at < FRESH_SECONDS

    def forget(self) -> None:
        """Something changed: read again before the next question."""
        self._read_at = -FRESH_SECONDS

    async def read(self, tx: AsyncConnection) -> None:
        self.policy = await get_policy(tx)
        self._of_policy = tuple(self.policy.quiet_hours)
        self._of_steps = await list_quiet_steps(tx)
        self.is_limited = await is_limited(tx)
        self._read_at = monotonic()

    async def refresh(self, tx: AsyncConnection) -> Policy:
        """The policy, read anew if it is old."""
        if not self.is_fresh:
            await self.read(tx)
        return self.policy

    @property
    def is_quiet_anywhere(self) -> bool:
        """Whether there is a window at all: without one, nobody's clock matters."""
        return bool(self._of_policy or self._of_steps)

    def windows_of(self, one: Claimed) -> Windows:
        """The windows that a message has to respect: the policy's for its kind, and its campaign's own.

        An automation says itself whether its messages respect the policy's: its choice goes with each of them.
        """
        if one.respect_quiet_hours is not None:
            return self._of_policy if one.respect_quiet_hours else ()
        step_id = one.campaign_message_id
        return self.windows_with(one.kind, self._of_steps.get(step_id, ()) if step_id is not None else ())

    def windows_with(self, kind: str, own: Windows) -> Windows:
        common = self._of_policy if kind in self.policy.quiet_hours_kinds else ()
        return (*common, *own) if own else common

    def opens(self, windows: Windows, recipient: Recipient, now: datetime) -> datetime | None:
        """When the recipient may be disturbed: now, later, or never."""
        return first_open(self.policy, windows, recipient, now)
