"""What the rows of an import came to: contacts made, contacts changed, and numbers that came again."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("imports", sa.Column("contacts_created", sa.Integer(), nullable=True))
    op.add_column("imports", sa.Column("rows_duplicate", sa.Integer(), nullable=True))
    op.create_table(
        "import_numbers",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name=op.f("fk_import_numbers_import_id_imports"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "number", name=op.f("pk_import_numbers")),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("import_numbers")
    op.drop_column("imports", "rows_duplicate")
    op.drop_column("imports", "contacts_created")
