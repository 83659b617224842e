"""A password in the document's examples: asked for by a splash page, entered in time."""

from typing import Any, Final

from api import example_world as world

ASKED: Final[dict[str, Any]] = {
    "msisdn": world.MSISDN,
    "profile": "cafe-wifi",
    "client_ip": "203.0.113.7",
    "session": "b1946ac92492d234",
}
STARTED: Final[dict[str, Any]] = {
    "id": world.OTP,
    "status": "pending",
    "sent": True,
    "expires_at": "2026-03-02T08:15:00Z",
    "resend_after": 30,
    "attempts_left": 5,
    "code_length": 6,
    "advice": None,
}
RESENT: Final[dict[str, Any]] = STARTED | {"resend_after": 60}
CANCELLED: Final[dict[str, Any]] = STARTED | {"status": "cancelled", "sent": False, "resend_after": None}
TYPED: Final[dict[str, Any]] = {"code": "123 456", "session": "b1946ac92492d234"}
VERIFIED: Final[dict[str, Any]] = {"verified": True, "attempts_left": 4}
DETAIL: Final[dict[str, Any]] = {
    "id": world.OTP,
    "profile_id": world.OTP_PROFILE,
    "status": "verified",
    "msisdn": world.MSISDN,
    "country": "US",
    "attempts": 1,
    "max_attempts": 5,
    "sends": 1,
    "is_test": False,
    "message_ids": [world.MESSAGE],
    "created_by": world.API_KEY,
    "created_at": world.STARTED,
    "expires_at": "2026-03-02T08:15:00Z",
    "resend_after": None,
    "used_at": "2026-03-02T08:05:21Z",
    "cancelled_at": None,
}
