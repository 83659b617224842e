"""What a claim, an erasure and retention ask: withdrawn consent by number, recent erasures, campaigns without rows."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '4s'")
        op.execute("SET statement_timeout = 0")  # it reads all contacts, and nobody waits for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_contacts_withdrawn_msisdn")
        # claim: whoever has the number now
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_contacts_withdrawn_msisdn ON contacts (msisdn) "
            "WHERE consent_status = 'withdrawn'"
        )
    op.add_column("campaigns", sa.Column("messages_dropped_at", sa.DateTime(timezone=True), nullable=True))
    # share_with_erasures
    op.create_index(op.f("ix_erasures_done_at"), "erasures", ["done_at"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_index("ix_contacts_withdrawn_msisdn", table_name="contacts")
    op.drop_index(op.f("ix_erasures_done_at"), table_name="erasures")
    op.drop_column("campaigns", "messages_dropped_at")
