"""Beside the path, quota: the ledger is told what became of what was reserved.

Nothing on the path waits for it. What a campaign consumed is read off its tallies every few seconds, and settled
exactly when it is over: what went out is consumed, what did not goes back. Single messages hold their units in a row
of their own until their fate is known. The expansion asks here whether a slice is covered by what was reserved.
"""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries import quota as queries
from dispatcher.queries.campaigns import Step
from dispatcher.worker import Worker
from shared.domain import quota as law
from shared.domain.campaign import HeldReason
from shared.domain.message import Status
from shared.domain.policy import QuotaUnit
from shared.domain.quota import Account, QuotaExceeded
from shared.domain.quota_notices import of_limits
from shared.domain.report import CHARGEABLE
from shared.queries.holds import hold_campaigns
from shared.queries.notices import insert_notice
from shared.queries.quota import list_limits, reserve_campaign, write_account


class NotCovered(Exception):
    """The quota does not hold what a slice of this campaign takes."""

    def __init__(self, campaign_id: UUID) -> None:
        super().__init__(str(campaign_id))
        self.campaign_id = campaign_id


BATCH: Final = 5_000
# How often a campaign under way is looked at; and one with messages in doubt, until that is given up.
RUNNING_SECONDS: Final = 10.0
DOUBT_SECONDS: Final = 600.0
DOUBT: Final = timedelta(days=3)


async def keep_quota(worker: Worker) -> int:
    """Keep the books for one turn; how much there was to write."""
    now = worker.now()
    async with worker.transaction() as tx:
        if not await queries.try_books(tx):
            return 0
        done = await queries.book_messages(tx, limit=BATCH, now=now)
        done += await queries.settle_holds(tx, limit=BATCH, doubt=DOUBT, now=now)
    while await _settle_one(worker):
        done += 1
    if done:
        await _tell_of_limits(worker)
    return done


async def _tell_of_limits(worker: Worker) -> None:
    """Say once that most of a period's quota is used, and once that all of it is."""
    now, policy = worker.now(), worker.rules.policy
    today = law.today_in(policy.time_zone, now)
    async with worker.transaction() as tx:
        if not await queries.try_books(tx):
            return
        for notice in of_limits(await list_limits(tx, today=today), today=today):
            if not await queries.was_told(tx, notice):
                await insert_notice(tx, notice, now=now)


async def _settle_one(worker: Worker) -> bool:
    now = worker.now()
    async with worker.transaction() as tx:
        row = await queries.lock_due_account(tx)
        if row is None:
            return False
        counts = await queries.list_segments(tx, row.campaign_id)
        was = Account(row.reserved, row.consumed, row.released)
        consumed = await _consumed(tx, row, counts)
        account = law.settle(was, consumed=consumed, over=row.over)
        await write_account(tx, row.campaign_id, was, account, booked_on=row.booked_on, now=now)
        in_doubt = counts.get(Status.UNCONFIRMED, (0, 0))[0] + counts.get(Status.SENDING, (0, 0))[0]
        again: float | None = RUNNING_SECONDS
        if row.over:
            again = DOUBT_SECONDS if in_doubt and now - row.ended_at < DOUBT else None
        await queries.look_again(tx, row.campaign_id, None if again is None else now + timedelta(seconds=again))
    return True


async def _consumed(tx: AsyncConnection, row: Any, counts: dict[Status, tuple[int, int]]) -> int:
    """What a gateway took of a campaign, or may have."""
    if row.unit == QuotaUnit.SEGMENT:
        return sum(segments for status, (_, segments) in counts.items() if status in CHARGEABLE)
    if row.over:
        return await queries.count_blocks(tx, row.campaign_id, sorted(CHARGEABLE))
    consumed: int = row.consumed
    return consumed


async def cover(worker: Worker, tx: AsyncConnection, step: Step, units: int) -> None:
    """See that a slice is covered by what its campaign reserved, or reserve the rest; raises NotCovered.

    A text may have grown since it was measured, and a campaign may be older than its quota.
    """
    left = await queries.cover(tx, step.campaign_id, units) if units else 0
    missing = units if left is None else max(0, -left)
    if not missing:
        return
    made = missing if left is None else 0
    try:
        await reserve_campaign(tx, step.campaign_id, missing, policy=worker.rules.policy, now=worker.now(), made=made)
    except QuotaExceeded as refusal:
        raise NotCovered(step.campaign_id) from refusal


async def hold(worker: Worker, campaign_id: UUID, reason: HeldReason) -> None:
    """Let a campaign wait for its owner: what was made of it stays, and the slice that did not fit is not made."""
    async with worker.transaction() as tx:
        await hold_campaigns(tx, [campaign_id], reason, now=worker.now())
