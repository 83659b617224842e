"""A profile in the document's examples: made for a splash page, later given a web domain."""

from typing import Any, Final

from api import example_world as world

_TEXT: Final = "Café Wi-Fi: your code is {{ code }}, for {{ minutes }} minutes."

GIVEN: Final[dict[str, Any]] = {"name": "cafe-wifi", "text": _TEXT, "region": "US"}
CHANGE: Final[dict[str, Any]] = {"web_domain": "wifi.example.com"}
PROFILE: Final[dict[str, Any]] = {
    "id": world.OTP_PROFILE,
    "name": "cafe-wifi",
    "enabled": True,
    "length": 6,
    "ttl_seconds": 600,
    "max_attempts": 5,
    "resend_waits": [30, 60, 120],
    "max_sends": 5,
    "text": _TEXT,
    "sender_id": None,
    "location_id": None,
    "web_domain": "wifi.example.com",
    "region": "US",
    "allowed_countries": None,
    "limits": {},
    "test_numbers": [],
    "segments": 1,
    "warnings": [],
    "created_at": world.CREATED,
    "updated_at": world.STARTED,
}
NEW: Final[dict[str, Any]] = PROFILE | {"web_domain": None, "updated_at": world.CREATED}
