"""What SMSPortal's webhooks mean in each of their styles, and which are not SMSPortal's."""

import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from shared.adapter import Callback, ForgedCallback, Inbound, Receipt, UnreadableCallback
from shared.domain.message import Status
from tests.gateways.cases import Inbounds, Receives, Stranger
from tests.gateways.smsportal.account import FIRST, ID_1, INBOUND_URL, MARKED, SIGNED, STATUS_URL

NOW = datetime(2025, 11, 22, 10, 0, tzinfo=UTC)
SECONDS = str(int(NOW.timestamp()))


def get(url: str, fields: Mapping[str, str]) -> Callback:
    return Callback("GET", f"{url}?{urlencode(fields)}")


def post(url: str, body: object, kind: str = "application/json") -> Callback:
    return Callback("POST", url, {"content-type": kind}, json.dumps(body).encode())


V1 = {
    "ID": "322004213",
    "EventID": "32433326",
    "Phonenumber": "447700900123",
    "DataType": "SMS",
    "Data": "Hello",
    "SentDataTime": "22/Nov/2025 12:00:00",
    "Status": "DELIVRD",
    "CustomerID": ID_1,
}
V2: dict[str, Any] = {
    "Status": "DELIVRD",
    "EventId": 1179504595,
    "Mcc": 655,
    "Mnc": "01",
    "MsgCount": 2,
    "Msisdn": "447700900123",
    "Received": int(SECONDS),
    "UserReference": ID_1,
}
V3: dict[str, Any] = {
    "customerId": ID_1,
    "eventId": 1179504595,
    "groupData": {"Data": []},
    "id": 322004213,
    "mcc": 655,
    "mnc": "01",
    "phoneNumber": "447700900123",
    "receivedUtc": int(SECONDS),
    "sentData": "Hello",
    "sentDataPartsCount": 2,
    "sentDataType": "SMS",
    "status": "DELIVRD",
}


def _receipt(status: Status = Status.DELIVERED, **more: Any) -> Receipt:
    known: dict[str, Any] = {"reference": "1179504595", "at": NOW, "segments": 2, **more}
    return Receipt(status, message_id=FIRST.id, attempt=1, **known)


STATUSES: dict[str, tuple[Status, str | None]] = {
    "SUBMITD": (Status.SENT, None),
    "STAGED": (Status.SUBMITTED, None),
    "DELIVRD": (Status.DELIVERED, None),
    "UNDELIV": (Status.UNDELIVERED, "UNDELIV"),
    "EXPIRED": (Status.UNDELIVERED, "EXPIRED"),
    "NOROUTE": (Status.UNDELIVERED, "NOROUTE"),
    "CANCELLED": (Status.UNDELIVERED, "CANCELLED"),
}
GENUINE = post(STATUS_URL, V2)
RECEIVES = [
    *(
        Receives(word, post(STATUS_URL, {**V2, "Status": word}), [_receipt(status, code=code)])
        for word, (status, code) in STATUSES.items()
    ),
    Receives(
        "BLIST opts out",
        post(STATUS_URL, {**V2, "Status": "BLIST"}),
        [_receipt(Status.UNDELIVERED, code="BLIST", opted_out=True)],
    ),
    Receives("V1", get(STATUS_URL, V1), [_receipt(reference="32433326", at=None, segments=None)]),
    Receives(
        "V1, as the vendor's example writes it",
        get(STATUS_URL, {**V1, "Status": "DE-LIVRD"}),
        [_receipt(reference="32433326", at=None, segments=None)],
    ),
    Receives("V2, called plain text", post(STATUS_URL, V2, "text/plain"), [_receipt()]),
    Receives("V2, in other cases", post(STATUS_URL, {k.upper(): v for k, v in V2.items()}), [_receipt()]),
    Receives("V3", post(STATUS_URL, V3, "text/plain; charset=utf-8"), [_receipt()]),
    Receives("V3, all as texts", post(STATUS_URL, {k: str(v) for k, v in V3.items()}), [_receipt()]),
    Receives(
        "V3, by GET",
        get(STATUS_URL, {k: str(v) for k, v in V3.items() if k in {"customerId", "status", "eventId"}}),
        [_receipt(at=None, segments=None)],
    ),
    Receives(
        "V3, as a form",
        replace(
            get(STATUS_URL, {}),
            method="POST",
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode(V3).encode(),
        ),
        [_receipt()],
    ),
    Receives("in milliseconds", post(STATUS_URL, {**V2, "Received": int(SECONDS) * 1000}), [_receipt()]),
    Receives("at no time", post(STATUS_URL, {**V2, "Received": 10**17}), [_receipt(at=None)]),
    Receives("a status in lower case", post(STATUS_URL, {**V2, "Status": "delivrd"}), [_receipt()]),
    Receives("a status from the future", post(STATUS_URL, {**V2, "Status": "PONDERD"}), []),
    Receives("our id in upper case", post(STATUS_URL, {**V2, "UserReference": ID_1.upper()}), [_receipt()]),
    Receives(
        "our id without its attempt",
        post(STATUS_URL, {**V2, "UserReference": ID_1[:-2]}),
        [replace(_receipt(), attempt=None)],
    ),
    *(
        Receives(f"somebody else's message: {value!r}", post(STATUS_URL, {**V2, "UserReference": value}), [])
        for value in ("order 42", "", None, f"x{ID_1}", f"{ID_1}x")
    ),
    Receives("no name on it", post(STATUS_URL, {k: v for k, v in V2.items() if k != "UserReference"}), []),
    Receives("no status", post(STATUS_URL, {k: v for k, v in V2.items() if k != "Status"}), UnreadableCallback),
    Receives(
        "a reply at the wrong address", get(STATUS_URL, {"IncomingData": "Yes", "Phonenumber": "1"}), UnreadableCallback
    ),
]

