"""Derive what a session achieved for each account when it is read, instead of storing it when the session ends; find the newest sessions of an account by one index.

Revision ID: 0029
"""

from alembic import op

revision = "0029"
down_revision = "0028"
oldest_program = "0029"  # the newest migration that a program has to know

JOB_SESSION_ACCOUNTS_VIEW = """
CREATE VIEW job_session_accounts AS
SELECT h.id AS session_id,
       k.account_key,
       CASE WHEN k.account_key = h.account_key THEN coalesce(h.outcome, (SELECT CASE WHEN bool_or(s.tone = 'error') THEN 'problems' WHEN bool_or(s.tone = 'warning') THEN 'warnings' ELSE 'ok' END FROM session_actions s
      WHERE s.session_id = h.id AND s.tone IN ('warning', 'error')))
            ELSE (SELECT CASE WHEN bool_or(a.tone = 'error') THEN 'problems' WHEN bool_or(a.tone = 'warning') THEN 'warnings' ELSE 'ok' END
                    FROM session_references t JOIN session_actions a ON a.session_id = t.session_id AND a.ord = t.ord
                   WHERE t.session_id = h.id AND t.account_key = k.account_key) END AS outcome
  FROM session_headers h
 CROSS JOIN LATERAL (
       SELECT h.account_key WHERE h.account_key IS NOT NULL
        UNION
       SELECT t.account_key FROM session_references t WHERE t.session_id = h.id) k
"""


def upgrade() -> None:
    op.execute("DROP VIEW job_session_accounts")
    op.drop_table("session_account_outcomes")
    op.execute(JOB_SESSION_ACCOUNTS_VIEW)
    op.drop_index("ix_session_headers_account_key_started_at", "session_headers")
    op.create_index(
        "ix_session_headers_account_key_started_at_id",
        "session_headers",
        ["account_key", "started_at", "id"],
    )
