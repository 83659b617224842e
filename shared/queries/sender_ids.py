"""Which senders there are: asked wherever somebody names one."""

from contextlib import suppress
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import SenderIdRow


async def find_sender(tx: AsyncConnection, wanted: str) -> str | None:
    """The value of a registered sender, named by its value or by its id."""
    fits = SenderIdRow.value == wanted
    with suppress(ValueError):  # no id then
        fits = or_(fits, SenderIdRow.id == UUID(wanted))
    found: str | None = await tx.scalar(select(SenderIdRow.value).where(fits).limit(1))
    return found
