"""Vouchers whose end is known, until somebody was told of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class Voucher(Base):
    """One that was sent with its `valid_until`. The row goes with the telling; its end stays with its message."""

    __tablename__ = "vouchers"
    __table_args__ = (
        Index(None, "nearly_used_at"),  # lock_near_their_end
        Index(None, "message_id"),  # resend, erasures, retention
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)  # of the first message that carried it
    message_id: Mapped[UUID]  # of the latest
    nearly_used_at: Mapped[datetime]
    valid_until: Mapped[datetime]
    data: Mapped[dict[str, Any]]  # code, plan, validity, location, as they were told
