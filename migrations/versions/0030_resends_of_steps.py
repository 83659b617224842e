"""Which messages of other campaigns send one once more: asked for each slice of an expansion."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

NAME = "ix_campaign_messages_resend_of"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '4s'")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")  # an INVALID leftover of an earlier try
        op.create_index(  # lock_step, find_elsewhere
            NAME,
            "campaign_messages",
            ["resend_of"],
            postgresql_where=sa.text("resend_of IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index(NAME, table_name="campaign_messages")
