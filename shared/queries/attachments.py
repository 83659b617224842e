"""Attachments as both processes ask for them: what is known of some, who sends one, and letting go of contents."""

from collections.abc import Collection, Mapping
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, exists, func, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.attachment import Media
from shared.domain.campaign import Status
from shared.models import Attachment, AttachmentContent, Campaign, CampaignMessage

# They send nothing any more, and cannot begin again without being looked at.
OVER = (Status.COMPLETED, Status.ARCHIVED)


class User(NamedTuple):
    """A campaign that is not over."""

    id: UUID
    name: str


async def hold_media(tx: AsyncConnection, ids: Collection[UUID]) -> Mapping[UUID, Media]:
    """Those of the ids that are attachments, held against their end until this transaction's."""
    if not ids:
        return {}
    rows = await tx.execute(
        select(Attachment.id, Attachment.name, Attachment.content_type, Attachment.size_bytes)
        .where(Attachment.id.in_(ids))
        .order_by(Attachment.id)
        .with_for_update(read=True, key_share=True)
    )
    return {row.id: Media(*row) for row in rows}


async def find_user(tx: AsyncConnection, attachment_id: UUID) -> User | None:
    """A campaign that is not over and sends the attachment."""
    probe = literal([{"id": str(attachment_id)}], JSONB)
    row = await tx.execute(
        select(Campaign.id, Campaign.name)
        .join(CampaignMessage, CampaignMessage.campaign_id == Campaign.id)
        .where(
            text("campaign_messages.attachments <> '[]'"),  # as the index has it
            CampaignMessage.attachments.contains(probe),
            Campaign.status.not_in(OVER),
        )
        .limit(1)
    )
    found = row.first()
    return None if found is None else User(*found)


async def lock_content(tx: AsyncConnection, digest: bytes) -> None:
    """Whoever keeps a content and whoever lets go of it wait for each other until this transaction ends."""
    name = f"lapwing.attachments.{digest.hex()}"
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


async def drop_contents(tx: AsyncConnection, digests: Collection[bytes]) -> None:
    """Delete those contents that no attachment has any more."""
    for digest in sorted(digests):  # always in the same order, so that two of these never wait in a ring
        await lock_content(tx, digest)
        held = exists().where(Attachment.sha256 == AttachmentContent.sha256)
        await tx.execute(delete(AttachmentContent).where(AttachmentContent.sha256 == digest, ~held))
