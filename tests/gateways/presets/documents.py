"""The presets that send JSON."""

import json
from base64 import b64encode
from decimal import Decimal
from typing import Any

from shared.adapter import Answer, Balance, Call, Inbound
from shared.domain.message import Status
from shared.domain.outcome import Accepted, Fault, Lost
from tests.gateways.custom.account import said
from tests.gateways.custom.callbacks import by_form, by_get, by_json
from tests.gateways.presets.cases import HELLO, JSON, NUMBER, OURS_URL, SENT_AT, Case, no, told

IN_DOUBT = Lost(may_have_arrived=True, cause="in_doubt_by_settings")
NO_SUCCESS = Lost(may_have_arrived=True, cause="no_success_in_answer")
ID = str(HELLO.id)


def _call(url: str, headers: tuple[tuple[str, str], ...], document: Any) -> Call:
    return Call("POST", url, (*headers, JSON), json.dumps(document).encode())


def _basic(user: str, secret: str) -> tuple[str, str]:
    return "Authorization", "Basic " + b64encode(f"{user}-1:{secret}-1".encode()).decode()


def _infobip(group: int, name: str) -> Answer:
    return said(
        200, {"messages": [{"status": {"groupId": group, "name": name, "description": "No."}, "messageId": "R1"}]}
    )


INFOBIP = Case(
    name="infobip",
    over={"url": "https://xxxxx.api.infobip.com/sms/3/messages", "sender_id": "Cafe Ada"},
    call=_call(
        "https://xxxxx.api.infobip.com/sms/3/messages",
        (("Authorization", "App api_key-1"), ("Accept", "application/json")),
        {
            "messages": [
                {
                    "sender": "Cafe Ada",
                    "destinations": [{"to": "447700900123", "messageId": ID}],
                    "content": {"text": HELLO.text},
                    "webhooks": {"delivery": {"url": OURS_URL, "contentType": "application/json"}},
                }
            ]
        },
    ),
    reads=[
        (_infobip(1, "PENDING_ACCEPTED"), Accepted("R1")),
        (_infobip(3, "DELIVERED_TO_HANDSET"), Accepted("R1")),
        (_infobip(5, "REJECTED_DUPLICATE_MESSAGE_ID"), Accepted("R1")),
        (_infobip(5, "REJECTED_NOT_ENOUGH_CREDITS"), no(Fault.ACCOUNT, 5, "No.")),
        (_infobip(5, "REJECTED_NETWORK"), no(Fault.GATEWAY, 5, "No.")),
        (_infobip(2, "UNDELIVERABLE_REJECTED_OPERATOR"), no(Fault.GATEWAY, 2, "No.")),
        (_infobip(4, "EXPIRED_EXPIRED"), no(Fault.GATEWAY, 4, "No.")),
        (_infobip(9, "PONDERED"), NO_SUCCESS),
        (
            said(401, {"requestError": {"serviceException": {"messageId": "UNAUTHORIZED"}}}),
            no(Fault.ACCOUNT, "http_401"),
        ),
    ],
    receipts=[
        (
            by_json(
                {"results": [{"messageId": ID, "status": {"groupName": word}, "error": {"name": "NO_ERROR"}}]}, OURS_URL
            ),
            told(status, ID, ours="url", code="NO_ERROR"),
        )
        for word, status in {
            "PENDING": Status.SUBMITTED,
            "DELIVERED": Status.DELIVERED,
            "UNDELIVERABLE": Status.UNDELIVERED,
            "EXPIRED": Status.UNDELIVERED,
            "REJECTED": Status.UNDELIVERED,
        }.items()
    ],
    inbound=(
        by_json(
            {
                "results": [
                    {
                        "messageId": "I1",
                        "from": "447700900123",
                        "to": "447700900555",
                        "text": "Hi",
                        "receivedAt": "2026-01-31T10:30:00.000+0100",
                    }
                ]
            }
        ),
        Inbound(msisdn="+447700900123", text="Hi", to="447700900555", reference="I1", sent_at=SENT_AT),
    ),
    balance=(said(200, {"balance": 47.79, "currency": "EUR"}), Balance(Decimal("47.79"), "EUR")),
    balance_url="https://xxxxx.api.infobip.com/account/1/balance",
)


def _clickatell(code: int) -> Answer:
    return said(202, {"messages": [{"accepted": False, "errorCode": code, "error": "No."}]})


