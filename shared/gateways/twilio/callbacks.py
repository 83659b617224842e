"""What Twilio tells us by itself: receipts and inbound messages, signed with the auth token."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from uuid import UUID

from shared.adapter import Account, Callback, ForgedCallback, Inbound, Receipt, UnreadableCallback
from shared.domain import url_signature
from shared.domain.keywords import Keyword
from shared.domain.outcome import Fault
from shared.gateways.twilio.account import signing_token
from shared.gateways.twilio.codes import FAULT_OF_CODE, INBOUND_STATUSES, SID, STATUS_OF, code_of

# Whole words that Twilio acts on and answers by itself, unless the account was given others. YES is
# left to us: only after a STOP does it mean START.
_KEYWORD_OF: Final[Mapping[str, Keyword]] = MappingProxyType(
    dict.fromkeys(("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"), Keyword.STOP)
    | dict.fromkeys(("start", "unstop"), Keyword.START)
    | dict.fromkeys(("help", "info"), Keyword.HELP)
)
_MSISDN = re.compile(r"\+[1-9][0-9]{6,14}")


def read_callback(account: Account, callback: Callback) -> Sequence[Receipt]:
    fields = _signed_fields(account, callback)
    reference = fields.get("MessageSid") or fields.get("SmsSid") or ""
    status = fields.get("MessageStatus") or fields.get("SmsStatus") or ""
    if not SID.fullmatch(reference) or not status:
        raise UnreadableCallback("MessageSid or MessageStatus is missing; this is no status callback.")
    if status in INBOUND_STATUSES:
        raise UnreadableCallback(
            "This is an inbound message; set the number's messaging webhook to the inbound address."
        )
    if status not in STATUS_OF:
        return []
    code = code_of(fields.get("ErrorCode"))
    message_id, attempt = _our_own(callback)
    return [
        Receipt(
            status=STATUS_OF[status],
            message_id=message_id,
            attempt=attempt,
            reference=reference,
            code=code,
            opted_out=FAULT_OF_CODE.get(code or "") is Fault.OPTED_OUT,
        )
    ]


def _our_own(callback: Callback) -> tuple[UUID | None, int | None]:
    """The message id and the attempt that build_send put into the callback's address."""
    query = dict(callback.query)
    try:
        message_id = UUID(query.get("m", ""))
    except ValueError:
        return None, None
    attempt = query.get("a", "")
    return message_id, int(attempt) if re.fullmatch("[0-9]{1,5}", attempt) else None


def read_inbound(account: Account, callback: Callback) -> Sequence[Inbound]:
    fields = _signed_fields(account, callback)
    reference = fields.get("MessageSid") or fields.get("SmsSid") or ""
    status = fields.get("MessageStatus") or fields.get("SmsStatus") or "received"
    if not SID.fullmatch(reference) or "Body" not in fields or status not in INBOUND_STATUSES:
        raise UnreadableCallback("MessageSid or Body is missing; this is no inbound message.")
    msisdn = fields.get("From", "")
    if not _MSISDN.fullmatch(msisdn):  # another channel (whatsapp:+...), or a short code
        return []
    text = fields["Body"]
    named = fields.get("OptOutType", "").lower()
    keyword = Keyword(named) if named in set(Keyword) else _KEYWORD_OF.get(text.strip().lower())
    return [
        Inbound(
            msisdn=msisdn,
            text=text,
            to=fields.get("To", ""),
            reference=reference,
            keyword=keyword,
            handled=keyword is not None,
        )
    ]


def _signed_fields(account: Account, callback: Callback) -> Mapping[str, str]:
    """The fields of a callback that Twilio signed for this account."""
    check_signature(signing_token(account), callback)
    fields = dict(callback.query if callback.method == "GET" else callback.form)
    if fields.get("AccountSid") != account.settings["account_sid"]:
        raise ForgedCallback("AccountSid is not this gateway's; the callback belongs to another.")
    return fields


def check_signature(token: str, callback: Callback) -> None:
    """Raise ForgedCallback unless X-Twilio-Signature fits the address and all that came with it."""
    if not token:
        raise ForgedCallback(
            "auth_token is not set, and with an api_key callbacks cannot be checked without it; "
            "add it to the gateway's secrets."
        )
    signature = callback.headers.get("x-twilio-signature", "")
    params = [] if callback.method == "GET" else callback.form
    if not url_signature.is_signed(token, signature, callback.url, params):
        raise ForgedCallback(
            "X-Twilio-Signature does not fit; auth_token must be the account's primary one, "
            "and the public URL the one that Twilio calls."
        )
    if callback.body and not params:
        # A body that is no form is signed by its hash, which the address carries.
        given = dict(callback.query).get("bodySHA256", "")
        if not url_signature.is_body_hash(given, callback.body):
            raise ForgedCallback("bodySHA256 does not fit the body.")
