"""First tables: the path of a message from a contact to a receipt.

The default partitions catch what falls outside the months that `shared/queries/partitions.py` makes.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("public_id", name=op.f("uq_api_keys_public_id")),
    )
    op.create_table(
        "attempts",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("gateway_id", sa.Uuid(), nullable=False),
        sa.Column("dispatcher", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("http_status", sa.SmallInteger(), nullable=True),
        sa.Column("segments", sa.SmallInteger(), nullable=True),
        sa.Column("lookups", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("lookup_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exchange", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "attempt", name=op.f("pk_attempts")),
        postgresql_partition_by="RANGE (message_id)",
    )
    op.create_index(
        "ix_attempts_gateway_id_reference",
        "attempts",
        ["gateway_id", "reference"],
        unique=False,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_index(
        "ix_attempts_lookup", "attempts", ["lookup_at"], unique=False, postgresql_where=sa.text("lookup_at IS NOT NULL")
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(
        op.f("ix_audit_log_subject_kind_subject_id_id"), "audit_log", ["subject_kind", "subject_id", "id"], unique=False
    )
    op.create_table(
        "campaign_recipients",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("excluded_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("campaign_id", "position", name=op.f("pk_campaign_recipients")),
        sa.UniqueConstraint("campaign_id", "msisdn", name=op.f("uq_campaign_recipients_campaign_id_msisdn")),
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("held_reason", sa.Text(), nullable=True),
        sa.Column("sender_id", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("opt_in_acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opt_in_acknowledged_by", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recipients", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("emptied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("name", name=op.f("uq_campaigns_name")),
    )
    op.create_index(
        "ix_campaigns_live",
        "campaigns",
        ["starts_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('scheduled', 'running', 'stopped')"),
    )
    op.create_table(
        "contacts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("location_id", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("consent_status", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("consent_source", sa.Text(), nullable=True),
        sa.Column("consent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("msisdn", name=op.f("uq_contacts_msisdn")),
    )
    op.create_index(
        "ix_contacts_external_id",
        "contacts",
        ["external_id"],
        unique=False,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "gateways",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("location_ids", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("secrets_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("callback_token", sa.Text(), nullable=False),
        sa.Column("pace", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("balance_check", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("balance", sa.Numeric(), nullable=True),
        sa.Column("balance_unit", sa.Text(), nullable=True),
        sa.Column("balance_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("health", sa.Text(), server_default="ok", nullable=False),
        sa.Column("health_reason", sa.Text(), nullable=True),
        sa.Column("health_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateways")),
        sa.UniqueConstraint("name", name=op.f("uq_gateways_name")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "method", "path", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "inbound",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("gateway_id", sa.Uuid(), nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=False),
        sa.Column("to", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("keyword", sa.Text(), nullable=True),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound")),
    )
    op.create_index(op.f("ix_inbound_gateway_id_id"), "inbound", ["gateway_id", "id"], unique=False)
    op.create_index(
        "ix_inbound_keyword_id",
        "inbound",
        ["keyword", "id"],
        unique=False,
        postgresql_where=sa.text("keyword IS NOT NULL"),
    )
    op.create_index(op.f("ix_inbound_msisdn_id"), "inbound", ["msisdn", "id"], unique=False)
    op.create_index(
        "uq_inbound_gateway_id_reference",
        "inbound",
        ["gateway_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("pepper_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=False),
        sa.Column("msisdn_hash", sa.LargeBinary(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("encoding", sa.Text(), nullable=False),
        sa.Column("segments", sa.SmallInteger(), nullable=False),
        sa.Column("sender_id", sa.Text(), nullable=True),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("campaign_message_id", sa.Uuid(), nullable=True),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("location_id", sa.Text(), nullable=True),
        sa.Column("client_reference", sa.Text(), nullable=True),
        sa.Column("resend_of", sa.Uuid(), nullable=True),
        sa.Column("skip_reason", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("gateway_id", sa.Uuid(), nullable=True),
        sa.Column("tried_gateway_ids", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("attempt", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_messages_campaign_message_id_id", "messages", ["campaign_message_id", "id"], unique=False)
    op.create_index(
        "ix_messages_campaign_queue",
        "messages",
        ["campaign_message_id", "not_before", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND campaign_message_id IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_cancel",
        "messages",
        ["cancel_requested_at"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND cancel_requested_at IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_leases", "messages", ["lease_until"], unique=False, postgresql_where=sa.text("status = 'sending'")
    )
    op.create_index("ix_messages_msisdn_id", "messages", ["msisdn", "id"], unique=False)
    op.create_index(
        "ix_messages_resend_of",
        "messages",
        ["resend_of"],
        unique=False,
        postgresql_where=sa.text("resend_of IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_sending",
        "messages",
        ["campaign_message_id"],
        unique=False,
        postgresql_where=sa.text("status = 'sending' AND campaign_message_id IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_unconfirmed",
        "messages",
        ["kind"],
        unique=False,
        postgresql_where=sa.text("status = 'unconfirmed' AND campaign_message_id IS NULL"),
    )
    op.create_index(
        "ix_messages_urgent_queue",
        "messages",
        ["priority", "not_before", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND campaign_message_id IS NULL"),
    )
    op.create_table(
        "opt_outs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=True),
        sa.Column("msisdn_hash", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("gateway_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_outs")),
        sa.UniqueConstraint("msisdn_hash", name=op.f("uq_opt_outs_msisdn_hash")),
    )
    op.create_index(op.f("ix_opt_outs_msisdn"), "opt_outs", ["msisdn"], unique=False)
    op.create_table(
        "receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("gateway_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("attempt", sa.SmallInteger(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("opted_out", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("segments", sa.SmallInteger(), nullable=True),
        sa.Column("raw", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_receipts_message_id", "receipts", ["message_id"], unique=False)
    op.create_index(
        "ix_receipts_pending", "receipts", ["next_at"], unique=False, postgresql_where=sa.text("applied_at IS NULL")
    )
    op.create_table(
        "tallies",
        sa.Column("campaign_message_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("writer", sa.SmallInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("segments", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_message_id", "status", "writer", name=op.f("pk_tallies")),
    )
    op.create_table(
        "target_groups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("conditions", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_target_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_target_groups_name")),
    )
    op.create_table(
        "campaign_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("send_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "attachments", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("expanding_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expanded", sa.Integer(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_messages_campaign_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_messages")),
        sa.UniqueConstraint("campaign_id", "position", name=op.f("uq_campaign_messages_campaign_id_position")),
    )
    op.create_index(
        "ix_campaign_messages_live",
        "campaign_messages",
        ["send_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'expanding', 'sending')"),
    )
    op.create_table(
        "campaign_targets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("target_group_id", sa.Uuid(), nullable=True),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("msisdn", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_targets_campaign_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_campaign_targets_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["target_group_id"],
            ["target_groups.id"],
            name=op.f("fk_campaign_targets_target_group_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_targets")),
    )
    op.create_index(op.f("ix_campaign_targets_campaign_id"), "campaign_targets", ["campaign_id"], unique=False)
    op.create_table(
        "imports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("target_group_id", sa.Uuid(), nullable=True),
        sa.Column("default_region", sa.Text(), nullable=True),
        sa.Column("rows_total", sa.Integer(), nullable=True),
        sa.Column("rows_imported", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cursor_row", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("layout", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["target_group_id"], ["target_groups.id"], name=op.f("fk_imports_target_group_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
    )
    op.create_index(
        "ix_imports_open",
        "imports",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_table(
        "sender_ids",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("gateway_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateways.id"], name=op.f("fk_sender_ids_gateway_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender_ids")),
        sa.UniqueConstraint("gateway_id", "value", name=op.f("uq_sender_ids_gateway_id_value")),
    )
    op.create_table(
        "target_group_members",
        sa.Column("target_group_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name=op.f("fk_target_group_members_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["target_group_id"],
            ["target_groups.id"],
            name=op.f("fk_target_group_members_target_group_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("target_group_id", "contact_id", name=op.f("pk_target_group_members")),
    )
    op.create_index(op.f("ix_target_group_members_contact_id"), "target_group_members", ["contact_id"], unique=False)
    op.create_table(
        "import_chunks",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name=op.f("fk_import_chunks_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "position", name=op.f("pk_import_chunks")),
    )
    op.create_table(
        "import_errors",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("column", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name=op.f("fk_import_errors_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "row", name=op.f("pk_import_errors")),
    )
    for table in ("messages", "attempts", "receipts"):
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_table("import_errors")
    op.drop_table("import_chunks")
    op.drop_index(op.f("ix_target_group_members_contact_id"), table_name="target_group_members")
    op.drop_table("target_group_members")
    op.drop_table("sender_ids")
    op.drop_index("ix_imports_open", table_name="imports", postgresql_where=sa.text("status IN ('queued', 'running')"))
    op.drop_table("imports")
    op.drop_index(op.f("ix_campaign_targets_campaign_id"), table_name="campaign_targets")
    op.drop_table("campaign_targets")
    op.drop_index(
        "ix_campaign_messages_live",
        table_name="campaign_messages",
        postgresql_where=sa.text("status IN ('pending', 'expanding', 'sending')"),
    )
    op.drop_table("campaign_messages")
    op.drop_table("target_groups")
    op.drop_table("tallies")
    op.drop_index("ix_receipts_pending", table_name="receipts", postgresql_where=sa.text("applied_at IS NULL"))
    op.drop_index("ix_receipts_message_id", table_name="receipts")
    op.drop_table("receipts")
    op.drop_index(op.f("ix_opt_outs_msisdn"), table_name="opt_outs")
    op.drop_table("opt_outs")
    op.drop_index(
        "ix_messages_urgent_queue",
        table_name="messages",
        postgresql_where=sa.text("status = 'queued' AND campaign_message_id IS NULL"),
    )
    op.drop_index(
        "ix_messages_unconfirmed",
        table_name="messages",
        postgresql_where=sa.text("status = 'unconfirmed' AND campaign_message_id IS NULL"),
    )
    op.drop_index(
        "ix_messages_sending",
        table_name="messages",
        postgresql_where=sa.text("status = 'sending' AND campaign_message_id IS NOT NULL"),
    )
    op.drop_index("ix_messages_resend_of", table_name="messages", postgresql_where=sa.text("resend_of IS NOT NULL"))
    op.drop_index("ix_messages_msisdn_id", table_name="messages")
    op.drop_index("ix_messages_leases", table_name="messages", postgresql_where=sa.text("status = 'sending'"))
    op.drop_index(
        "ix_messages_cancel",
        table_name="messages",
        postgresql_where=sa.text("status = 'queued' AND cancel_requested_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_messages_campaign_queue",
        table_name="messages",
        postgresql_where=sa.text("status = 'queued' AND campaign_message_id IS NOT NULL"),
    )
    op.drop_index("ix_messages_campaign_message_id_id", table_name="messages")
    op.drop_table("messages")
    op.drop_table("installation")
    op.drop_index(
        "uq_inbound_gateway_id_reference", table_name="inbound", postgresql_where=sa.text("reference IS NOT NULL")
    )
    op.drop_index(op.f("ix_inbound_msisdn_id"), table_name="inbound")
    op.drop_index("ix_inbound_keyword_id", table_name="inbound", postgresql_where=sa.text("keyword IS NOT NULL"))
    op.drop_index(op.f("ix_inbound_gateway_id_id"), table_name="inbound")
    op.drop_table("inbound")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("gateways")
    op.drop_index("ix_contacts_external_id", table_name="contacts", postgresql_where=sa.text("external_id IS NOT NULL"))
    op.drop_table("contacts")
    op.drop_index(
        "ix_campaigns_live",
        table_name="campaigns",
        postgresql_where=sa.text("status IN ('scheduled', 'running', 'stopped')"),
    )
    op.drop_table("campaigns")
    op.drop_table("campaign_recipients")
    op.drop_index(op.f("ix_audit_log_subject_kind_subject_id_id"), table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_index("ix_attempts_lookup", table_name="attempts", postgresql_where=sa.text("lookup_at IS NOT NULL"))
    op.drop_index(
        "ix_attempts_gateway_id_reference", table_name="attempts", postgresql_where=sa.text("reference IS NOT NULL")
    )
    op.drop_table("attempts")
    op.drop_table("api_keys")
