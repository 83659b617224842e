"""Stage 1 of 5, due: campaigns whose time has come run, their audience is frozen, their messages begin.

Before: the api confirmed and scheduled them. After: expand.py.
"""

from dispatcher import failpoints
from dispatcher.queries import campaigns, resends
from dispatcher.queries.freezing import freeze
from dispatcher.watch import keep_watch
from dispatcher.worker import Worker
from shared.domain.event import EventType
from shared.queries.events import Event, tell


async def due(worker: Worker) -> int:
    """Start what is due; how many steps began to be expanded."""
    await keep_watch(worker)
    async with worker.transaction() as tx:
        for campaign_id in await campaigns.start_due(tx):
            await tell(tx, Event(EventType.CAMPAIGN_STARTED, campaign_id, {"by": None}), now=worker.now())
    while not worker.stopping.is_set():
        async with worker.transaction() as tx:
            found = await campaigns.lock_unfrozen(tx)
            if found is not None and found.resend is not None:
                await resends.freeze(tx, found.id, found.resend)
            elif found is not None:
                await freeze(tx, found.id)
            failpoints.hit("before_freeze_commit")
        if found is None:
            break
        failpoints.hit("after_freeze_commit")
    async with worker.transaction() as tx:
        begun = await campaigns.begin_due_steps(tx)
    if begun:
        worker.ring("expand")
    return begun
