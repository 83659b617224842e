"""The operator's sending rules."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped

from shared.models.base import Base, small


class PolicyRow(Base):
    """One row, written by the first change: the rules that somebody set. The others have their defaults in the law."""

    __tablename__ = "policy"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = small(primary_key=True, autoincrement=False)
    rules: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str]
