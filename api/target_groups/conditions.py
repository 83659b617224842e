"""Conditions as a client sends them, against the fields that exist."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.conditions import Condition, field_keys, read_conditions
from shared.domain.contact_field import Definition, FieldType
from shared.queries.contact_fields import find_fields, list_some_keys

# Keys that a mistaken one is held against: an import of a wide file leaves hundreds.
_MOST_LIKENESSES: Final = 300


async def check_conditions(tx: AsyncConnection, raw: Mapping[str, Any]) -> Condition:
    """The conditions as a tree; a field without a definition is a text."""
    named = field_keys(raw)
    known = await find_fields(tx, named)
    fields = {key: known.definitions.get(key) or Definition(key, FieldType.TEXT) for key in known.keys}
    others = await list_some_keys(tx, most=_MOST_LIKENESSES) if set(named) - known.keys else ()
    return read_conditions(raw, fields=fields, others=others)
