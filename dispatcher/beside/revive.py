"""Beside the path, revive: what a stop called back goes into the queue again, once its campaign was restarted.

The messages a step had before it was stopped are looked at in the order of their ids, a batch at a time; those that
were cancelled are queued, and nothing else is touched. The recipients that had none yet are expand.py's.
"""

from typing import Final

from dispatcher.queries import revivals
from dispatcher.queries.tallies import write_tallies
from dispatcher.worker import Worker

BATCH: Final = 5_000


async def revive(worker: Worker) -> int:
    """Look at one batch of a restarted step's messages; how many there were."""
    async with worker.by_key() as tx:
        step = await revivals.lock_reviving(tx)
        if step is None:
            return 0
        looked, upto = await revivals.list_batch(tx, step, limit=BATCH)
        moves = await revivals.queue_cancelled(tx, looked)
        await revivals.move_place(tx, step, upto=upto if len(looked) == BATCH else None)
        await write_tallies(tx, moves, writer=worker.writer * 8 + 6)
    worker.ring("bulk")
    return len(looked)
