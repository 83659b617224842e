"""Beside the path, the end of passwords that nobody used in time: told to whoever wants to hear of it.

Nothing happens to such a password: it is over by its time alone. So it is not marked; what is kept is up to when all of
them were told of. That is exact, because a password's end is set when it is begun and moves no more.
"""

from datetime import timedelta
from typing import Final

from dispatcher.queries import otp_watch as queries
from dispatcher.worker import Worker

# A code that came in time may still be on its way into the database, by a clock that is a little slow.
GRACE: Final = timedelta(seconds=5)
# After a long while without a dispatcher, so much at a time.
AT_ONCE: Final = timedelta(minutes=10)
# Without any, the mark is moved this seldom.
UNMOVED: Final = timedelta(minutes=1)


async def tell_expired(worker: Worker) -> int:
    """Tell of the passwords whose time is over; how many, or 1 where there are more to look at."""
    now = worker.now() - GRACE
    async with worker.transaction() as tx:
        since = await queries.lock_told_until(tx, begin=now)
        if since is None or since >= now:
            return 0
        until = min(now, since + AT_ONCE)
        expired = await queries.tell_expired(tx, since=since, until=until)
        if expired or until - since >= UNMOVED:
            await queries.move_told_until(tx, until)
    if expired:
        worker.ring("webhooks")
    return expired or int(until < now)
