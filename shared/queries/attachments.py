"""Attachments as both processes ask for them: what is known of some, who sends one, and letting go of contents."""

from collections.abc import Collection, Mapping
from datetime import datetime
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


async def find_media(tx: AsyncConnection, ids: Collection[UUID], *, hold: bool = True) -> Mapping[UUID, Media]:
    """Those of the ids that are attachments, held against their end until this transaction's."""
    if not ids:
        return {}
    question = (
        select(Attachment.id, Attachment.name, Attachment.content_type, Attachment.size_bytes)
        .where(Attachment.id.in_(ids))
        .order_by(Attachment.id)
    )
    if hold:
        question = question.with_for_update(read=True, key_share=True)
    return {row.id: Media(*row) for row in await tx.execute(question)}


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


_UNUSED = text("""
    SELECT a.id, a.name, a.sha256 FROM attachments a
    WHERE a.created_at < :before
      AND NOT EXISTS (
          SELECT FROM campaign_messages m JOIN campaigns c ON c.id = m.campaign_id
          WHERE m.attachments <> '[]' AND m.attachments @> jsonb_build_array(jsonb_build_object('id', a.id))
            AND (c.status NOT IN ('completed', 'archived') OR c.updated_at >= :before))
    ORDER BY a.created_at
    LIMIT :limit
    FOR UPDATE OF a SKIP LOCKED
""")


async def delete_unused(tx: AsyncConnection, *, before: datetime, limit: int) -> Mapping[UUID, str]:
    """Delete attachments that are older than that and that no campaign has used since; the names of those that went."""
    rows = (await tx.execute(_UNUSED, {"before": before, "limit": limit})).all()
    # Locked now: a campaign that took one meanwhile is seen by this second look, and a new one waits.
    gone = [row for row in rows if await find_user(tx, row.id) is None]
    if gone:
        await tx.execute(delete(Attachment).where(Attachment.id.in_([row.id for row in gone])))
        await drop_contents(tx, {row.sha256 for row in gone})
    return {row.id: row.name for row in gone}


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
