"""Recipients and exclusions in the document's examples."""

from typing import Any, Final

from api import example_world as world

RECIPIENT: Final[dict[str, Any]] = {
    "position": 1,
    "msisdn": world.MSISDN,
    "contact_id": world.CONTACT,
    "name": "Ada",
    "skip_reason": None,
    "excluded_by": None,
}
EXCLUSION: Final[dict[str, Any]] = {"contact_ids": [world.OTHER_CONTACT], "msisdns": [], "q": None}
EXCLUDED: Final[dict[str, Any]] = {"changed": 1, "excluded": 1}
INCLUDED: Final[dict[str, Any]] = {"changed": 1, "excluded": 0}
