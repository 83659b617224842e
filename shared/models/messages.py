"""Every SMS, every hand-over of one, and what gateways said afterwards.

The three tables that grow are partitioned by the time in their UUIDv7 (`shared/queries/partitions.py`), so that
retention drops a partition. They carry no foreign keys: they are the hot path.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, Uuid, false, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.domain.message import Kind, SkipReason, Status
from shared.models.base import Base, small


class Message(Base):
    __tablename__ = "messages"
    __table_args__ = (
        # claim_campaign: the due ones of one campaign message, in audience order
        Index(
            "ix_messages_campaign_queue",
            "campaign_message_id",
            "not_before",
            "id",
            postgresql_where=text("status = 'queued' AND campaign_message_id IS NOT NULL"),
        ),
        # claim_urgent
        Index(
            "ix_messages_urgent_queue",
            "priority",
            "not_before",
            "id",
            postgresql_where=text("status = 'queued' AND campaign_message_id IS NULL"),
        ),
        # rescue_leases
        Index("ix_messages_leases", "lease_until", postgresql_where=text("status = 'sending'")),
        # finish: is a message of it still leased
        Index(
            "ix_messages_sending",
            "campaign_message_id",
            postgresql_where=text("status = 'sending' AND campaign_message_id IS NOT NULL"),
        ),
        # depths: how many single messages nobody knows the fate of; claim_again: the passwords among them
        Index(
            "ix_messages_in_doubt",
            "kind",
            "id",
            postgresql_where=text("status = 'unconfirmed' AND campaign_message_id IS NULL"),
        ),
        # cancel_requested
        Index(
            "ix_messages_cancel",
            "cancel_requested_at",
            postgresql_where=text("status = 'queued' AND cancel_requested_at IS NOT NULL"),
        ),
        # resend: what went in its place before
        Index("ix_messages_resend_of", "resend_of", postgresql_where=text("resend_of IS NOT NULL")),
        Index("ix_messages_campaign_message_id_id", "campaign_message_id", "id"),
        Index("ix_messages_msisdn_id", "msisdn", "id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[Kind]
    status: Mapped[Status]
    priority: Mapped[int] = small()
    msisdn: Mapped[str]
    msisdn_hash: Mapped[bytes]
    text: Mapped[str]
    encoding: Mapped[str]
    segments: Mapped[int] = small()
    sender_id: Mapped[str | None]  # what the handset shows; empty takes the gateway's
    campaign_id: Mapped[UUID | None]
    campaign_message_id: Mapped[UUID | None]
    contact_id: Mapped[UUID | None]
    location_id: Mapped[str | None]
    client_reference: Mapped[str | None]
    resend_of: Mapped[UUID | None]  # the message that its owner wished to have sent once more
    skip_reason: Mapped[SkipReason | None]
    failure: Mapped[str | None]  # the code of the refusal that made it fail
    gateway_id: Mapped[UUID | None]  # of the last attempt
    tried_gateway_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid(as_uuid=True)))
    attempt: Mapped[int] = small(server_default="0")
    not_before: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]  # of the voucher that it carries or reminds of: nobody is sent it after that
    respect_quiet_hours: Mapped[bool | None]  # an automation's choice; empty: as the policy has it for its kind
    lease_until: Mapped[datetime | None]
    leased_by: Mapped[str | None]
    cancel_requested_at: Mapped[datetime | None]
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]
    status_at: Mapped[datetime]


class Attempt(Base):
    """One hand-over to one gateway, written before the first byte may leave. No outcome means: not known yet."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index(
            "ix_attempts_gateway_id_reference",
            "gateway_id",
            "reference",
            postgresql_where=text("reference IS NOT NULL"),
        ),
        # reconcile: whom to ask about next
        Index("ix_attempts_lookup", "lookup_at", postgresql_where=text("lookup_at IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (message_id)"},
    )

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempt: Mapped[int] = small(primary_key=True)
    gateway_id: Mapped[UUID]
    dispatcher: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    fault: Mapped[str | None]
    code: Mapped[str | None]
    detail: Mapped[str | None]
    reference: Mapped[str | None]
    http_status: Mapped[int | None] = small()
    segments: Mapped[int | None] = small()
    lookups: Mapped[int] = small(server_default="0")
    lookup_at: Mapped[datetime | None]
    exchange: Mapped[dict[str, Any] | None]


class ReceiptRow(Base):
    """The inbox of delivery receipts. The id is derived from what it says, so the same news twice is one row."""

    __tablename__ = "receipts"
    __table_args__ = (
        # apply_receipts
        Index("ix_receipts_pending", "next_at", postgresql_where=text("applied_at IS NULL")),
        Index("ix_receipts_message_id", "message_id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    gateway_id: Mapped[UUID]
    message_id: Mapped[UUID | None]
    attempt: Mapped[int | None] = small()
    reference: Mapped[str | None]
    status: Mapped[Status]
    code: Mapped[str | None]
    opted_out: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    segments: Mapped[int | None] = small()
    raw: Mapped[dict[str, Any] | None]
    received_at: Mapped[datetime]
    next_at: Mapped[datetime]  # when to try again while it fits no attempt
    applied_at: Mapped[datetime | None]
    verdict: Mapped[str | None]  # applied, unmatched


class InboundRow(Base):
    """A message from a handset."""

    __tablename__ = "inbound"
    __table_args__ = (
        Index(
            "uq_inbound_gateway_id_reference",
            "gateway_id",
            "reference",
            unique=True,
            postgresql_where=text("reference IS NOT NULL"),
        ),
        Index(None, "msisdn", "id"),
        Index(None, "gateway_id", "id"),
        Index("ix_inbound_keyword_id", "keyword", "id", postgresql_where=text("keyword IS NOT NULL")),
        # list_inbound, of those that a person should read
        Index("ix_inbound_review", "id", postgresql_where=text("review AND reviewed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    gateway_id: Mapped[UUID]
    msisdn: Mapped[str]
    to: Mapped[str]
    text: Mapped[str]
    reference: Mapped[str | None]
    keyword: Mapped[str | None]
    contact_id: Mapped[UUID | None]
    campaign_id: Mapped[UUID | None]
    received_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]  # by the gateway's clock, where it tells
    review: Mapped[bool] = mapped_column(Boolean, server_default=false())  # a sentence that may mean stop
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str | None]
