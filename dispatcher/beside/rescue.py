"""Beside the path, rescue: leases that ran out. Their dispatcher died or was paused, and how far it got is unknown.

The message becomes unconfirmed, never queued: a gateway may have it. Evidence, or its owner, decides what follows.
"""

from typing import Final

from dispatcher.queries.settlements import rescue_leases
from dispatcher.queries.tallies import write_tallies
from dispatcher.worker import Worker

BATCH: Final = 1_000


async def rescue(worker: Worker) -> int:
    """Rescue one batch of stale leases; how many there were."""
    async with worker.by_key() as tx:
        count, moves = await rescue_leases(
            tx, limit=BATCH, lookup_in=worker.limits.lookup_waits[0], wanted=worker.wanted
        )
        await write_tallies(tx, moves, writer=worker.writer * 8 + 7)
    if count:
        worker.metrics.lease_rescues.inc(count)
    return count
