"""What goes with the messages of campaigns."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.attachment import Media

_MEDIA = text("SELECT id, attachments FROM campaign_messages WHERE id = ANY(CAST(:ids AS uuid[]))")


async def list_media(tx: AsyncConnection, step_ids: Collection[UUID]) -> dict[UUID, Sequence[Media]]:
    """The attachments of these campaign messages; empty for those that have none."""
    rows = await tx.execute(_MEDIA, {"ids": list(step_ids)})
    return {row.id: [Media.read(one) for one in row.attachments] for row in rows}
