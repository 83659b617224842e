"""Secrets of webhooks that were replaced more than once and still sign, and when deliveries died."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

DEATHS = "ix_webhook_deliveries_deaths"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '4s'")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {DEATHS}")  # an INVALID leftover of an earlier try
        op.create_index(  # revive_deliveries
            DEATHS,
            "webhook_deliveries",
            ["webhook_id", "closed_at"],
            postgresql_where=sa.text("status = 'dead'"),
            postgresql_concurrently=True,
        )
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("webhooks", sa.Column("older_secrets_sealed", sa.LargeBinary(), nullable=True))
    op.add_column(
        "webhooks",
        sa.Column(
            "older_secrets_until",
            postgresql.ARRAY(sa.DateTime(timezone=True)),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_column("webhooks", "older_secrets_until")
    op.drop_column("webhooks", "older_secrets_sealed")
    op.drop_index(DEATHS, table_name="webhook_deliveries")
