"""Months of messages, attempts and receipts, as partitions: which there are, whether one is needed, and its end.

And what goes with them: whom campaigns were for, inbound messages, references.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.ids import first_uuid7
from shared.queries.partitions import PARTITIONED

_MONTHS = text("""
    SELECT DISTINCT right(c.relname, 6) FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    WHERE p.relname = ANY(CAST(:tables AS text[])) AND c.relname ~ '^[a-z]+_[0-9]{6}$'
    ORDER BY 1
""")
# It does not queue behind a long reader, and everybody else behind it.
_PATIENCE = text("SET LOCAL lock_timeout = '2s'")
_EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")
# Each by a partial index: a month may hold millions that are closed.
_OPEN = """
    SELECT EXISTS (SELECT 1 FROM {month} WHERE status = 'queued' AND campaign_message_id IS NOT NULL)
        OR EXISTS (SELECT 1 FROM {month} WHERE status = 'queued' AND campaign_message_id IS NULL)
        OR EXISTS (SELECT 1 FROM {month} WHERE status = 'sending')
"""
# Whoever restarts one of these or sends its messages again holds its row: one of the two comes first.
_MARK = """
    UPDATE campaigns c SET messages_dropped_at = :now
    WHERE EXISTS (SELECT 1 FROM campaign_messages cm WHERE cm.campaign_id = c.id AND EXISTS (
                  SELECT 1 FROM {month} m WHERE m.campaign_message_id = cm.id))
"""
# A restarted campaign puts its cancelled messages back into the queue, and a campaign that sends another's messages
# once more reads what became of those.
_NEEDED = """
    SELECT EXISTS (
        SELECT 1 FROM campaigns c JOIN campaign_messages cm ON cm.campaign_id = c.id
        WHERE c.status IN ('scheduled', 'running', 'held')
          AND ((cm.reviving_after IS NOT NULL
                AND EXISTS (SELECT 1 FROM {month} m WHERE m.campaign_message_id = cm.id))
               OR (cm.status IN ('pending', 'expanding')
                   AND EXISTS (SELECT 1 FROM {month} m WHERE m.campaign_message_id = cm.resend_of))))
"""
_ESTIMATE = text("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(:name)")
_INBOUND = text("""
    DELETE FROM inbound i USING (
        SELECT id FROM inbound WHERE id < :before_id ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED) old
    WHERE i.id = old.id
""")

# Not by age alone: while its message is kept, a reference keeps whoever repeats the request from a second one.
_REFERENCES = text("""
    DELETE FROM client_references r USING (
        SELECT reference FROM client_references c
        WHERE created_at < :before AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = c.message_id)
        ORDER BY created_at LIMIT :limit
        FOR UPDATE SKIP LOCKED) old
    WHERE r.reference = old.reference
""")

# The person is known by the message alone: without it there is nobody to remind.
_VOUCHERS = text("""
    DELETE FROM vouchers v USING (
        SELECT id FROM vouchers c
        WHERE message_id < :before_id AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = c.message_id)
        ORDER BY message_id LIMIT :limit
        FOR UPDATE SKIP LOCKED) old
    WHERE v.id = old.id
""")

# Of a campaign that is over and of which no message is kept, who it was for goes as well: its recipients, and the
# numbers that were named as its targets. Whom its owner left out stays so for copies of it. One that is being sent once
# more is still asked for those who had no message. A draft in the archive has no end but its last change.
_OVER = text("""
    SELECT c.id FROM campaigns c
    WHERE c.status IN ('completed', 'stopped', 'archived')
      AND coalesce(c.finished_at, c.stopped_at, c.updated_at) < :before
      AND (EXISTS (SELECT 1 FROM campaign_recipients r WHERE r.campaign_id = c.id AND r.excluded_by IS NULL)
           OR EXISTS (SELECT 1 FROM campaign_targets t WHERE t.campaign_id = c.id AND t.msisdn IS NOT NULL))
      AND NOT EXISTS (SELECT 1 FROM campaign_messages cm JOIN messages m ON m.campaign_message_id = cm.id
                      WHERE cm.campaign_id = c.id)
      AND NOT EXISTS (SELECT 1 FROM campaigns x
                      WHERE x.resend_of = c.id AND x.status IN ('scheduled', 'running', 'held'))
    ORDER BY c.id LIMIT 1
    FOR UPDATE OF c SKIP LOCKED