MO_V1 = {
    "IncomingID": "123456",
    "Phonenumber": "447700900123",
    "IncomingData": "See you at 5",
    "IncomingDataTime": "22/Nov/2025 12:00:00",
    "SentID": "654321",
    "EventID": "987654",
    "SentData": "Hello",
    "SentDataTime": "22/Nov/2025 11:00:00",
    "CustomerID": ID_1,
    "Campaign": "",
    "NumberValue1": "",
}
MO_V2 = {
    "To": "27600000000",
    "Id": 123456,
    "EventId": 1179504595,
    "Msisdn": "447700900123",
    "Message": "See you at 5",
    "Received": int(SECONDS),
    "UserReference": ID_1,
}
MO_V3 = {"id": 123456, "sourcePhoneNumber": "447700900123", "incomingData": "See you at 5", "customerId": ID_1}


def _inbound(text: str = "See you at 5", **more: Any) -> Inbound:
    known: dict[str, Any] = {"msisdn": "+447700900123", "reference": "123456", **more}
    return Inbound(text=text, **known)


INBOUNDS = [
    Inbounds("V1", get(INBOUND_URL, MO_V1), [_inbound()]),
    Inbounds(
        "V2",
        post(INBOUND_URL, MO_V2, "text/plain"),
        [_inbound(to="27600000000", sent_at=datetime.fromtimestamp(int(SECONDS), UTC))],
    ),
    Inbounds("V3", post(INBOUND_URL, MO_V3), [_inbound()]),
    Inbounds("V3, by GET", get(INBOUND_URL, {k: str(v) for k, v in MO_V3.items()}), [_inbound()]),
    Inbounds(
        "two lines that a template left as they were",
        replace(post(INBOUND_URL, {}), body=b'{"id": "123456", "msisdn": "447700900123", "text": "See you\nat 5"}'),
        [_inbound("See you\nat 5")],
    ),
    Inbounds("STOP is left to us", get(INBOUND_URL, {**MO_V1, "IncomingData": "STOP"}), [_inbound("STOP")]),
    Inbounds("an empty reply", get(INBOUND_URL, {**MO_V1, "IncomingData": ""}), [_inbound("")]),
    Inbounds("a number with its +", get(INBOUND_URL, {**MO_V1, "Phonenumber": "+447700900123"}), [_inbound()]),
    Inbounds(
        "a number in national form",
        get(INBOUND_URL, {**MO_V1, "Phonenumber": "07700900123"}),
        [_inbound(msisdn="07700900123")],
    ),
    Inbounds(
        "without an id", post(INBOUND_URL, {k: v for k, v in MO_V3.items() if k != "id"}), [_inbound(reference=None)]
    ),
    Inbounds("a receipt at the wrong address", get(INBOUND_URL, V1), UnreadableCallback),
    Inbounds("from nobody", get(INBOUND_URL, {**MO_V1, "Phonenumber": ""}), UnreadableCallback),
    Inbounds("no text", post(INBOUND_URL, {"Msisdn": "447700900123"}), UnreadableCallback),
]


def sign(
    callback: Callback, at: datetime = NOW, *, key: str = "a-signature-secret", timestamp: str | None = None
) -> bytes:
    """As the vendor describes it, written on its own."""
    stamp = timestamp if timestamp is not None else str(int(at.timestamp()))
    head = f"v1:{stamp}|{callback.method}|{callback.url}|"
    return hmac.digest(key.encode(), head.encode() + callback.body, "sha256")


def signed(
    callback: Callback, *, timestamp: str = SECONDS, heard: datetime | None = NOW, key: str = "a-signature-secret"
) -> Callback:
    headers = {
        **callback.headers,
        "x-sms-signature": sign(callback, key=key, timestamp=timestamp).hex(),
        "x-sms-timestamp": timestamp,
    }
    return replace(callback, headers=headers, received_at=heard)


