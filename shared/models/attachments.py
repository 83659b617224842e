"""Files that go with messages. The bytes are in the database: api and dispatcher need not share a disk."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class Attachment(Base):
    """A file under the name that its owner gave it; nothing of it ever changes."""

    __tablename__ = "attachments"
    __table_args__ = (Index(None, "sha256"), Index(None, "created_at"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    content_type: Mapped[str]  # found by the content
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes] = mapped_column(ForeignKey("attachment_contents.sha256"))
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]


class AttachmentContent(Base):
    """What is kept once, under however many names: it goes with the last attachment that has it."""

    __tablename__ = "attachment_contents"

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class AttachmentChunk(Base):
    """A piece of a content, so that serving a file takes no more memory than one piece."""

    __tablename__ = "attachment_chunks"

    sha256: Mapped[bytes] = mapped_column(
        ForeignKey("attachment_contents.sha256", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes]
