"""What contacts agreed to and took back: the evidence, appended to and never changed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class ConsentEvent(Base):
    """One statement. It outlives the contact: the keyed hash finds it for whoever names the number again."""

    __tablename__ = "consent_events"
    __table_args__ = (Index(None, "contact_id", "id"), Index(None, "msisdn_hash", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    contact_id: Mapped[UUID]
    msisdn_hash: Mapped[bytes]
    status: Mapped[str]
    source: Mapped[str | None]
    at: Mapped[datetime | None]
    recorded_at: Mapped[datetime]
    recorded_by: Mapped[str]
