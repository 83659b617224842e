"""Automations, the events that they wait for, and what each event led to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class Automation(Base):
    __tablename__ = "automations"
    # list_wanting: by the name of an event, in the order they were made
    __table_args__ = (UniqueConstraint("name"), Index(None, "event", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    event: Mapped[str]
    conditions: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    template_id: Mapped[UUID]  # no key to it: a template may go, and the trace then says so
    delay_seconds: Mapped[int] = mapped_column(server_default="0")
    sender_id: Mapped[str | None]
    respect_quiet_hours: Mapped[bool] = mapped_column(server_default=text("true"))
    cap_messages: Mapped[int | None]  # to one person within `cap_hours`
    cap_hours: Mapped[int | None]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class EventRow(Base):
    """Something that happened to a person; a fact. Told twice under one id, it is kept once."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("key"),
        # erasures
        Index(None, "msisdn"),
        Index(None, "contact_id"),
        # claim_events
        Index("ix_events_waiting", "id", postgresql_where=text("handled_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str]  # the id that its teller gave it
    name: Mapped[str]
    msisdn: Mapped[str | None]
    contact_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]]
    created_by: Mapped[str | None]
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]


class AutomationRun(Base):
    """What one event led to by one automation: a message, or why not."""

    __tablename__ = "automation_runs"
    __table_args__ = (
        # count_lately, of the cap
        Index(
            "ix_automation_runs_lately",
            "automation_id",
            "msisdn_hash",
            "at",
            postgresql_where=text("message_id IS NOT NULL"),
        ),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), primary_key=True)
    automation_id: Mapped[UUID] = mapped_column(ForeignKey("automations.id", ondelete="CASCADE"), primary_key=True)
    outcome: Mapped[str]
    detail: Mapped[str | None]
    message_id: Mapped[UUID | None]
    msisdn_hash: Mapped[bytes | None]
    at: Mapped[datetime]
