"""How much waits, and for how long: counts that cost little at any size.

Campaigns are counted from their tallies, the rest from partial indexes. A statement that takes too
long is given up: a metric that is missing for once hurts less than a database that counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

GIVE_UP_AFTER: Final = "500ms"

_OF_CAMPAIGNS: Final = text("""
    SELECT status, 'campaign' AS kind, sum(messages)::bigint AS messages
    FROM tallies GROUP BY status HAVING sum(messages) > 0
""")
_OF_URGENT: Final = text("""
    SELECT status, kind, count(*) AS messages FROM messages
    WHERE status = 'queued' AND campaign_message_id IS NULL GROUP BY status, kind
    UNION ALL
    SELECT status, kind, count(*) FROM messages
    WHERE status = 'sending' AND campaign_message_id IS NULL GROUP BY status, kind
""")
_UNCONFIRMED: Final = text("""
    SELECT status, kind, count(*) AS messages FROM messages
    WHERE status = 'unconfirmed' AND campaign_message_id IS NULL GROUP BY status, kind
""")
_OLDEST_URGENT: Final = text("""
    SELECT min(not_before) FROM messages
    WHERE status = 'queued' AND campaign_message_id IS NULL AND not_before <= :now
""")
_OLDEST_BULK: Final = text("""
    SELECT min(first.not_before)
    FROM campaign_messages step
    CROSS JOIN LATERAL (
        SELECT not_before FROM messages
        WHERE campaign_message_id = step.id AND status = 'queued' AND not_before <= :now
        ORDER BY not_before LIMIT 1
    ) first
    WHERE step.status IN ('expanding', 'sending')
""")
_RECEIPTS: Final = text("SELECT count(*) FROM receipts WHERE applied_at IS NULL")

# Of webhooks that are enabled: what waits for another was switched off with it. A receiver that is away for days has
# millions waiting; beyond some number it only matters that there are many.
_OUTBOX: Final = text("SELECT count(*), min(at) FROM (SELECT at FROM webhook_events ORDER BY id LIMIT :most) e")
_DELIVERIES: Final = text("""
    SELECT coalesce(sum(d.waiting), 0)::bigint, min(o.at)
    FROM webhooks w
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting
        FROM (SELECT 1 FROM webhook_deliveries WHERE webhook_id = w.id AND status = 'waiting' LIMIT :most) first
    ) d
    LEFT JOIN LATERAL (
        SELECT at FROM webhook_deliveries WHERE webhook_id = w.id AND status = 'waiting' ORDER BY at LIMIT 1
    ) o ON true
    WHERE w.enabled
""")
_DEAD: Final = text("SELECT count(*) FROM webhook_deliveries WHERE status = 'dead'")
MOST_COUNTED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events that nobody has taken yet, and when the first of them happened."""

    events: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Depth:
    status: str
    kind: str
    messages: int


async def give_up_early(tx: AsyncConnection) -> None:
    """For the rest of this transaction no statement may take long."""
    await tx.execute(text(f"SET LOCAL statement_timeout = '{GIVE_UP_AFTER}'"))


async def count_campaign_messages(tx: AsyncConnection) -> Sequence[Depth]:
    return [Depth(*row) for row in await tx.execute(_OF_CAMPAIGNS)]


async def count_waiting_urgent(tx: AsyncConnection) -> Sequence[Depth]:
    return [Depth(*row) for row in await tx.execute(_OF_URGENT)]


async def count_unconfirmed_urgent(tx: AsyncConnection) -> Sequence[Depth]:
    return [Depth(*row) for row in await tx.execute(_UNCONFIRMED)]


async def measure_oldest_due(tx: AsyncConnection, *, lane: str, now: datetime) -> timedelta:
    """For how long the message that has waited longest in a lane could have gone; nothing when none waits."""
    question = _OLDEST_URGENT if lane == "urgent" else _OLDEST_BULK
    oldest: datetime | None = await tx.scalar(question, {"now": now})
    return timedelta(0) if oldest is None else now - oldest


async def count_pending_receipts(tx: AsyncConnection) -> int:
    return await tx.scalar(_RECEIPTS) or 0


async def measure_outbox(tx: AsyncConnection) -> Backlog:
    """Events that were not given to their webhooks yet."""
    return Backlog(*(await tx.execute(_OUTBOX, {"most": MOST_COUNTED})).one())


async def measure_backlog(tx: AsyncConnection) -> Backlog:
    """Events that wait for receivers, for each up to a number."""
    return Backlog(*(await tx.execute(_DELIVERIES, {"most": MOST_COUNTED})).one())


async def count_dead(tx: AsyncConnection) -> int:
    """Events that no receiver would take, for as long as they are kept."""
    return await tx.scalar(_DEAD) or 0
