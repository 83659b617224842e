"""Beside the path, housekeeping: partitions for the months to come, and rows nobody needs any more."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.housekeeping import (
    delete_applied_receipts,
    delete_met_numbers,
    delete_old_deliveries,
    delete_old_events,
    delete_old_passwords,
    delete_old_readings,
)
from dispatcher.worker import Worker
from shared.domain.otp_figures import HOUR
from shared.domain.policy import Policy
from shared.queries import audit
from shared.queries.attachments import delete_unused
from shared.queries.idempotency import prune_idempotency_keys
from shared.queries.otp_sums import delete_old_sums
from shared.queries.partitions import ensure_partitions
from shared.queries.policy import get_policy

RECEIPTS_KEPT: Final = timedelta(days=7)
READINGS_KEPT: Final = timedelta(days=90)
DELIVERED_KEPT: Final = timedelta(days=7)
DEAD_KEPT: Final = timedelta(days=30)
PASSWORDS_KEPT: Final = timedelta(days=31)
WRONG_CODES_KEPT: Final = timedelta(days=3)
UNUSED_ATTACHMENTS_KEPT: Final = timedelta(days=30)
LINKED_FOR: Final = timedelta(days=3)  # links to an attachment are good for two days and an hour
EVENTS_KEPT: Final = timedelta(days=91)  # a day more than the cap of an automation looks back
BATCH: Final = 10_000
FILES: Final = 100
NUMBERS: Final = 200_000  # small, and of no use to anybody: half a second


async def keep_house(worker: Worker) -> int:
    """Make partitions, and drop a batch of what is past its time; how many rows went."""
    now = worker.now()
    async with worker.transaction() as tx:
        await ensure_partitions(tx, now)
    async with worker.by_key() as tx:
        gone = await delete_applied_receipts(tx, before=now - RECEIPTS_KEPT, limit=BATCH)
        gone += await delete_old_readings(tx, before=now - READINGS_KEPT, limit=BATCH)
        gone += await delete_old_deliveries(tx, before=now - DELIVERED_KEPT, dead_before=now - DEAD_KEPT, limit=BATCH)
        gone += await delete_old_passwords(
            tx, before=now - PASSWORDS_KEPT, days_ago=now - WRONG_CODES_KEPT, limit=BATCH
        )
        gone += await delete_old_sums(tx, before=now - PASSWORDS_KEPT - HOUR)
        gone += await delete_old_events(tx, before=now - EVENTS_KEPT, limit=BATCH)
        gone += await prune_idempotency_keys(tx, now)
        gone += await delete_met_numbers(tx, limit=NUMBERS)
    async with worker.transaction() as tx:
        gone += await _drop_unused(tx, now)
    return gone


async def _drop_unused(tx: AsyncConnection, now: datetime) -> int:
    """Attachments are their owner's: that they went is written down."""
    dropped = await delete_unused(tx, before=_unused_before(await get_policy(tx), now), limit=FILES)
    for attachment_id, name in dropped.items():
        subject = ("attachment", str(attachment_id))
        await audit.record(
            tx, caller="dispatcher", action="attachment.dropped", subject=subject, detail={"name": name}, now=now
        )
    return len(dropped)


def _unused_before(policy: Policy, now: datetime) -> datetime:
    """What was uploaded, and last used, before then goes."""
    days = policy.retention_days
    kept = UNUSED_ATTACHMENTS_KEPT if days is None else min(timedelta(days=days), UNUSED_ATTACHMENTS_KEPT)
    return now - max(kept, LINKED_FOR)
