"""A voucher's end: when a person is told that it is near. Pure.

How much of a voucher is used, only the system that counts it knows. How long it is good for may be told with its
message, and then somebody here can look at the clock.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from shared.domain.message import EVIDENCE, OPEN, Status
from shared.errors import Conflict

# Also told by owners' systems, of usage: the name is theirs as well as ours.
NEARLY_USED: Final = "voucher_nearly_used"
LONGEST_VALID: Final = timedelta(days=3650)
_PARTS: Final = 10
_AT_MOST: Final = timedelta(days=1)

# The person has it, or may have. `undelivered` is evidence, too, of the contrary.
_ARRIVED: Final = (EVIDENCE | {Status.UNCONFIRMED}) - {Status.UNDELIVERED}


class VoucherEnded(Conflict):
    """The voucher that the message carries has ended: nobody is sent it any more."""


class Verdict(StrEnum):
    TELL = "tell"
    WAIT = "wait"  # its message is still to be handed over
    FORGET = "forget"  # nobody has it, nothing is known of it any more, or it is over


def nearly_used_at(valid_until: datetime, *, begins: datetime) -> datetime:
    """When the last tenth of its time begins, and a day before the end where that is later."""
    return valid_until - min((valid_until - begins) / _PARTS, _AT_MOST)


def judge(statuses: Collection[str], *, valid_until: datetime, now: datetime) -> Verdict:
    """What becomes of a voucher whose moment has come, by what its message, and the latest sent again, came to."""
    if valid_until <= now:
        return Verdict.FORGET
    if any(status in _ARRIVED for status in statuses):
        return Verdict.TELL
    return Verdict.WAIT if any(status in OPEN for status in statuses) else Verdict.FORGET


def end_of(event: str, data: Mapping[str, Any], *, now: datetime) -> datetime | None:
    """When the voucher ends that an event is about, by its `valid_until`; None where it tells no moment within reach.

    Told from inside or by an owner's system it is the same event: nobody is to be reminded of what is over.
    """
    told = data.get("valid_until")
    if event != NEARLY_USED or not isinstance(told, str):
        return None
    try:
        ends = datetime.fromisoformat(told)
    except ValueError:
        return None
    # A time without its zone is none; what is beyond all vouchers bounds nothing.
    return ends if ends.tzinfo is not None and ends - now <= LONGEST_VALID else None


def check_valid(ends: datetime | None, *, now: datetime) -> None:
    """Refuse to send a voucher again that has ended; None is one whose end nobody told."""
    if ends is not None and ends <= now:
        raise VoucherEnded(
            f"The voucher was valid until {ends:%Y-%m-%dT%H:%M:%SZ}; "
            "make a new one, and send it with POST /v1/messages.",
            pointer="/voucher/valid_until",
        )
