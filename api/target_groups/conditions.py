"""Conditions as a client sends them, against the fields that exist."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.conditions import Condition, field_keys, read_conditions
from shared.domain.contact_field import Definition, FieldType
from shared.queries.contact_fields import find_fields


async def check_conditions(tx: AsyncConnection, raw: Mapping[str, Any]) -> Condition:
    """The conditions as a tree; a field without a definition is a text."""
    known = await find_fields(tx, field_keys(raw))
    fields = {key: known.definitions.get(key) or Definition(key, FieldType.TEXT) for key in known.keys}
    return read_conditions(raw, fields=fields)
