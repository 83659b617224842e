"""Single messages that are due, by what a gateway has to have for them; and what was told of them last."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.message import PRIORITY_OF, PUMPED
from shared.domain.notice import Kind
from shared.domain.unserved import Cause, Waiting

MOST: Final = 5_000

# A claim puts what nobody takes back for some seconds (`dispatcher/path/pump.py`), so its time is ahead again: how long
# that has been so is read off when it was put back. The index ends each search at what is due, the oldest first.
_PRIORITIES = ", ".join(f"({priority})" for priority in sorted({PRIORITY_OF[kind] for kind in PUMPED}))
_WAITING = text(f"""
    SELECT q.sender_id, q.location_id, count(*),
           bool_or(q.not_before <= now() - make_interval(secs => :patience)
                   OR (q.not_before > now() AND q.status_at > q.created_at
                       AND q.status_at <= now() - make_interval(secs => :patience)))
    FROM (VALUES {_PRIORITIES}) AS p (priority) CROSS JOIN LATERAL (
        SELECT m.sender_id, m.location_id, m.not_before, m.status_at, m.created_at FROM messages m
        WHERE m.campaign_message_id IS NULL AND m.status = 'queued' AND m.priority = p.priority
          AND m.not_before <= now() + make_interval(secs => :put_back)
          AND m.cancel_requested_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
        ORDER BY m.not_before, m.id
        LIMIT :most) q
    GROUP BY 1, 2
    ORDER BY 1, 2
""")

_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended('lapwing.unserved', 0))")

_TOLD = text("""
    SELECT CASE WHEN kind = :missing THEN data->>'cause' END
    FROM notices WHERE kind IN (:missing, :found) ORDER BY id DESC LIMIT 1
""")


async def list_waiting(tx: AsyncConnection, *, patience: float, put_back: float) -> Sequence[Waiting]:
    """What is due of the oldest single messages; who has waited for more than `patience` seconds has waited long."""
    rows = await tx.execute(_WAITING, {"patience": patience, "put_back": put_back, "most": MOST})
    return [Waiting(*row) for row in rows]


async def try_lock_telling(tx: AsyncConnection) -> bool:
    """Whether it is this process's turn to tell, until the transaction ends."""
    return bool((await tx.execute(_TRY_LOCK)).scalar_one())


async def find_told(tx: AsyncConnection) -> Cause | None:
    """What was told last; None if that was that all is well again, or nothing."""
    cause: str | None = await tx.scalar(_TOLD, {"missing": Kind.GATEWAY_MISSING, "found": Kind.GATEWAY_FOUND})
    return None if cause is None else Cause(cause)
