"""What SMSPortal tells us by itself: receipts and replies, in the style its owner chose in the vendor's portal.

V1 is a GET, V2 a POST of JSON, V3 either of them by a template of the owner's. So all are read alike:
query and body, names in any case, and every name that any of the styles has for a thing.
https://docs.smsportal.com/docs/webhook-types-and-variables
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shared.adapter import Account, Callback, Inbound, Receipt, UnreadableCallback
from shared.domain.message import Status
from shared.gateways.smsportal.codes import BLOCKED, STATUS_OF, attempt_of, moment_of, whole
from shared.gateways.smsportal.signature import check_genuine

_CUSTOMER_ID: Final = ("customerid", "userreference")
_TEXT: Final = ("incomingdata", "message", "text", "content")
_PHONE: Final = ("sourcephonenumber", "phonenumber", "msisdn")
_TO: Final = ("destinationphonenumber", "to")
_INBOUND_ID: Final = ("incomingid", "id")
_PARTS: Final = ("sentdatapartscount", "msgcount")
_RECEIVED: Final = ("receivedutc", "received")

_PUNCTUATION = re.compile(r"[^a-z0-9]")
_INTERNATIONAL = re.compile(r"[1-9][0-9]{6,14}")


def read_callback(account: Account, callback: Callback) -> Sequence[Receipt]:
    fields = _genuine_fields(account, callback)
    if "status" not in fields:
        if _first(fields, _TEXT) is not None:
            raise UnreadableCallback("This is a reply; set the webhook for replies to the inbound address.")
        raise UnreadableCallback("Status is missing; this is no delivery receipt.")
    word = _PUNCTUATION.sub("", fields["status"].lower())
    status = STATUS_OF.get(word)
    named = attempt_of(_first(fields, _CUSTOMER_ID) or "")
    # Webhooks are for the whole account: what others send with it is news as well, but not for us.
    if status is None or named is None:
        return []
    event = whole(fields.get("eventid"))
    return [
        Receipt(
            status=status,
            message_id=named[0],
            attempt=named[1],
            reference=str(event) if event else None,
            code=word.upper() if status is Status.UNDELIVERED else None,
            opted_out=word == BLOCKED,
            at=moment_of(_first(fields, _RECEIVED) or ""),
            segments=whole(_first(fields, _PARTS)),
        )
    ]


def read_inbound(account: Account, callback: Callback) -> Sequence[Inbound]:
    fields = _genuine_fields(account, callback)
    text, phone = _first(fields, _TEXT), _first(fields, _PHONE)
    if text is None or not phone:
        if "status" in fields:
            raise UnreadableCallback("This is a delivery receipt; set its webhook to the status address.")
        raise UnreadableCallback("IncomingData or Phonenumber is missing; this is no reply.")
    digits = phone.strip().removeprefix("+")
    return [
        Inbound(
            # A number in national form is left for the default region to read.
            msisdn=f"+{digits}" if _INTERNATIONAL.fullmatch(digits) else phone.strip(),
            text=text,
            to=_first(fields, _TO) or "",
            reference=_first(fields, _INBOUND_ID) or None,
            # V1 tells it without saying in which zone.
            sent_at=moment_of(_first(fields, _RECEIVED) or ""),
        )
    ]


def _genuine_fields(account: Account, callback: Callback) -> Mapping[str, str]:
    check_genuine(account, callback)
    pairs = [*callback.query, *callback.form, *_json_pairs(callback.body)]
    return {_PUNCTUATION.sub("", name.lower()): value for name, value in pairs}


def _first(fields: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((fields[name] for name in names if name in fields), None)


def _json_pairs(body: bytes) -> Iterator[tuple[str, str]]:
    """The plain values of a JSON object, by whatever content type it is called."""
    try:
        # A template puts a reply's line ends into its text as they are.
        found = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        for name, value in found.items():
            if isinstance(value, (str, int, float)) and not isinstance(value, bool):
                yield name, str(value)
