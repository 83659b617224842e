"""Which senders there are: asked wherever somebody names one."""

from contextlib import suppress
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import SenderIdRow


async def find_sender(tx: AsyncConnection, wanted: str, *, gateway_id: UUID | None = None) -> str | None:
    """The value of a registered sender, named by its value or by its id; of one gateway's, where that is named."""
    fits = SenderIdRow.value == wanted
    with suppress(ValueError):  # no id then
        fits = or_(fits, SenderIdRow.id == UUID(wanted))
    question = select(SenderIdRow.value).where(fits).limit(1)
    if gateway_id is not None:
        question = question.where(SenderIdRow.gateway_id == gateway_id)
    found: str | None = await tx.scalar(question)
    return found
