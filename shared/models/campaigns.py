"""Campaigns: what is sent to whom, when, and how far it is."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.domain import campaign, message
from shared.models.base import Base, small

SHOWN = sql("status <> 'archived'")


class Campaign(Base):
    __tablename__ = "campaigns"
    __table_args__ = (
        UniqueConstraint("name"),
        # due: what may have to start, and what is under way
        Index("ix_campaigns_live", "starts_at", postgresql_where=sql("status IN ('scheduled', 'running', 'stopped')")),
        # lock_stopped
        Index(
            "ix_campaigns_unemptied",
            "stopped_at",
            postgresql_where=sql("stopped_at IS NOT NULL AND emptied_at IS NULL"),
        ),
        # list_campaigns, in each of its orders; what is archived is asked for by its status
        Index("ix_campaigns_by_name", "name", "id", postgresql_where=SHOWN),
        Index("ix_campaigns_by_status", "status", "id", postgresql_where=SHOWN),
        Index("ix_campaigns_archived", "created_at", "id", postgresql_where=sql("status = 'archived'")),
        Index("ix_campaigns_by_start", sql("coalesce(starts_at, created_at)"), "id", postgresql_where=SHOWN),
        Index("ix_campaigns_by_creation", "created_at", "id", postgresql_where=SHOWN),
        Index("ix_campaigns_by_creator", sql("coalesce(created_by, '')"), "id", postgresql_where=SHOWN),
        Index("ix_campaigns_by_message_count", "message_count", "id", postgresql_where=SHOWN),
        Index("ix_campaigns_by_target", "target", "id", postgresql_where=SHOWN),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    status: Mapped[campaign.Status]
    held_reason: Mapped[campaign.HeldReason | None]
    message_count: Mapped[int] = small(server_default="0")
    target: Mapped[str] = mapped_column(server_default="")  # whom it is for in a few words, as a list shows it
    sender_id: Mapped[str | None]  # what the handset shows; empty takes the gateway's
    owner: Mapped[str | None]
    created_by: Mapped[str | None]
    phone_field: Mapped[str | None]  # the contacts' field that holds the number; empty for their own
    skip_landlines: Mapped[bool] = mapped_column(server_default="false")
    max_per_minute: Mapped[int | None]  # messages; empty means as many as the gateways take
    opt_in_acknowledged_at: Mapped[datetime | None]
    opt_in_acknowledged_by: Mapped[str | None]
    # its own windows, beside the policy's
    quiet_hours: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    starts_at: Mapped[datetime | None]  # the earliest send_at; empty means at once
    frozen_at: Mapped[datetime | None]  # when the audience was settled
    recipients: Mapped[int | None]  # how many that were, excluded ones not counted
    confirmed_recipients: Mapped[int | None]  # it was started for so many at most; empty asks for no confirmation
    confirmed_segments: Mapped[int | None] = mapped_column(BigInteger)  # and for so many of these
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    emptied_at: Mapped[datetime | None]  # when the last unsent message of a stopped one was cancelled
    messages_dropped_at: Mapped[datetime | None]  # since when some of its messages are kept no longer
    released_at: Mapped[datetime | None]  # when its owner last let it go: started, restarted or resumed it
    resend_of: Mapped[UUID | None]  # the campaign of which it sends some messages once more
    resend_which: Mapped[campaign.Which | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class CampaignTarget(Base):
    """Whom a campaign is for, before the audience is frozen: exactly one of the three is set."""

    __tablename__ = "campaign_targets"
    __table_args__ = (Index(None, "campaign_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    target_group_id: Mapped[UUID | None] = mapped_column(ForeignKey("target_groups.id", ondelete="CASCADE"))
    contact_id: Mapped[UUID | None] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    msisdn: Mapped[str | None]


class CampaignMessage(Base):
    """One step of the sequence. `expanded` is the cursor: recipients up to that position have a message."""

    __tablename__ = "campaign_messages"
    __table_args__ = (
        UniqueConstraint("campaign_id", "position"),
        Index(
            "ix_campaign_messages_live",
            "send_at",
            postgresql_where=sql("status IN ('pending', 'expanding', 'sending')"),
        ),
        # lock_step, find_elsewhere: by whom it is sent once more
        Index("ix_campaign_messages_resend_of", "resend_of", postgresql_where=sql("resend_of IS NOT NULL")),
        # find_user: who sends this attachment
        Index(
            "ix_campaign_messages_attachments",
            "attachments",
            postgresql_using="gin",
            postgresql_ops={"attachments": "jsonb_path_ops"},
            postgresql_where=sql("attachments <> '[]'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    position: Mapped[int] = small()
    text: Mapped[str]
    template_id: Mapped[UUID | None]  # what the text was copied from, for the record: it may be gone
    template_version: Mapped[int | None]
    send_at: Mapped[datetime | None]
    send_by: Mapped[datetime | None]
    status: Mapped[campaign.StepStatus]
    # as they were when it was written (`Media`): what was sent is known after the files are gone
    attachments: Mapped[list[Any]] = mapped_column(server_default=sql("'[]'"))
    next_slice_at: Mapped[datetime | None]  # of a campaign with a pace of its own
    expanding_at: Mapped[datetime | None]  # the moment all its message ids are derived from
    expanded: Mapped[int] = mapped_column(server_default="0")
    made_segments: Mapped[int] = mapped_column(BigInteger, server_default="0")  # of messages made to be sent
    finished_at: Mapped[datetime | None]
    # While its cancelled messages are put back into the queue: those up to this id were looked at.
    reviving_after: Mapped[UUID | None]
    resend_of: Mapped[UUID | None]  # the campaign message whose messages it sends once more


class CampaignRecipient(Base):
    """The frozen audience: positions count from 1 without gaps, in the order messages are made.

    Who is left out stands below 0: excluded by the owner before the audience is frozen, or found then not to be
    reachable. Such a row has the contact's own number, if there is a contact.

    No foreign key: it would be checked once a recipient, and a campaign with an audience is never deleted.
    """

    __tablename__ = "campaign_recipients"
    __table_args__ = (UniqueConstraint("campaign_id", "msisdn"),)

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    msisdn: Mapped[str]
    contact_id: Mapped[UUID | None]
    excluded_by: Mapped[str | None]
    skip_reason: Mapped[message.SkipReason | None]


class Tally(Base):
    """How many messages of a campaign message are in a status, as a sum of differences.

    Written in the transaction that moves the messages, one row per writer so that nobody waits on a hot row. Only
    the sum over writers means something.
    """

    __tablename__ = "tallies"

    campaign_message_id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[message.Status] = mapped_column(primary_key=True)
    writer: Mapped[int] = small(primary_key=True)
    messages: Mapped[int] = mapped_column(BigInteger)
    segments: Mapped[int] = mapped_column(BigInteger)
