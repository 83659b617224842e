"""Our events on their way to owners' systems: who wants them, what has happened, and what is delivered where.

`webhook_events` is an outbox: written by whoever makes something happen, in that transaction, and emptied within a
second into one delivery for each webhook that wants it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, small


class Webhook(Base):
    __tablename__ = "webhooks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))  # types, `noun.*` or `*`
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    description: Mapped[str | None]
    secret_sealed: Mapped[bytes]
    old_secret_sealed: Mapped[bytes | None]  # signs, too, until old_secret_until
    old_secret_until: Mapped[datetime | None]
    older_secrets_sealed: Mapped[
        bytes | None
    ]  # the ones before that, the newest first, joined; each signs until its time
    older_secrets_until: Mapped[list[datetime]] = mapped_column(
        ARRAY(DateTime(timezone=True)), server_default=text("'{}'")
    )
    failures: Mapped[int] = mapped_column(server_default="0")  # rounds in a row without a success
    failing_since: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]  # nothing is tried before
    disabled_reason: Mapped[str | None]  # owner, gone, failing
    disabled_at: Mapped[datetime | None]
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WebhookEvent(Base):
    """The outbox. Ids are drawn where the subject's row is locked, so those of one subject are in its order."""

    __tablename__ = "webhook_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    type: Mapped[str]
    subject_id: Mapped[UUID]
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]]


class WebhookDelivery(Base):
    """One event for one webhook. Without `due_at` a waiting one stands behind an earlier one of its subject."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "webhook_id"),
        # claim_deliveries, list_due
        Index("ix_webhook_deliveries_due", "webhook_id", "due_at", "id", postgresql_where=text("due_at IS NOT NULL")),
        # fan_out, wake_next: what of a subject is still open
        Index(
            "ix_webhook_deliveries_open", "webhook_id", "subject_id", "id", postgresql_where=text("status = 'waiting'")
        ),
        # measure_backlog: the oldest of each webhook
        Index("ix_webhook_deliveries_oldest", "webhook_id", "at", postgresql_where=text("status = 'waiting'")),
        # count_dead, list_deliveries
        Index("ix_webhook_deliveries_dead", "webhook_id", "id", postgresql_where=text("status = 'dead'")),
        # revive_deliveries
        Index("ix_webhook_deliveries_deaths", "webhook_id", "closed_at", postgresql_where=text("status = 'dead'")),
        # erasures
        Index("ix_webhook_deliveries_otps", "subject_id", postgresql_where=text("type LIKE 'otp.%'")),
        # list_deliveries
        Index(None, "webhook_id", "id"),
        # delete_old_deliveries
        Index("ix_webhook_deliveries_closed", "closed_at", postgresql_where=text("closed_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event_id: Mapped[UUID]  # what the receiver knows it by, however often it is sent
    type: Mapped[str]
    subject_id: Mapped[UUID]
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default="waiting")
    due_at: Mapped[
        datetime | None
    ]  # the next try; while it is tried, the lease's end; None when over or behind another
    leased_until: Mapped[datetime | None]
    attempts: Mapped[int] = small(server_default="0")
    log: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))  # the latest tries
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
