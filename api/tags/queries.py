"""Which fields of their own owners' contacts have."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

# The newest contacts only: whoever has millions does not want to wait for a list of names.
_FIELDS: Final = text("""
SELECT keys.key, min(left(keys.value, 100)) AS example
FROM (SELECT fields FROM contacts ORDER BY id DESC LIMIT 10000) AS newest
CROSS JOIN LATERAL jsonb_each_text(newest.fields) AS keys(key, value)
GROUP BY keys.key ORDER BY keys.key LIMIT 1000
""")


async def list_fields(tx: AsyncConnection) -> Sequence[Row[Any]]:
    """The keys in use, each with a value that somebody has there."""
    return (await tx.execute(_FIELDS)).all()
