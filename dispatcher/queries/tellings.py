"""Events of messages, written by the statement that moves them, and by none where nobody wants to be told.

A statement that moves messages has two forms. The quiet one is what it would be without webhooks. The telling one also
inserts the events of what it moved, in the same trip; which statuses are wanted is known from memory
(`dispatcher/subscriptions.py`). The rows are locked by then, so events of one message are in the order of its moves.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.message import Status

# Where a statement's `moved` returns more columns, and where the events of its rows are inserted.
_RETURNED_MARK: Final = "/* returned */"
_TOLD_MARK: Final = "/* told */"
_RETURNED: Final = (
    ", m.id AS told_id, m.status AS told_status, m.gateway_id AS told_gateway_id, m.failure, m.skip_reason"
)
_TOLD: Final = """
    , told_to_webhooks AS (
        INSERT INTO webhook_events (type, subject_id, at, data)
        SELECT 'message.' || v.told_status, v.told_id, now(), jsonb_build_object(
                   'gateway_id', v.told_gateway_id, 'failure', v.failure, 'skip_reason', v.skip_reason)
        FROM moved v WHERE v.told_status = ANY(CAST(:wanted AS text[]))
    )
"""

_TELL: Final = text("""
    INSERT INTO webhook_events (type, subject_id, at, data)
    SELECT t.type, t.subject_id, now(), CAST(t.data AS jsonb)
    FROM unnest(CAST(:types AS text[]), CAST(:subject_ids AS uuid[]), CAST(:datas AS text[]))
         AS t (type, subject_id, data)
""")


class Told(NamedTuple):
    """A message that came to rest, as its mover knows it from memory."""

    id: UUID
    status: str
    failure: str | None = None
    skip_reason: str | None = None


class Moving:
    """A statement that moves messages, in both its forms."""

    def __init__(self, statement: str) -> None:
        if statement.count(_RETURNED_MARK) != 1 or statement.count(_TOLD_MARK) != 1:
            raise ValueError("a moving statement has one place for each mark")
        self._quiet = text(statement)
        self._telling = text(statement.replace(_RETURNED_MARK, _RETURNED).replace(_TOLD_MARK, _TOLD))

    async def execute(
        self, tx: AsyncConnection, values: Mapping[str, Any], *, wanted: frozenset[Status]
    ) -> CursorResult[Any]:
        """Run it; events of the `wanted` statuses are written with it."""
        if not wanted:
            return await tx.execute(self._quiet, dict(values))
        return await tx.execute(self._telling, {**values, "wanted": [str(status) for status in wanted]})


async def tell_of(tx: AsyncConnection, told: Iterable[Told], *, wanted: frozenset[Status]) -> None:
    """The same for messages whose new status is known here already."""
    of_interest = [one for one in told if one.status in wanted] if wanted else []
    if of_interest:
        await _insert(tx, of_interest)


async def tell_of_rows(
    tx: AsyncConnection, rows: Iterable[tuple[Any, ...]], *, columns: Sequence[str], wanted: frozenset[Status]
) -> None:
    """The same for messages that are made; some of them are over before they begin."""
    if wanted:
        fields = [columns.index(name) for name in ("id", "status", "failure", "skip_reason")]
        await tell_of(tx, (Told(*(row[place] for place in fields)) for row in rows), wanted=wanted)


async def _insert(tx: AsyncConnection, told: Sequence[Told]) -> None:
    datas = [{"gateway_id": None, "failure": one.failure, "skip_reason": one.skip_reason} for one in told]
    await tx.execute(
        _TELL,
        {
            "types": [f"message.{one.status}" for one in told],
            "subject_ids": [one.id for one in told],
            "datas": [json.dumps(data) for data in datas],
        },
    )
