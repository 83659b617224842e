"""Automations, the events that they wait for, and what each event led to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    json = postgresql.JSONB(astext_type=sa.Text())
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "automations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("conditions", json, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("delay_seconds", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sender_id", sa.Text(), nullable=True),
        sa.Column("respect_quiet_hours", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("cap_messages", sa.Integer(), nullable=True),
        sa.Column("cap_hours", sa.Integer(), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automations")),
        sa.UniqueConstraint("name", name=op.f("uq_automations_name")),
    )
    op.create_index(op.f("ix_automations_event_id"), "automations", ["event", "id"])
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("msisdn", sa.Text(), nullable=True),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("data", json, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("received_at", moment, nullable=False),
        sa.Column("handled_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("key", name=op.f("uq_events_key")),
    )
    # erasures
    op.create_index(op.f("ix_events_msisdn"), "events", ["msisdn"])
    op.create_index(op.f("ix_events_contact_id"), "events", ["contact_id"])
    # claim_events
    op.create_index("ix_events_waiting", "events", ["id"], postgresql_where=sa.text("handled_at IS NULL"))
    op.create_table(
        "automation_runs",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("msisdn_hash", sa.LargeBinary(), nullable=True),
        sa.Column("at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["automation_id"], ["automations.id"], name=op.f("fk_automation_runs_automation_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_automation_runs_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", "automation_id", name=op.f("pk_automation_runs")),
    )
    # count_lately, of the cap
    op.create_index(
        "ix_automation_runs_lately",
        "automation_runs",
        ["automation_id", "msisdn_hash", "at"],
        postgresql_where=sa.text("message_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    for table in ("automation_runs", "events", "automations"):
        op.drop_table(table)
