"""Attachments: files under their names, each content once and in pieces, and who sends which."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '4s'")
        op.execute("SET statement_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_campaign_messages_attachments")
        # find_user
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_campaign_messages_attachments ON campaign_messages "
            "USING gin (attachments jsonb_path_ops) WHERE attachments <> '[]'"
        )
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "attachment_contents",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_attachment_contents")),
    )
    op.create_table(
        "attachment_chunks",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"], ["attachment_contents.sha256"], name=op.f("fk_attachment_chunks_sha256"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", "position", name=op.f("pk_attachment_chunks")),
    )
    # Pictures are compressed already.
    op.execute("ALTER TABLE attachment_chunks ALTER COLUMN data SET STORAGE EXTERNAL")
    op.create_table(
        "attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["attachment_contents.sha256"], name=op.f("fk_attachments_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
    )
    op.create_index(op.f("ix_attachments_sha256"), "attachments", ["sha256"], unique=False)
    op.create_index(op.f("ix_attachments_created_at"), "attachments", ["created_at"], unique=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_index("ix_campaign_messages_attachments", table_name="campaign_messages")
    for table in ("attachments", "attachment_chunks", "attachment_contents"):
        op.drop_table(table)
