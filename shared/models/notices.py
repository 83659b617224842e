"""What operators are told without asking, and the letters that carry it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, small


class NoticeRow(Base):
    """One piece of news. What it is about may be gone by the time it is read."""

    __tablename__ = "notices"
    # list_notices, of those that nobody has acknowledged
    __table_args__ = (Index("ix_notices_open", "id", postgresql_where=text("acknowledged_at IS NULL")),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    severity: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    title: Mapped[str]
    text: Mapped[str]
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]


class NoticeEmail(Base):
    """A letter to one address, written in the transaction of its notice, so that none is forgotten."""

    __tablename__ = "notice_emails"
    # claim_letters
    __table_args__ = (Index("ix_notice_emails_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),)

    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime | None]  # the next try; while it is tried, the lease's end; None when it is over
    attempts: Mapped[int] = small(server_default="0")
    sent_at: Mapped[datetime | None]  # a mail server took it
    failed_at: Mapped[datetime | None]  # given up
    error: Mapped[str | None]
