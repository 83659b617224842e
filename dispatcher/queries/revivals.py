"""Cancelled messages of a restarted campaign on their way back into the queue."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.tallies import Moves


class Reviving(NamedTuple):
    """A step whose messages up to the id `after` were looked at."""

    id: UUID
    after: UUID


# In the order of the sequence: a recipient's first message is in the queue before the second one is.
_LOCK = text("""
    SELECT cm.id, cm.reviving_after FROM campaign_messages cm JOIN campaigns c ON c.id = cm.campaign_id
    WHERE cm.reviving_after IS NOT NULL AND cm.status IN ('expanding', 'sending') AND c.status = 'running'
      AND NOT EXISTS (SELECT 1 FROM campaign_messages e
                      WHERE e.campaign_id = cm.campaign_id AND e.position < cm.position
                        AND e.reviving_after IS NOT NULL)
    ORDER BY cm.id LIMIT 1
    FOR UPDATE OF cm SKIP LOCKED
""")

_BATCH = text("""
    SELECT m.id FROM messages m WHERE m.campaign_message_id = :step AND m.id > :after
    ORDER BY m.id LIMIT :limit
""")

# A message that goes in the place of another is one of a line, of which only the last may go, and only while nothing of
# it is under way or has arrived. Whoever sends one again locks the first of its line as well.
_UP = """
    WITH RECURSIVE up AS (
        SELECT m.id AS mine, m.id, m.resend_of FROM messages m
        WHERE m.id = ANY(CAST(:ids AS uuid[])) AND m.resend_of IS NOT NULL
        UNION
        SELECT up.mine, p.id, p.resend_of FROM up JOIN messages p ON p.id = up.resend_of
    )
"""
_LOCK_LINES = text(
    _UP
    + """
    SELECT m.id FROM messages m
    WHERE m.id IN (SELECT first FROM (SELECT DISTINCT ON (mine) mine, id AS first FROM up ORDER BY mine, id) f)
    ORDER BY m.id
    FOR UPDATE
    """
)
_OUTRUN = text(
    _UP
    + """
    , line AS (
        SELECT mine, id FROM up
        UNION
        SELECT line.mine, c.id FROM line JOIN messages c ON c.resend_of = line.id
    )
    SELECT DISTINCT line.mine FROM line JOIN messages m ON m.id = line.id
    WHERE line.id > line.mine
       OR (line.id <> line.mine AND m.status NOT IN ('failed', 'undelivered', 'expired', 'cancelled', 'skipped'))
    """
)

# Locked first, so that the next statement sees whatever its owner had sent in the place of one.
_HOLD = text("""
    SELECT m.id FROM messages m
    WHERE m.id = ANY(CAST(:ids AS uuid[])) AND m.status = 'cancelled' AND m.cancel_requested_at IS NULL
    ORDER BY m.id
    FOR UPDATE
""")

_QUEUE = text("""
    WITH moved AS (
        UPDATE messages m
        SET status = 'queued', status_at = now(), not_before = cm.expanding_at, expires_at = cm.send_by
        FROM campaign_messages cm
        WHERE m.id = ANY(CAST(:ids AS uuid[])) AND m.status = 'cancelled' AND cm.id = m.campaign_message_id
          AND NOT EXISTS (SELECT 1 FROM messages r WHERE r.resend_of = m.id)
        RETURNING m.campaign_message_id, m.segments
    )
    SELECT campaign_message_id, 'cancelled', 'queued', count(*), sum(segments) FROM moved GROUP BY 1
""")

_MOVE = text("UPDATE campaign_messages SET reviving_after = CAST(:upto AS uuid) WHERE id = :step")


async def lock_reviving(tx: AsyncConnection) -> Reviving | None:
    """A restarted step with messages to look at that nobody else looks at now."""
    row = (await tx.execute(_LOCK)).one_or_none()
    return None if row is None else Reviving(*row)


async def list_batch(tx: AsyncConnection, step: Reviving, *, limit: int) -> tuple[Sequence[UUID], UUID]:
    """The next messages of the step, whatever their status, and the last of them."""
    rows = await tx.execute(_BATCH, {"step": step.id, "after": step.after, "limit": limit})
    ids = list(rows.scalars())
    return ids, ids[-1] if ids else step.after


async def queue_cancelled(tx: AsyncConnection, ids: Sequence[UUID]) -> Moves:
    """Queue those of these messages that the stop cancelled.

    One that its owner called back alone stays cancelled, and so does one that was sent again as another message.
    """
    moves = Moves()
    if not ids:
        return moves
    await tx.execute(_LOCK_LINES, {"ids": list(ids)})
    held = set((await tx.execute(_HOLD, {"ids": list(ids)})).scalars())
    held -= set((await tx.execute(_OUTRUN, {"ids": list(held)})).scalars())
    if held:
        rows = await tx.execute(_QUEUE, {"ids": sorted(held)})
        moves.add_rows(tuple(row) for row in rows)
    return moves


async def move_place(tx: AsyncConnection, step: Reviving, *, upto: UUID | None) -> None:
    """Remember how far it went; None ends it."""
    await tx.execute(_MOVE, {"step": step.id, "upto": upto})
