"""Beside the path, unserved: single messages that are due and that no enabled gateway takes are told of, once.

A campaign is held for this (`watch.py`); a password or a voucher only waits, and whoever asked for it was told that it
is accepted. Every dispatcher looks, one tells. What was told last is the newest notice about it.
"""

import logging
from typing import Final

from dispatcher.queries import unserved as queries
from dispatcher.worker import Worker
from shared.domain.routing import UNSERVED_SECONDS
from shared.domain.unserved import PATIENCE_SECONDS, Unserved, find_unserved, gateway_found, gateway_missing
from shared.queries.notices import insert_notice

log = logging.getLogger(__name__)

# In `worker.ahead`: whether the last notice says that a gateway is missing, as far as this process knows. A new one
# does not, and asks.
_TOLD: Final = "unserved.told"


async def look_for_unserved(worker: Worker) -> int:
    """Look once; no work is left to do at once, whatever was told."""
    async with worker.transaction() as tx:
        waiting = await queries.list_waiting(tx, patience=PATIENCE_SECONDS, put_back=UNSERVED_SECONDS)
    unserved = find_unserved(worker.book.routes, waiting)
    all_well = unserved is None and any(not route.shut for route in worker.book.routes)
    if (unserved is not None and unserved.is_news) or (all_well and worker.ahead.get(_TOLD, True)):
        worker.ahead[_TOLD] = await _tell(worker, unserved)
    return 0


async def _tell(worker: Worker, unserved: Unserved | None) -> bool:
    """Tell what is not told yet; whether the last word is now that a gateway is missing."""
    async with worker.transaction() as tx:
        if not await queries.try_lock_telling(tx):
            return True  # another is about to: look again
        told = await queries.find_told(tx)
        if unserved is None:
            if told is not None:
                await insert_notice(tx, gateway_found(), now=worker.now())
                log.warning("single messages have a gateway again")
            return False
        if unserved.is_worse_than(told):
            await insert_notice(tx, gateway_missing(unserved), now=worker.now())
            log.warning("no gateway takes single messages", extra={"cause": unserved.cause.value})
        return True
