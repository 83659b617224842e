"""What every serious HTTP service keeps: keys, replays, an audit trail, and this installation's own secret."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, small


class ApiKey(Base):
    """The secret part is kept only as a digest; it has enough entropy to need no slow hash."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("public_id"),
        Index(None, "line"),  # find_key: all keys of a line
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    public_id: Mapped[str]
    digest: Mapped[bytes]
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    networks: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))  # none: from anywhere
    rate_limit: Mapped[int | None]  # requests a minute; the deployment's without it
    successor_of: Mapped[str | None]  # the public id of the key that this one was made to replace
    line: Mapped[str | None]  # the public id of the first key of its line: its predecessors', its own, its successors'
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """An answer that was given, written in the transaction of what it created."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    caller: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    status: Mapped[int] = small()
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes]
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # of the key that was told it
    created_at: Mapped[datetime]


class AuditEntry(Base):
    """Who did what to which thing. Appended to, never changed."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "subject_kind", "subject_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    caller: Mapped[str]
    action: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]]
    request_id: Mapped[str | None]


class Installation(Base):
    """One row: what is this deployment's own for as long as its data lives."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = small(primary_key=True, autoincrement=False)
    pepper_sealed: Mapped[bytes]  # keys the hash of numbers; sealed by the secret keys, survives their rotation
    created_at: Mapped[datetime]


class DispatcherRow(Base):
    """A dispatcher that was alive at `seen_at`: how many share the gateways' pace while Redis is away."""

    __tablename__ = "dispatchers"

    name: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class Heartbeat(Base):
    """One row: when a dispatcher last looked after campaigns, and in which database (`dispatcher/beside/watch.py`)."""

    __tablename__ = "heartbeat"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = small(primary_key=True, autoincrement=False)
    epoch: Mapped[UUID]  # a new one for each database that was set back or moved
    system: Mapped[str]  # which cluster and database the epoch was begun in
    beat_at: Mapped[datetime]
    awake_until: Mapped[datetime]  # no campaign is claimed after that before somebody looked what is late
