"""The sessions of `session_world` up to now, and their 100 accounts with 456 days each; for Home, 300 accounts with all datasets."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from benchmarks import session_world
from benchmarks.database import fresh_database
from benchmarks.session_world import ACCOUNTS
from bidbeacon_pipelines.accounts.queries import upsert_account, upsert_ads_account
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.windows.rules import oldest_served

DAYS = 456
HOME_ACCOUNTS = 300
DATASET = "daily_targets"
RARE = "never-seen-before"
"""A word that one action in two million has."""

_RARE = text("""
    UPDATE session_actions SET payload = payload || jsonb_build_object('reason', CAST(:rare AS text))
     WHERE (session_id, ord) = (SELECT session_id, ord FROM session_actions WHERE type = 'report-failed' ORDER BY at DESC OFFSET 50 LIMIT 1)""")
_WINDOWS = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, expires_at, status, next_refresh_at, last_loaded_at, data_as_of,
                                load_count, recorded_load_count, row_count)
    SELECT a.account_id, a.country_code, :dataset, 'SP+SB+SD', CAST(:now AS date) - n, CAST(:now AS timestamptz) + interval '2 years', CASE n % 97 WHEN 5 THEN 'failed' ELSE 'loaded' END,
           CAST(:now AS timestamptz) + (n % 61 - 3) * interval '1 hour', :now, :now, 3, 3, 700
      FROM advertiser_accounts a CROSS JOIN generate_series(1, :days) n""")

# All windows of two and a half years: one in twenty failed for one of three causes, one in ten has expired,
# and each third account has some that are due.
_ALL_WINDOWS = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, expires_at, status, next_refresh_at, last_loaded_at, cause_since,
                                data_as_of, load_count, recorded_load_count, row_count, cause)
    SELECT account_id, country_code, dataset, 'SP+SB+SD', CAST(:now AS date) - n, CAST(:now AS timestamptz) + CASE WHEN is_expired THEN interval '-1 day' ELSE interval '2 years' END,
           CASE WHEN is_expired THEN 'expired' WHEN has_failed THEN 'failed' ELSE 'loaded' END,
           CASE WHEN is_expired THEN NULL WHEN n < 8 AND CAST(profile_id AS int) % 3 = 0 THEN CAST(:now AS timestamptz) - n * interval '3 hours'
                WHEN n < 60 OR has_failed THEN CAST(:now AS timestamptz) + n % 60 * interval '1 hour' + interval '1 minute' END,
           CASE WHEN NOT is_expired THEN CAST(:now AS timestamptz) END, CAST(:now AS timestamptz) - n * interval '1 hour',
           CASE WHEN NOT is_expired THEN CAST(:now AS timestamptz) END, 3, 3, 700,
           CASE WHEN has_failed AND NOT is_expired
                THEN jsonb_build_object('code', 'field-refused', 'field', (ARRAY['clicks', 'cost', 'sales'])[n % 3 + 1], 'detail', jsonb_build_object('reason', 'No field', 'days', n)) END
      FROM (SELECT a.*, d.dataset, n, n % 10 = 3 AND n > 60 AS is_expired, n % 20 = 5 AS has_failed
              FROM advertiser_accounts a CROSS JOIN unnest(CAST(:datasets AS text[]), CAST(:days AS int[])) d(dataset, days)
             CROSS JOIN generate_series(1, d.days) n) w
        ON CONFLICT DO NOTHING""")
_MADE = text("""
    INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date, windows)
    SELECT account_id, country_code, dataset, report, max(window_date), count(*) FROM report_windows GROUP BY 1, 2, 3, 4""")


@contextmanager
def page_world() -> Iterator[Engine]:
    """Yield an engine on a server of its own with the full database, and delete it at the end."""
    with fresh_database() as (_, engine):
        fill(engine)
        yield engine


def fill(engine: Engine) -> None:
    """Write all of it, as of now."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        for number in range(ACCOUNTS):
            _add_account(connection, number, now)
        connection.execute(_WINDOWS, {"now": now, "dataset": DATASET, "days": DAYS})
    session_world.fill(engine, now)
    with engine.begin() as connection:
        connection.execute(_RARE, {"rare": RARE})
        # All of this is history: nothing is left to publish.
        connection.execute(
            text("UPDATE session_change_cursor SET published_snapshot = pg_current_snapshot()")
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def fill_for_home(engine: Engine) -> int:
    """Add accounts up to 300, and the windows of all datasets for half as long again as Amazon serves them; return how many windows there are."""
    now = datetime.now(UTC)
    days = {
        one.name: (now.date() - oldest_served(one, now.date())).days * 31 // 20
        for one in DATASETS.values()
    }
    with engine.begin() as connection:
        for number in range(ACCOUNTS, HOME_ACCOUNTS):
            _add_account(connection, number, now)
        values = {"now": now, "datasets": list(days), "days": list(days.values())}
        connection.execute(_ALL_WINDOWS, values)
        connection.execute(_MADE)
        windows: int = connection.execute(text("SELECT count(*) FROM report_windows")).scalar_one()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    return windows


def _add_account(connection: Connection, number: int, now: datetime) -> None:
    """Store one that sessions of `session_world` are of."""
    values = {
        "account_id": f"amzn1.ads-account.g.bench{number}",
        "country_code": "US",
        "account_key": f"US.{number}bench",
        "name": f"Shop {number}",
        "amazon_status": "CREATED",
        "profile_id": str(number),
        "entity_id": None,
        "region": "NA",
        "currency_code": "USD",
        "time_zone": "America/Los_Angeles",
        "marketplace_id": None,
        "account_type": None,
        "trusted": True,
    }
    upsert_ads_account(connection, values | {"client_id": "bench"}, now=now)
    upsert_account(connection, values, now=now)
