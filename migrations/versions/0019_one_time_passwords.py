"""One-time passwords: profiles, challenges, limits; and the index that finds passwords in doubt."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_IN_DOUBT = "WHERE status = 'unconfirmed' AND campaign_message_id IS NULL"


def upgrade() -> None:
    _build_index("in_doubt", "kind, id")
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "otp_profiles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.Column("ttl_seconds", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.SmallInteger(), nullable=False),
        sa.Column("resend_waits", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("max_sends", sa.SmallInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sender_id", sa.Text(), nullable=True),
        sa.Column("location_id", sa.Text(), nullable=True),
        sa.Column("web_domain", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("allowed_countries", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("limits", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("test_numbers", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_otp_profiles")),
        sa.UniqueConstraint("name", name=op.f("uq_otp_profiles_name")),
    )
    op.execute("""
        INSERT INTO otp_profiles (id, name, enabled, length, ttl_seconds, max_attempts, resend_waits, max_sends, text,
                                  created_at, updated_at)
        VALUES ('0197c0de-0000-7000-8000-00000000d0f0', 'default', true, 6, 600, 5, '{30,60,120}', 5,
                'Your code is {{ code }}. It is valid for {{ minutes }} minutes.', now(), now())
    """)
    op.create_table(
        "otps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=False),
        sa.Column("msisdn_hash", sa.LargeBinary(), nullable=False),
        sa.Column("session_hash", sa.LargeBinary(), nullable=True),
        sa.Column("pepper", sa.Text(), nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.SmallInteger(), nullable=False),
        sa.Column("sends", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("resend_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("test_code", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_otps")),
    )
    # find_pending
    op.create_index("ix_otps_msisdn_hash", "otps", ["msisdn_hash", "created_at"])
    # conversion of a prefix, of a country, and of everything
    op.create_index("ix_otps_prefix", "otps", ["prefix", "created_at"])
    op.create_index("ix_otps_country", "otps", ["country", "created_at"])
    op.create_index("ix_otps_created_at", "otps", ["created_at"])
    op.create_table(
        "otp_messages",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("otp_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_otp_messages")),
    )
    op.create_index(op.f("ix_otp_messages_otp_id"), "otp_messages", ["otp_id"])
    op.create_table(
        "otp_subjects",
        sa.Column("msisdn_hash", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("msisdn_hash", name=op.f("pk_otp_subjects")),
    )
    op.create_index(op.f("ix_otp_subjects_since"), "otp_subjects", ["since"])
    op.create_table(
        "otp_hours",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", name=op.f("pk_otp_hours")),
    )
    op.create_table(
        "otp_blocks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("verified", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_otp_blocks")),
        sa.UniqueConstraint("scope", "value", name=op.f("uq_otp_blocks_scope_value")),
    )
    op.create_table(
        "otp_limits",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("limits", postgresql.JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_otp_limits_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_otp_limits")),
    )
    _hang_index("ix_messages_in_doubt", "in_doubt", "kind, id")
    op.execute("DROP INDEX ix_messages_unconfirmed")


def downgrade() -> None:
    _build_index("unconfirmed", "kind")
    op.execute("SET LOCAL lock_timeout = '4s'")
    _hang_index("ix_messages_unconfirmed", "unconfirmed", "kind")
    op.execute("DROP INDEX ix_messages_in_doubt")
    for table in ("limits", "blocks", "hours", "subjects", "messages"):
        op.drop_table(f"otp_{table}")
    op.drop_table("otps")
    op.drop_table("otp_profiles")


def _build_index(suffix: str, columns: str) -> None:
    """Beside the traffic, month by month; the first step, since it cannot be taken back with the others."""
    with op.get_context().autocommit_block():
        for month in _months():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {month}_{suffix}")
            op.execute(f"CREATE INDEX CONCURRENTLY {month}_{suffix} ON {month} ({columns}) {_IN_DOUBT}")


def _hang_index(name: str, suffix: str, columns: str) -> None:
    """Below the table's own, which takes a moment."""
    op.execute(f"CREATE INDEX {name} ON ONLY messages ({columns}) {_IN_DOUBT}")
    for month in _months():
        # A month that was made meanwhile has no rows yet.
        op.execute(f"CREATE INDEX IF NOT EXISTS {month}_{suffix} ON {month} ({columns}) {_IN_DOUBT}")
        op.execute(f"ALTER INDEX {name} ATTACH PARTITION {month}_{suffix}")


def _months() -> list[str]:
    question = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'messages'::regclass ORDER BY 1"
    return list(op.get_bind().execute(sa.text(question)).scalars())
