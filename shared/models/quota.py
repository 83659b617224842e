"""The quota's ledger, what campaigns and single messages hold of it, and what was confirmed before a start."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Date, ForeignKey, Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.domain.quota import EntryKind, Period
from shared.models.base import Base, Enumerated


class QuotaEntry(Base):
    """One line of the ledger. Lines are added and never changed, but for the day's lines of single messages."""

    __tablename__ = "quota_entries"
    __table_args__ = (
        Index(None, "kind", "booked_on"),
        Index(None, "subject_id", postgresql_where=text("subject_id IS NOT NULL")),
        # book_messages: a day's single messages are one line of each kind
        Index(
            "uq_quota_entries_messages",
            "booked_on",
            "kind",
            unique=True,
            postgresql_where=text("subject_kind = 'messages'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[EntryKind] = mapped_column(Enumerated(EntryKind))
    units: Mapped[int] = mapped_column(BigInteger)
    period: Mapped[Period | None] = mapped_column(Enumerated(Period))  # of a grant
    subject_kind: Mapped[str]  # grant, campaign, messages
    subject_id: Mapped[UUID | None]
    booked_on: Mapped[date] = mapped_column(Date)  # whose period it belongs to: a release goes back where it came from
    at: Mapped[datetime]
    created_by: Mapped[str | None]
    note: Mapped[str | None]


class QuotaAccount(Base):
    """The running sums of one campaign's entries, so that nobody adds them up in the middle of things."""

    __tablename__ = "quota_accounts"
    # settle_accounts
    __table_args__ = (Index("ix_quota_accounts_due", "look_at", postgresql_where=text("look_at IS NOT NULL")),)

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True)
    unit: Mapped[str]
    reserved: Mapped[int] = mapped_column(BigInteger)
    uncovered: Mapped[int] = mapped_column(BigInteger)  # reserved for messages that are not made yet
    consumed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    released: Mapped[int] = mapped_column(BigInteger, server_default="0")
    booked_on: Mapped[date] = mapped_column(Date)
    look_at: Mapped[datetime | None]  # when to settle it next; None when that is done with


class QuotaHold(Base):
    """What a single message holds until its fate is known. `booked` once it is in the day's line of the ledger."""

    __tablename__ = "quota_holds"
    __table_args__ = (
        Index("ix_quota_holds_unbooked", "message_id", postgresql_where=text("NOT booked")),
        Index("ix_quota_holds_due", "look_at", postgresql_where=text("booked")),
    )

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    units: Mapped[int]
    booked_on: Mapped[date] = mapped_column(Date)
    booked: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    look_at: Mapped[datetime]


class Estimate(Base):
    """What somebody was told before a start, and may start with once: so many people, these words."""

    __tablename__ = "estimates"
    __table_args__ = (Index(None, "campaign_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    content_digest: Mapped[bytes]
    audience_digest: Mapped[str]
    recipients: Mapped[int]
    units: Mapped[int] = mapped_column(BigInteger)
    unit: Mapped[str]
    segments: Mapped[int | None] = mapped_column(BigInteger)  # empty in what was told before these were kept
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Price(Base):
    """What a segment to a country costs, by the operator's own table."""

    __tablename__ = "prices"

    country: Mapped[str] = mapped_column(primary_key=True)
    price: Mapped[Decimal] = mapped_column(Numeric)
    currency: Mapped[str]
    updated_at: Mapped[datetime]
