"""What waits for webhooks, what died on the way, and references that are past their time: each by an index of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

OLDEST = "ix_webhook_deliveries_oldest"
DEAD = "ix_webhook_deliveries_dead"
REFERENCES = "ix_client_references_created_at"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '4s'")
        for name in (OLDEST, DEAD, REFERENCES):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # an INVALID leftover of an earlier try
        op.create_index(  # measure_backlog
            OLDEST,
            "webhook_deliveries",
            ["webhook_id", "at"],
            postgresql_where=sa.text("status = 'waiting'"),
            postgresql_concurrently=True,
        )
        op.create_index(  # count_dead, revive_deliveries
            DEAD,
            "webhook_deliveries",
            ["webhook_id", "id"],
            postgresql_where=sa.text("status = 'dead'"),
            postgresql_concurrently=True,
        )
        op.create_index(  # delete_references
            REFERENCES, "client_references", ["created_at"], postgresql_concurrently=True
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index(REFERENCES, table_name="client_references")
    op.drop_index(DEAD, table_name="webhook_deliveries")
    op.drop_index(OLDEST, table_name="webhook_deliveries")