def _written(callback: Callback, signature: str) -> Callback:
    return replace(callback, headers={**callback.headers, "x-sms-signature": signature})


SIGNED_NEWS = signed(GENUINE)
DIGEST = sign(GENUINE)
RECEIVES += [
    Receives("signed", SIGNED_NEWS, [_receipt()], SIGNED),
    Receives(
        "signed, by GET", signed(get(STATUS_URL, V1)), [_receipt(reference="32433326", at=None, segments=None)], SIGNED
    ),
    Receives("signed in capitals", _written(SIGNED_NEWS, DIGEST.hex().upper()), [_receipt()], SIGNED),
    Receives("signed in Base64", _written(SIGNED_NEWS, b64encode(DIGEST).decode()), [_receipt()], SIGNED),
    Receives(
        "signed in Base64 for URLs, without padding",
        _written(SIGNED_NEWS, urlsafe_b64encode(DIGEST).decode().rstrip("=")),
        [_receipt()],
        SIGNED,
    ),
    *(
        Receives(f"signed at {stamp}", signed(GENUINE, timestamp=stamp), [_receipt()], SIGNED)
        for stamp in (f"{SECONDS}000", "2025-11-22T10:00:00Z", "2025-11-22T12:00:00.123+02:00", "2025-11-22T10:00:00")
    ),
    *(
        Receives(
            f"heard {seconds} s later", signed(GENUINE, heard=NOW + timedelta(seconds=seconds)), [_receipt()], SIGNED
        )
        for seconds in (300, -300)
    ),
    Receives("a signature nobody asked for", SIGNED_NEWS, [_receipt()]),
    Receives("with the mark", replace(GENUINE, headers={**GENUINE.headers, "x-mark": "a-mark"}), [_receipt()], MARKED),
]

FORGERIES = {
    "one byte changed": replace(SIGNED_NEWS, body=SIGNED_NEWS.body.replace(b"DELIVRD", b"UNDELIV")),
    "something added to the address": replace(SIGNED_NEWS, url=f"{SIGNED_NEWS.url}?Status=UNDELIV"),
    "another method": replace(SIGNED_NEWS, method="GET"),
    "another host": replace(SIGNED_NEWS, url=SIGNED_NEWS.url.replace("sms.", "smt.")),
    "another time": replace(SIGNED_NEWS, headers={**SIGNED_NEWS.headers, "x-sms-timestamp": str(int(SECONDS) + 1)}),
    "another key": signed(GENUINE, key="another"),
    "no signature": replace(GENUINE, received_at=NOW),
    "an empty signature": _written(SIGNED_NEWS, ""),
    "a signature cut short": _written(SIGNED_NEWS, DIGEST.hex()[:-2]),
    "a signature that is no ASCII": _written(SIGNED_NEWS, "ß\udcff"),
    "a signature of many lengths": _written(SIGNED_NEWS, "A" * 43),
    "recorded, and sent again after six minutes": replace(SIGNED_NEWS, received_at=NOW + timedelta(seconds=301)),
    "from the future": replace(SIGNED_NEWS, received_at=NOW - timedelta(seconds=301)),
    "signed at no time": signed(GENUINE, timestamp=""),
    "signed at a time nobody can read": signed(GENUINE, timestamp="soon"),
    "heard at no time": signed(GENUINE, heard=None),
}
RECEIVES += [Receives(label, callback, ForgedCallback, SIGNED) for label, callback in FORGERIES.items()]
RECEIVES += [
    Receives("without the mark", GENUINE, ForgedCallback, MARKED),
    Receives("with another mark", replace(GENUINE, headers={"x-mark": "a-mask"}), ForgedCallback, MARKED),
]
INBOUNDS += [
    Inbounds("signed", signed(get(INBOUND_URL, MO_V1)), [_inbound()], SIGNED),
    Inbounds("a reply that nobody signed", get(INBOUND_URL, MO_V1), ForgedCallback, SIGNED),
    Inbounds(
        "a signed STOP, sent again by somebody else",
        signed(get(INBOUND_URL, {**MO_V1, "IncomingData": "STOP"}), heard=NOW + timedelta(hours=1)),
        ForgedCallback,
        SIGNED,
    ),
    Inbounds("a reply without the mark", get(INBOUND_URL, MO_V1), ForgedCallback, MARKED),
]

STRANGERS = [
    Stranger("nothing", Callback("POST", STATUS_URL)),
    Stranger("a query", Callback("GET", f"{STATUS_URL}?x=1")),
    Stranger("bytes", Callback("POST", STATUS_URL, {}, b"\xff\x00")),
    Stranger("a list", Callback("POST", STATUS_URL, {}, b'["Status"]')),
    Stranger("deep", Callback("POST", STATUS_URL, {}, b'{"Status":' * 30_000)),
    Stranger("a status within", Callback("POST", STATUS_URL, {}, b'{"Status": {"x": 1}, "Message": [1]}')),
]
