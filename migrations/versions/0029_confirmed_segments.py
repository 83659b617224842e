"""What was confirmed of a campaign in segments, and how many its messages have come to."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("estimates", sa.Column("segments", sa.BigInteger(), nullable=True))
    op.add_column("campaigns", sa.Column("confirmed_segments", sa.BigInteger(), nullable=True))
    op.add_column("campaign_messages", sa.Column("made_segments", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_column("campaign_messages", "made_segments")
    op.drop_column("campaigns", "confirmed_segments")
    op.drop_column("estimates", "segments")
