"""The presets that send forms or queries."""

from decimal import Decimal
from urllib.parse import urlencode

from shared.adapter import Answer, Balance, Call, Callback, Inbound
from shared.domain.message import Status
from shared.domain.outcome import Accepted, Fault, Lost
from tests.gateways.custom.account import said
from tests.gateways.custom.callbacks import by_form, by_get, by_json
from tests.gateways.presets.cases import FORM, HELLO, OURS_URL, QUOTED_URL, SENT_AT, STATUS_URL, TEXT, Case, no, told


def _vonage(status: str) -> Answer:
    return said(200, {"message-count": "1", "messages": [{"status": status, "error-text": "No."}]})


VONAGE_FAULTS = {
    Fault.THROTTLED: ["1"],
    Fault.MESSAGE: ["12"],
    Fault.OPTED_OUT: ["7"],
    Fault.ACCOUNT: ["4", "8", "9", "33"],
    Fault.GATEWAY: ["2", "3", "6", "15", "22", "23", "29"],
}
VONAGE = Case(
    name="vonage",
    call=Call(
        "POST",
        "https://rest.nexmo.com/sms/json",
        (FORM,),
        (
            f"api_key=api_key-1&api_secret=api_secret-1&from=Cafe%20Ada&to=447700900123&text={TEXT}&type=text"
            f"&ttl=600000&client-ref={HELLO.id}&status-report-req=1&callback={QUOTED_URL}"
        ).encode(),
    ),
    reads=[
        (
            said(200, {"message-count": "2", "messages": [{"status": "0", "message-id": "R1"}, {"status": "0"}]}),
            Accepted("R1", 2),
        ),
        *((_vonage(code), no(fault, code, "No.")) for fault, codes in VONAGE_FAULTS.items() for code in codes),
        (_vonage("5"), Lost(may_have_arrived=True, cause="in_doubt_by_settings")),
        (_vonage("99"), Lost(may_have_arrived=True, cause="no_success_in_answer")),
    ],
    receipts=[
        *(
            (
                by_json({"messageId": "R1", "status": word, "err-code": "0", "client-ref": str(HELLO.id)}, OURS_URL),
                told(status, ours="url", code="0"),
            )
            for word, status in {
                "accepted": Status.SENT,
                "buffered": Status.SENT,
                "delivered": Status.DELIVERED,
                "expired": Status.UNDELIVERED,
                "failed": Status.UNDELIVERED,
                "rejected": Status.UNDELIVERED,
            }.items()
        ),
        (
            by_get({"messageId": "R1", "status": "delivered", "client-ref": str(HELLO.id)}),
            told(Status.DELIVERED, ours="id"),
        ),
    ],
    inbound=(
        by_get(
            {
                "msisdn": "447700900123",
                "to": "447700900555",
                "text": "Hi",
                "messageId": "I1",
                "message-timestamp": "2026-01-31 09:30:00",
            }
        ),
        Inbound(msisdn="+447700900123", text="Hi", to="447700900555", reference="I1", sent_at=SENT_AT),
    ),
    balance=(said(200, {"value": 10.28, "autoReload": False}), Balance(Decimal("10.28"), "EUR")),
    balance_url="https://rest.nexmo.com/account/get-balance?api_key=api_key-1&api_secret=api_secret-1",
)


def _african(code: int, status: str) -> Answer:
    return said(201, {"SMSMessageData": {"Message": "x", "Recipients": [{"statusCode": code, "status": status}]}})


