"""Clients' own names for messages."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class ClientReference(Base):
    """A client's own name for a message, given once: a partitioned table can hold nothing else unique."""

    __tablename__ = "client_references"
    __table_args__ = (Index(None, "created_at"),)  # delete_references

    reference: Mapped[str] = mapped_column(primary_key=True)
    message_id: Mapped[UUID]
    fingerprint: Mapped[bytes]  # of the request, keyed
    created_at: Mapped[datetime]
