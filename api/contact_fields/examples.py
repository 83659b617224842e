"""One field in the document's examples."""

from typing import Any, Final

from api import example_world as world

GIVEN: Final[dict[str, Any]] = {
    "key": "plan",
    "type": "choice",
    "choices": ["basic", "family", "business"],
    "description": "What they pay for.",
}
CHANGE: Final[dict[str, Any]] = {"choices": ["basic", "family", "business", "student"]}
FIELD: Final[dict[str, Any]] = {
    **GIVEN,
    "defined": True,
    "defined_at": world.CREATED,
    "defined_by": world.API_KEY,
    "created_at": world.DAY_BEFORE,
    "updated_at": world.CREATED,
}
DEFINED: Final[dict[str, Any]] = FIELD | {"unfit": 0}
