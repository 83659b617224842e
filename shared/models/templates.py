"""Texts with tags that are kept to be used again, each with every wording it ever had."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class TemplateRow(Base):
    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    text: Mapped[str]  # of the newest version
    version: Mapped[int]
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TemplateVersion(Base):
    """One wording. Versions count from 1 and are never changed."""

    __tablename__ = "template_versions"

    template_id: Mapped[UUID] = mapped_column(ForeignKey("templates.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]
