"""Whom we write to: contacts, target groups, their imports, and those who said no."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.domain import contact_field
from shared.models.base import Base


class Contact(Base):
    __tablename__ = "contacts"
    __table_args__ = (
        UniqueConstraint("msisdn"),
        Index("ix_contacts_external_id", "external_id", postgresql_where=text("external_id IS NOT NULL")),
        # freeze: is there anybody who took their consent back
        Index("ix_contacts_withdrawn", "id", postgresql_where=text("consent_status = 'withdrawn'")),
        # claim: whoever has the number now
        Index("ix_contacts_withdrawn_msisdn", "msisdn", postgresql_where=text("consent_status = 'withdrawn'")),
        # compile_condition: equality with a field of the owner's
        Index("ix_contacts_fields", "fields", postgresql_using="gin", postgresql_ops={"fields": "jsonb_path_ops"}),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    msisdn: Mapped[str]
    name: Mapped[str | None]
    external_id: Mapped[str | None]
    fields: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    location_id: Mapped[str | None]
    time_zone: Mapped[str | None]
    consent_status: Mapped[str] = mapped_column(server_default="unknown")
    consent_source: Mapped[str | None]
    consent_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ContactField(Base):
    """A field of the owner's own. One without `defined_at` was only ever seen in somebody's fields, and is a text."""

    __tablename__ = "contact_fields"

    key: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[contact_field.FieldType]
    choices: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    description: Mapped[str | None]
    defined_at: Mapped[datetime | None]
    defined_by: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TargetGroup(Base):
    """`static` has members by hand; `dynamic` has conditions."""

    __tablename__ = "target_groups"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    conditions: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TargetGroupMember(Base):
    __tablename__ = "target_group_members"
    __table_args__ = (Index(None, "contact_id"),)

    target_group_id: Mapped[UUID] = mapped_column(ForeignKey("target_groups.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True)
    added_at: Mapped[datetime]


class Import(Base):
    """One uploaded CSV on its way into contacts. `cursor_row` moves in the transaction that writes the rows."""

    __tablename__ = "imports"
    __table_args__ = (Index("ix_imports_open", "created_at", postgresql_where=text("status IN ('queued', 'running')")),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(server_default="contacts")  # contacts, opt_outs
    status: Mapped[str]  # queued, running, completed, failed
    file_name: Mapped[str | None]
    size_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    target_group_id: Mapped[UUID | None] = mapped_column(ForeignKey("target_groups.id", ondelete="SET NULL"))
    default_region: Mapped[str | None]
    rows_total: Mapped[int | None]
    rows_imported: Mapped[int] = mapped_column(server_default="0")
    rows_rejected: Mapped[int] = mapped_column(server_default="0")
    contacts_created: Mapped[int | None]  # of contacts, as the next one
    rows_duplicate: Mapped[int | None]  # of those imported: their number was in a row before
    cursor_row: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None]
    layout: Mapped[dict[str, Any] | None]  # encoding, delimiter, columns: how the file was read
    lease_until: Mapped[datetime | None]
    created_by: Mapped[str | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class ImportChunk(Base):
    """The file itself, in pieces, until the import has ended: api and dispatcher need not share a disk."""

    __tablename__ = "import_chunks"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes]


class ImportNumber(Base):
    """A number that the import has met, as a hash of 64 bits, until housekeeping finds that it has ended."""

    __tablename__ = "import_numbers"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class ImportRejection(Base):
    """Why one row was not imported."""

    __tablename__ = "import_errors"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True)
    column: Mapped[str | None]
    reason: Mapped[str]


class OptOut(Base):
    """A standing no. The keyed hash outlives the number when the person is erased."""

    __tablename__ = "opt_outs"
    __table_args__ = (UniqueConstraint("msisdn_hash"), Index(None, "msisdn"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    msisdn: Mapped[str | None]
    msisdn_hash: Mapped[bytes]
    # Whose messages it holds back: those that these senders send; empty is everybody's. Never an empty list.
    sender_ids: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    source: Mapped[str]  # inbound, gateway, api, import
    gateway_id: Mapped[UUID | None]
    at: Mapped[datetime]
