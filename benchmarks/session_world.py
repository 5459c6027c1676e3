"""A database with 100,000 sessions, 2 million actions and 3 million references, as after three months of 100 accounts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from uuid import UUID

from sqlalchemy import Engine, text

from benchmarks.database import fresh_database

SESSIONS = 100_000
ACTIONS_EACH = 20
ACCOUNTS = 100
DAYS = 90
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONGEST = UUID(int=1)
"""A session with as many actions as one may have."""
SOME_ACCOUNT = "US.7bench"
SOME_DAY = date(2026, 11, 1)
SOME_RUN = "run-5000"
MIDDLE = UUID(int=50_000)
SOME_REPORT = md5(b"50000", usedforsecurity=False).hexdigest()
OTHERS_WORD, QUIET_ACCOUNT = "US.3bench", "US.55bench"
"""A word of 30,000 actions of 11,000 sessions, and an account none of whose thousand sessions has it."""

# Nine in ten are of one account; every hundredth fails, every thousandth crashed. Looks at reports
# of all accounts have no account.
_HEADERS = text("""
    INSERT INTO session_headers (id, job_name, run_id, step_key, account_key, status, outcome, started_at, finished_at,
                                 error, input, labels)
    SELECT lpad(to_hex(n), 32, '0')::uuid,
           CASE WHEN n % 10 = 0 THEN 'poll-reports' WHEN n % 97 = 0 THEN 'load-windows' WHEN n % 50 = 1 THEN 'sync-entities'
                ELSE 'refresh-account' END,
           'run-' || n, 'refresh_account_op',
           CASE WHEN n % 10 > 0 THEN 'US.' || n % :accounts || 'bench' END,
           CASE WHEN n % 1000 = 7 THEN 'crashed' WHEN n % 100 = 3 THEN 'failed' ELSE 'succeeded' END,
           CASE WHEN n % 1000 = 7 OR n % 100 = 3 THEN 'problems' WHEN n % 10000 = 9 THEN 'warnings' ELSE 'ok' END,
           at, at + make_interval(secs => 1 + n % 40),
           CASE WHEN n % 1000 = 7 OR n % 100 = 3 THEN '{"type": "LookupError", "message": "no such window"}'::jsonb END,
           jsonb_build_object('account', 'US.' || n % :accounts || 'bench'), '{"dagster_job": "refresh_account"}'
      FROM generate_series(1, :sessions) n
     CROSS JOIN LATERAL (SELECT CAST(:now AS timestamptz) - make_interval(secs => (:sessions - n) * :days * 86400.0 / :sessions) AS at) t""")

# Common types, some that are rare, and one that there are ten of.
_ACTIONS = text("""
    INSERT INTO session_actions (session_id, ord, type, tone, at, payload)
    SELECT h.id, o,
           CASE WHEN o = 1 THEN 'windows-queued' WHEN o = 2 THEN 'report-requested' WHEN o = :each AND n % 100 = 3 THEN 'report-failed'
                WHEN o = :each AND n % 10000 = 9 THEN 'report-suspicious' WHEN o % 7 = 0 THEN 'report-processed' ELSE 'report-pending' END,
           CASE WHEN o = :each AND n % 100 = 3 THEN 'error' WHEN o = :each AND n % 10000 = 9 THEN 'warning' ELSE 'neutral' END,
           h.started_at + make_interval(secs => o),
           jsonb_build_object('account', coalesce(h.account_key, 'US.' || o || 'bench'), 'dataset', 'daily_targets',
                              'windows', jsonb_build_array(CAST(h.started_at AS date) - 1, CAST(h.started_at AS date) - 2),
                              'request_id', n)
           || CASE WHEN o = 1 THEN '{"by_hand": false}'
                   WHEN o = 2 THEN jsonb_build_object('report_id', md5(CAST(n AS text)), 'attempt', 1, 'bridged', o % 3)
                   WHEN o = :each AND (n % 100 = 3 OR n % 10000 = 9)
                   THEN jsonb_build_object('report_id', md5(CAST(n AS text)), 'reason', 'Out of ink')
                   WHEN o % 7 = 0
                   THEN jsonb_build_object('report_id', md5(CAST(n AS text)), 'rows', 1200 + o, 'changed', o, 'part_count', 1,
                                           'size_bytes', 81234, 'spend', '1234.56', 'sales', '7890.12', 'currency', 'USD', 'load_seconds', 0.25)
                   ELSE jsonb_build_object('report_id', md5(CAST(n AS text)), 'amazon_status', 'PROCESSING', 'waited_seconds', 61.5 * o,
                                           'next_poll_at', h.started_at, 'looks', o) END
      FROM (SELECT *, row_number() OVER (ORDER BY started_at) AS n FROM session_headers) h
     CROSS JOIN generate_series(1, :each) o""")
_LONG_ONE = text("""
    INSERT INTO session_actions (session_id, ord, type, tone, at, payload)
    SELECT session_id, o, 'report-pending', 'neutral', at, payload || jsonb_build_object('waited_seconds', 61.5 * o, 'looks', o)
      FROM session_actions CROSS JOIN generate_series(:each + 1, 5000) o WHERE session_id = :id AND ord = 3""")
_REFERENCES = text("""
    INSERT INTO session_references (session_id, ord, account_key, dataset, window_key, effect, started_at)
    SELECT a.session_id, a.ord, a.payload ->> 'account', (ARRAY['daily_targets', 'hourly_targets', 'daily_products'])[1 + a.ord % 3],
           CAST(CAST(a.at AS date) - d AS text), 'loaded', h.started_at
      FROM session_actions a JOIN session_headers h ON h.id = a.session_id CROSS JOIN generate_series(1, 5) d WHERE a.ord IN (1, 2, 7, 14, 20, 3)""")

_WORDS = text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_session_actions_words'")


@contextmanager
def session_world() -> Iterator[Engine]:
    """Yield an engine on a server of its own with the full database, and delete both at the end."""
    with fresh_database() as (_, engine):
        fill(engine)
        yield engine


def fill(engine: Engine, now: datetime = NOW) -> None:
    """Store the sessions, up to an instant; foreign keys hold by how they are made, and are not checked row by row."""
    values = {
        "accounts": ACCOUNTS,
        "sessions": SESSIONS,
        "days": DAYS,
        "now": now,
        "each": ACTIONS_EACH,
    }
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        words = connection.execute(_WORDS).scalar_one()
        connection.execute(
            text("DROP INDEX ix_session_actions_words")
        )  # all rows are indexed at once, afterwards
        for statement in (_HEADERS, _ACTIONS, _LONG_ONE, _REFERENCES):
            connection.execute(statement, values | {"id": LONGEST})
        connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
        connection.execute(text(words))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text("VACUUM (ANALYZE) session_headers, session_actions, session_references")
        )


def ago(**duration: float) -> datetime:
    """Return an instant so long before the newest session."""
    return NOW - timedelta(**duration)
