"""A target group as CSV: the contact's columns, and one for each key of anybody's fields."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.exports import PAGE, Line, moment_text
from api.resources import Resources
from api.target_groups import queries
from shared.db import reading

_TEXTS: Final = ("msisdn", "name", "external_id", "location_id", "time_zone", "consent_status", "consent_source")
COLUMNS: Final = (*_TEXTS, "consent_at")


def head_of(keys: Sequence[str]) -> Line:
    """The names of the columns; an import puts each where it was."""
    return [*COLUMNS, *(f"fields.{key}" for key in keys)]


async def pages_of(
    resources: Resources, group: Any, *, keys: Sequence[str], now: datetime
) -> AsyncIterator[Sequence[Line]]:
    """All members, each page on a snapshot of its own."""
    after: UUID | None = None
    while True:
        async with reading(resources.engine) as tx:
            rows = await queries.list_members(tx, group, after=after, limit=PAGE, now=now)
        if rows:
            yield [_line(row, keys) for row in rows]
        if len(rows) < PAGE:
            return
        after = rows[-1].id


def _line(row: Any, keys: Sequence[str]) -> Line:
    columns = [getattr(row, column) for column in _TEXTS]
    return [*columns, moment_text(row.consent_at), *(row.fields.get(key) for key in keys)]