CLICKATELL_FAULTS = {
    Fault.MESSAGE: [105, 113, 116],
    Fault.OPTED_OUT: [121, 122],
    Fault.ACCOUNT: [101, 108, 301],
    Fault.GATEWAY: [106, 114],
}
CLICKATELL = Case(
    name="clickatell",
    call=_call(
        "https://platform.clickatell.com/messages",
        (("Authorization", "api_key-1"), ("Accept", "application/json")),
        {"content": HELLO.text, "to": ["447700900123"], "from": "Cafe Ada", "clientMessageId": ID},
    ),
    reads=[
        (
            said(202, {"messages": [{"apiMessageId": "R1", "accepted": True, "error": None}], "error": None}),
            Accepted("R1"),
        ),
        *((_clickatell(code), no(fault, code, "No.")) for fault, codes in CLICKATELL_FAULTS.items() for code in codes),
        (_clickatell(999), NO_SUCCESS),
        (said(401, {"errorCode": "108", "error": "Invalid or missing api key"}), no(Fault.ACCOUNT, 108)),
    ],
    receipts=[
        (
            by_json({"messageId": "R1", "statusCode": code, "clientMessageId": ID}),
            told(status, ours="id", code=str(code)),
        )
        for code, status in {
            2: Status.SUBMITTED,
            3: Status.SENT,
            4: Status.DELIVERED,
            5: Status.UNDELIVERED,
            7: Status.UNDELIVERED,
            8: Status.SUBMITTED,
            9: Status.UNDELIVERED,
            10: Status.UNDELIVERED,
            12: Status.UNDELIVERED,
            14: Status.UNDELIVERED,
        }.items()
    ],
    inbound=(
        by_json(
            {
                "messageId": "I1",
                "fromNumber": "447700900123",
                "toNumber": "447700900555",
                "text": "Hi",
                "timestamp": 1769851800000,
            }
        ),
        Inbound(msisdn="+447700900123", text="Hi", to="447700900555", reference="I1", sent_at=SENT_AT),
    ),
    balance=(said(200, {"balance": 12.5, "currency": "USD"}), Balance(Decimal("12.5"), "USD")),
    balance_url="https://platform.clickatell.com/public-client/balance",
)


def _bulksms(kind: str, subtype: str | None) -> Answer:
    return said(201, [{"id": "R1", "status": {"type": kind, "subtype": subtype}, "numberOfParts": 2}])


BULKSMS = Case(
    name="bulksms",
    call=_call(
        f"https://api.bulksms.com/v1/messages?auto-unicode=true&deduplication-id={NUMBER}",
        (_basic("token_id", "token_secret"),),
        [
            {
                "to": "+447700900123",
                "from": "Cafe Ada",
                "body": HELLO.text,
                "userSuppliedId": NUMBER,
                "longMessageMaxParts": 10,
                "deliveryReports": "ALL",
            }
        ],
    ),
    reads=[
        *(
            (_bulksms(kind, None), Accepted("R1", 2))
            for kind in ("ACCEPTED", "SCHEDULED", "SENT", "DELIVERED", "UNKNOWN")
        ),
        (_bulksms("FAILED", "BLOCKED"), no(Fault.OPTED_OUT, "BLOCKED")),
        (_bulksms("FAILED", "NOT_SENT"), no(Fault.GATEWAY, "NOT_SENT")),
        (_bulksms("FAILED", "HANDSET_ERROR"), no(Fault.MESSAGE, "HANDSET_ERROR")),
        (_bulksms("FAILED", "EXPIRED"), no(Fault.MESSAGE, "EXPIRED")),
        (_bulksms("FAILED", "NOVEL"), NO_SUCCESS),
        (
            said(403, {"type": "https://example.com/errors#insufficient-credits", "detail": "Too few credits."}),
            no(Fault.ACCOUNT, "http_403", "Too few credits."),
        ),
        (said(401, {"detail": "No."}), no(Fault.ACCOUNT, "http_401", "No.")),
    ],
    receipts=[
        *(
            (by_json([{"id": "R1", "type": "SENT", "status": {"type": word, "subtype": None}}]), told(status))
            for word, status in {
                "ACCEPTED": Status.SUBMITTED,
                "SCHEDULED": Status.SUBMITTED,
                "SENT": Status.SENT,
                "DELIVERED": Status.DELIVERED,
                "FAILED": Status.UNDELIVERED,
            }.items()
        ),
        (
            by_json([{"id": "R1", "status": {"type": "FAILED", "subtype": "BLOCKED"}}]),
            told(Status.UNDELIVERED, code="BLOCKED", stop=True),
        ),
    ],
    inbound=(
        by_json([{"id": "I1", "type": "RECEIVED", "from": "447700900123", "to": "447700900555", "body": "Hi"}]),
        Inbound(msisdn="+447700900123", text="Hi", to="447700900555", reference="I1"),
    ),
    balance=(said(200, {"credits": {"balance": 99.5}, "quota": {"remaining": 3}}), Balance(Decimal("99.5"), "credits")),
    balance_url="https://api.bulksms.com/v1/profile",
)

