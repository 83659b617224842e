"""What a confirmed campaign comes to in segments, so that nothing is sent beyond what its owner has seen.

Looked at twice: when the audience is settled, before anything has begun, if words or people are others since the
estimate; and for each slice of the expansion, which no change in between can pass.
"""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.path.expand import make_slice
from dispatcher.queries import weighing as queries
from dispatcher.worker import Worker
from shared.domain.estimate import digest_of_content

# So many texts are filled once more before the first is sent: a few seconds. Of larger campaigns the slices tell.
MOST_TEXTS: Final = 200_000


async def outweighs(worker: Worker, tx: AsyncConnection, campaign_id: UUID, *, confirmed: int) -> bool:
    """Whether a campaign whose audience was just frozen would take more than the segments that were confirmed."""
    kept = await queries.find_kept(tx, campaign_id)
    steps = await queries.list_steps(tx, campaign_id)
    if kept is None or not steps or steps[0].recipients * len(steps) > MOST_TEXTS:
        return False
    attachments = await queries.list_attachments(tx, campaign_id)
    texts = [(step.text, carried) for step, carried in zip(steps, attachments, strict=True)]
    content = digest_of_content(steps[0].sender_id, texts, skip_landlines=steps[0].skip_landlines)
    is_same = content == kept.content_digest
    if is_same and not await queries.has_changed(tx, campaign_id, since=kept.created_at):
        return False
    await worker.rules.refresh(tx)
    segments = 0
    for step in steps:
        upto = 0
        while upto < step.recipients and segments <= confirmed:
            made = await make_slice(worker, tx, step, upto)
            segments, upto = segments + made.segments, made.upto
    return segments > confirmed
