"""Twilio's codes and statuses, and what they mean here.

https://www.twilio.com/docs/api/errors has all codes; new ones appear without notice, so none may be
taken for granted.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from shared.domain.message import Status
from shared.domain.outcome import Fault

_FAULTS: Final[Mapping[Fault, str]] = {
    Fault.MESSAGE: (
        # the recipient
        "14101 21211 21214 21217 21265 21266 21268 21604 21614 21635 30003 30005 30006 "
        # blocked for this recipient, by hour or by law
        "30004 30610 30640 "
        # the text, and what goes with it
        "21602 21603 21605 21617 21618 21619 21620 21654 21655 21656 21658 "
        "30007 30019 30045 35111 35114 35118 90007 "
        # the carrier failed after all
        "30008 30009 30036 30500"
    ),
    Fault.OPTED_OUT: "21610",
    # 21609 refuses our callback address, which every message carries.
    Fault.ACCOUNT: "20003 20005 20006 20008 20403 20404 21609 30002 63038",
    # Senders, which may differ by message. And 21408 (country not enabled) and 21608 (number not
    # verified): one foreign number must not withdraw the gateway from everybody else.
    Fault.GATEWAY: (
        "21212 21408 21601 21606 21607 21608 21612 21616 21657 21659 21660 21661 21701 21703 21705 "
        "30018 30024 30032 30033 30034 30035"
    ),
    Fault.THROTTLED: "14107 20429 21611 30001 30017 30022 30023 30027 30450 63018",
}
FAULT_OF_CODE: Final[Mapping[str, Fault]] = MappingProxyType(
    {code: fault for fault, codes in _FAULTS.items() for code in codes.split()}
)
FAULT_OF_STATUS: Final[Mapping[int, Fault]] = MappingProxyType(
    {401: Fault.ACCOUNT, 403: Fault.ACCOUNT, 404: Fault.ACCOUNT, 429: Fault.THROTTLED}
)
# A carrier may have the message: 30410 is a carrier's time-out, after which Twilio does not send
# again either.
IN_DOUBT: Final = frozenset({"30410"})
# 4xx by which proxies say that they gave up waiting, but not whether Twilio had the request.
GAVE_UP: Final = frozenset({408, 460, 499})
# `failed` with one of these names no cause in the carrier's hands: nothing has been sent.
NEVER_LEFT: Final = frozenset({Fault.OPTED_OUT, Fault.ACCOUNT, Fault.GATEWAY, Fault.THROTTLED})

STATUS_OF: Final[Mapping[str, Status]] = MappingProxyType(
    {
        "accepted": Status.SUBMITTED,
        "scheduled": Status.SUBMITTED,
        "queued": Status.SUBMITTED,
        "sending": Status.SUBMITTED,
        "sent": Status.SENT,
        "partially_delivered": Status.SENT,
        "delivered": Status.DELIVERED,
        "read": Status.DELIVERED,
        "undelivered": Status.UNDELIVERED,
        "failed": Status.UNDELIVERED,
        "canceled": Status.UNDELIVERED,
    }
)
INBOUND_STATUSES: Final = frozenset({"receiving", "received"})

SID = re.compile(r"[\x21-\x7e]{1,64}")


def code_of(value: Any) -> str | None:
    code = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    return code if re.fullmatch("[0-9]{1,6}", code) else None
