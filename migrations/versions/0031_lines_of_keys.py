"""Which keys followed each other: what one of them began, the others go on with."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("api_keys", sa.Column("line", sa.Text(), nullable=True))
    op.create_index(op.f("ix_api_keys_line"), "api_keys", ["line"])
    # Keys are few, and none is ever deleted. One that the version before makes meanwhile is a line of its own.
    op.execute("""
        WITH RECURSIVE lines AS (
            SELECT public_id, public_id AS line FROM api_keys WHERE successor_of IS NULL
            UNION ALL
            SELECT k.public_id, l.line FROM api_keys k JOIN lines l ON k.successor_of = l.public_id
        )
        UPDATE api_keys k SET line = l.line FROM lines l WHERE k.public_id = l.public_id
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index(op.f("ix_api_keys_line"), table_name="api_keys")
    op.drop_column("api_keys", "line")
