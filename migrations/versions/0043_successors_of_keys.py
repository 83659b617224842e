"""A key may have another successor, where its first one was lost or has leaked."""

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint(op.f("uq_api_keys_successor_of"), "api_keys", type_="unique")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    # The one that counts is the latest; the audit trail knows of the others.
    op.execute(
        """
        UPDATE api_keys AS lost SET successor_of = NULL
        WHERE EXISTS (SELECT FROM api_keys AS k WHERE k.successor_of = lost.successor_of AND k.id > lost.id)
        """
    )
    op.create_unique_constraint(op.f("uq_api_keys_successor_of"), "api_keys", ["successor_of"])
