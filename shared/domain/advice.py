"""What may be shown to whoever waits for a message, in words of everyday. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.domain.message import Kind, Status

_ADVICE: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.UNCONFIRMED: "This message may have arrived, and nobody can say yet. Look for it before you ask for it "
        "again.",
        Status.UNDELIVERED: "This message did not reach the phone. Check the number, or ask for it again later.",
        Status.FAILED: "This message could not be sent. Check the number, or ask for it again later.",
        Status.EXPIRED: "This message was not sent in time. Ask for it again.",
        Status.SKIPPED: "This message was not sent, because messages to this number are not wanted or not allowed.",
    }
)
_OF_VOUCHERS: Final = (
    "This voucher may have been sent already, and nobody can say yet. Look for the message before you ask for it "
    "again; it would be the same voucher, not another one."
)


_WAITING: Final = (
    "This message waits, because nothing can send it right now. It goes out by itself when that is mended; there is no "
    "need to ask for it again."
)
CODE_WAITS: Final = (
    "No code can be sent right now. It goes out by itself if that is mended before its time is over; if you cannot "
    "wait, use another way."
)


_IN_VAIN: Final = (
    "This message will not be sent: because of the hour, it may not leave before its time is over. Ask for it again "
    "when the day has begun, or use another way."
)


def advice_of(status: Status, kind: Kind, *, carried: bool = True, in_vain: bool = False) -> str | None:
    """What may be shown to whoever waits for the message; None where there is nothing to say.

    `carried`: whether any gateway would take it, as they are now; `in_vain`: whether quiet hours last until its end.
    """
    if status is Status.QUEUED and in_vain:
        return _IN_VAIN
    if status is Status.QUEUED and not carried:
        return CODE_WAITS if kind is Kind.OTP else _WAITING
    if status is Status.UNCONFIRMED and kind is Kind.VOUCHER:
        return _OF_VOUCHERS
    return _ADVICE.get(status)