""")
_FORGET = text("DELETE FROM campaign_recipients WHERE campaign_id = :campaign_id AND excluded_by IS NULL")
_FORGET_NUMBERS = text("DELETE FROM campaign_targets WHERE campaign_id = :campaign_id AND msisdn IS NOT NULL")
_NOT_WHOLE = text("""
    UPDATE campaigns SET messages_dropped_at = coalesce(messages_dropped_at, CAST(:now AS timestamptz))
    WHERE id = :campaign_id AND coalesce(frozen_at, stopped_at) IS NOT NULL
""")
_TIME_FOR_MANY = text("SET LOCAL statement_timeout = '110s'")


async def list_months(tx: AsyncConnection) -> list[str]:
    """The months that have partitions, as in 202603, oldest first."""
    return list((await tx.execute(_MONTHS, {"tables": list(PARTITIONED)})).scalars())


async def give_up(tx: AsyncConnection, month: str, *, now: datetime) -> bool:
    """Mark the campaigns with messages of the month as no longer whole; False if the month cannot be given up yet.

    That is while one of its messages is still to be sent, or may be put back into the queue.
    """
    await tx.execute(_PATIENCE)
    name = f"messages_{month}"
    if not (await tx.execute(_EXISTS, {"name": name})).scalar_one():
        return True
    await tx.execute(text(_MARK.format(month=name)), {"now": now})
    for question in (_OPEN, _NEEDED):
        if (await tx.execute(text(question.format(month=name)))).scalar_one():
            return False
    return True


async def estimate_rows(tx: AsyncConnection, month: str) -> int:
    """About how many messages the month holds, as the planner has it."""
    return int((await tx.execute(_ESTIMATE, {"name": f"messages_{month}"})).scalar_one_or_none() or 0)


async def drop_month(tx: AsyncConnection, month: str) -> None:
    """Drop the month's partitions, once it was given up."""
    for table in PARTITIONED:
        await tx.execute(text(f"DROP TABLE IF EXISTS {table}_{month}"))


async def lock_over(tx: AsyncConnection, *, before: datetime) -> UUID | None:
    """A campaign that ended before then, with people and without messages, held by this transaction."""
    found: UUID | None = (await tx.execute(_OVER, {"before": before})).scalar_one_or_none()
    return found


async def forget_recipients(tx: AsyncConnection, campaign_id: UUID, *, now: datetime) -> int:
    """Forget whom a campaign was for, which is not restarted or sent again then; how many recipients there were."""
    await tx.execute(_TIME_FOR_MANY)
    await tx.execute(_NOT_WHOLE, {"campaign_id": campaign_id, "now": now})
    await tx.execute(_FORGET_NUMBERS, {"campaign_id": campaign_id})
    return (await tx.execute(_FORGET, {"campaign_id": campaign_id})).rowcount


async def delete_inbound(tx: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Forget what handsets wrote long ago; a STOP stands as an opt-out all the same."""
    return (await tx.execute(_INBOUND, {"before_id": first_uuid7(before), "limit": limit})).rowcount


async def delete_references(tx: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Forget clients' references of long ago whose messages are gone."""
    return (await tx.execute(_REFERENCES, {"before": before, "limit": limit})).rowcount


async def delete_vouchers(tx: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Forget vouchers whose messages are gone."""
    return (await tx.execute(_VOUCHERS, {"before_id": first_uuid7(before), "limit": limit})).rowcount
