"""The accounts, the message and the answers that the tables share."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from shared.adapter import Account, Answer, Sms

SID = "AC" + "0" * 32
KEY = "SK" + "1" * 32
SERVICE = "MG" + "2" * 32
TOKEN = "test-token"
STATUS_URL = "https://sms.example.com/callbacks/g/t0k/status"
INBOUND_URL = "https://sms.example.com/callbacks/g/t0k/inbound"
ACCOUNT = Account(
    UUID(int=7),
    {"account_sid": SID, "from": "+12025550142"},
    {"api_secret": TOKEN},
    status_url=STATUS_URL,
    inbound_url=INBOUND_URL,
)
BY_KEY = replace(
    ACCOUNT,
    settings={"account_sid": SID, "api_key": KEY, "messaging_service_sid": SERVICE},
    secrets={"api_secret": "key-secret", "auth_token": TOKEN},
)
BLIND = replace(BY_KEY, secrets={"api_secret": "key-secret"})
HELLO = Sms(UUID("0199d4c2-0000-7000-8000-000000000001"), 2, msisdn="+447700900123", text="Hello & 5€?")
BATCH = [HELLO]
URL = f"https://api.twilio.com/2010-04-01/Accounts/{SID}/Messages.json"


def _basic(user: str, secret: str) -> tuple[str, str]:
    return "Authorization", "Basic " + b64encode(f"{user}:{secret}".encode()).decode()


HEADERS = (_basic(SID, TOKEN), ("Content-Type", "application/x-www-form-urlencoded"))
KEY_HEADERS = (_basic(KEY, "key-secret"), HEADERS[1])
TO_AND_BODY = "To=%2B447700900123&Body=Hello+%26+5%E2%82%AC%3F"
CALLBACK = (
    "&StatusCallback=https%3A%2F%2Fsms.example.com%2Fcallbacks%2Fg%2Ft0k%2Fstatus"
    "%3Fm%3D0199d4c2-0000-7000-8000-000000000001%26a%3D2"
)
FROM = "&From=%2B12025550142"


def json_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, headers or {"content-type": "application/json"}, json.dumps(body).encode())


# As the API reference shows it, with another account and numbers.
TAKEN: dict[str, Any] = {
    "account_sid": SID,
    "api_version": "2010-04-01",
    "body": "Hello & 5€?",
    "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
    "date_sent": "Thu, 24 Aug 2023 05:01:45 +0000",
    "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000",
    "direction": "outbound-api",
    "error_code": None,
    "error_message": None,
    "from": "+12025550142",
    "num_media": "0",
    "num_segments": "1",
    "price": None,
    "price_unit": None,
    "messaging_service_sid": None,
    "sid": "SM" + "1" * 32,
    "status": "queued",
    "subresource_uris": {"media": f"/2010-04-01/Accounts/{SID}/Messages/SM{'1' * 32}/Media.json"},
    "tags": None,
    "to": "+447700900123",
    "uri": f"/2010-04-01/Accounts/{SID}/Messages/SM{'1' * 32}.json",
}
REFERENCE = TAKEN["sid"]


def error(status: int, code: object, message: object = "No.", headers: Mapping[str, str] | None = None) -> Answer:
    url = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": url, "status": status}
    return json_answer(status, body, headers)


def busy(**headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error(429, 20429, "Too Many Requests", named)
