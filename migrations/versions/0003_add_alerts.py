"""Add alerts.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "alert_messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("alert_key", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("is_minor", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("receiver", sa.SmallInteger(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "event IN ('began', 'grew', 'lasts', 'ended')",
            name=op.f("ck_alert_messages_event_known"),
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_alert_messages_attempts_counted")),
        sa.CheckConstraint("receiver >= 1", name=op.f("ck_alert_messages_receiver_counted")),
        sa.CheckConstraint(
            "sent_at IS NULL OR attempts > 0", name=op.f("ck_alert_messages_sent_by_an_attempt")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_messages")),
    )
    op.create_index(
        op.f("ix_alert_messages_alert_key_written_at"),
        "alert_messages",
        ["alert_key", "written_at"],
        unique=False,
    )
    op.create_index(
        "ix_alert_messages_unsent",
        "alert_messages",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_table(
        "alert_watch",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_alert_watch_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_alert_watch")),
    )
    op.create_table(
        "alerts",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("problem", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_count", sa.BigInteger(), nullable=True),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "closed_at >= gone_at AND gone_at >= began_at", name=op.f("ck_alerts_ends_after_start")
        ),
        sa.CheckConstraint(
            "closed_at IS NULL OR gone_at IS NOT NULL", name=op.f("ck_alerts_closed_is_gone")
        ),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 300", name=op.f("ck_alerts_key_is_short")),
        sa.CheckConstraint(
            "told_count IS NULL OR told_at IS NOT NULL", name=op.f("ck_alerts_told_at_some_time")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
    )
    op.create_index(
        "ix_alerts_open",
        "alerts",
        ["key"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
