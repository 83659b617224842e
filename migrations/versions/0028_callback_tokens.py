"""The token of a gateway's callback addresses before the last rotation, and until when it still opens them."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("gateways", sa.Column("old_callback_token", sa.Text(), nullable=True))
    op.add_column("gateways", sa.Column("old_callback_token_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_column("gateways", "old_callback_token_until")
    op.drop_column("gateways", "old_callback_token")
