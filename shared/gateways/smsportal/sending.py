"""Handing a batch to SMSPortal.

A request says once for all its messages who sends them and for how long they may be tried. So
messages share one only where both are the same: see `batch_key`.
"""

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from shared.adapter import Account, Call, Sms
from shared.gateways.smsportal.account import authorization, base_url
from shared.gateways.smsportal.codes import customer_id

_HOUR: Final = 3600
# A week; what a network would hold for longer is no news any more.
_LONGEST_VALIDITY: Final = 168


def batch_key(account: Account, sms: Sms) -> Hashable:
    """Sender and validity, which a request says once. Who was refused among others goes alone.

    A request is refused as a whole, and does not say for which of its messages: whatever was refused
    among others is by itself the next time, and then takes nobody with it.
    """
    alone = sms.id if sms.alone else None
    return _sender(account, sms), None if sms.expires_in is None else _hours(sms.expires_in), alone


def build_send(account: Account, batch: Sequence[Sms]) -> Call:
    senders = {_sender(account, sms) for sms in batch}
    if len(senders) != 1:
        raise ValueError("a batch has one sender; divide it by batch_key")
    options = _options(account.settings, senders.pop(), [sms.expires_in for sms in batch if sms.expires_in is not None])
    messages = [
        {"content": sms.text, "destination": sms.msisdn.removeprefix("+"), "customerId": customer_id(sms)}
        for sms in batch
    ]
    said = {"sendOptions": options, "messages": messages}
    return Call(
        "POST",
        f"{base_url(account)}/v3/BulkMessages",
        (authorization(account), ("Content-Type", "application/json")),
        json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"),
    )


def _options(settings: Mapping[str, Any], sender: str | None, expire_in: Sequence[int]) -> Mapping[str, Any]:
    options: dict[str, Any] = {"checkOptOuts": settings.get("check_opt_outs", True)}
    if sender:
        options["senderId"] = sender
    if expire_in:
        # Too early for some rather than too late for one.
        options["validityPeriod"] = min(map(_hours, expire_in))
    for name, ours in (("campaignName", "campaign_name"), ("costCentre", "cost_centre"), ("testMode", "test_mode")):
        if settings.get(ours):
            options[name] = settings[ours]
    return options


def _sender(account: Account, sms: Sms) -> str | None:
    sender: str | None = sms.sender_id or account.settings.get("sender_id")
    return sender.removeprefix("+") if sender else None


def _hours(expires_in: int) -> int:
    """Whole hours that end no later than wanted; one where less is wanted, since no shorter time can be said."""
    return max(1, min(int(expires_in) // _HOUR, _LONGEST_VALIDITY))
