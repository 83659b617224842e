"""A notice in the document's examples."""

from typing import Any, Final

from api import example_world as world

LOW: Final[dict[str, Any]] = {
    "id": world.NOTICE,
    "kind": "balance_low",
    "severity": "warning",
    "subject": {"kind": "gateway", "id": world.GATEWAY},
    "title": "Gateway Main is low: 19.5000 USD",
    "text": "The gateway Main has 19.5000 USD, which is below 25.0000 USD. Top the account up before it runs dry.",
    "data": {"name": "Main", "amount": "19.5000", "unit": "USD", "warn_below": "25.0000", "stop_below": "0.5000"},
    "at": world.CREATED,
    "acknowledged_at": None,
    "acknowledged_by": None,
    "emails": [{"address": "ops@example.com", "state": "sent", "at": world.CREATED, "attempts": 1, "error": None}],
}
ACKNOWLEDGED: Final[dict[str, Any]] = LOW | {"acknowledged_at": world.STARTED, "acknowledged_by": world.API_KEY}
