"""Stage 1 of 5, due: campaigns whose time has come run, their audience is frozen, their messages begin.

Before: the api confirmed and scheduled them. After: expand.py.
"""

from dispatcher import failpoints
from dispatcher.queries import campaigns
from dispatcher.worker import Worker


async def due(worker: Worker) -> int:
    """Start what is due; how many steps began to be expanded."""
    async with worker.transaction() as tx:
        await campaigns.start_due(tx)
    while not worker.stopping.is_set():
        async with worker.transaction() as tx:
            recipients = await campaigns.freeze_one(tx)
            failpoints.hit("before_freeze_commit")
        if recipients is None:
            break
        failpoints.hit("after_freeze_commit")
    async with worker.transaction() as tx:
        begun = await campaigns.begin_due_steps(tx)
    if begun:
        worker.ring("expand")
    return begun
