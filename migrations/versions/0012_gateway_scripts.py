"""The wordings of gateways' scripts, each with who wrote it; those in force become their first."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "gateway_scripts",
        sa.Column("gateway_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("restored_from", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateways.id"], name=op.f("fk_gateway_scripts_gateway_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("gateway_id", "version", name=op.f("pk_gateway_scripts")),
    )
    # A handful of rows: there are as many as gateways with scripts. Without them the first change would lose a wording.
    op.execute("""
        INSERT INTO gateway_scripts (gateway_id, version, sha256, text, created_at)
        SELECT id, 1, encode(sha256(convert_to(settings ->> 'script', 'UTF8')), 'hex'), settings ->> 'script', updated_at
        FROM gateways WHERE settings ->> 'script' IS NOT NULL
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_table("gateway_scripts")
