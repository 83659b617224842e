"""Handing a message to Twilio, and what its answer means."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from shared.adapter import Account, Answer, Call, Sms, redacted, retry_after_of
from shared.bodies import json_object
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.gateways.twilio.account import LONGEST_VALIDITY, basic, identity, signing_token
from shared.gateways.twilio.codes import FAULT_OF_CODE, FAULT_OF_STATUS, GAVE_UP, IN_DOUBT, NEVER_LEFT, SID, code_of


def build_send(account: Account, batch: Sequence[Sms]) -> Call:
    (sms,) = batch
    settings = account.settings
    url, headers = _messages(*identity(account))
    body = f"To={_quoted(sms.msisdn)}&Body={_quoted(sms.text)}"
    for media_url in sms.media_urls:
        body += f"&MediaUrl={_quoted_again(media_url)}"
    if sender := sms.sender_id or settings.get("from"):
        body += f"&From={_quoted_again(sender)}"
    else:
        body += f"&MessagingServiceSid={settings['messaging_service_sid']}"
    # A callback that cannot be checked would be refused, so none is asked for.
    if account.status_url and signing_token(account):
        callback = _quoted_again(account.status_url)
        body += f"&StatusCallback={callback}%3Fm%3D{sms.id}%26a%3D{sms.attempt}"
    validity = _validity(sms.expires_in, settings.get("validity_period"))
    if validity is not None:
        body += f"&ValidityPeriod={validity}"
    if settings.get("smart_encoded"):
        body += "&SmartEncoded=true"
    return Call("POST", url, headers, body.encode())


def _validity(expires_in: int | None, longest: int | None) -> int | None:
    if expires_in is None:
        return longest
    return max(1, min(int(expires_in), longest or LONGEST_VALIDITY))


@lru_cache(maxsize=64)
def _messages(base_url: str, sid: str, user: str, secret: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Where messages are posted to, and with which headers: the same for a whole account."""
    form = ("Content-Type", "application/x-www-form-urlencoded")
    return f"{base_url}/2010-04-01/Accounts/{sid}/Messages.json", (basic(user, secret), form)


_SAFE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
_QUOTED_BYTES = tuple(chr(b) if b in _SAFE else "+" if b == 0x20 else f"%{b:02X}" for b in range(256))


def _quoted(value: str) -> str:
    """What quote_plus gives, in half its time."""
    return "".join(map(_QUOTED_BYTES.__getitem__, value.encode("utf-8", "replace")))


# For what is the same in every message of a campaign.
_quoted_again = lru_cache(maxsize=256)(_quoted)


def read_send(batch: Sequence[Sms], answer: Answer) -> Sequence[Outcome]:
    return [_outcome(batch, answer)] * len(batch)


def _outcome(batch: Sequence[Sms], answer: Answer) -> Outcome:
    """The status speaks first, then the code: back ends in distress answer without one."""
    match answer.status // 100:
        case 2:
            return _taken(answer)
        case 3:
            # Twilio does not redirect, so who answered is unknown, and with it what became of the
            # request.
            return Lost(may_have_arrived=True, cause="redirect")
        case 4 if answer.status not in GAVE_UP:
            return _refused(batch, answer)
        case 4 | 5:
            return Lost(may_have_arrived=True, cause=f"http_{answer.status // 100}xx")
        case _:
            return Lost(may_have_arrived=True, cause="unreadable_answer")


def _taken(answer: Answer) -> Outcome:
    message = json_object(answer.body) or {}
    reference = message.get("sid")
    if not isinstance(reference, str) or not SID.fullmatch(reference):
        return Lost(may_have_arrived=True, cause="unreadable_answer")
    code = code_of(message.get("error_code")) or ""
    fault = FAULT_OF_CODE.get(code)
    if message.get("status") == "failed" and fault in NEVER_LEFT:
        # No callback follows a message's first status, so this is the last word on it.
        return Refused(fault, code, "failed at once")
    segments = str(message.get("num_segments"))
    known = re.fullmatch("[1-9][0-9]{0,2}", segments)
    return Accepted(reference, int(segments) if known else None)


def _refused(batch: Sequence[Sms], answer: Answer) -> Outcome:
    error = json_object(answer.body) or {}
    code = code_of(error.get("code"))
    if code in IN_DOUBT:
        return Lost(may_have_arrived=True, cause=f"code_{code}")
    # New codes appear without notice. A refusal is certain whatever its code, so the next gateway
    # may be asked.
    fault = FAULT_OF_CODE.get(code or "") or FAULT_OF_STATUS.get(answer.status, Fault.GATEWAY)
    words = error.get("message")
    return Refused(
        fault,
        code or f"http_{answer.status}",
        redacted(words, batch) if isinstance(words, str) else "",
        retry_after_of(answer.headers) if fault is Fault.THROTTLED else None,
    )
