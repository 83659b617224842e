"""Monthly partitions of the tables that grow, told apart by the time in their UUIDv7.

A default partition stands behind them, so an insert never fails for want of a month; it should stay empty.
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.ids import first_uuid7

PARTITIONED: Final = ("messages", "attempts", "receipts")

# Rows change status three times, so pages keep room for it and vacuum comes early.
_STORAGE: Final = "fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0"


def month_of(at: datetime) -> datetime:
    return datetime(at.year, at.month, 1, tzinfo=UTC)


def month_after(at: datetime) -> datetime:
    return datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)


def statements(now: datetime, *, ahead: int = 2) -> list[str]:
    """The DDL for this month and the `ahead` next ones; harmless where they exist."""
    month = month_of(now)
    ddl: list[str] = []
    for _ in range(ahead + 1):
        after = month_after(month)
        ddl += [
            f"CREATE TABLE IF NOT EXISTS {table}_{month:%Y%m} PARTITION OF {table} "
            f"FOR VALUES FROM ('{first_uuid7(month)}') TO ('{first_uuid7(after)}') WITH ({_STORAGE})"
            for table in PARTITIONED
        ]
        month = after
    return ddl


async def ensure_partitions(tx: AsyncConnection, now: datetime) -> None:
    """Make the months that rows will fall into. One process at a time; the others find it done.

    A new month locks the whole table for a moment. It does not queue for that behind a long reader, and everybody
    else behind it: there are months in hand, so it gives up and is called again.
    """
    await tx.execute(text("SET LOCAL lock_timeout = '2s'"))
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('lapwing.partitions'))"))
    for statement in statements(now):
        await tx.execute(text(statement))
