"""Stage 1 of 5, due: campaigns whose time has come run, their audience is frozen, their messages begin.

Before: the api confirmed and scheduled them. After: expand.py.
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher import failpoints
from dispatcher.beside.watch import keep_watch
from dispatcher.path.weighing import outweighs
from dispatcher.queries import campaigns, resends
from dispatcher.queries.campaigns import Unfrozen
from dispatcher.queries.freezing import freeze
from dispatcher.worker import Worker
from shared.domain.campaign import HeldReason
from shared.domain.event import EventType
from shared.queries.events import Event, tell
from shared.queries.holds import hold_campaigns


class _Grown(Exception):
    """A campaign would reach more people than were confirmed, or take more segments: it is not frozen."""

    def __init__(self, campaign_id: UUID, reason: HeldReason) -> None:
        super().__init__(str(campaign_id))
        self.campaign_id = campaign_id
        self.reason = reason


async def due(worker: Worker) -> int:
    """Start what is due; how many steps began to be expanded."""
    await keep_watch(worker)
    async with worker.by_key() as tx:
        for campaign_id in await campaigns.start_due(tx):
            await tell(tx, Event(EventType.CAMPAIGN_STARTED, campaign_id, {"by": None}), now=worker.now())
    while not worker.stopping.is_set() and await _freeze_one(worker):
        failpoints.hit("after_freeze_commit")
    async with worker.by_key() as tx:
        begun = await campaigns.begin_due_steps(tx)
    if begun:
        worker.ring("expand")
    return begun


async def _freeze_one(worker: Worker) -> bool:
    """Settle one audience; whether there was one. A campaign that has outgrown its confirmation is held instead."""
    try:
        async with worker.transaction() as tx:
            found = await campaigns.lock_unfrozen(tx)
            if found is not None:
                await _settle(worker, tx, found)
            failpoints.hit("before_freeze_commit")
    except _Grown as grown:
        async with worker.by_key() as tx:
            await hold_campaigns(tx, [grown.campaign_id], grown.reason, now=worker.now())
        return True
    return found is not None


async def _settle(worker: Worker, tx: AsyncConnection, found: Unfrozen) -> None:
    if found.resend is not None:
        await resends.freeze(tx, found.id, found.resend)
        return
    recipients = await freeze(tx, found.id)
    if found.confirmed is not None and recipients > found.confirmed:
        raise _Grown(found.id, HeldReason.AUDIENCE)
    if found.segments is not None and await outweighs(worker, tx, found.id, confirmed=found.segments):
        raise _Grown(found.id, HeldReason.SEGMENTS)
