"""Who of a slice may be written to, and from when: countries, the cap, and quiet hours, as the policy has them now.

The expansion asks for each recipient. Opt-outs are not asked here: they are looked at in every claim.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.campaigns import Recipient, Step
from dispatcher.queries.quiet import count_recent, lock_frequency_cap
from dispatcher.quiet import NEVER
from dispatcher.rules import Rules, Windows
from dispatcher.worker import Worker
from shared.domain.message import Kind, SkipReason, Status
from shared.domain.msisdn import country_of
from shared.domain.quiet_hours import QuietWindow

# What becomes of a message as it is made: status, failure, why it is skipped, and not before when.
Fate = tuple[Status, str | None, SkipReason | None, datetime | None]
Resend = Mapping[str, UUID | None] | None
ANYBODY: Final = (None, None)  # not skipped, and no later than at once


@dataclass(frozen=True, slots=True)
class Reach:
    """The rules of one slice."""

    rules: Rules
    now: datetime
    send_by: datetime | None
    windows: Windows
    most: int | None = None
    recent: Mapping[str, int] = field(default_factory=dict)
    resend: Resend = None  # whom to send it once more, and in the place of which message

    @property
    def is_limited(self) -> bool:
        """Whether anybody has to be looked at."""
        capped = self.most is not None or self.rules.policy.allowed_countries is not None
        return bool(self.windows) or capped or self.resend is not None

    def of(self, recipient: Recipient) -> tuple[SkipReason | None, datetime | None]:
        """Why this one is passed over, and when the others may be disturbed; None where nothing says so."""
        return self.skip_reason(recipient), self.not_before(recipient)

    def skip_reason(self, recipient: Recipient) -> SkipReason | None:
        """Why this one is passed over; None if it is not."""
        if self.resend is not None and recipient.msisdn not in self.resend:
            return SkipReason.DUPLICATE
        allowed = self.rules.policy.allowed_countries
        if allowed is not None and country_of(recipient.msisdn) not in allowed:
            return SkipReason.COUNTRY
        if self.most is not None and self.recent.get(recipient.msisdn, 0) >= self.most:
            return SkipReason.FREQUENCY_CAP
        return None

    def not_before(self, recipient: Recipient) -> datetime | None:
        """When this one may be disturbed; at the latest when the message's own time is over, to expire there."""
        if not self.windows:
            return None
        clock = (recipient.msisdn, recipient.time_zone, recipient.location_id)
        opens = self.rules.opens(self.windows, clock, self.now) or self.now + NEVER
        return opens if self.send_by is None else min(opens, self.send_by)


async def reach_of(
    worker: Worker, tx: AsyncConnection, step: Step, recipients: Sequence[Recipient], resend: Resend
) -> Reach:
    """The rules of a slice, with what the cap has to know of its numbers."""
    rules, now = worker.rules, worker.now()
    own = tuple(QuietWindow.read(window) for window in step.quiet_hours or ())
    windows = rules.windows_with(Kind.CAMPAIGN.value, own)
    cap = rules.policy.frequency_cap
    if cap is None:
        return Reach(rules, now, step.send_by, windows, resend=resend)
    await lock_frequency_cap(tx)
    msisdns = [recipient.msisdn for recipient in recipients]
    since = now - timedelta(hours=cap.hours)
    recent = await count_recent(tx, msisdns, campaign_id=step.campaign_id, since=since)
    return Reach(rules, now, step.send_by, windows, most=cap.messages, recent=recent, resend=resend)
