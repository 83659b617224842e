"""The accounts, the message and the answers that the tables share."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from shared.adapter import Account, Answer, Sms

STATUS_URL = "https://sms.example.com/callbacks/g/t0k/status"
INBOUND_URL = "https://sms.example.com/callbacks/g/t0k/inbound"
CALLBACK_URL = f"{STATUS_URL}?m=0199d4c2-0000-7000-8000-000000000001&a=2"
QUOTED_CALLBACK_URL = (
    "https%3A%2F%2Fsms.example.com%2Fcallbacks%2Fg%2Ft0k%2Fstatus%3Fm%3D0199d4c2-0000-7000-8000-000000000001%26a%3D2"
)
KEY = "k3y-of-the-gateway"
SETTINGS: Mapping[str, Any] = {
    "url": "https://gateway.example/send",
    "method": "POST",
    "content_type": "application/json",
    "payload": '{"to": "%TO%", "from": "%FROM%", "text": "%MESSAGE%"}',
    "headers": [{"name": "Authorization", "value": "App %SECRET:api_key%"}],
    "sender_id": "Cafe Ada",
    "success_path": "messages[0].status",
    "success_values": ["0"],
    "reference_path": "messages[0].message-id",
    "segments_path": "messages[0].parts",
    "code_path": "messages[0].status",
    "detail_path": "messages[0].error",
    "faults": [
        {"codes": ["1"], "fault": "throttled"},
        {"codes": [4, 9], "fault": "account"},
        {"codes": ["7"], "fault": "opted_out"},
        {"codes": ["15"], "fault": "gateway"},
        {"codes": ["6", "12"], "fault": "message"},
        {"codes": ["5"], "fault": "in_doubt"},
        {"status": 503, "text": "maintenance", "fault": "throttled"},
    ],
    "receipt": {
        "id": "messageId",
        "own_id": "client-ref",
        "status": "status",
        "code": "err-code",
        "opted_out_codes": ["99"],
        "statuses": {"accepted": "sent", "DELIVRD": "delivered", "delivered": "delivered", "failed": "undelivered"},
    },
    "inbound": {"from": "msisdn", "to": "to", "text": "text", "id": "messageId"},
    "balance": {"url": "/balance", "path": "value", "unit": "EUR"},
}
ACCOUNT = Account(UUID(int=9), SETTINGS, {"api_key": KEY}, status_url=STATUS_URL, inbound_url=INBOUND_URL)
HELLO = Sms(UUID("0199d4c2-0000-7000-8000-000000000001"), 2, msisdn="+447700900123", text="Hello & 5€?")
BATCH = [HELLO]

# The least that can be said, in Powerlynx's words.
PLAIN: Mapping[str, Any] = {
    "url": "https://gateway.example/send",
    "payload": "from=%LOCATION%&to=%TO%&message=%MESSAGE%",
    "success_text": "OK:",
}


def account(
    settings: Mapping[str, Any] | None = None, *, secrets: Mapping[str, str] | None = None, **more: Any
) -> Account:
    """An account with these settings over the plain ones; None takes one out."""
    merged = {**(PLAIN if settings is None else settings), **more}
    kept = {name: value for name, value in merged.items() if value is not None}
    return replace(ACCOUNT, settings=kept, secrets=secrets or {})


def rich(**more: Any) -> Account:
    return account(SETTINGS, secrets=ACCOUNT.secrets, **more)


def said(status: int, body: object, **headers: str) -> Answer:
    """An answer in JSON, or in the words given."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


# A gateway that wants a token, as those do that speak OAuth.
LOGIN: Mapping[str, Any] = {
    "url": "/oauth/token",
    "payload": "grant_type=client_credentials",
    "headers": [{"name": "Authorization", "value": "Basic %BASIC:client_id:client_secret%"}],
}
CREDENTIALS: Mapping[str, str] = {"client_id": "me", "client_secret": "s3cr3t-of-the-client"}
LOGGING_IN = Account(
    UUID(int=9),
    {**PLAIN, "method": "POST", "headers": [{"name": "Authorization", "value": "Bearer %TOKEN%"}], "login": LOGIN},
    CREDENTIALS,
    status_url=STATUS_URL,
    inbound_url=INBOUND_URL,
)
