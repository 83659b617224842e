"""Whose messages an opt-out holds back, what an import brings, and to how many a campaign was confirmed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("opt_outs", sa.Column("sender_ids", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("imports", sa.Column("kind", sa.Text(), server_default="contacts", nullable=False))
    op.add_column("campaigns", sa.Column("confirmed_recipients", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_column("campaigns", "confirmed_recipients")
    op.drop_column("imports", "kind")
    op.drop_column("opt_outs", "sender_ids")
