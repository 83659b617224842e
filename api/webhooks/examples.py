"""A webhook in the document's examples: made, rotated, and what it was told."""

from typing import Any, Final

from api import example_world as world

_URL: Final = "https://crm.example.com/lapwing"
# Opens nothing: zeros.
_SECRET: Final = "whsec_" + "A" * 43 + "="

GIVEN: Final[dict[str, Any]] = {
    "url": _URL,
    "events": ["message.*", "campaign.completed", "inbound.received"],
    "description": "CRM",
}
CHANGE: Final[dict[str, Any]] = {"events": ["message.delivered", "message.undelivered", "message.unconfirmed"]}
WEBHOOK: Final[dict[str, Any]] = {
    "id": world.WEBHOOK,
    "url": _URL,
    "events": ["campaign.completed", "inbound.received", "message.*"],
    "enabled": True,
    "description": "CRM",
    "disabled_reason": None,
    "disabled_at": None,
    "failing_since": None,
    "retry_at": None,
    "old_secret_until": None,
    "older_secrets_until": [],
    "created_by": world.API_KEY,
    "created_at": world.CREATED,
    "updated_at": world.CREATED,
}
NEW: Final[dict[str, Any]] = WEBHOOK | {"secret": _SECRET}
ROTATION: Final[dict[str, Any]] = {"keep_old_hours": 24}
ROTATED: Final[dict[str, Any]] = NEW | {"old_secret_until": world.DAY_AFTER, "updated_at": world.SEND_AT}
TRY: Final[dict[str, Any]] = {"at": world.DELIVERED, "http_status": 200, "error": None}
DELIVERY: Final[dict[str, Any]] = {
    "id": world.EVENT,
    "type": "message.delivered",
    "subject_id": world.MESSAGE,
    "at": world.DELIVERED,
    "status": "delivered",
    "attempts": 1,
    "next_try_at": None,
    "closed_at": world.DELIVERED,
    "tries": [TRY],
    "data": {"gateway_id": world.GATEWAY, "failure": None, "skip_reason": None},
}
TESTED: Final[dict[str, Any]] = DELIVERY | {
    "type": "webhook.test",
    "subject_id": world.WEBHOOK,
    "status": "waiting",
    "attempts": 0,
    "next_try_at": world.DELIVERED,
    "closed_at": None,
    "tries": [],
    "data": {},
}
AGAIN: Final[dict[str, Any]] = {"dead_since": world.DAY_BEFORE}
SENT_AGAIN: Final[dict[str, Any]] = {"redelivered": 1, "more": False}
