"""Which fields of their own owners' contacts have."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

# Examples of the newest contacts only: whoever has millions does not want to wait for them.
_FIELDS: Final = text("""
SELECT f.key, f.description, coalesce(seen.example, f.choices ->> 0, '') AS example
FROM contact_fields f LEFT JOIN (
  SELECT keys.key, min(left(keys.value, 100)) AS example
  FROM (SELECT fields FROM contacts ORDER BY id DESC LIMIT 1000) AS newest
  CROSS JOIN LATERAL jsonb_each_text(newest.fields) AS keys(key, value)
  GROUP BY keys.key
) seen ON seen.key = f.key
ORDER BY f.key LIMIT 1000
""")


async def list_fields(tx: AsyncConnection) -> Sequence[Row[Any]]:
    """The fields that are defined or that somebody has, each with a value that somebody has there."""
    return (await tx.execute(_FIELDS)).all()
