"""The health of gateways as it changes, and the dispatchers that share their pace."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "gateway_health_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("gateway_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("was", sa.Text(), nullable=False),
        sa.Column("health", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateways.id"], name=op.f("fk_gateway_health_changes_gateway_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_health_changes")),
    )
    op.create_index(
        op.f("ix_gateway_health_changes_gateway_id_id"), "gateway_health_changes", ["gateway_id", "id"], unique=False
    )
    op.create_table(
        "dispatchers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_dispatchers")),
    )
    op.add_column("gateways", sa.Column("health_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("gateways", sa.Column("health_by", sa.Text(), nullable=True))
    op.add_column("gateways", sa.Column("trips", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("gateways", sa.Column("resting_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    for column in ("resting_until", "trips", "health_by", "health_until"):
        op.drop_column("gateways", column)
    op.drop_table("dispatchers")
    op.drop_index(op.f("ix_gateway_health_changes_gateway_id_id"), table_name="gateway_health_changes")
    op.drop_table("gateway_health_changes")