AFRICAN_FAULTS = {
    Fault.MESSAGE: [403, 404, 409],
    Fault.OPTED_OUT: [406],
    Fault.ACCOUNT: [405],
    Fault.GATEWAY: [401, 402, 407, 502],
}
AFRICAS_TALKING = Case(
    name="africas_talking",
    call=Call(
        "POST",
        "https://api.africastalking.com/version1/messaging",
        (("apiKey", "api_key-1"), ("Accept", "application/json"), FORM),
        f"username=username-1&to=%2B447700900123&from=Cafe%20Ada&message={TEXT}".encode(),
    ),
    reads=[
        (
            said(
                201,
                {
                    "SMSMessageData": {
                        "Message": "Sent to 1/1 Total Cost: KES 0.8000",
                        "Recipients": [
                            {"statusCode": 101, "status": "Success", "messageId": "ATXid_1", "cost": "KES 0.8"}
                        ],
                    }
                },
            ),
            Accepted("ATXid_1"),
        ),
        *(
            (_african(code, "Refused"), no(fault, code, "Refused"))
            for fault, codes in AFRICAN_FAULTS.items()
            for code in codes
        ),
        *((_african(code, "Error"), Lost(may_have_arrived=True, cause="in_doubt_by_settings")) for code in (500, 501)),
        (
            said(201, {"SMSMessageData": {"Message": "InvalidSenderId", "Recipients": []}}),
            Lost(may_have_arrived=True, cause="no_success_in_answer"),
        ),
        (said(401, "The supplied authentication is invalid"), no(Fault.ACCOUNT, "http_401")),
    ],
    receipts=[
        (by_form({"id": "R1", "status": word}), told(status))
        for word, status in {
            "Submitted": Status.SUBMITTED,
            "Buffered": Status.SENT,
            "Sent": Status.SENT,
            "Success": Status.DELIVERED,
            "Rejected": Status.UNDELIVERED,
            "Failed": Status.UNDELIVERED,
            "Expired": Status.UNDELIVERED,
            "AbsentSubscriber": Status.UNDELIVERED,
        }.items()
    ]
    + [
        (
            by_form({"id": "R1", "status": "Rejected", "failureReason": "UserInBlacklist"}),
            told(Status.UNDELIVERED, code="UserInBlacklist", stop=True),
        )
    ],
    inbound=(
        by_form({"from": "+447700900123", "to": "40404", "text": "Hi", "id": "I1", "date": "2025-11-22"}),
        Inbound(msisdn="+447700900123", text="Hi", to="40404", reference="I1"),
    ),
    balance=(said(200, {"UserData": {"balance": "KES 1785.50"}}), Balance(Decimal("1785.50"), "KES")),
    balance_url="https://api.africastalking.com/version1/user?username=username-1",
)

KANNEL = Case(
    name="kannel",
    over={"url": "https://kannel.example:13013/cgi-bin/sendsms", "sender_id": "Cafe Ada"},
    call=Call(
        "GET",
        "https://kannel.example:13013/cgi-bin/sendsms"
        f"?username=username-1&password=password-1&from=Cafe%20Ada&to=%2B447700900123&text={TEXT}&coding=0"
        f"&charset=UTF-8&validity=10&dlr-mask=27&dlr-url={QUOTED_URL}%26status%3D%25d",
    ),
    reads=[
        (said(202, "0: Accepted for delivery"), Accepted()),
        (said(202, "3: Queued for later delivery"), Accepted()),
        (said(202, "0:30 until the queue is free"), Lost(may_have_arrived=True, cause="no_success_in_answer")),
        (said(202, "something else"), Lost(may_have_arrived=True, cause="no_success_in_answer")),
        (said(403, "Authorization failed for sendsms"), no(Fault.ACCOUNT, "http_403")),
        (said(403, "Not routable. Do not try again."), no(Fault.GATEWAY, "http_403")),
        (said(503, "Temporal failure, try again later."), no(Fault.THROTTLED, "http_503")),
        (said(503, "<html>"), Lost(may_have_arrived=True, cause="http_5xx")),
        (said(400, "Sender missing and no global set, rejected"), no(Fault.GATEWAY, "http_400")),
    ],
    receipts=[
        (Callback("GET", f"{OURS_URL}&status={word}"), told(status, None, ours="url"))
        for word, status in {
            "1": Status.DELIVERED,
            "2": Status.UNDELIVERED,
            "4": Status.SUBMITTED,
            "8": Status.SENT,
            "16": Status.UNDELIVERED,
            "34": Status.UNDELIVERED,
        }.items()
    ],
    inbound=(
        Callback(
            "GET", f"{STATUS_URL}?{urlencode({'from': '+447700900123', 'to': '40404', 'text': 'Hi', 'id': 'I1'})}"
        ),
        Inbound(msisdn="+447700900123", text="Hi", to="40404", reference="I1"),
    ),
)

CASES = (VONAGE, AFRICAS_TALKING, KANNEL)
