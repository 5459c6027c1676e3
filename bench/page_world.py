"""A database with 100,000 sessions, two million actions, and 100 accounts with 456 days each, as after months of work."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from bench.database import fresh_database
from bidbeacon_pipelines.account_keys import account_key
from bidbeacon_pipelines.store.accounts import upsert_account

ACCOUNTS = 100
DAYS = 456
SESSIONS = 100_000
ACTIONS_EACH = 20
DATASET = "daily_targets"
RARE = "never-seen-before"
"""A word that one action in two million has."""

# A session every 26 s for a month; one in 50 failed; each account has its turn, and its jobs.
_SESSIONS = text("""
    INSERT INTO session_headers (id, job_name, account_id, country_code, account_key, status, started_at, finished_at, error, input)
    SELECT gen_random_uuid(), (ARRAY['refresh-account', 'refresh-account', 'load-windows', 'sync-ad-entities', 'poll-reports'])[1 + n % 5],
           a.account_id, a.country_code, a.account_key, CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'succeeded' END,
           CAST(:now AS timestamptz) - n * interval '26 seconds', CAST(:now AS timestamptz) - n * interval '26 seconds' + interval '9 seconds',
           CASE WHEN n % 50 = 0 THEN '{"type": "ReportRefusedError", "message": "too many bad rows"}'::jsonb END, '{"trigger": "sensor"}'
      FROM generate_series(1, :sessions) n
      JOIN (SELECT row_number() OVER (ORDER BY account_key) - 1 AS place, * FROM advertiser_accounts) a ON a.place = n / 5 % :accounts""")
_ACTIONS = text("""
    INSERT INTO session_actions (session_id, ord, type, schema_version, at, payload)
    SELECT h.id, o, (ARRAY['windows-queued', 'report-requested', 'report-pending', 'report-processed'])[1 + o % 4], 1,
           h.started_at + o * interval '400 milliseconds',
           jsonb_build_object('account', h.account_key, 'dataset', CAST(:dataset AS text), 'request_id', 1000 + o, 'report_id', gen_random_uuid(),
             'windows', jsonb_build_array(CAST(h.started_at AS date) - o, CAST(h.started_at AS date) - o - 1), 'rows', 700 + o, 'spend', '123.45',
             'amazon_status', 'PROCESSING', 'waited_seconds', 12.5, 'next_poll_at', h.started_at, 'currency', 'USD')
      FROM session_headers h CROSS JOIN generate_series(1, :each) o""")
_TOUCHES = text("""
    INSERT INTO session_touches (session_id, ord, account_key, dataset, window_key, effect, started_at)
    SELECT a.session_id, a.ord, a.payload ->> 'account', a.payload ->> 'dataset', a.payload -> 'windows' ->> 0,
           (ARRAY['queued', 'requested', 'pending', 'loaded'])[1 + a.ord % 4], h.started_at
      FROM session_actions a JOIN session_headers h ON h.id = a.session_id WHERE a.ord <= 4""")
_RARE = text("""
    UPDATE session_actions SET payload = payload || jsonb_build_object('reason', CAST(:rare AS text))
     WHERE (session_id, ord) = (SELECT id, 7 FROM session_headers ORDER BY started_at OFFSET 5000 LIMIT 1)""")
_WORDS = text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_session_actions_words'")
_WINDOWS = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, window_date, status, next_refresh_at, last_loaded_at, data_as_of,
                                load_count, recorded_load_count, row_count)
    SELECT a.account_id, a.country_code, :dataset, CAST(:now AS date) - n, CASE n % 97 WHEN 5 THEN 'failed' ELSE 'loaded' END,
           CAST(:now AS timestamptz) + (n % 61 - 3) * interval '1 hour', :now, :now, 3, 3, 700
      FROM advertiser_accounts a CROSS JOIN generate_series(1, :days) n""")


@contextmanager
def page_world() -> Iterator[Engine]:
    """Give an engine on a server of its own with the full database, and delete it at the end."""
    with fresh_database() as (_, engine):
        fill(engine)
        yield engine


def fill(engine: Engine) -> None:
    """Write all of it, as of now."""
    now = datetime.now(UTC)
    values = {
        "now": now,
        "dataset": DATASET,
        "accounts": ACCOUNTS,
        "sessions": SESSIONS,
        "each": ACTIONS_EACH,
    }
    with engine.begin() as connection:
        _add_accounts(connection, now)
        words = connection.execute(_WORDS).scalar_one()
        connection.execute(
            text("DROP INDEX ix_session_actions_words")
        )  # two million rows are indexed at once, afterwards
        for statement in (_SESSIONS, _ACTIONS, _TOUCHES, _WINDOWS, _RARE):
            connection.execute(statement, values | {"days": DAYS, "rare": RARE})
        connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
        connection.execute(text(words))
        # All of this is history: nothing is left to publish.
        connection.execute(
            text("UPDATE session_change_cursor SET published_snapshot = pg_current_snapshot()")
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _add_accounts(connection: Connection, now: datetime) -> None:
    for number in range(ACCOUNTS):
        country, zone = (("US", "America/Los_Angeles"), ("DE", "Europe/Berlin"), ("JP", "Asia/Tokyo"))[
            number % 3
        ]
        account_id = f"amzn1.ads-account.g.{number:024d}"
        upsert_account(
            connection,
            {
                "account_id": account_id,
                "country_code": country,
                "account_key": account_key(account_id, country),
                "name": f"Shop {number}",
                "amazon_status": "CREATED",
                "profile_id": str(number),
                "entity_id": None,
                "region": {"US": "NA", "DE": "EU", "JP": "FE"}[country],
                "currency_code": {"US": "USD", "DE": "EUR", "JP": "JPY"}[country],
                "time_zone": zone,
                "marketplace_id": None,
                "trusted": True,
            },
            now=now,
        )