PLIVO = Case(
    name="plivo",
    call=_call(
        "https://api.plivo.com/v1/Account/auth_id-1/Message/",
        (_basic("auth_id", "auth_token"),),
        {"src": "Cafe Ada", "dst": "447700900123", "text": HELLO.text, "url": OURS_URL, "method": "POST"},
    ),
    reads=[
        (said(202, {"message": "message(s) queued", "message_uuid": ["R1"], "api_id": "x"}), Accepted("R1")),
        (said(200, {"message_uuid": ["R1"]}), NO_SUCCESS),
        (said(202, {"message_uuid": []}), NO_SUCCESS),
        (said(400, {"error": "dst is invalid"}), no(Fault.GATEWAY, "http_400", "dst is invalid")),
        (said(401, {"error": "No."}), no(Fault.ACCOUNT, "http_401", "No.")),
        (said(429, {"error": "Slow down."}), no(Fault.THROTTLED, "http_429", "Slow down.")),
    ],
    receipts=[
        *(
            (by_form({"MessageUUID": "R1", "Status": word, "To": "447700900123"}, OURS_URL), told(status, ours="url"))
            for word, status in {
                "queued": Status.SUBMITTED,
                "sent": Status.SENT,
                "delivered": Status.DELIVERED,
                "undelivered": Status.UNDELIVERED,
                "rejected": Status.UNDELIVERED,
                "failed": Status.UNDELIVERED,
            }.items()
        ),
        (
            by_form({"MessageUUID": "R1", "Status": "failed", "ErrorCode": "200"}),
            told(Status.UNDELIVERED, code="200", stop=True),
        ),
    ],
    inbound=(
        by_form({"From": "447700900123", "To": "447700900555", "Text": "Hi", "MessageUUID": "I1"}),
        Inbound(msisdn="+447700900123", text="Hi", to="447700900555", reference="I1"),
    ),
    balance=(said(200, {"cash_credits": "77.39", "name": "x"}), Balance(Decimal("77.39"), "USD")),
    balance_url="https://api.plivo.com/v1/Account/auth_id-1/",
)


def _bird(status: int, code: int) -> Answer:
    return said(status, {"errors": [{"code": code, "description": "No.", "parameter": None}]})


MESSAGEBIRD = Case(
    name="messagebird",
    call=_call(
        "https://rest.messagebird.com/messages",
        (("Authorization", "AccessKey access_key-1"),),
        {
            "recipients": ["447700900123"],
            "originator": "Cafe Ada",
            "body": HELLO.text,
            "reference": ID,
            "datacoding": "auto",
            "validity": 600,
        },
    ),
    reads=[
        (said(201, {"id": "R1", "reference": ID}), Accepted("R1")),
        (_bird(401, 2), no(Fault.ACCOUNT, 2, "No.")),
        (_bird(422, 25), no(Fault.ACCOUNT, 25, "No.")),
        *((_bird(422, code), no(Fault.GATEWAY, code, "No.")) for code in (9, 10, 21)),
        (_bird(500, 99), IN_DOUBT),
        (_bird(404, 20), no(Fault.ACCOUNT, 20, "No.")),
    ],
    receipts=[
        *(
            (
                by_get({"id": "R1", "reference": ID, "status": word, "recipient": "447700900123"}),
                told(status, ours="id"),
            )
            for word, status in {
                "scheduled": Status.SUBMITTED,
                "sent": Status.SENT,
                "buffered": Status.SENT,
                "delivered": Status.DELIVERED,
                "delivery_failed": Status.UNDELIVERED,
                "expired": Status.UNDELIVERED,
            }.items()
        ),
        (
            by_get({"id": "R1", "status": "delivery_failed", "statusErrorCode": "103"}),
            told(Status.UNDELIVERED, code="103", stop=True),
        ),
    ],
    inbound=(
        by_form(
            {
                "originator": "447700900123",
                "recipient": "447700900555",
                "body": "Hi",
                "id": "I1",
                "createdDatetime": "2026-01-31T09:30:00+00:00",
            }
        ),
        Inbound(msisdn="+447700900123", text="Hi", to="447700900555", reference="I1", sent_at=SENT_AT),
    ),
    balance=(said(200, {"payment": "prepaid", "type": "credits", "amount": 9.2}), Balance(Decimal("9.2"), "credits")),
    balance_url="https://rest.messagebird.com/balance",
)

