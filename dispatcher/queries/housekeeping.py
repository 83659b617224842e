"""Deleting what has served its time, in batches that hold no lock for long."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.ids import first_uuid7

# Ids tell the time, so the oldest are found by the primary key; without it every batch would read the whole inbox.
_APPLIED = text("""
    DELETE FROM receipts r USING (
        SELECT id FROM receipts WHERE id < :before_id AND applied_at < :before
        ORDER BY id LIMIT :limit
        FOR UPDATE SKIP LOCKED) old
    WHERE r.id = old.id
""")

_READINGS = text("""
    DELETE FROM balance_readings r USING (
        SELECT id FROM balance_readings WHERE id < :before_id
        ORDER BY id LIMIT :limit
        FOR UPDATE SKIP LOCKED) old
    WHERE r.id = old.id
""")

_PASSWORDS = (
    # The number goes from events about them as well: without the challenge an erasure does not find them, and a webhook
    # that is enabled after months would be told of whoever was erased meanwhile.
    text("""
    WITH old AS (
        SELECT id FROM otps WHERE created_at < :before ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), told AS (
        UPDATE webhook_deliveries d SET data = d.data - 'msisdn' FROM old
        WHERE d.subject_id = old.id AND d.type LIKE 'otp.%' AND jsonb_exists(d.data, 'msisdn')
    )
    DELETE FROM otps o USING old WHERE o.id = old.id
    """),
    text("""
    DELETE FROM otp_messages m USING (
        SELECT message_id FROM otp_messages WHERE message_id < :before_id
        ORDER BY message_id LIMIT :limit FOR UPDATE SKIP LOCKED) old
    WHERE m.message_id = old.message_id
    """),
    text("""
    DELETE FROM otp_subjects s USING (
        SELECT msisdn_hash FROM otp_subjects WHERE since < :days_ago LIMIT :limit FOR UPDATE SKIP LOCKED) old
    WHERE s.msisdn_hash = old.msisdn_hash
    """),
    text("DELETE FROM otp_hours WHERE hour < :days_ago"),
)


async def delete_old_passwords(tx: AsyncConnection, *, before: datetime, days_ago: datetime, limit: int) -> int:
    """Forget challenges of long ago, and what is only counted for a day; how many rows went."""
    bounds = {"before": before, "before_id": first_uuid7(before), "days_ago": days_ago, "limit": limit}
    gone = 0
    for statement in _PASSWORDS:
        gone += (await tx.execute(statement, bounds)).rowcount
    return gone


_DELIVERIES = text("""
    DELETE FROM webhook_deliveries d USING (
        SELECT id FROM webhook_deliveries
        WHERE closed_at < :dead_before OR (closed_at < :before AND status = 'delivered')
        LIMIT :limit
        FOR UPDATE SKIP LOCKED) old
    WHERE d.id = old.id
""")


# What they led to goes with them; caps look no further back.
_EVENTS = text("""
    DELETE FROM events e USING (
        SELECT id FROM events WHERE id < :before_id AND handled_at < :before
        ORDER BY id LIMIT :limit
        FOR UPDATE SKIP LOCKED) old
    WHERE e.id = old.id
""")


# Of imports that have ended; with their rows come those that nobody looks for any more.
_NUMBERS = text("""
    DELETE FROM import_numbers n USING (
        SELECT m.import_id, m.number FROM imports i JOIN import_numbers m ON m.import_id = i.id
        WHERE i.status NOT IN ('queued', 'running')
        LIMIT :limit
        FOR UPDATE OF m SKIP LOCKED) old
    WHERE n.import_id = old.import_id AND n.number = old.number
""")


async def delete_met_numbers(tx: AsyncConnection, *, limit: int) -> int:
    """Forget which numbers an import has met, once it has ended; how many went."""
    return (await tx.execute(_NUMBERS, {"limit": limit})).rowcount


async def delete_old_events(tx: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Forget events that were handled long ago; how many went."""
    bounds = {"before": before, "before_id": first_uuid7(before), "limit": limit}
    return (await tx.execute(_EVENTS, bounds)).rowcount


async def delete_applied_receipts(tx: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Empty the inbox of what was applied long ago; what it said stands in the attempts."""
    bounds = {"before": before, "before_id": first_uuid7(before), "limit": limit}
    return (await tx.execute(_APPLIED, bounds)).rowcount


async def delete_old_readings(tx: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Forget what gateways said of their credit long ago; how many readings went."""
    return (await tx.execute(_READINGS, {"before_id": first_uuid7(before), "limit": limit})).rowcount


async def delete_old_deliveries(tx: AsyncConnection, *, before: datetime, dead_before: datetime, limit: int) -> int:
    """Forget what webhooks were told long ago; what died is kept for longer, for its owner may want it after all."""
    return (await tx.execute(_DELIVERIES, {"before": before, "dead_before": dead_before, "limit": limit})).rowcount
