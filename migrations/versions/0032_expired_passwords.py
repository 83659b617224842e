"""Up to when it has been told which passwords nobody used in time, and whose numbers events about passwords hold."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

EXPIRES = "ix_otps_expires_at"
OF_OTPS = "ix_webhook_deliveries_otps"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '4s'")
        for name in (EXPIRES, OF_OTPS):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # an INVALID leftover of an earlier try
        op.create_index(EXPIRES, "otps", ["expires_at"], postgresql_concurrently=True)  # tell_expired
        op.create_index(  # erasures
            OF_OTPS,
            "webhook_deliveries",
            ["subject_id"],
            postgresql_where=sa.text("type LIKE 'otp.%'"),
            postgresql_concurrently=True,
        )
    op.create_table(
        "otp_expiries",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("told_until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_otp_expiries_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_otp_expiries")),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index(OF_OTPS, table_name="webhook_deliveries")
    op.drop_index(EXPIRES, table_name="otps")
    op.drop_table("otp_expiries")
