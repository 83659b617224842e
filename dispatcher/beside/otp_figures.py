"""Beside the path, figures of passwords: full hours that nothing changes any more are counted, once and for good."""

from datetime import timedelta
from typing import Final

from dispatcher.worker import Worker
from shared.domain.otp_figures import countable_until, hour_of
from shared.queries import otp_sums as queries

# After a long while without a dispatcher, and where there are figures from before this was counted, so much at a time.
AT_ONCE: Final = timedelta(hours=12)


async def count_passwords(worker: Worker) -> int:
    """Count some hours; how many, none where all that can be counted is."""
    limit = countable_until(worker.now())
    async with worker.transaction() as tx:
        counted = await queries.lock_counting(tx, begin=limit)
        since = None if counted is None else hour_of(counted)
        if since is None or since >= limit:
            return 0
        until = min(limit, since + AT_ONCE)
        await queries.count_hours(tx, since=since, until=until)
    return (until - since) // timedelta(hours=1)
