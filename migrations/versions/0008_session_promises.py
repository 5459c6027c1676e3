"""Promises: work that an action queued under a key, and the action it was done with. Sessions are found by age, type and day.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

JOB_PROMISES_VIEW = """
CREATE VIEW job_promises AS
SELECT p.key,
       p.session_id,
       p.ord,
       a.type AS promised_with,
       p.promised_at,
       p.deadline_at,
       CASE WHEN p.kept_by IS NOT NULL THEN 'kept' WHEN p.deadline_at < now() THEN 'lost' ELSE 'open' END AS fate,
       p.kept_by,
       p.kept_ord,
       k.type AS kept_with,
       p.kept_at
  FROM session_promises p
  JOIN session_actions a ON a.session_id = p.session_id AND a.ord = p.ord
  LEFT JOIN session_actions k ON k.session_id = p.kept_by AND k.ord = p.kept_ord
"""


def upgrade() -> None:
    op.create_table(
        "session_promises",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ord", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("promised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_by", sa.Uuid(), nullable=True),
        sa.Column("kept_ord", sa.BigInteger(), nullable=True),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "num_nulls(kept_by, kept_ord, kept_at) IN (0, 3)", name=op.f("ck_session_promises_kept_whole")
        ),
        sa.CheckConstraint(
            "deadline_at > promised_at", name=op.f("ck_session_promises_deadline_after_promise")
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "ord"],
            ["session_actions.session_id", "session_actions.ord"],
            name=op.f("fk_session_promises_session_id_ord"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "ord", "key", name=op.f("pk_session_promises")),
    )
    op.create_index(
        "ix_session_promises_open", "session_promises", ["key"], postgresql_where=sa.text("kept_by IS NULL")
    )
    op.execute(JOB_PROMISES_VIEW)
    op.create_index(op.f("ix_session_headers_status_started_at"), "session_headers", ["status", "started_at"])
    op.create_index(
        op.f("ix_session_headers_run_id"),
        "session_headers",
        ["run_id"],
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )
    op.add_column("session_touches", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE session_touches t SET started_at = h.started_at FROM session_headers h WHERE h.id = t.session_id"
    )
    op.alter_column("session_touches", "started_at", nullable=False)
    op.create_index(
        op.f("ix_session_touches_account_key_started_at_session_id"),
        "session_touches",
        ["account_key", "started_at", "session_id"],
    )
    op.create_index(
        op.f("ix_session_touches_window_key_started_at_session_id"),
        "session_touches",
        ["window_key", "started_at", "session_id"],
        postgresql_where=sa.text("window_key IS NOT NULL"),
    )
