"""A template in the document's examples: made, reworded, rendered."""

from typing import Any, Final

from api import example_world as world

_FIRST: Final = 'Hi {{ name | default("there") }}, your voucher {{ voucher.code }} waits.'
_SECOND: Final = "Dear {{ name }}, your voucher is {{ voucher.code }}."
_RENDERED: Final = "Dear Ada, your voucher is SPRING-25."

GIVEN: Final[dict[str, Any]] = {"name": "Voucher", "text": _FIRST}
CHANGE: Final[dict[str, Any]] = {"text": _SECOND}
TEMPLATE: Final[dict[str, Any]] = {
    "id": world.STORED_TEMPLATE,
    "name": "Voucher",
    "text": _SECOND,
    "version": 2,
    "tags": ["name", "voucher.code"],
    "warnings": [],
    "created_by": world.API_KEY,
    "created_at": world.CREATED,
    "updated_at": world.STARTED,
}
NEW: Final[dict[str, Any]] = TEMPLATE | {"text": _FIRST, "version": 1, "updated_at": world.CREATED}
VERSION: Final[dict[str, Any]] = {
    "version": 2,
    "text": _SECOND,
    "created_by": world.API_KEY,
    "created_at": world.STARTED,
}
RENDERED_FOR: Final[dict[str, Any]] = {"contact_id": world.CONTACT, "variables": {"voucher": {"code": "SPRING-25"}}}
RENDERED: Final[dict[str, Any]] = {
    "encoding": "gsm7",
    "characters": len(_RENDERED),
    "units": len(_RENDERED),
    "segments": 1,
    "suggestions": [],
    "unreplaceable": [],
    "replaced": None,
    "text": _RENDERED,
    "missing": [],
    "version": 2,
}
