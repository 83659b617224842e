"""Beside the path, erasures: a person whom the owner wants forgotten is.

Before: the api deleted the contact and wrote down whom to forget. After: nothing here tells who it was. What is on its
way to a gateway is waited for, so that its outcome still finds its row.
"""

import logging
from datetime import timedelta
from typing import Final

from dispatcher.queries import erasures
from dispatcher.worker import Worker
from shared.sealing import hash_msisdn

log = logging.getLogger(__name__)

BATCH: Final = 1_000
AGAIN_AFTER: Final = timedelta(seconds=2)


async def erase(worker: Worker) -> int:
    """Look after one person; 0 when there is nobody to look after now."""
    now = worker.now()
    async with worker.transaction() as tx:
        found = await erasures.claim_erasure(tx, due=now - AGAIN_AFTER, now=now)
        if found is None:
            return 0
        if await erasures.call_back(tx, found):
            worker.ring("cancel_requested")
            return 1
    while True:
        async with worker.transaction() as tx:
            if await erasures.empty_messages(tx, found, limit=BATCH) < BATCH:
                msisdn_hash = hash_msisdn(worker.pepper, found.msisdn)
                await erasures.finish_erasure(tx, found, msisdn_hash=msisdn_hash, now=now)
                break
    log.info("a person was erased", extra={"erasure_id": str(found.id)})
    return 1
