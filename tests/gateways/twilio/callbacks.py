"""What Twilio's callbacks mean, and which are not Twilio's."""

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from shared.adapter import Callback, ForgedCallback, Inbound, Receipt, UnreadableCallback
from shared.domain.message import Status
from tests.gateways.cases import Inbounds, Receives, Stranger
from tests.gateways.twilio.account import BLIND, BY_KEY, HELLO, INBOUND_URL, REFERENCE, SID, STATUS_URL, TOKEN


def signature(url: str, params: Sequence[tuple[str, str]], token: str = TOKEN) -> str:
    """As the vendor describes it, written on its own."""
    names = sorted({name for name, _ in params})
    text = url
    for name in names:
        for value in sorted({v for n, v in params if n == name}):
            text += name + value
    return b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def form(url: str, fields: Mapping[str, str], *, token: str = TOKEN) -> Callback:
    """A signed POST of a form."""
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "x-twilio-signature": signature(url, list(fields.items()), token),
    }
    return Callback("POST", url, headers, urlencode(fields).encode())


def document(url: str, body: bytes) -> Callback:
    """A signed POST of something that is no form."""
    url = f"{url}?bodySHA256={sha256(body).hexdigest()}"
    headers = {"content-type": "application/json", "x-twilio-signature": signature(url, [])}
    return Callback("POST", url, headers, body)


NEWS_URL = f"{STATUS_URL}?m={HELLO.id}&a=2"
NEWS = {
    "AccountSid": SID,
    "ApiVersion": "2010-04-01",
    "From": "+12025550142",
    "MessageSid": REFERENCE,
    "MessageStatus": "delivered",
    "RawDlrDoneDate": "2511221000",
    "SmsSid": REFERENCE,
    "SmsStatus": "delivered",
    "To": "+447700900123",
}
GENUINE = form(NEWS_URL, NEWS)


def _news(status: str, **more: str) -> Callback:
    return form(NEWS_URL, {**NEWS, "MessageStatus": status, "SmsStatus": status, **more})


def _receipt(status: Status, **more: Any) -> Receipt:
    return Receipt(status, message_id=HELLO.id, attempt=2, reference=REFERENCE, **more)


