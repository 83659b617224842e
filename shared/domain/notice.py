"""What an operator is told without asking: kinds, how bad each is, and the words. Pure: facts in, a notice out.

A notice holds names of gateways and campaigns, amounts and codes; never a number, a text or a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from shared.domain.campaign import HeldReason


class Kind(StrEnum):
    BALANCE_LOW = "balance_low"  # below warn_below
    BALANCE_EMPTY = "balance_empty"  # below stop_below: the gateway is skipped
    BALANCE_RECOVERED = "balance_recovered"  # neither, after one of them
    BALANCE_UNREADABLE = "balance_unreadable"  # asked several times in a row, in vain
    GATEWAY_WITHDRAWN = "gateway_withdrawn"  # it refuses everything of ours
    GATEWAY_FAILING = "gateway_failing"  # it is left alone for a while
    GATEWAY_RECOVERED = "gateway_recovered"  # it is trusted again
    GATEWAY_MISSING = "gateway_missing"  # single messages are due, and no gateway takes them
    GATEWAY_FOUND = "gateway_found"  # one does again
    OTP_BLOCKED = "otp_blocked"  # passwords to a prefix or a country are not used
    OTP_CONVERSION_LOW = "otp_conversion_low"  # the same at home, where nothing is stopped for it
    OTP_SPEND_NEAR = "otp_spend_near"  # most of what may be spent on passwords
    OTP_SPEND_REACHED = "otp_spend_reached"  # all of it: none go out
    OTP_FAILURES = "otp_failures"  # wrong codes for many numbers at once
    QUOTA_LOW = "quota_low"  # most of a period's quota
    QUOTA_EXHAUSTED = "quota_exhausted"  # all of it: messages are refused
    CAMPAIGN_HELD = "campaign_held"  # it needs its owner
    WEBHOOK_DISABLED = "webhook_disabled"  # its receiver is gone, or was away for days
    DATABASE_RESTORED = "database_restored"  # what it remembers is older than what was sent


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"  # somebody should look today
    CRITICAL = "critical"  # messages wait, or take another gateway


SEVERITY_OF: Final[Mapping[Kind, Severity]] = MappingProxyType(
    {
        Kind.BALANCE_LOW: Severity.WARNING,
        Kind.BALANCE_EMPTY: Severity.CRITICAL,
        Kind.BALANCE_RECOVERED: Severity.INFO,
        Kind.BALANCE_UNREADABLE: Severity.WARNING,
        Kind.GATEWAY_WITHDRAWN: Severity.CRITICAL,
        Kind.GATEWAY_FAILING: Severity.CRITICAL,
        Kind.GATEWAY_RECOVERED: Severity.INFO,
        Kind.GATEWAY_MISSING: Severity.CRITICAL,
        Kind.GATEWAY_FOUND: Severity.INFO,
        Kind.OTP_BLOCKED: Severity.WARNING,
        Kind.OTP_CONVERSION_LOW: Severity.WARNING,
        Kind.OTP_SPEND_NEAR: Severity.WARNING,
        Kind.OTP_SPEND_REACHED: Severity.CRITICAL,
        Kind.OTP_FAILURES: Severity.WARNING,
        Kind.QUOTA_LOW: Severity.WARNING,
        Kind.QUOTA_EXHAUSTED: Severity.CRITICAL,
        Kind.CAMPAIGN_HELD: Severity.CRITICAL,
        Kind.WEBHOOK_DISABLED: Severity.CRITICAL,
        Kind.DATABASE_RESTORED: Severity.CRITICAL,
    }
)


@dataclass(frozen=True, slots=True)
class Notice:
    """One piece of news about one thing. `data` holds the same facts for machines."""

    kind: Kind
    subject: tuple[str, UUID]
    title: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        return SEVERITY_OF[self.kind]


def gateway_withdrawn(gateway_id: UUID, *, name: str, reason: str) -> Notice:
    return Notice(
        Kind.GATEWAY_WITHDRAWN,
        ("gateway", gateway_id),
        f"Gateway {name} is withdrawn",
        f"The gateway {name} refuses everything of ours ({reason}). Nothing is handed to it any more; messages take "
        "the next gateway, or wait. Mend the account there, then enable the gateway.",
        {"name": name, "reason": reason},
    )


def gateway_failing(gateway_id: UUID, *, name: str, reason: str) -> Notice:
    return Notice(
        Kind.GATEWAY_FAILING,
        ("gateway", gateway_id),
        f"Gateway {name} is failing",
        f"The gateway {name} is left alone for a while ({reason}). Messages take the next gateway, or wait; it is "
        "tried out with single messages and trusted again when they arrive.",
        {"name": name, "reason": reason},
    )


def gateway_recovered(gateway_id: UUID, *, name: str) -> Notice:
    return Notice(
        Kind.GATEWAY_RECOVERED,
        ("gateway", gateway_id),
        f"Gateway {name} works again",
        f"The gateway {name} took the messages that it was tried out with and has its place back.",
        {"name": name},
    )


# Why a campaign is held, and what its owner should look at before resuming it.
_WHY: Final[Mapping[HeldReason, str]] = MappingProxyType(
    {
        HeldReason.LATE: "Its time passed while no dispatcher was there, and it is too late to send it unasked.",
        HeldReason.QUOTA: "The quota is used up.",
        HeldReason.NO_GATEWAY: "For a while no gateway could take its messages; look at the gateways.",
        HeldReason.ERROR_RATE: "Its latest messages failed, one after the other; look at their failures.",
        HeldReason.AUDIENCE: "It would reach more people than were confirmed; estimate it anew, and resume it with the "
        "confirmation.",
        HeldReason.SEGMENTS: "Its texts would take more segments than were confirmed; if nothing of it was sent yet, "
        "estimate it anew, and resume it with the confirmation, else resume it to send the rest as it is.",
        HeldReason.RESTORED: "The database was set back, so what it shows as unsent may have been sent already.",
    }
)


def campaign_held(campaign_id: UUID, *, name: str, reason: HeldReason) -> Notice:
    return Notice(
        Kind.CAMPAIGN_HELD,
        ("campaign", campaign_id),
        f"Campaign {name} is held",
        f"The campaign {name} is held ({reason}) and sends nothing until its owner resumes or stops it. {_WHY[reason]}",
        {"name": name, "reason": reason},
    )


def database_restored(epoch: UUID, *, campaigns: int, messages: int) -> Notice:
    return Notice(
        Kind.DATABASE_RESTORED,
        ("installation", epoch),
        "The database was set back or moved",
        "The database remembers less than what was sent, as after restoring a backup. Scheduled and running campaigns "
        f"are held ({campaigns}), and single messages that were due are unconfirmed ({messages}): they may have been "
        "sent. Resume, stop or resend them.",
        {"campaigns": campaigns, "messages": messages},
    )
