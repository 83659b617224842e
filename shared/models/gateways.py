"""The accounts we hand messages to, and what the handset shows as their sender."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, small


class Gateway(Base):
    __tablename__ = "gateways"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    priority: Mapped[int]  # lower goes first
    location_ids: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # empty serves all
    settings: Mapped[dict[str, Any]]
    secrets_sealed: Mapped[bytes]
    callback_token: Mapped[str]
    old_callback_token: Mapped[str | None]  # heard as well, until old_callback_token_until
    old_callback_token_until: Mapped[datetime | None]
    pace: Mapped[dict[str, Any] | None]
    balance_check: Mapped[dict[str, Any] | None]
    balance: Mapped[Decimal | None]
    balance_unit: Mapped[str | None]
    balance_at: Mapped[datetime | None]
    balance_state: Mapped[str] = mapped_column(server_default="unknown")  # what was last told of it
    balance_due_at: Mapped[datetime | None]  # when it is asked for next; while it is asked for, the lease's end
    balance_requested_at: Mapped[datetime | None]  # somebody waits for a fresh one
    balance_failures: Mapped[int] = small(server_default="0")  # in a row
    balance_failure: Mapped[str | None]
    health: Mapped[str] = mapped_column(server_default="ok")  # shared/domain/breaker.py
    health_reason: Mapped[str | None]
    health_at: Mapped[datetime | None]
    health_until: Mapped[
        datetime | None
    ]  # while it rests, that rest's end; while it is tried out, the right's to do so
    health_by: Mapped[str | None]  # the dispatcher that tries it out
    trips: Mapped[int] = small(server_default="0")  # openings in a row
    resting_until: Mapped[datetime | None]  # it asked to be given time
    retries_held_at: Mapped[datetime | None]  # retries were too many of what it is handed
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class SenderIdRow(Base):
    __tablename__ = "sender_ids"
    __table_args__ = (UniqueConstraint("gateway_id", "value"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    gateway_id: Mapped[UUID] = mapped_column(ForeignKey("gateways.id", ondelete="CASCADE"))
    value: Mapped[str]
    kind: Mapped[str]  # numeric, alphanumeric, short_code
    created_at: Mapped[datetime]


class BalanceReading(Base):
    """What a gateway said of its credit, kept for months."""

    __tablename__ = "balance_readings"
    __table_args__ = (Index(None, "gateway_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    gateway_id: Mapped[UUID] = mapped_column(ForeignKey("gateways.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    amount: Mapped[Decimal]
    unit: Mapped[str]


class HealthChange(Base):
    """Each change of a gateway's health, and why."""

    __tablename__ = "gateway_health_changes"
    __table_args__ = (Index(None, "gateway_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    gateway_id: Mapped[UUID] = mapped_column(ForeignKey("gateways.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    was: Mapped[str]
    health: Mapped[str]
    reason: Mapped[str | None]
    by: Mapped[str]  # a dispatcher, or the key of who commanded it


class GatewayScript(Base):
    """A wording that the script of a gateway had, kept so that it can be read and put in force again."""

    __tablename__ = "gateway_scripts"

    gateway_id: Mapped[UUID] = mapped_column(ForeignKey("gateways.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sha256: Mapped[str]
    text: Mapped[str]
    restored_from: Mapped[int | None]  # the version that this one repeats
    created_by: Mapped[str | None]  # nobody knows of those that are older than this table
    created_at: Mapped[datetime]
