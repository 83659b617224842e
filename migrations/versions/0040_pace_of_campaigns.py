"""How many messages a minute a campaign makes at most, and when the next ones may be made."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("campaigns", sa.Column("max_per_minute", sa.Integer(), nullable=True))
    op.add_column("campaign_messages", sa.Column("next_slice_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_column("campaign_messages", "next_slice_at")
    op.drop_column("campaigns", "max_per_minute")
