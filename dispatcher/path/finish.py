"""Stage 5 of 5, finish: campaigns with nothing open are completed; stopped ones are emptied.

A campaign is completed when no message of it is queued or sending, and never otherwise.
"""

from typing import Final

from dispatcher import failpoints
from dispatcher.queries import campaigns
from dispatcher.queries.tallies import write_tallies
from dispatcher.worker import Worker
from shared.domain.event import EventType
from shared.queries.events import Event, tell

CANCEL_BATCH: Final = 5_000


async def finish(worker: Worker) -> int:
    """Complete what is done; how many campaigns were."""
    async with worker.by_key() as tx:
        await campaigns.finish_steps(tx)
        done = await campaigns.finish_campaigns(tx)
        for campaign_id in done:
            await tell(tx, Event(EventType.CAMPAIGN_COMPLETED, campaign_id, {"by": None}), now=worker.now())
        failpoints.hit("before_finish_commit")
    return len(done)


async def empty_stopped(worker: Worker) -> int:
    """Cancel what a stopped campaign has not sent, a batch at a time; how many messages were cancelled."""
    async with worker.by_key() as tx:
        campaign_id = await campaigns.lock_stopped(tx)
        if campaign_id is None:
            return 0
        # Waits for a slice under expansion, so that its messages are seen by the next statement.
        await campaigns.cancel_steps(tx, campaign_id)
        moves = await campaigns.cancel_queued(tx, campaign_id, limit=CANCEL_BATCH, wanted=worker.wanted)
        if not await campaigns.has_open(tx, campaign_id):
            await campaigns.mark_emptied(tx, campaign_id)
        await write_tallies(tx, moves, writer=worker.writer * 8 + 6)
    return sum(count for count in moves.messages.values() if count > 0)


async def cancel_requested(worker: Worker) -> int:
    """Cancel single messages that their owners called back before they were claimed."""
    async with worker.by_key() as tx:
        moves = await campaigns.cancel_requested(tx, limit=CANCEL_BATCH, wanted=worker.wanted)
        await write_tallies(tx, moves, writer=worker.writer * 8 + 6)
    return 0
