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


def advice_of(status: Status, kind: Kind) -> str | None:
    """What may be shown to whoever waits for the message; None where there is nothing to say."""
    if status is Status.UNCONFIRMED and kind is Kind.VOUCHER:
        return _OF_VOUCHERS
    return _ADVICE.get(status)
