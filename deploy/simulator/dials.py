"""The dials: everything about the simulator that can be turned while it runs.

A dial that does not exist, or a value that makes no sense, is refused with its name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from deploy.simulator.checks import (
    BadDial,
    Check,
    between,
    choice,
    decimal_text,
    flag,
    header_line,
    probability,
    span,
    text,
    url,
    whole,
)
from deploy.simulator.faults import FaultRule, read_rules

# What SMSPortal's portal proposes for a webhook of its third style: its variables, named in camel case.
RECEIPT_TEMPLATE: Final = (
    '{"customerId":"@@CustomerId@@","eventId":@@EventId@@,"id":@@Id@@,"mcc":@@Mcc@@,"mnc":"@@Mnc@@",'
    '"phoneNumber":"@@PhoneNumber@@","receivedUtc":@@ReceivedUtc@@,"sentData":"@@SentData@@",'
    '"sentDataPartsCount":@@SentDataPartsCount@@,"sentDataType":"@@SentDataType@@","status":"@@Status@@"}'
)
REPLY_TEMPLATE: Final = (
    '{"customerId":"@@CustomerId@@","eventId":@@EventId@@,"id":@@Id@@,"incomingData":"@@IncomingData@@",'
    '"receivedUtc":@@ReceivedUtc@@,"sourcePhoneNumber":"@@SourcePhoneNumber@@"}'
)


def _dial(default: Any, check: Check) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True, slots=True)
class Dials:
    """What the simulator does; the README says what each dial means."""

    latency_ms: float = _dial(0.0, between(0, 600_000))
    jitter_ms: float = _dial(0.0, between(0, 600_000))
    listening: bool = _dial(default=True, check=flag)
    tls: bool = _dial(default=False, check=flag)
    faults: tuple[FaultRule, ...] = _dial((), read_rules)
    balance: str = _dial("100.00", decimal_text)
    currency: str = _dial("USD", text)
    price: str = _dial("0", decimal_text)
    magic_numbers: bool = _dial(default=True, check=flag)
    opt_outs: bool = _dial(default=True, check=flag)
    undelivered: float = _dial(0.0, probability)
    failed: float = _dial(0.0, probability)
    error_code: int = _dial(30008, whole(1))
    callbacks: bool = _dial(default=True, check=flag)
    callback_queued: bool = _dial(default=False, check=flag)
    callback_delay_ms: tuple[float, float] = _dial((10.0, 50.0), span(86_400_000))
    callback_loss: float = _dial(0.0, probability)
    callback_order: str = _dial("in_order", choice("in_order", "reversed", "shuffled"))
    callback_duplication: float = _dial(0.0, probability)
    callback_copies: int = _dial(2, whole(2, 1000))
    callback_before_answer: float = _dial(0.0, probability)
    callback_forged: float = _dial(0.0, probability)
    callback_retries: int = _dial(5, whole(0, 1000))
    callback_retry_ms: float = _dial(1000.0, between(1, 600_000))
    callback_timeout_ms: float = _dial(15_000.0, between(1, 600_000))
    callback_connections: int = _dial(32, whole(1, 1000))
    callback_queue: int = _dial(500_000, whole(0))
    callback_url: str = _dial("", url)
    fetch_media: bool = _dial(default=False, check=flag)
    inbound_url: str = _dial("", url)
    status_url: str = _dial("", url)
    webhook_style: str = _dial("v2", choice("v1", "v2", "v3"))
    webhook_header: str = _dial("", header_line)
    receipt_template: str = _dial(RECEIPT_TEMPLATE, text)
    reply_template: str = _dial(REPLY_TEMPLATE, text)
    signature_key: str = _dial("", text)
    signature_form: str = _dial("hex", choice("hex", "base64"))
    undelivered_word: str = _dial("UNDELIV", choice("UNDELIV", "EXPIRED", "BLIST", "NOROUTE", "CANCELLED"))
    prepaid: bool = _dial(default=False, check=flag)
    token_seconds: float = _dial(86_400.0, between(0.1, 86_400))
    remember_seconds: float = _dial(43_200.0, between(0, 604_800))
    token_series: int = _dial(1, whole(1))


_CHECKS: Mapping[str, Check] = {dial.name: dial.metadata["check"] for dial in fields(Dials)}


def turned(dials: Dials, wanted: object) -> Dials:
    """The dials with those named in `wanted` set anew and all others as they were."""
    if not isinstance(wanted, dict):
        raise BadDial("dials", "must be a JSON object of dial names and values")
    checked: dict[str, Any] = {}
    for name, value in wanted.items():
        check = _CHECKS.get(name)
        if check is None:
            raise BadDial(name, f"is no dial; there are {', '.join(_CHECKS)}")
        checked[name] = check(name, value)
    return replace(dials, **checked)


def as_json(dials: Dials) -> bytes:
    """All dials; what is read here can be set again."""
    shown = {dial.name: getattr(dials, dial.name) for dial in fields(Dials)}
    return json.dumps(shown | {"faults": [rule.as_json() for rule in dials.faults]}).encode()
