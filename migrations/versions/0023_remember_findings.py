"""Remember findings in place of alerts, count windows as they are made, and find those that are not as they should be by small indexes.

Revision ID: 0023
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
oldest_program = "0023"  # the newest migration that a program has to know

_ACCOUNT = ["account_id", "country_code", "dataset"]
WINDOW_STATES_FUNCTION = """
CREATE FUNCTION window_states(at timestamptz, late_after interval)
RETURNS TABLE (account_id text, country_code text, account_key text, dataset text, report text, window_date date,
               state text, cause jsonb, since timestamptz, next_at timestamptz, as_of timestamptz, is_final boolean,
               status text, request_id bigint, is_suspicious boolean, next_refresh_at timestamptz, wanted_by text,
               last_loaded_at timestamptz, last_requested_at timestamptz, expires_at timestamptz, row_count bigint,
               due_since timestamptz)
LANGUAGE sql STABLE AS $$
SELECT w.account_id, w.country_code, a.account_key, w.dataset, w.report, w.window_date,
       s.state,
       CASE s.state
            WHEN 'paused' THEN jsonb_build_object('code', 'account-paused', 'detail', jsonb_strip_nulls(jsonb_build_object('by', a.paused_by, 'account', a.account_key)))
            WHEN 'disabled' THEN jsonb_build_object('code', 'account-disabled')
            WHEN 'needs attention' THEN o.needs_attention
            WHEN 'expired' THEN jsonb_build_object('code', 'expired')
            WHEN 'late at Amazon' THEN jsonb_build_object('code', 'late-at-amazon')
            WHEN 'late' THEN jsonb_build_object('code', 'overdue')
            ELSE coalesce(w.cause, r.cause) END,
       CASE s.state
            WHEN 'late at Amazon' THEN r.late_at
            WHEN 'paused' THEN a.paused_at
            WHEN 'needs attention' THEN o.needs_attention_since
            WHEN 'expired' THEN w.expires_at
            WHEN 'late' THEN d.due_since
            WHEN 'due' THEN CASE WHEN d.due_since <= window_states.at THEN d.due_since ELSE w.wanted_at END
            WHEN 'fresh' THEN w.last_loaded_at
            ELSE w.last_requested_at END,
       CASE WHEN s.state IN ('loading', 'requested', 'late at Amazon') THEN r.next_step_at
            WHEN s.state IN ('late', 'due') THEN greatest(window_states.at, CASE WHEN w.wanted_by IS NULL THEN o.next_look_at END)
            WHEN s.state NOT IN ('paused', 'disabled', 'needs attention', 'expired') THEN w.next_refresh_at END,
       w.data_as_of, w.data_as_of IS NOT NULL AND (w.next_refresh_at IS NULL OR w.expires_at <= window_states.at),
       w.status, w.request_id, w.suspicious_digest IS NOT NULL, w.next_refresh_at, w.wanted_by,
       w.last_loaded_at, w.last_requested_at, w.expires_at, w.row_count, d.due_since
  FROM report_windows w
  JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
  JOIN ads_accounts o ON o.account_id = w.account_id
  LEFT JOIN report_requests r ON r.id = w.request_id
 CROSS JOIN LATERAL (SELECT greatest(w.next_refresh_at, a.first_seen_at, o.next_look_at) AS due_since) d
 CROSS JOIN LATERAL (SELECT
       CASE WHEN a.paused THEN 'paused'
            WHEN a.amazon_status = 'DISABLED' THEN 'disabled'
            WHEN o.needs_attention IS NOT NULL THEN 'needs attention'
            WHEN w.request_id IS NOT NULL
            THEN CASE WHEN r.status = 'completed' THEN 'loading'
                      WHEN r.status = 'in_flight' AND r.late_at <= window_states.at THEN 'late at Amazon'
                      ELSE 'requested' END
            WHEN w.expires_at <= window_states.at
            THEN CASE WHEN w.last_loaded_at IS NULL THEN 'expired' ELSE 'fresh' END
            WHEN w.status = 'failed' THEN 'failed'
            WHEN w.status = 'unconfirmed' THEN 'unconfirmed'
            WHEN w.suspicious_digest IS NOT NULL THEN 'suspicious'
            WHEN w.next_refresh_at IS NOT NULL AND d.due_since <= window_states.at - window_states.late_after THEN 'late'
            WHEN w.wanted_by IS NOT NULL OR (w.next_refresh_at <= window_states.at OR (w.next_refresh_at > window_states.at + interval '32 days'
            AND w.window_date < CAST(window_states.at AT TIME ZONE 'UTC' AS date)) OR (w.next_refresh_at IS NULL AND w.data_as_of > window_states.at + interval '1 hour')) THEN 'due'
            WHEN w.last_loaded_at IS NULL THEN 'missing'
            ELSE 'fresh' END AS state) s
$$
"""


def upgrade() -> None:
    # As before, with the stored causes.
    op.execute("DROP FUNCTION window_states(timestamptz, interval)")
    op.execute(WINDOW_STATES_FUNCTION)
    _remember_findings()
    op.add_column(
        "dataset_windows",
        sa.Column("windows", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.execute("""
        UPDATE dataset_windows d SET windows = w.windows
          FROM (SELECT account_id, country_code, dataset, report, count(*) AS windows FROM report_windows GROUP BY 1, 2, 3, 4) w
         WHERE (w.account_id, w.country_code, w.dataset, w.report) = (d.account_id, d.country_code, d.dataset, d.report)""")
    op.add_column(
        "report_windows",
        sa.Column(
            "cause_key",
            postgresql.UUID(),
            sa.Computed("CAST(md5(CAST(cause - 'detail' AS text)) AS uuid)", persisted=True),
        ),
    )
    op.drop_index("ix_report_windows_unsettled", "report_windows")
    op.drop_index("ix_report_windows_never_loaded", "report_windows")
    op.create_index(
        "ix_report_windows_unsettled",
        "report_windows",
        [*_ACCOUNT, "status", "cause_key"],
        postgresql_include=[
            "window_date",
            "expires_at",
            "request_id",
            "last_requested_at",
            "next_refresh_at",
        ],
        postgresql_where=sa.text(
            "status IN ('failed', 'unconfirmed') OR suspicious_digest IS NOT NULL"
        ),
    )
    op.create_index(
        "ix_report_windows_never_loaded",
        "report_windows",
        [*_ACCOUNT, "expires_at"],
        postgresql_where=sa.text("last_loaded_at IS NULL AND request_id IS NULL"),
    )
    rare = {"missing": "status = 'missing'", "quarantined": "quarantined_count > 0"}
    for name, condition in rare.items():
        op.create_index(
            f"ix_report_windows_{name}",
            "report_windows",
            _ACCOUNT,
            postgresql_where=sa.text(condition),
        )


def _remember_findings() -> None:
    op.drop_table("alert_messages")
    op.drop_table("alerts")
    op.create_table(
        "findings",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("finding", postgresql.JSONB(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True)),
        sa.Column("acknowledged", postgresql.JSONB()),
        sa.Column("told", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 100", name=op.f("ck_findings_key_is_short")),
        sa.CheckConstraint("gone_at >= began_at", name=op.f("ck_findings_ends_after_start")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_findings")),
    )
    op.create_table(
        "alert_receivers",
        sa.Column("receiver", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text()),
        sa.CheckConstraint("receiver >= 1", name=op.f("ck_alert_receivers_receiver_counted")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_alert_receivers_attempts_counted")),
        sa.PrimaryKeyConstraint("receiver", name=op.f("pk_alert_receivers")),
    )
