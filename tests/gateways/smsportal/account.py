"""The accounts, the messages and the answers that the tables share."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from shared.adapter import Account, Answer, Sms

URL = "https://rest.smsportal.com/v3/BulkMessages"
STATUS_URL = "https://sms.example.com/callbacks/g/t0k/status"
INBOUND_URL = "https://sms.example.com/callbacks/g/t0k/inbound"
SECRETS = {"client_id": "0f1e-client", "api_secret": "an-api-secret"}
ACCOUNT = Account(UUID(int=9), {}, SECRETS, status_url=STATUS_URL, inbound_url=INBOUND_URL)
LOGGED_IN = replace(ACCOUNT, settings={"authentication": "token"}, secrets={**SECRETS, "access_token": "eyJ.t0k.en"})
SIGNED = replace(
    ACCOUNT,
    settings={"signature_header": "X-Sms-Signature", "timestamp_header": "X-Sms-Timestamp"},
    secrets={**SECRETS, "signature_secret": "a-signature-secret"},
)
MARKED = replace(ACCOUNT, settings={"webhook_header": "X-Mark"}, secrets={**SECRETS, "webhook_secret": "a-mark"})

FIRST = Sms(UUID("0199d4c2-0000-7000-8000-00000000000a"), 1, msisdn="+447700900123", text='Hello & "5€"?')
SECOND = replace(FIRST, id=UUID("0199d4c2-0000-7000-8000-00000000000b"), msisdn="+12025550142", text="Hi 😀")
THIRD = replace(FIRST, id=UUID("0199d4c2-0000-7000-8000-00000000000c"), msisdn="+12025550143", text="Hello there")
BATCH = [FIRST, SECOND, THIRD]
# One number twice: then it names nobody.
SAME = [FIRST, SECOND, replace(THIRD, msisdn=SECOND.msisdn)]
ID_1, ID_2, ID_3 = (f"0199d4c2-0000-7000-8000-00000000000{digit}.1" for digit in "abc")

KEYS = (
    ("Authorization", "Basic " + b64encode(b"0f1e-client:an-api-secret").decode()),
    ("Content-Type", "application/json"),
)


def json_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, headers or {"content-type": "application/json"}, json.dumps(body).encode())


def report(taken: int, *, parts: int = 3, faults: object = (), **counters: int) -> dict[str, Any]:
    """A v1 or v2 answer as the reference shows it, with other figures."""
    return {
        "cost": 0.66,
        "remainingBalance": 998.5,
        "eventId": 1179504595,
        "sample": "Hello",
        "costBreakdown": [{"quantity": taken, "cost": 0.22, "network": "Somebody"}],
        "messages": taken,
        "parts": parts,
        "errorReport": {
            "noNetwork": 0,
            "noContents": 0,
            "contentToLong": 0,
            "duplicates": 0,
            "optedOuts": 0,
            "faults": faults,
            **counters,
        },
    }


def wrapped(inner: object, *errors: object) -> dict[str, Any]:
    """The same as v3 gives it."""
    return {"statusCode": 200, "errors": list(errors), "sendResponse": inner}


def fault(status: str | None, words: str = "No.", **named: Any) -> dict[str, Any]:
    return {
        "rawDestination": None,
        "scrubbedDestination": None,
        "customerId": None,
        "errorMessage": words,
        "status": status,
        **named,
    }


def error(status: int, code: object, words: object = "No.", headers: Mapping[str, str] | None = None) -> Answer:
    return json_answer(status, {"errorCode": code, "errorMessage": words}, headers)
