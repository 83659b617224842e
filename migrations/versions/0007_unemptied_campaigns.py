"""An index of the stopped campaigns that still have unsent messages to cancel, archived ones included."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME = "ix_campaigns_unemptied"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '4s'")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")  # an INVALID leftover of an earlier try
        op.create_index(  # lock_stopped
            NAME,
            "campaigns",
            ["stopped_at"],
            postgresql_where=sa.text("stopped_at IS NOT NULL AND emptied_at IS NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index(NAME, table_name="campaigns")
