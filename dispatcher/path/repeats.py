"""Beside the pump, repeats: a message in doubt goes once more, to the same gateway and under the same id.

Only where that gateway takes nothing twice under it, which its owner declares (`deduplication` of the custom kind), and
never anywhere else while it is in doubt. Passwords have a rule of their own: `dispatcher/path/second_tries.py`.
"""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.path.choice import UNWELL_SECONDS, Choice, choose_again
from dispatcher.path.handover import Parcel, parcels
from dispatcher.path.quiet import find_resting
from dispatcher.queries import repeats as queries
from dispatcher.queries.claims import insert_intents
from dispatcher.queries.repeats import Repeated
from dispatcher.worker import Worker

LOOK_SECONDS: Final = 1.0
LIMIT: Final = 200


async def claim_repeats(worker: Worker, tx: AsyncConnection, *, lane: str, slots: int) -> tuple[Choice, list[Parcel]]:
    """Take up to `slots` messages of a lane that are in doubt and due, and whose own gateway has room for them."""
    routes = [route for route in worker.book.routes if route.repeats]
    limits = worker.limits
    if not routes or slots <= 0:
        return Choice(), []
    due = await queries.lock_due(tx, routes, lane=lane, lease=limits.lease, limit=min(slots, LIMIT))
    if lane == "bulk":
        await worker.media.read(tx, due.again)
    awake, resting = await find_resting(worker, tx, due.again)
    choice = choose_again(worker, lane, [one for one in awake if isinstance(one, Repeated)])
    try:
        batches = parcels(worker, choice.intents)
        waits = [(one.id, seconds) for one, seconds in (*choice.waiting, *resting)]
        waits += [(id_, UNWELL_SECONDS) for id_ in due.later]
        await queries.put_off(tx, [*waits, *((id_, None) for id_ in due.over)])
        taken = [one for one, _ in choice.intents if isinstance(one, Repeated)]
        if taken:
            await queries.claim_again(tx, taken)
            intents = [(one, account.gateway_id) for one, account in choice.intents]
            await insert_intents(tx, intents, dispatcher=worker.name)
            await queries.lease_attempts(tx, taken, lease=limits.lease)
    except BaseException:
        choice.undo(worker, lane)
        raise
    return choice, batches
