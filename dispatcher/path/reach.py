"""Who of a slice may be written to, and from when: countries, the cap, and quiet hours, as the policy has them now.

The expansion asks for each recipient. Opt-outs are looked at in every claim;
here only where a quota would be reserved for them, or segments were confirmed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.path.quiet import NEVER
from dispatcher.queries.campaigns import Recipient, Step
from dispatcher.queries.quiet import lock_frequency_cap
from dispatcher.rules import Rules, Windows
from dispatcher.worker import Worker
from shared.domain.message import Kind, SkipReason, Status
from shared.domain.msisdn import country_of, is_landline
from shared.domain.quiet_hours import QuietWindow
from shared.queries.opt_outs import list_opted_out
from shared.queries.reach import count_recent
from shared.sealing import hash_msisdn

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
    opted_out: frozenset[str] = frozenset()  # looked at here where units would be reserved for them
    skip_landlines: bool = False
    resend: Resend = None  # whom to send it once more, and in the place of which message

    @property
    def is_limited(self) -> bool:
        """Whether anybody has to be looked at."""
        capped = self.most is not None or self.rules.policy.allowed_countries is not None or self.skip_landlines
        return bool(self.windows) or capped or bool(self.opted_out) or self.resend is not None

    def of(self, recipient: Recipient) -> tuple[SkipReason | None, datetime | None]:
        """Why this one is passed over, and when the others may be disturbed; None where nothing says so."""
        return self.skip_reason(recipient), self.not_before(recipient)

    def skip_reason(self, recipient: Recipient) -> SkipReason | None:
        """Why this one is passed over; None if it is not."""
        if self.resend is not None and recipient.msisdn not in self.resend:
            return SkipReason.DUPLICATE
        if recipient.msisdn in self.opted_out:
            return SkipReason.OPTED_OUT
        allowed = self.rules.policy.allowed_countries
        if allowed is not None and country_of(recipient.msisdn) not in allowed:
            return SkipReason.COUNTRY
        if self.skip_landlines and is_landline(recipient.msisdn):
            return SkipReason.LANDLINE
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
    opted_out = await _opted_out(worker, tx, step, recipients)
    reach = Reach(
        rules, now, step.send_by, windows, opted_out=opted_out, skip_landlines=step.skip_landlines, resend=resend
    )
    if cap is None:
        return reach
    await lock_frequency_cap(tx)
    msisdns = [recipient.msisdn for recipient in recipients]
    since = now - timedelta(hours=cap.hours)
    recent = await count_recent(tx, msisdns, campaign_id=step.campaign_id, since=since)
    return replace(reach, most=cap.messages, recent=recent)


async def _opted_out(
    worker: Worker, tx: AsyncConnection, step: Step, recipients: Sequence[Recipient]
) -> frozenset[str]:
    """Who of a slice has said no, where segments are counted; without that the claim asks, and that is enough."""
    if not worker.rules.is_limited and step.confirmed_segments is None:
        return frozenset()
    msisdns = {hash_msisdn(worker.pepper, one.msisdn): one.msisdn for one in recipients}
    return frozenset(msisdns[found] for found in await list_opted_out(tx, msisdns, sender_id=step.sender_id))
