"""Windows and sessions by hundreds of thousands, generated in the database."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from benchmarks.database import alone

SESSIONS, ACTIONS_EACH, ACCOUNTS, DAYS = 100_000, 20, 100, 90
"""With 3 million references: three months of 100 accounts and more."""
LONGEST = UUID(int=1)
"""A session with as many actions as one may have."""

# Nine in ten are of one account; polls of all accounts' reports have none. One in 100 failed, one
# in 1,000 crashed.
_HEADERS = text("""
    INSERT INTO session_headers (id, job_name, run_id, step_key, account_key, status, outcome,
                                 started_at, finished_at, error, input, labels)
    SELECT lpad(to_hex(n), 32, '0')::uuid,
           CASE WHEN n % 10 = 0 THEN 'poll-reports' WHEN n % 97 = 0 THEN 'load-windows'
                WHEN n % 50 = 1 THEN 'sync-entities' ELSE 'refresh-account' END,
           'run-' || n, 'refresh_account_op',
           CASE WHEN n % 10 > 0 THEN 'US.' || n % :accounts || 'bench' END,
           CASE WHEN n % 1000 = 7 THEN 'crashed'
                WHEN n % 100 = 3 THEN 'failed' ELSE 'succeeded' END,
           CASE WHEN n % 1000 = 7 OR n % 100 = 3 THEN 'problems'
                WHEN n % 10000 = 9 THEN 'warnings' ELSE 'ok' END,
           at, at + make_interval(secs => 1 + n % 40),
           CASE WHEN n % 1000 = 7 OR n % 100 = 3
                THEN '{"type": "LookupError", "message": "no such window"}'::jsonb END,
           jsonb_build_object('account', 'US.' || n % :accounts || 'bench'),
           '{"dagster_job": "refresh_account"}'
      FROM generate_series(1, :sessions) n
     CROSS JOIN LATERAL (SELECT CAST(:now AS timestamptz) - make_interval(
                                secs => (:sessions - n) * :days * 86400.0 / :sessions) AS at) t""")

# Common types, some rare ones, and one with ten actions.
_ACTIONS = text("""
    INSERT INTO session_actions (session_id, ord, type, tone, at, payload)
    SELECT h.id, o,
           CASE WHEN o = 1 THEN 'windows-queued' WHEN o = 2 THEN 'report-requested'
                WHEN o = :each AND n % 100 = 3 THEN 'report-failed'
                WHEN o = :each AND n % 10000 = 9 THEN 'report-suspicious'
                WHEN o % 7 = 0 THEN 'report-processed' ELSE 'report-pending' END,
           CASE WHEN o = :each AND n % 100 = 3 THEN 'error'
                WHEN o = :each AND n % 10000 = 9 THEN 'warning' ELSE 'neutral' END,
           h.started_at + make_interval(secs => o),
           jsonb_build_object(
               'account', coalesce(h.account_key, 'US.' || o || 'bench'),
               'dataset', 'daily_targets',
               'windows', jsonb_build_array(CAST(h.started_at AS date) - 1,
                                            CAST(h.started_at AS date) - 2),
               'request_id', n)
           || CASE WHEN o = 1
                   THEN '{"by_hand": false}'
                   WHEN o = 2
                   THEN jsonb_build_object('report_id', md5(CAST(n AS text)),
                                           'attempt', 1, 'bridged', o % 3)
                   WHEN o = :each AND (n % 100 = 3 OR n % 10000 = 9)
                   THEN jsonb_build_object('report_id', md5(CAST(n AS text)),
                                           'reason', 'Out of ink')
                   WHEN o % 7 = 0
                   THEN jsonb_build_object('report_id', md5(CAST(n AS text)), 'rows', 1200 + o,
                                           'changed', o, 'part_count', 1, 'size_bytes', 81234,
                                           'spend', '1234.56', 'sales', '7890.12',
                                           'currency', 'USD', 'load_seconds', 0.25)
                   ELSE jsonb_build_object('report_id', md5(CAST(n AS text)),
                                           'amazon_status', 'PROCESSING',
                                           'waited_seconds', 61.5 * o,
                                           'next_poll_at', h.started_at, 'polls', o) END
      FROM (SELECT *, row_number() OVER (ORDER BY started_at) AS n FROM session_headers) h
     CROSS JOIN generate_series(1, :each) o""")
_LONG_ONE = text("""
    INSERT INTO session_actions (session_id, ord, type, tone, at, payload)
    SELECT session_id, o, 'report-pending', 'neutral', at,
           payload || jsonb_build_object('waited_seconds', 61.5 * o, 'polls', o)
      FROM session_actions
     CROSS JOIN generate_series(:each + 1, 5000) o
     WHERE session_id = :id AND ord = 3""")
_REFERENCES = text("""
    INSERT INTO session_references (session_id, ord, account_key, dataset, window_key, effect,
                                    started_at)
    SELECT a.session_id, a.ord, a.payload ->> 'account',
           (ARRAY['daily_targets', 'hourly_targets', 'daily_products'])[1 + a.ord % 3],
           CAST(CAST(a.at AS date) - d AS text), 'loaded', h.started_at
      FROM session_actions a
      JOIN session_headers h ON h.id = a.session_id
     CROSS JOIN generate_series(1, 5) d
     WHERE a.ord IN (1, 2, 7, 14, 20, 3)""")


def fill_sessions(engine: Engine, now: datetime) -> None:
    """Store the sessions, up to an instant; skip the per-row foreign key check."""
    values = {"accounts": ACCOUNTS, "sessions": SESSIONS, "days": DAYS, "each": ACTIONS_EACH}
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        words = connection.execute(_WORDS).scalar_one()
        connection.execute(text("DROP INDEX ix_session_actions_words"))  # made anew at the end
        for statement in (_HEADERS, _ACTIONS, _LONG_ONE, _REFERENCES):
            connection.execute(statement, values | {"id": LONGEST, "now": now})
        connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
        connection.execute(text(words))
        # Mark all changes as published.
        connection.execute(
            text("UPDATE session_change_cursor SET published_snapshot = pg_current_snapshot()")
        )
    alone(engine, "VACUUM ANALYZE")


_WORDS = text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_session_actions_words'")


def fill_windows(
    connection: Connection, dataset: str, report: str, today: date, days: str, **columns: str
) -> None:
    """Store windows of a report in all accounts, account by account.

    Args:
        connection: An open transaction.
        dataset: The dataset's name.
        report: The report's name.
        today: The day after the newest window.
        days: The number of days, as SQL.
        columns: Further columns as SQL, in which `a` is the account, `day` the window's day and
            `age` its age in days.
    """
    connection.execute(
        text(f"""
            INSERT INTO report_windows (account_id, country_code, dataset, report, window_date,
                                        {", ".join(columns)})
            SELECT a.account_id, a.country_code, :dataset, :report, day,
                   {", ".join(columns.values())}
              FROM advertiser_accounts a
             CROSS JOIN LATERAL (SELECT age, CAST(:today AS date) - age AS day
                                   FROM generate_series(1, {days}) age) d
             ORDER BY a.account_id, a.country_code, day
                ON CONFLICT DO NOTHING"""),
        {"dataset": dataset, "report": report, "today": today},
    )


def note_windows(connection: Connection, today: date) -> None:
    """Store that all windows of all reports exist, so that none are made."""
    connection.execute(
        text("""
            INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date,
                                         windows)
            SELECT account_id, country_code, dataset, report, :today, count(*)
              FROM report_windows
             GROUP BY 1, 2, 3, 4"""),
        {"today": today},
    )


def fill_requests(connection: Connection, today: date) -> None:
    """Store a hundred ended requests of each account."""
    connection.execute(
        text("""
            INSERT INTO report_requests (account_id, dataset, report, start_date, end_date, status,
                                         report_id, attempts, polls, loads, created_at, sent_at,
                                         finished_at)
            SELECT account_id, 'daily_targets', 'SP+SB+SD', day - 60, day, 'loaded',
                   gen_random_uuid()::text, 1, 2, 1, at, at, at
              FROM advertiser_accounts
             CROSS JOIN LATERAL (SELECT day, day + interval '9 hours' AS at
                                   FROM (SELECT CAST(:today AS date) - n AS day
                                           FROM generate_series(1, 100) n) d) r"""),
        {"today": today},
    )


_A_MONTH = (
    """INSERT INTO report_requests (account_id, dataset, report, start_date, end_date, status,
                                    report_id, attempts, polls, loads, created_at, due_at, sent_at,
                                    completed_at, finished_at)
       SELECT account_id, datasets[1 + n % cardinality(datasets)], 'SP+SB+SD',
              CAST(t.sent_at AS date) - 60, CAST(t.sent_at AS date), 'loaded', n || account_id, 1,
              4, 1, t.sent_at, t.sent_at - n * 7919 % 3600 * interval '1 s', t.sent_at,
              t.sent_at + took, t.sent_at + took + n * 31 % 97 * interval '1 s'
         FROM ads_accounts
        CROSS JOIN (SELECT CAST(:datasets AS text[]) AS datasets) d
        CROSS JOIN generate_series(1, 360) n
        CROSS JOIN LATERAL (SELECT now() - n * interval '2 hours'
                                   - (hashtext(account_id) & 4095) * interval '1 s' AS sent_at,
                                   (60 + n * 7919 % 1200) * interval '1 s' AS took) t
        ORDER BY t.sent_at""",
    """INSERT INTO report_loads (request_id, account_id, country_code, dataset, report, start_date,
                                 end_date, data_as_of, session_id, loaded_at, rows_read,
                                 rows_loaded, rows_summed, rows_quarantined, rows_withheld,
                                 rows_ignored)
       SELECT r.id, account_id, country_code, dataset, report, start_date, end_date, sent_at,
              gen_random_uuid(), finished_at, 700, 700, 0, 0, 0, 0
         FROM report_requests r
         JOIN advertiser_accounts USING (account_id)
        WHERE r.status = 'loaded'
        ORDER BY r.id""",
    """INSERT INTO api_calls (called_at, region, call, account_id, status, duration, queued, waited,
                              retry_count)
       SELECT sent_at + k * interval '40 s', 'NA',
              CASE k WHEN 0 THEN 'create_report' ELSE 'get_report' END, account_id,
              CASE WHEN (r.id + k) % 50 = 0 THEN 429 ELSE 200 END, '1 s', '0', '0', 0
         FROM report_requests r
        CROSS JOIN generate_series(0, 7) k
        ORDER BY 1""",
)


def fill_month(connection: Connection, datasets: Sequence[str]) -> int:
    """Store 30 days of twelve loaded requests a day and ads account; return their number.

    Each has a load, and eight calls to Amazon, of which one in 50 was throttled.
    """
    requests, *others = map(text, _A_MONTH)
    count = connection.execute(requests, {"datasets": list(datasets)}).rowcount
    for statement in others:
        connection.execute(statement)
    return count
