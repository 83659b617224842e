"""What owners' systems can be told of by webhook: the types, and which a webhook wants. Pure.

A type is `noun.past_participle`. Those of messages are the statuses a message can come to rest in, so whoever moves a
message needs no other word for it.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from shared.domain.breaker import Health
from shared.domain.campaign import Status as CampaignStatus
from shared.domain.message import Status
from shared.domain.notice import Kind as Notice

EVERYTHING: Final = "*"


class EventType(StrEnum):
    MESSAGE_SUBMITTED = "message.submitted"  # a gateway took it
    MESSAGE_SENT = "message.sent"  # the carrier took it
    MESSAGE_DELIVERED = "message.delivered"  # the handset has it
    MESSAGE_UNDELIVERED = "message.undelivered"  # gateway or carrier gave up after taking it
    MESSAGE_FAILED = "message.failed"  # no gateway would take it
    MESSAGE_UNCONFIRMED = "message.unconfirmed"  # a gateway may have it
    MESSAGE_EXPIRED = "message.expired"  # past its expires_at, not sent
    MESSAGE_SKIPPED = "message.skipped"  # not sent on purpose
    MESSAGE_CANCELLED = "message.cancelled"  # its owner called it back in time
    CAMPAIGN_SCHEDULED = "campaign.scheduled"  # it will start by itself
    CAMPAIGN_STARTED = "campaign.started"  # it runs
    CAMPAIGN_COMPLETED = "campaign.completed"  # nothing of it is open
    CAMPAIGN_STOPPED = "campaign.stopped"  # its owner called back what was not sent
    CAMPAIGN_HELD = "campaign.held"  # it needs its owner
    OTP_STARTED = "otp.started"  # somebody asked for a code
    OTP_RESENT = "otp.resent"  # the same code goes out once more
    OTP_FAILED = "otp.failed"  # a wrong code, and others may be tried
    OTP_VERIFIED = "otp.verified"  # the right code came
    OTP_EXHAUSTED = "otp.exhausted"  # the last code that may be tried was wrong
    OTP_EXPIRED = "otp.expired"  # the right code never came
    OTP_CANCELLED = "otp.cancelled"  # its code is right no more
    INBOUND_RECEIVED = "inbound.received"  # a handset wrote
    GATEWAY_WITHDRAWN = "gateway.withdrawn"  # it refuses everything of ours
    GATEWAY_RESTING = "gateway.resting"  # it fails, and is left alone for a while
    GATEWAY_SLOW = "gateway.slow"  # it answers late, and comes after those that do not
    GATEWAY_RESTORED = "gateway.restored"  # it is well again, or its owner put it back
    GATEWAY_BALANCE_LOW = "gateway.balance_low"  # below warn_below
    GATEWAY_BALANCE_EMPTY = "gateway.balance_empty"  # below stop_below: it is skipped
    GATEWAY_BALANCE_RECOVERED = "gateway.balance_recovered"  # neither, after one of them
    GATEWAY_BALANCE_UNREADABLE = "gateway.balance_unreadable"  # asked several times in vain
    GATEWAY_MISSING = "gateway.missing"  # single messages are due, and no gateway takes them
    GATEWAY_FOUND = "gateway.found"  # one does again
    OTP_BLOCKED = "otp.blocked"  # passwords to a prefix or a country are not used, and are stopped
    OTP_CONVERSION_LOW = "otp.conversion_low"  # the same at home, where nothing is stopped for it
    OTP_SPEND_NEAR = "otp.spend_near"  # most of what may be spent on passwords is spent
    OTP_SPEND_REACHED = "otp.spend_reached"  # all of it is, and none go out
    OTP_FAILURES = "otp.failures"  # wrong codes for many numbers at once
    QUOTA_LOW = "quota.low"  # most of a period's quota is reserved or used
    QUOTA_EXHAUSTED = "quota.exhausted"  # all of it is, and messages are refused
    NOTICE_TOLD = "notice.told"  # news that has no type of its own
    WEBHOOK_TEST = "webhook.test"  # somebody asked for it; no webhook has to want it


EVENT_OF_STATUS: Final[Mapping[Status, EventType]] = MappingProxyType(
    {status: EventType(f"message.{status}") for status in Status if status not in {Status.QUEUED, Status.SENDING}}
)

EVENT_OF_NOTICE: Final[Mapping[Notice, EventType]] = MappingProxyType(
    {
        Notice.BALANCE_LOW: EventType.GATEWAY_BALANCE_LOW,
        Notice.BALANCE_EMPTY: EventType.GATEWAY_BALANCE_EMPTY,
        Notice.BALANCE_RECOVERED: EventType.GATEWAY_BALANCE_RECOVERED,
        Notice.BALANCE_UNREADABLE: EventType.GATEWAY_BALANCE_UNREADABLE,
        Notice.GATEWAY_WITHDRAWN: EventType.GATEWAY_WITHDRAWN,
        Notice.GATEWAY_MISSING: EventType.GATEWAY_MISSING,
        Notice.GATEWAY_FOUND: EventType.GATEWAY_FOUND,
        Notice.CAMPAIGN_HELD: EventType.CAMPAIGN_HELD,
        Notice.OTP_BLOCKED: EventType.OTP_BLOCKED,
        Notice.OTP_CONVERSION_LOW: EventType.OTP_CONVERSION_LOW,
        Notice.OTP_SPEND_NEAR: EventType.OTP_SPEND_NEAR,
        Notice.OTP_SPEND_REACHED: EventType.OTP_SPEND_REACHED,
        Notice.OTP_FAILURES: EventType.OTP_FAILURES,
        Notice.QUOTA_LOW: EventType.QUOTA_LOW,
        Notice.QUOTA_EXHAUSTED: EventType.QUOTA_EXHAUSTED,
    }
)

EVENT_OF_CAMPAIGN: Final[Mapping[object, EventType]] = MappingProxyType(
    {
        CampaignStatus.SCHEDULED: EventType.CAMPAIGN_SCHEDULED,
        CampaignStatus.RUNNING: EventType.CAMPAIGN_STARTED,
        CampaignStatus.STOPPED: EventType.CAMPAIGN_STOPPED,
    }
)

# A withdrawal is told by its notice.
EVENT_OF_HEALTH: Final[Mapping[Health, EventType]] = MappingProxyType(
    {Health.OPEN: EventType.GATEWAY_RESTING, Health.SLOW: EventType.GATEWAY_SLOW, Health.OK: EventType.GATEWAY_RESTORED}
)

GROUPS: Final = frozenset(f"{kind.partition('.')[0]}.*" for kind in EventType if kind is not EventType.WEBHOOK_TEST)

# What a webhook may list: one type, a noun with all its types, or everything.
CHOICES: Final = frozenset(EventType) - {EventType.WEBHOOK_TEST} | GROUPS | {EVERYTHING}


def choices_for(kind: EventType) -> tuple[str, ...]:
    """What a webhook has to list to be told of this type: any of these."""
    return (EVERYTHING, f"{kind.partition('.')[0]}.*", kind.value)


def wanted_statuses(chosen: Iterable[str]) -> frozenset[Status]:
    """The statuses of messages that somebody wants to hear of, among everything that webhooks have chosen."""
    all_chosen = frozenset(chosen)
    return frozenset(status for status, kind in EVENT_OF_STATUS.items() if not all_chosen.isdisjoint(choices_for(kind)))
