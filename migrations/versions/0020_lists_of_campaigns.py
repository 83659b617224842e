"""Campaigns in every order that their list has, at the cost of a range of an index."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_ORDERS = {
    "ix_campaigns_by_name": ("name", "id"),
    "ix_campaigns_by_status": ("status", "id"),
    "ix_campaigns_by_start": (sa.text("coalesce(starts_at, created_at)"), "id"),
    "ix_campaigns_by_creation": ("created_at", "id"),
    "ix_campaigns_by_creator": (sa.text("coalesce(created_by, '')"), "id"),
    "ix_campaigns_by_message_count": ("message_count", "id"),
    "ix_campaigns_by_target": ("target", "id"),
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("campaigns", sa.Column("message_count", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("campaigns", sa.Column("target", sa.Text(), server_default="", nullable=False))
    op.execute(
        "UPDATE campaigns c SET message_count = (SELECT count(*) FROM campaign_messages cm WHERE cm.campaign_id = c.id)"
    )
    for name, columns in _ORDERS.items():
        op.create_index(name, "campaigns", list(columns), postgresql_where=sa.text("status <> 'archived'"))
    op.create_index(
        "ix_campaigns_archived", "campaigns", ["created_at", "id"], postgresql_where=sa.text("status = 'archived'")
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_index("ix_campaigns_archived", table_name="campaigns")
    for name in reversed(_ORDERS):
        op.drop_index(name, table_name="campaigns")
    op.drop_column("campaigns", "target")
    op.drop_column("campaigns", "message_count")
