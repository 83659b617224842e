"""One-time passwords: profiles, challenges without their codes, and what keeps abuse down."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, small


class OtpProfile(Base):
    """How the passwords of one splash page look and behave."""

    __tablename__ = "otp_profiles"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    enabled: Mapped[bool]
    length: Mapped[int] = small()
    ttl_seconds: Mapped[int]
    max_attempts: Mapped[int] = small()
    resend_waits: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    max_sends: Mapped[int] = small()
    text: Mapped[str]
    sender_id: Mapped[str | None]
    location_id: Mapped[str | None]
    web_domain: Mapped[str | None]
    region: Mapped[str | None]
    allowed_countries: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    limits: Mapped[dict[str, Any]] = mapped_column(server_default=sql("'{}'"))  # what differs from the deployment's
    test_numbers: Mapped[list[Any]] = mapped_column(server_default=sql("'[]'"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Otp(Base):
    """A challenge: a number that is asked for a code. The code itself is nowhere; `pepper` says how to derive it.

    No foreign key to the profile: what was sent is counted when the profile is gone.
    """

    __tablename__ = "otps"
    __table_args__ = (
        # find_pending: a page that is loaded again finds the challenge that is open
        Index("ix_otps_msisdn_hash", "msisdn_hash", "created_at"),
        # conversion of a prefix, of a country, and of everything
        Index("ix_otps_prefix", "prefix", "created_at"),
        Index("ix_otps_country", "country", "created_at"),
        Index("ix_otps_created_at", "created_at"),
        # tell_expired
        Index("ix_otps_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    profile_id: Mapped[UUID]
    msisdn: Mapped[str]
    msisdn_hash: Mapped[bytes]
    session_hash: Mapped[bytes | None]
    address_hash: Mapped[bytes | None]  # of the person's device, as it is counted by
    pepper: Mapped[str]
    length: Mapped[int] = small()
    attempts: Mapped[int] = small(server_default="0")
    max_attempts: Mapped[int] = small()
    sends: Mapped[int] = small(server_default="0")
    resend_at: Mapped[datetime]
    country: Mapped[str]
    prefix: Mapped[str]
    test_code: Mapped[str | None]  # of a number for trying out: nothing is sent
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]


class OtpExpiries(Base):
    """One row: up to which moment it has been told of passwords that nobody used in time."""

    __tablename__ = "otp_expiries"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = small(primary_key=True, autoincrement=False)
    told_until: Mapped[datetime]


class OtpMessage(Base):
    """Which challenge a message carries the code of. The message's own row never holds it."""

    __tablename__ = "otp_messages"
    __table_args__ = (Index(None, "otp_id"),)

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    otp_id: Mapped[UUID]


class OtpSubject(Base):
    """Wrong codes in a row for one number, over all its challenges; a right one forgets them.

    And those for challenges that are not there, under a hash of the id: they are counted down like others.
    """

    __tablename__ = "otp_subjects"
    __table_args__ = (Index(None, "since"),)  # housekeeping

    msisdn_hash: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int] = small()
    since: Mapped[datetime]


class OtpHour(Base):
    """Segments spent on passwords in one hour: what the caps are measured with."""

    __tablename__ = "otp_hours"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    segments: Mapped[int]


class OtpSum(Base):
    """What became of the passwords of one hour and profile, counted once nothing of them changes any more."""

    __tablename__ = "otp_sums"
    __table_args__ = (Index(None, "hour"),)  # delete_old_sums

    scope: Mapped[str] = mapped_column(primary_key=True)  # country, gateway, second
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    profile_id: Mapped[UUID] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    started: Mapped[int]
    verified: Mapped[int]
    sends: Mapped[int]
    wrong: Mapped[int]
    seconds: Mapped[float]  # from start to code, of all that were used


class OtpCounting(Base):
    """One row: up to which moment hours are counted."""

    __tablename__ = "otp_counting"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = small(primary_key=True, autoincrement=False)
    counted_until: Mapped[datetime]


class OtpBlock(Base):
    """A prefix or a country whose passwords are not used: throttled, or blocked for a time that doubles."""

    __tablename__ = "otp_blocks"
    __table_args__ = (UniqueConstraint("scope", "value"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    scope: Mapped[str]  # prefix, country
    value: Mapped[str]
    state: Mapped[str]  # throttled, blocked, alarmed
    level: Mapped[int] = small()  # how often it was blocked before it kept quiet
    until: Mapped[datetime]
    sent: Mapped[int]
    verified: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None]


class OtpLimits(Base):
    """One row: the deployment's own limits; what it leaves out is as usual."""

    __tablename__ = "otp_limits"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = small(primary_key=True, autoincrement=False)
    limits: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str | None]