STATUSES = {
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
WITHOUT_SID = {name: value for name, value in NEWS.items() if name not in {"MessageSid", "SmsSid"}}
RECEIVES = [
    *(Receives(status, _news(status), [_receipt(reported)]) for status, reported in STATUSES.items()),
    Receives("by an API key", GENUINE, [_receipt(Status.DELIVERED)], BY_KEY),
    Receives("a carrier's code", _news("undelivered", ErrorCode="30003"), [_receipt(Status.UNDELIVERED, code="30003")]),
    Receives(
        "opted out", _news("failed", ErrorCode="21610"), [_receipt(Status.UNDELIVERED, code="21610", opted_out=True)]
    ),
    Receives("a status from the future", _news("pondered"), []),
    Receives("a parameter from the future", _news("sent", Novel=""), [_receipt(Status.SENT)]),
    Receives(
        "asked for by GET",
        Callback(
            "GET",
            f"{NEWS_URL}&{urlencode(NEWS)}",
            {"x-twilio-signature": signature(f"{NEWS_URL}&{urlencode(NEWS)}", [])},
        ),
        [_receipt(Status.DELIVERED)],
    ),
    Receives("without our id", form(STATUS_URL, NEWS), [Receipt(Status.DELIVERED, reference=REFERENCE)]),
    Receives(
        "with an id that is none of ours",
        form(f"{STATUS_URL}?m=42&a=1", NEWS),
        [Receipt(Status.DELIVERED, reference=REFERENCE)],
    ),
    Receives(
        "with an attempt that is no number",
        form(f"{STATUS_URL}?m={HELLO.id}&a=x", NEWS),
        [Receipt(Status.DELIVERED, message_id=HELLO.id, reference=REFERENCE)],
    ),
    Receives(
        "an inbound message at the wrong address",
        form(NEWS_URL, {**NEWS, "MessageStatus": "received", "Body": "x"}),
        UnreadableCallback,
    ),
    Receives("no message named", form(NEWS_URL, WITHOUT_SID), UnreadableCallback),
    Receives(
        "the vendor's own vector",
        Callback(
            "POST",
            "https://sms.example.com/webhooks/twilio/status?m=42",
            {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": "X1v/N6xwTHGHaURgjEu2qXFA2wg="},
            (
                f"AccountSid={SID}&From=%2B15017250604&MessageSid=SM{'1' * 32}"
                "&MessageStatus=delivered&To=%2B15558675310"
            ).encode(),
        ),
        [Receipt(Status.DELIVERED, reference=REFERENCE)],
    ),
]

SAID = {
    "AccountSid": SID,
    "ApiVersion": "2010-04-01",
    "Body": "See you at 5 ☕",
    "From": "+447700900123",
    "MessageSid": "SM" + "3" * 32,
    "NumMedia": "0",
    "NumSegments": "1",
    "SmsMessageSid": "SM" + "3" * 32,
    "SmsSid": "SM" + "3" * 32,
    "SmsStatus": "received",
    "To": "+12025550142",
}


def _said(text: str, **more: str) -> Callback:
    return form(INBOUND_URL, {**SAID, "Body": text, **more})


def _inbound(text: str, **more: Any) -> Inbound:
    return Inbound(msisdn="+447700900123", text=text, to="+12025550142", reference=SAID["SmsSid"], **more)


INBOUNDS = [
    Inbounds("a reply", form(INBOUND_URL, SAID), [_inbound("See you at 5 ☕")]),
    Inbounds("a picture only", _said(""), [_inbound("")]),
    *(
        Inbounds(word, _said(word), [_inbound(word, keyword=keyword, handled=True)])
        for word, keyword in {
            " Stop\n": "stop",
            "STOPALL": "stop",
            "unsubscribe": "stop",
            "Cancel": "stop",
            "END": "stop",
            "quit": "stop",
            "revoke": "stop",
            "OptOut": "stop",
            "START": "start",
            "unstop": "start",
            "HELP": "help",
            "info": "help",
        }.items()
    ),
    Inbounds("yes alone is no restart to Twilio", _said("YES"), [_inbound("YES")]),
    Inbounds("stop within a sentence", _said("Please stop by"), [_inbound("Please stop by")]),
    Inbounds(
        "Advanced Opt-Out knows words of its own",
        _said("Basta", OptOutType="STOP"),
        [_inbound("Basta", keyword="stop", handled=True)],
    ),
    Inbounds("another type of opt-out", _said("Basta", OptOutType="PAUSE"), [_inbound("Basta")]),
    Inbounds("through another channel", form(INBOUND_URL, {**SAID, "From": "whatsapp:+447700900123"}), []),
    Inbounds("from a short code", form(INBOUND_URL, {**SAID, "From": "60123"}), []),
    Inbounds("a receipt at the wrong address", form(INBOUND_URL, NEWS), UnreadableCallback),
    Inbounds(
        "no text at all",
        form(INBOUND_URL, {name: value for name, value in SAID.items() if name != "Body"}),
        UnreadableCallback,
    ),
    Inbounds(
        "from somebody else's account", form(INBOUND_URL, {**SAID, "AccountSid": "AC" + "9" * 32}), ForgedCallback
    ),
]

FORGERIES = {
    "one parameter changed": replace(
        GENUINE, body=GENUINE.body.replace(b"MessageStatus=delivered", b"MessageStatus=failed")
    ),
    "one parameter more": replace(GENUINE, body=GENUINE.body + b"&ErrorCode=21610"),
    "one parameter less": replace(GENUINE, body=GENUINE.body.replace(b"&To=%2B447700900123", b"")),
    "no signature": replace(GENUINE, headers={"content-type": GENUINE.headers["content-type"]}),
    "an empty signature": replace(GENUINE, headers={**GENUINE.headers, "x-twilio-signature": ""}),
    "a signature that is no ASCII": replace(GENUINE, headers={**GENUINE.headers, "x-twilio-signature": "ß\udcff"}),
    "http instead of https": replace(GENUINE, url=GENUINE.url.replace("https:", "http:")),
    "another message's id": replace(GENUINE, url=GENUINE.url.replace("0001&", "0002&")),
    "another host": replace(GENUINE, url=GENUINE.url.replace("sms.", "smt.")),
    "another token": form(NEWS_URL, NEWS, token="t"),
    "somebody else's account": form(NEWS_URL, {**NEWS, "AccountSid": "AC" + "9" * 32}),
    "no account": form(NEWS_URL, {n: v for n, v in NEWS.items() if n != "AccountSid"}),
    "the form passed off as text": replace(GENUINE, headers={**GENUINE.headers, "content-type": "text/plain"}),
    "a body under a signed GET": replace(RECEIVES[len(STATUSES) + 5].callback, body=b"{}", method="POST"),
}
RECEIVES += [Receives(label, callback, ForgedCallback) for label, callback in FORGERIES.items()]
RECEIVES += [Receives("with no token to check it by", GENUINE, ForgedCallback, BLIND)]

STRANGERS = [
    Stranger("nothing", Callback("POST", STATUS_URL)),
    Stranger("a query", Callback("GET", f"{STATUS_URL}?x=1")),
    Stranger("bytes", Callback("POST", STATUS_URL, {}, b"\xff\x00")),
    Stranger("signed, but no form", document(STATUS_URL, b'{"MessageStatus": "delivered"}')),
]
