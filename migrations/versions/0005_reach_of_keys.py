"""Where an API key may be used from, how often, and whose successor it is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.add_column(
        "api_keys", sa.Column("networks", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)
    )
    op.add_column("api_keys", sa.Column("rate_limit", sa.Integer(), nullable=True))
    op.add_column("api_keys", sa.Column("successor_of", sa.Text(), nullable=True))
    # rotate_api_key: a key has one successor
    op.create_unique_constraint(op.f("uq_api_keys_successor_of"), "api_keys", ["successor_of"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_constraint(op.f("uq_api_keys_successor_of"), "api_keys", type_="unique")
    for column in ("successor_of", "rate_limit", "networks"):
        op.drop_column("api_keys", column)
