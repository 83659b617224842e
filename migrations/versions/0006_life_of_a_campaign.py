"""Campaigns that are let go again: restarted, resumed, and sent once more in part."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("campaigns", sa.Column("released_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("campaigns", sa.Column("resend_of", sa.Uuid(), nullable=True))
    op.add_column("campaigns", sa.Column("resend_which", sa.Text(), nullable=True))
    op.add_column("campaign_messages", sa.Column("reviving_after", sa.Uuid(), nullable=True))
    op.add_column("campaign_messages", sa.Column("resend_of", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_column("campaign_messages", "resend_of")
    op.drop_column("campaign_messages", "reviving_after")
    op.drop_column("campaigns", "resend_which")
    op.drop_column("campaigns", "resend_of")
    op.drop_column("campaigns", "released_at")
