"""People who are to be forgotten."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class Erasure(Base):
    """One person, until what they were written and what they wrote is gone. Then nothing here tells who it was."""

    __tablename__ = "erasures"
    __table_args__ = (
        # claim_erasure
        Index("ix_erasures_open", "looked_at", postgresql_where=text("done_at IS NULL")),
        Index(None, "done_at"),  # share_with_erasures
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    contact_id: Mapped[UUID]
    msisdn: Mapped[str | None]  # emptied when it is done
    other_msisdns: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # in fields: only what this one was sent
    messages: Mapped[int] = mapped_column(server_default="0")
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    looked_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
