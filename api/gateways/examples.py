"""Gateways in the document's examples: one Twilio account, and what is known of its credit."""

from typing import Any, Final

from api import example_world as world

# A SID has this form; no account has this one.
_SETTINGS: Final = {"account_sid": f"AC{'0' * 32}", "from": world.OUR_NUMBER}
_CALLBACKS: Final = f"https://sms.example.com/callbacks/{world.GATEWAY}/token-of-the-gateway"
_URL: Final = "https://sms.example.org/send"

BALANCE_CHECK: Final[dict[str, Any]] = {
    "enabled": True,
    "every_minutes": 60,
    "warn_below": "25.0000",
    "stop_below": "0.5000",
    "email": ["ops@example.com"],
}
GIVEN: Final[dict[str, Any]] = {
    "name": "Main",
    "kind": "twilio",
    "enabled": False,  # the account is invented: whoever tries the example out keeps their messages
    "settings": _SETTINGS,
    "secrets": {"api_secret": "the-auth-token-of-the-account"},
    "pace": {"segments_per_second": 30.0, "in_flight": 20},
    "balance_check": BALANCE_CHECK,
}
CHANGE: Final[dict[str, Any]] = {
    "name": "Main",
    "settings": {"validity_period": 3600},
    "location_ids": ["delft-centre"],
}
ORDER: Final[dict[str, Any]] = {"ids": [world.GATEWAY, world.OTHER_GATEWAY]}
BALANCE: Final[dict[str, Any]] = {
    "amount": "19.5000",
    "unit": "USD",
    "at": world.CREATED,
    "state": "low",
    "failures": 0,
    "failure": None,
    "next_at": world.SEND_AT,
}
BALANCE_READ: Final[dict[str, Any]] = BALANCE | {"status": "read"}
BALANCE_ASKED: Final[dict[str, Any]] = BALANCE | {"status": "asked"}
READING: Final[dict[str, Any]] = {"at": world.CREATED, "amount": "19.5000", "unit": "USD"}
GATEWAY: Final[dict[str, Any]] = {
    "id": world.GATEWAY,
    "name": "Main",
    "kind": "twilio",
    "enabled": True,
    "priority": 1,
    "location_ids": None,
    "settings": _SETTINGS,
    "secrets": {"api_secret": "…ount"},
    "pace": {"segments_per_second": 30.0, "in_flight": 20},
    "balance_check": BALANCE_CHECK,
    "callback_urls": {"status": f"{_CALLBACKS}/status", "inbound": f"{_CALLBACKS}/inbound"},
    "old_callback_urls_until": None,
    "capabilities": {
        "largest_batch": 1,
        "receipts": True,
        "client_reference": True,
        "lookup": True,
        "attachments": True,
        "balance": True,
        "alphanumeric_senders": True,
    },
    "warnings": [],
    "health": {"state": "ok", "reason": None, "at": world.DAY_BEFORE, "until": None, "retries_held_at": None},
    "balance": BALANCE,
    "created_at": world.DAY_BEFORE,
    "updated_at": world.DAY_BEFORE,
}
NEW: Final[dict[str, Any]] = GATEWAY | {"enabled": False, "balance": None}
CHANGED: Final[dict[str, Any]] = GATEWAY | {
    "settings": _SETTINGS | {"validity_period": 3600},
    "location_ids": ["delft-centre"],
    "updated_at": world.CREATED,
}
TOKEN_ROTATION: Final = {"keep_old_hours": 0}
TOKEN_ROTATED: Final[dict[str, Any]] = GATEWAY | {"updated_at": world.CREATED}
DISABLED: Final[dict[str, Any]] = GATEWAY | {"enabled": False, "updated_at": world.CREATED}
PRESET: Final[dict[str, Any]] = {
    "name": "example",
    "title": "Example SMS",
    "documentation": "https://sms.example.org/docs",
    "kind": "custom",
    "settings": {"url": _URL, "method": "POST", "payload": "key=%SECRET:api_key%&to=%TO%&text=%MESSAGE%"},
    "settings_wanted": {"sender_id": "Who sends where a message does not say."},
    "secrets": {"api_key": "The account's API key"},
}
CLASSIFY: Final[dict[str, Any]] = {
    "gateway_id": world.GATEWAY,
    "answer": {
        "status": 400,
        "headers": {"Content-Type": "application/json"},
        "body": '{"code": 21211, "message": "Invalid \'To\' Phone Number", "status": 400}',
    },
}
CLASSIFIED: Final[dict[str, Any]] = {
    "outcome": "refused",
    "handed_over_again": False,
    "then": "The message fails; no other gateway is asked.",
    "fault": "message",
    "code": "21211",
    "detail": "Invalid 'To' Phone Number",
    "reference": None,
    "segments": None,
    "retry_after": None,
}
HEALTH_CHANGE: Final[dict[str, Any]] = {
    "at": world.CREATED,
    "was": "ok",
    "health": "open",
    "reason": "10 hand-overs in a row failed",
    "by": "sms-1-4711-0a1b2c3d",
}
TRIAL: Final[dict[str, Any]] = {"msisdn": world.MSISDN, "text": "A test of the new account."}
TRIED: Final[dict[str, Any]] = {
    "message_id": world.MESSAGE,
    "status": "submitted",
    "skip_reason": None,
    "outcome": "accepted",
    "in_doubt": False,
    "fault": None,
    "code": None,
    "detail": None,
    "reference": world.REFERENCE,
    "segments": 1,
    "took_ms": 182,
    "then": "The gateway took it; receipts follow.",
    "request": {
        "line": f"POST https://api.twilio.com/2010-04-01/Accounts/AC{'0' * 32}/Messages.json",
        "headers": {"Authorization": "[hidden]", "Content-Type": "application/x-www-form-urlencoded"},
        "body": "To=[hidden]&Body=A+test+of+the+new+account.&From=[12 digits]",
    },
    "answer": {
        "status": 201,
        "headers": {"content-type": "application/json"},
        "body": f'{{"sid": "{world.REFERENCE}", "status": "queued", "num_segments": "1"}}',
    },
}
STILL_SENDING: Final[dict[str, Any]] = TRIED | {
    "status": "sending",
    "outcome": None,
    "reference": None,
    "segments": None,
    "took_ms": None,
    "then": "The gateway has not answered yet; look at the message again in a moment.",
    "request": None,
    "answer": None,
}
SCRIPT: Final[dict[str, Any]] = {
    "version": 3,
    "in_force": True,
    "sha256": "c7b0adb1125c49493acdba6e5677c29ad4b5104feff1162e9113ab44f5f7982a",
    "text": "function build(sms)\n  return {json = {to = sms.to, text = sms.message}}\nend\n",
    "restored_from": 1,
    "created_by": world.API_KEY,
    "created_at": world.CREATED,
}
