"""What attachments ask of the database."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import NotFound
from shared.models import Attachment, AttachmentChunk, AttachmentContent
from shared.queries.attachments import lock_content

AnyRow = Row[Any]

CHUNK_BYTES: Final = 256 * 1024


async def keep_content(tx: AsyncConnection, digest: bytes, data: bytes) -> bool:
    """Keep these bytes, if they are not kept already; whether they were new."""
    await lock_content(tx, digest)
    statement = upsert(AttachmentContent).values(sha256=digest, size_bytes=len(data)).on_conflict_do_nothing()
    if not (await tx.execute(statement.returning(AttachmentContent.sha256))).all():
        return False
    for position, begin in enumerate(range(0, len(data), CHUNK_BYTES)):
        piece = data[begin : begin + CHUNK_BYTES]
        await tx.execute(insert(AttachmentChunk).values(sha256=digest, position=position, data=piece))
    return True


async def insert_attachment(tx: AsyncConnection, values: Mapping[str, Any]) -> None:
    await tx.execute(insert(Attachment).values(**values))


async def find_attachment(tx: AsyncConnection, attachment_id: UUID) -> AnyRow | None:
    return (await tx.execute(select(Attachment).where(Attachment.id == attachment_id))).one_or_none()


async def get_attachment(tx: AsyncConnection, attachment_id: UUID) -> AnyRow:
    row = await find_attachment(tx, attachment_id)
    if row is None:
        raise NotFound(f"There is no attachment {attachment_id}.")
    return row


async def lock_attachment(tx: AsyncConnection, attachment_id: UUID) -> AnyRow:
    """The attachment, held so that no campaign takes it meanwhile."""
    question = select(Attachment).where(Attachment.id == attachment_id).with_for_update()
    row = (await tx.execute(question)).one_or_none()
    if row is None:
        raise NotFound(f"There is no attachment {attachment_id}.")
    return row


async def list_attachments(tx: AsyncConnection, *, before: UUID | None, limit: int) -> Sequence[AnyRow]:
    """A page of attachments, the newest first."""
    question = select(Attachment).order_by(Attachment.id.desc()).limit(limit)
    if before is not None:
        question = question.where(Attachment.id < before)
    return (await tx.execute(question)).all()


async def delete_attachment(tx: AsyncConnection, attachment_id: UUID) -> None:
    await tx.execute(delete(Attachment).where(Attachment.id == attachment_id))


async def find_chunk(tx: AsyncConnection, digest: bytes, position: int) -> bytes | None:
    """One piece of a content; None behind the last."""
    question = select(AttachmentChunk.data).where(
        AttachmentChunk.sha256 == digest, AttachmentChunk.position == position
    )
    data: bytes | None = await tx.scalar(question)
    return data
