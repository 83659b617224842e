"""An index that finds contacts by the values of their own fields."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '4s'")
        op.execute("SET statement_timeout = 0")  # minutes where there are millions, and nobody waits for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_contacts_fields")
        # compile_condition: equality with a field of the owner's
        op.execute("CREATE INDEX CONCURRENTLY ix_contacts_fields ON contacts USING gin (fields jsonb_path_ops)")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '4s'")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_contacts_fields")
