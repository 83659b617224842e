"""A target group in the document's examples."""

from typing import Any, Final

from api import example_world as world
from api.contacts import examples as contacts

CONDITIONS: Final[dict[str, Any]] = {
    "and": [
        {"field": "consent_status", "op": "equals", "value": "granted"},
        {"or": [{"field": "location_id", "op": "in", "value": ["cafe-north", "cafe-south"]}]},
        {"not": {"field": "updated_at", "op": "before", "value": "-90d"}},
    ]
}
GIVEN: Final[dict[str, Any]] = {"name": "Café guests", "kind": "static"}
CHANGE: Final[dict[str, Any]] = {"name": "Café guests in Delft"}
GROUP: Final[dict[str, Any]] = {
    "id": world.TARGET_GROUP,
    "name": "Café guests",
    "kind": "static",
    "conditions": None,
    "members": 2,
    "created_at": world.DAY_BEFORE,
    "updated_at": world.DAY_BEFORE,
}
NEW: Final[dict[str, Any]] = GROUP | {"members": 0}
CHANGED: Final[dict[str, Any]] = GROUP | CHANGE | {"updated_at": world.CREATED}
MEMBERS: Final[dict[str, Any]] = {"contact_ids": [world.CONTACT, world.OTHER_CONTACT]}
ADDED: Final[dict[str, Any]] = {"added": 1, "already": 1, "unknown": []}
REMOVED: Final[dict[str, Any]] = {"removed": 2, "absent": 0}
PREVIEW_OF: Final[dict[str, Any]] = {"conditions": CONDITIONS, "sample": 1}
PREVIEW: Final[dict[str, Any]] = {"count": 1, "sample": [contacts.CONTACT]}
