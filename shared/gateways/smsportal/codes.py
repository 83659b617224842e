"""SMSPortal's codes and statuses, and how it writes ids, numbers and moments.

The vendor publishes no complete list of its codes, so none may be taken for granted. Names come in
every case, so all are compared in lower case.
https://docs.smsportal.com/reference/errors
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from shared.adapter import Sms
from shared.domain.message import Status
from shared.domain.outcome import Fault

FAULT_OF_CODE: Final[Mapping[str, Fault]] = MappingProxyType(
    dict.fromkeys(
        (
            "requiredparameter.missing",
            "invalidparameter.format",
            "invalidparameter.type",
            "entitynotfound",
            "entitynotfound.group",
            "invaliddestination",
        ),
        Fault.MESSAGE,
    )
    | dict.fromkeys(
        (
            "authenticationheader.missing",
            "authenticationtoken.invalid",
            "authenticationtoken.expired",
            "authentication.invalidcredentials",
            "invalidcredentials",
            "insufficientcredits",
        ),
        Fault.ACCOUNT,
    )
)
# 404 and 405 without a code are said by a host that does not speak this dialect.
FAULT_OF_STATUS: Final[Mapping[int, Fault]] = MappingProxyType(
    {401: Fault.ACCOUNT, 403: Fault.ACCOUNT, 404: Fault.ACCOUNT, 405: Fault.ACCOUNT, 429: Fault.THROTTLED}
)
# 4xx by which proxies say that they gave up waiting, but not whether SMSPortal had the request.
GAVE_UP: Final = frozenset({408, 460, 499})
# A fault whose words say so keeps others from writing to a person who said no.
OPTED_OUT = re.compile(r"opt(ed)?[ _.-]?out|bl(ack|ock)?[ _.-]?list|\bblist\b", re.IGNORECASE)

# Without their punctuation: the vendor's own example writes DE-LIVRD.
STATUS_OF: Final[Mapping[str, Status]] = MappingProxyType(
    {
        "staged": Status.SUBMITTED,
        "submitd": Status.SENT,
        "delivrd": Status.DELIVERED,
        "undeliv": Status.UNDELIVERED,
        "expired": Status.UNDELIVERED,
        "blist": Status.UNDELIVERED,
        "noroute": Status.UNDELIVERED,
        "cancelled": Status.UNDELIVERED,
    }
)
BLOCKED: Final = "blist"

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CUSTOMER_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.([0-9]{1,5}))?", re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]{1,18}")


def folded(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with its own names in lower case."""
    return {name.lower(): value for name, value in found.items()}


def whole(value: Any) -> int | None:
    """A count or an id, as a number or as its digits."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value)
    return int(text) if _WHOLE.fullmatch(text) and text.isascii() else None


def code_of(value: Any) -> str:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def customer_id(sms: Sms) -> str:
    """Our name for one attempt. No character of it changes in a query, a template or a spreadsheet."""
    return f"{sms.id}.{sms.attempt}"


def attempt_of(value: str) -> tuple[UUID, int | None] | None:
    """The message id and the attempt in a customerId; None where it is none of ours."""
    match = _CUSTOMER_ID.fullmatch(value.strip())
    if match is None:
        return None
    return UUID(match[1]), int(match[2]) if match[2] else None


def moment_of(value: str) -> datetime | None:
    """A moment in Unix seconds, in milliseconds, or by ISO 8601; the vendor does not say which it signs."""
    text = value.strip()
    try:
        if re.fullmatch("[0-9]{9,10}", text):
            return datetime.fromtimestamp(int(text), UTC)
        if re.fullmatch("[0-9]{12,13}", text):
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