GATEWAYAPI = Case(
    name="gatewayapi",
    call=Call(
        "POST",
        "https://gatewayapi.com/rest/mtsms",
        (("Authorization", "Token token-1"), JSON),
        json.dumps(
            {
                "sender": "Cafe Ada",
                "message": HELLO.text,
                "encoding": "UTF8",
                "userref": ID,
                "callback_url": OURS_URL,
                "recipients": [{"msisdn": 447700900123}],
            }
        ).encode(),
    ),
    reads=[
        (said(200, {"ids": [421332671], "usage": {"currency": "DKK"}}), Accepted("421332671")),
        (said(200, {"ids": []}), NO_SUCCESS),
        (said(401, {"code": "0x0213", "message": "No."}), no(Fault.ACCOUNT, "0x0213", "No.")),
        (said(403, {"code": "0x0216", "message": "No."}), no(Fault.ACCOUNT, "0x0216", "No.")),
        (said(422, {"code": "0x0308", "message": "No."}), no(Fault.GATEWAY, "0x0308", "No.")),
        (said(500, {"code": "0x0001", "message": "No."}), Lost(may_have_arrived=True, cause="http_5xx")),
    ],
    receipts=[
        (
            by_json({"id": 421332671, "msisdn": 447700900123, "status": word, "userref": ID}, OURS_URL),
            told(status, "421332671", ours="url"),
        )
        for word, status in {
            "SCHEDULED": Status.SUBMITTED,
            "BUFFERED": Status.SUBMITTED,
            "ENROUTE": Status.SENT,
            "ACCEPTED": Status.SENT,
            "DELIVERED": Status.DELIVERED,
            "EXPIRED": Status.UNDELIVERED,
            "DELETED": Status.UNDELIVERED,
            "UNDELIVERABLE": Status.UNDELIVERED,
            "REJECTED": Status.UNDELIVERED,
            "SKIPPED": Status.UNDELIVERED,
        }.items()
    ],
    inbound=(
        by_json({"id": 5, "msisdn": 447700900123, "receiver": 451204, "message": "Hi", "senttime": 1769851800}),
        Inbound(msisdn="+447700900123", text="Hi", to="451204", reference="5", sent_at=SENT_AT),
    ),
    balance=(said(200, {"credit": 1234.56, "currency": "DKK", "id": 1}), Balance(Decimal("1234.56"), "DKK")),
    balance_url="https://gatewayapi.com/rest/me",
)

ANDROID = Case(
    name="android",
    over={},
    call=_call(
        "https://api.sms-gate.app/3rdparty/v1/messages",
        (_basic("username", "password"),),
        {
            "id": ID,
            "textMessage": {"text": HELLO.text},
            "phoneNumbers": ["+447700900123"],
            "ttl": 600,
            "withDeliveryReport": True,
        },
    ),
    reads=[
        *(
            (said(202, {"id": ID, "state": state}), Accepted(ID))
            for state in ("Pending", "Processed", "Sent", "Delivered")
        ),
        (said(202, {"id": ID, "state": "Failed"}), NO_SUCCESS),
        (said(400, {"message": "No."}), no(Fault.GATEWAY, "http_400", "No.")),
        (said(401, {"message": "No."}), no(Fault.ACCOUNT, "http_401", "No.")),
        # It has this id already: the attempt before arrived after all.
        (said(409, {"message": "duplicate id"}), Lost(may_have_arrived=True, cause="http_4xx")),
    ],
    receipts=[
        (
            by_json({"event": word, "id": "e", "payload": {"messageId": ID, "phoneNumber": "+447700900123"}}),
            told(status, ID, ours="id"),
        )
        for word, status in {
            "sms:sent": Status.SENT,
            "sms:delivered": Status.DELIVERED,
            "sms:failed": Status.UNDELIVERED,
        }.items()
    ],
    inbound=(
        by_json(
            {
                "event": "sms:received",
                "id": "I1",
                "payload": {
                    "messageId": "x",
                    "phoneNumber": "+447700900123",
                    "message": "Hi",
                    "receivedAt": "2026-01-31T10:30:00.000+01:00",
                },
            }
        ),
        Inbound(msisdn="+447700900123", text="Hi", reference="I1", sent_at=SENT_AT),
    ),
)

CASES = (INFOBIP, CLICKATELL, BULKSMS, PLIVO, MESSAGEBIRD, GATEWAYAPI, ANDROID)
