"""Beside the path, housekeeping: partitions for the months to come, and rows nobody needs any more."""

from datetime import timedelta
from typing import Final

from dispatcher.queries.housekeeping import (
    delete_applied_receipts,
    delete_old_deliveries,
    delete_old_events,
    delete_old_passwords,
    delete_old_readings,
)
from dispatcher.worker import Worker
from shared.queries.idempotency import prune_idempotency_keys
from shared.queries.partitions import ensure_partitions

RECEIPTS_KEPT: Final = timedelta(days=7)
READINGS_KEPT: Final = timedelta(days=90)
DELIVERED_KEPT: Final = timedelta(days=7)
DEAD_KEPT: Final = timedelta(days=30)
PASSWORDS_KEPT: Final = timedelta(days=31)
WRONG_CODES_KEPT: Final = timedelta(days=3)
EVENTS_KEPT: Final = timedelta(days=91)  # a day more than the cap of an automation looks back
BATCH: Final = 10_000


async def keep_house(worker: Worker) -> int:
    """Make partitions, and drop a batch of what is past its time; how many rows went."""
    now = worker.now()
    async with worker.transaction() as tx:
        await ensure_partitions(tx, now)
    async with worker.transaction() as tx:
        gone = await delete_applied_receipts(tx, before=now - RECEIPTS_KEPT, limit=BATCH)
        gone += await delete_old_readings(tx, before=now - READINGS_KEPT, limit=BATCH)
        gone += await delete_old_deliveries(tx, before=now - DELIVERED_KEPT, dead_before=now - DEAD_KEPT, limit=BATCH)
        gone += await delete_old_passwords(
            tx, before=now - PASSWORDS_KEPT, days_ago=now - WRONG_CODES_KEPT, limit=BATCH
        )
        gone += await delete_old_events(tx, before=now - EVENTS_KEPT, limit=BATCH)
        gone += await prune_idempotency_keys(tx, now)
    return gone
