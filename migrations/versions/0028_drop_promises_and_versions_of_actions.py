"""Drop the tracking of queued work and the versions of action payloads.

Revision ID: 0028
"""

from alembic import op

revision = "0028"
down_revision = "0027"
oldest_program = "0028"  # the newest migration that a program has to know

JOB_SESSIONS_VIEW = """
CREATE VIEW job_sessions AS
SELECT h.id,
       h.job_name,
       h.run_id,
       h.step_key,
       h.retry_number,
       h.account_key,
       (SELECT n.label FROM session_subjects n WHERE n.key = h.account_key) AS account_label,
       h.status,
       coalesce(h.outcome, (SELECT CASE WHEN bool_or(s.tone = 'error') THEN 'problems' WHEN bool_or(s.tone = 'warning') THEN 'warnings' ELSE 'ok' END FROM session_actions s
      WHERE s.session_id = h.id AND s.tone IN ('warning', 'error'))) AS outcome,
       h.recovered_by,
       h.started_at,
       h.finished_at,
       coalesce(h.finished_at, now()) - h.started_at AS duration,
       h.error,
       h.input,
       h.labels,
       coalesce(a.actions, '[]'::jsonb) AS actions,
       coalesce(a.action_count, 0) AS action_count,
       h.revision + coalesce(a.action_count, 0) AS revision
  FROM session_headers h
  LEFT JOIN LATERAL (
       SELECT jsonb_agg(
                jsonb_build_object('ord', s.ord, 'type', s.type, 'at', s.at, 'tone', s.tone) || s.payload
                ORDER BY s.ord) AS actions,
              count(*) AS action_count
         FROM session_actions s
        WHERE s.session_id = h.id) a ON true
"""


def upgrade() -> None:
    op.execute("DROP VIEW job_promises")
    op.drop_table("session_promises")
    op.execute("DROP VIEW job_sessions")
    op.drop_column("session_actions", "schema_version")
    op.execute(JOB_SESSIONS_VIEW)


def downgrade() -> None:
    raise NotImplementedError
