"""Sentences from handsets that may mean stop, for a person to read."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("inbound", sa.Column("review", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("inbound", sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("inbound", sa.Column("reviewed_by", sa.Text(), nullable=True))
    # list_inbound
    op.create_index("ix_inbound_review", "inbound", ["id"], postgresql_where=sa.text("review AND reviewed_at IS NULL"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_index("ix_inbound_review", table_name="inbound")
    op.drop_column("inbound", "reviewed_by")
    op.drop_column("inbound", "reviewed_at")
    op.drop_column("inbound", "review")
