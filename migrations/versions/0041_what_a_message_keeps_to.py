"""When the voucher of a message ends, and whether an automation's message keeps quiet hours; empty for all others."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("messages", sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("messages", sa.Column("respect_quiet_hours", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_column("messages", "respect_quiet_hours")
    op.drop_column("messages", "valid_until")
