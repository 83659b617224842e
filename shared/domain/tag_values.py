"""The values that fill a text's tags: a contact's, a campaign's, and variables told with one message.

A variable is found under `variables.<key>`, and where its name is that of a known tag (`name`, `voucher.code`, dotted
or nested) it stands in for that tag's value, too.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from shared.domain.template_tags import MAX_NAME_CHARACTERS, MAX_NAME_PARTS
from shared.errors import Invalid

COLUMNS: Final = ("name", "external_id", "location_id", "time_zone")
MAX_VARIABLES: Final = 100
_NESTED: Final = ("fields", "voucher", "campaign")

Values = dict[str, Any]


class InvalidVariables(Invalid):
    """A variable cannot fill a tag."""

    remedy: ClassVar[str] = "Name variables by letters, digits and _, with dots in between."


def values_of(
    *,
    msisdn: str | None,
    contact: object | None = None,
    campaign: str | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Values:
    """What a template is filled with. `contact` is a row with the columns and `fields`, or None for a loose number."""
    values: Values = {"msisdn": msisdn, "fields": {}}
    if contact is not None:
        values |= {column: getattr(contact, column) for column in COLUMNS}
        values["fields"] = dict(getattr(contact, "fields", None) or {})
    if campaign is not None:
        values["campaign"] = {"name": campaign}
    given = read_variables(variables or {})
    for key, value in given.items():
        values[key] = {**values.get(key, {}), **value} if key in _NESTED and isinstance(value, Mapping) else value
    values["variables"] = given
    return values


def read_variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables as nested mappings: `{"voucher.code": "X"}` is `{"voucher": {"code": "X"}}`."""
    read: dict[str, Any] = {}
    if len(variables) > MAX_VARIABLES:
        raise InvalidVariables(f"There are {len(variables)} variables; tell at most {MAX_VARIABLES}.")
    for name, value in variables.items():
        *path, last = _parts_of(name)
        place = read
        for part in path:
            below = place.setdefault(part, {})
            if not isinstance(below, dict):
                raise InvalidVariables(
                    f"The variable {name[:100]!r} lies below one that is a value itself; rename one."
                )
            place = below
        if isinstance(value, Mapping):
            there = place.get(last)
            place[last] = (there if isinstance(there, dict) else {}) | read_variables(value)
        else:
            place[last] = value
    return read


def _parts_of(name: str) -> list[str]:
    parts = name.split(".")
    if len(parts) > MAX_NAME_PARTS or not all(part.isidentifier() and not part.startswith("_") for part in parts):
        raise InvalidVariables(
            f"The variable {name[:100]!r} is no name that a tag can carry; use letters, digits and _, beginning with "
            "a letter, with dots in between."
        )
    if any(len(part) > MAX_NAME_CHARACTERS for part in parts):
        raise InvalidVariables(f"The name of a variable has at most {MAX_NAME_CHARACTERS} characters.")
    return parts
