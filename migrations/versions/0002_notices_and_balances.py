"""Notices with their letters, and the credit of gateways as it is watched."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    # list_notices, of those that nobody has acknowledged
    op.create_index(
        "ix_notices_open", "notices", ["id"], unique=False, postgresql_where=sa.text("acknowledged_at IS NULL")
    )
    op.create_table(
        "notice_emails",
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notices.id"], name=op.f("fk_notice_emails_notice_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("notice_id", "address", name=op.f("pk_notice_emails")),
    )
    # claim_letters
    op.create_index(
        "ix_notice_emails_due",
        "notice_emails",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "balance_readings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("gateway_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateways.id"], name=op.f("fk_balance_readings_gateway_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_readings")),
    )
    op.create_index(op.f("ix_balance_readings_gateway_id_id"), "balance_readings", ["gateway_id", "id"], unique=False)
    op.add_column("gateways", sa.Column("balance_state", sa.Text(), server_default="unknown", nullable=False))
    op.add_column("gateways", sa.Column("balance_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("gateways", sa.Column("balance_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("gateways", sa.Column("balance_failures", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("gateways", sa.Column("balance_failure", sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    for column in ("failure", "failures", "requested_at", "due_at", "state"):
        op.drop_column("gateways", f"balance_{column}")
    op.drop_index(op.f("ix_balance_readings_gateway_id_id"), table_name="balance_readings")
    op.drop_table("balance_readings")
    op.drop_index("ix_notice_emails_due", table_name="notice_emails", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_table("notice_emails")
    op.drop_index("ix_notices_open", table_name="notices", postgresql_where=sa.text("acknowledged_at IS NULL"))
    op.drop_table("notices")
