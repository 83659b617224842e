"""Quiet hours, at the two moments they are looked at: when a message is made, and when it is about to leave.

A window may close while messages wait. What is claimed within one goes back to the queue until it opens, or until its
own time is over, when the claim expires it.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.claims import Claimed
from dispatcher.queries.quiet import list_time_zones
from dispatcher.worker import Worker

# Where no hour is open for a week in all the zones that count: somebody has to change the windows; it is looked again.
NEVER: Final = timedelta(days=1)

Resting = tuple[Sequence[Claimed], Sequence[tuple[Claimed, float]]]


async def find_resting(worker: Worker, tx: AsyncConnection, claimed: Sequence[Claimed]) -> Resting:
    """Who may be handed over now, and who not for how many seconds. Without windows it costs one look."""
    rules = worker.rules
    if not (claimed and rules.is_quiet_anywhere):
        return claimed, ()
    windows = {one.id: rules.windows_of(one) for one in claimed}
    watched = [id_ for id_, those in windows.items() if those]
    own = await list_time_zones(tx, watched) if watched else {}
    now = worker.now()
    awake: list[Claimed] = []
    resting: list[tuple[Claimed, float]] = []
    for one in claimed:
        opens = rules.opens(windows[one.id], (one.msisdn, own.get(one.id), one.location_id), now) or now + NEVER
        if opens <= now:
            awake.append(one)
        else:
            until = opens if one.expires_at is None else min(opens, one.expires_at)
            resting.append((one, (until - now).total_seconds()))
    return awake, resting
