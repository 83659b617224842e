"""Beside the path, retention: months of messages that the policy keeps no longer go as a whole, and inbound with them.

So does whom a campaign was for, once nothing of it is kept.

A month with a message that is still to be sent stays, and so does one that a restarted campaign has to look at.
Reports stay right: their counts are in the tallies. A client's reference outlives its message, so that a request that
comes again late makes no second one; but not for ever.
"""

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from dispatcher.queries import retention as queries
from dispatcher.worker import Worker
from shared.db import is_busy
from shared.queries import audit
from shared.queries.partitions import month_after, month_of
from shared.queries.policy import get_policy

log = logging.getLogger(__name__)

BATCH: Final = 10_000
REFERENCES_KEPT: Final = timedelta(days=400)


class _StillNeededError(Exception):
    """Undoes what was written down of a month that stays."""


async def retain(worker: Worker) -> int:
    """Drop the months that are past their time, batches of inbound messages and of references; how many went."""
    async with worker.transaction() as tx:
        days = (await get_policy(tx)).retention_days
        months = await queries.list_months(tx) if days is not None else []
    if days is None:
        return 0
    before = worker.now() - timedelta(days=days)
    over = [month for month in months if month_after(_begin_of(month)) <= before]
    gone = 0
    try:
        for month in over:
            with suppress(_StillNeededError):
                gone += await _drop(worker, month, days=days)
    except Exception as error:
        if not is_busy(error):
            raise
        log.warning("a month is in use", extra={"cause": type(error).__name__})  # the next turn tries again
    while not worker.stopping.is_set() and await _forget_one(worker, before=month_of(before), days=days):
        gone += 1
    async with worker.transaction() as tx:
        gone += await queries.delete_inbound(tx, before=before, limit=BATCH)
        gone += await queries.delete_vouchers(tx, before=before, limit=BATCH)
    async with worker.transaction() as tx:
        long_ago = min(month_of(before), worker.now() - REFERENCES_KEPT)
        return gone + await queries.delete_references(tx, before=long_ago, limit=BATCH)


async def _drop(worker: Worker, month: str, *, days: int) -> int:
    async with worker.transaction() as tx:
        if not await queries.give_up(tx, month, now=worker.now()):
            raise _StillNeededError
        messages = await queries.estimate_rows(tx, month)
        await queries.drop_month(tx, month)
        await audit.record(
            tx,
            caller="dispatcher",
            action="retention.dropped",
            subject=("month", month),
            detail={"retention_days": days, "messages": messages},
            now=worker.now(),
        )
    return 1


async def _forget_one(worker: Worker, *, before: datetime, days: int) -> bool:
    """Forget whom one campaign was for, of which nothing is kept any more; whether there was one."""
    async with worker.transaction() as tx:
        campaign_id = await queries.lock_over(tx, before=before)
        if campaign_id is None:
            return False
        recipients = await queries.forget_recipients(tx, campaign_id, now=worker.now())
        await audit.record(
            tx,
            caller="dispatcher",
            action="retention.forgotten",
            subject=("campaign", str(campaign_id)),
            detail={"retention_days": days, "recipients": recipients},
            now=worker.now(),
        )
    return True


def _begin_of(month: str) -> datetime:
    return datetime(int(month[:4]), int(month[4:]), 1, tzinfo=UTC)
