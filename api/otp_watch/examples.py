"""What is watched, in the document's examples: a quiet day, and one prefix that was not."""

from typing import Any, Final

from api import example_world as world

LIMITS_GIVEN: Final[dict[str, Any]] = {
    "number": [{"count": 5, "seconds": 600}, {"count": 10, "seconds": 86400}],
    "hour_segments": 500,
    "day_segments": 3000,
}
LIMITS: Final[dict[str, Any]] = {
    "number": [{"count": 5, "seconds": 600}, {"count": 10, "seconds": 86400}],
    "prefix": [{"count": 30, "seconds": 600}, {"count": 60, "seconds": 3600}, {"count": 200, "seconds": 86400}],
    "ip": [{"count": 30, "seconds": 600}, {"count": 300, "seconds": 86400}],
    "session": [{"count": 5, "seconds": 600}, {"count": 10, "seconds": 86400}],
    "profile": [{"count": 120, "seconds": 60}, {"count": 2000, "seconds": 3600}],
    "deployment": [{"count": 300, "seconds": 60}, {"count": 5000, "seconds": 3600}],
    "hour_segments": 500,
    "day_segments": 3000,
    "failures": 20,
    "updated_at": world.CREATED,
    "updated_by": world.API_KEY,
}
BLOCK: Final[dict[str, Any]] = {
    "id": world.OTP_BLOCK,
    "scope": "prefix",
    "value": "+1202555",
    "state": "blocked",
    "level": 1,
    "until": world.SEND_AT,
    "is_active": True,
    "sent": 50,
    "verified": 0,
    "created_at": world.CREATED,
    "updated_at": world.CREATED,
    "lifted_at": None,
    "lifted_by": None,
}
LIFTED: Final[dict[str, Any]] = BLOCK | {
    "is_active": False,
    "lifted_at": world.STARTED,
    "lifted_by": world.API_KEY,
    "updated_at": world.STARTED,
}
_PART: Final[dict[str, Any]] = {"started": 120, "verified": 111, "conversion": 0.925}
STATS: Final[dict[str, Any]] = {
    "since": world.DAY_BEFORE,
    "until": world.SEND_AT,
    **_PART,
    "sends": 131,
    "wrong_codes": 9,
    "median_seconds_to_verify": 18.5,
    "countries": [{"value": "US", **_PART}],
    "prefixes": [{"value": "+1202555", **_PART}],
    "gateways": [{"value": world.GATEWAY, **_PART}],
}
