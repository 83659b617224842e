"""Who is left out of a campaign and why, and the field that holds its numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.add_column("campaigns", sa.Column("phone_field", sa.Text(), nullable=True))
    op.add_column("campaign_recipients", sa.Column("skip_reason", sa.Text(), nullable=True))
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")  # minutes where there are millions, and nobody waits for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_contacts_withdrawn")
        # freeze: is there anybody who took their consent back
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_contacts_withdrawn ON contacts (id) WHERE consent_status = 'withdrawn'"
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_column("campaign_recipients", "skip_reason")
    op.drop_column("campaigns", "phone_field")
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_contacts_withdrawn")
