"""A database with 1,000 accounts of one country and one of 18, with all datasets, as after a year and more of work."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Engine, text

from benchmarks.database import fresh_database
from benchmarks.simulation import ACCOUNTS as ACCOUNTS_BY_COUNTRIES
from benchmarks.simulation import ZONES, time_zone
from bidbeacon_pipelines.accounts.queries import upsert_account, upsert_ads_account
from bidbeacon_pipelines.accounts.rules import account_key
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.windows.rules import window_dates
from tools.temporary_postgres import TemporaryPostgres

ACCOUNTS = 1000
DAYS, ALL_DAYS = 480, 731
"""Days of history of accounts of one country, and of the ads account of 18, which has all that Amazon ever serves."""
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""An instant at which all accounts have the same date."""
TODAY = date(2026, 11, 20)
GLOBAL_ACCOUNT = "amzn1.ads-account.g.global00000000000000000"
"""One ads account in 18 countries, beside the 1,000 of one country each."""

# Full history, refreshed at the last midnight: each window's data are as of its last offset, and it
# is due at its next one.
_WINDOWS = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, expires_at, status, next_refresh_at, last_requested_at,
                                last_loaded_at, data_as_of, load_count, recorded_load_count, row_count, quarantined_count,
                                unresolved_count, spend, sales)
    SELECT a.account_id, a.country_code, :dataset, :report, d.day, (d.day + 731)::timestamp AT TIME ZONE a.time_zone, 'loaded',
           (SELECT min((d.day + o)::timestamp AT TIME ZONE a.time_zone) FROM unnest(CAST(:offsets AS int[])) AS o WHERE d.day + o > :today),
           at.refreshed, at.refreshed, at.refreshed, 5, 5, 700, 0, 2, 1234.56, 7890.12
      FROM advertiser_accounts a
     CROSS JOIN LATERAL (SELECT CAST(:today AS date) - n AS day
                           FROM generate_series(1, CASE a.account_id WHEN :global THEN :all_days ELSE :days END) AS n) d
     CROSS JOIN LATERAL (SELECT CAST(:today AS date)::timestamp AT TIME ZONE a.time_zone AS refreshed) at""")
_REQUESTS = text("""
    INSERT INTO report_requests (account_id, dataset, report, start_date, end_date, status, report_id, attempts, polls, loads,
                                 created_at, sent_at, finished_at)
    SELECT account_id, 'daily_targets', 'SP+SB+SD', CAST(:today AS date) - n - 60, CAST(:today AS date) - n, 'loaded',
           gen_random_uuid()::text, 1, 2, 1, at, at, at
      FROM advertiser_accounts CROSS JOIN LATERAL (SELECT n, CAST(:today AS date) - n + interval '9 hours' AS at FROM generate_series(1, 100) n) t""")


REPORTS = [report for dataset in DATASETS.values() for report in dataset.reports]
_REPORTS = {
    "datasets": [report.dataset.name for report in REPORTS],
    "reports": [report.name for report in REPORTS],
}
_HISTORY = {"days": DAYS, "all_days": ALL_DAYS, "global": GLOBAL_ACCOUNT}


@contextmanager
def planning_world() -> Iterator[tuple[TemporaryPostgres, Engine]]:
    """Yield a server of its own with the full database, and delete it at the end."""
    with fresh_database() as (server, engine):
        _fill(engine)
        yield server, engine


def _fill(engine: Engine) -> None:
    with engine.begin() as connection:
        for number in range(ACCOUNTS):
            country = list(ZONES)[number % len(ZONES)]
            _add_account(connection, f"amzn1.ads-account.g.bench{number:021d}", country)
        for country in ACCOUNTS_BY_COUNTRIES[18]:
            _add_account(connection, GLOBAL_ACCOUNT, country)
        connection.execute(
            text(
                "UPDATE ads_accounts SET last_look_at = :now - interval '20 hours', planned_at = :now - interval '20 hours'"
            ),
            {"now": NOW},
        )
        connection.execute(
            text("UPDATE advertiser_accounts SET entities_synced_at = :now"), {"now": NOW}
        )
        connection.execute(
            text("""INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date)
                    SELECT account_id, country_code, dataset, report, CAST(CAST(:now AS timestamptz) AT TIME ZONE time_zone AS date)
                      FROM advertiser_accounts CROSS JOIN unnest(CAST(:datasets AS text[]), CAST(:reports AS text[])) AS r(dataset, report)"""),
            {"now": NOW, **_REPORTS},
        )
        connection.execute(_REQUESTS, {"today": TODAY})
        for report in REPORTS:
            connection.execute(
                _WINDOWS,
                {
                    "dataset": report.dataset.name,
                    "report": report.name,
                    "offsets": list(report.dataset.refresh_offsets),
                    "today": TODAY,
                    **_HISTORY,
                },
            )
    tidy(engine)


def _add_account(connection: Connection, account_id: str, country: str) -> None:
    values = {
        "account_id": account_id,
        "client_id": "bench",
        "country_code": country,
        "name": "Bench",
        "amazon_status": "CREATED",
        "profile_id": "1",
        "entity_id": None,
        "region": "EU",
        "currency_code": "USD",
        "time_zone": time_zone(country),
        "marketplace_id": None,
        "account_type": None,
        "trusted": True,
    }
    key = account_key(
        country, upsert_ads_account(connection, values, now=NOW - timedelta(days=DAYS))
    )
    upsert_account(connection, values | {"account_key": key}, now=NOW - timedelta(days=DAYS))


def make_due(engine: Engine, *, accounts: int) -> None:
    """Let yesterday's refreshes be due in so many accounts, as if they had last been looked at a day ago."""
    chosen = "(SELECT account_id FROM ads_accounts ORDER BY account_id LIMIT :accounts)"
    with engine.begin() as connection:
        connection.execute(
            text(f"""UPDATE report_windows
                        SET next_refresh_at = :midnight, data_as_of = data_as_of - interval '1 day'
                      WHERE account_id IN {chosen}
                        AND (dataset LIKE 'daily%' AND CAST(:today AS date) - window_date IN (1, 3, 5, 7, 14, 30, 60)
                             OR dataset LIKE 'hourly%' AND CAST(:today AS date) - window_date IN (1, 3, 13))"""),
            {"accounts": accounts, "midnight": NOW - timedelta(hours=12), "today": TODAY},
        )
    tidy(engine)


def make_empty(engine: Engine) -> None:
    """Let every window of every account be missing and due: nothing was ever loaded.

    They lie as they are made, account by account.
    """
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE report_windows, report_requests"))
        connection.execute(text("UPDATE ads_accounts SET planned_at = NULL"))
        connection.execute(
            text("""INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, next_refresh_at, expires_at)
                    SELECT a.account_id, a.country_code, dataset, report, d.day, (d.day + 1)::timestamp AT TIME ZONE a.time_zone,
                           (d.day + 731)::timestamp AT TIME ZONE a.time_zone
                      FROM advertiser_accounts a CROSS JOIN unnest(CAST(:datasets AS text[]), CAST(:reports AS text[])) AS r(dataset, report)
                     CROSS JOIN LATERAL (SELECT CAST(:today AS date) - n AS day
                                           FROM generate_series(1, CASE a.account_id WHEN :global THEN :all_days ELSE :days END) AS n) d
                     ORDER BY a.account_id, a.country_code, dataset, d.day"""),
            {**_REPORTS, "today": TODAY, **_HISTORY},
        )
    tidy(engine)


def keep_what_is_served(engine: Engine) -> None:
    """Leave of each dataset the windows that Amazon serves, which are all that an account has at its beginning."""
    with engine.begin() as connection:
        for dataset in DATASETS.values():
            connection.execute(
                text(
                    "DELETE FROM report_windows WHERE dataset = :dataset AND window_date < :oldest"
                ),
                {"dataset": dataset.name, "oldest": window_dates(dataset.reports, TODAY)[0]},
            )
    tidy(engine)


def tidy(engine: Engine) -> None:
    """Do what autovacuum does in time."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text(
                "VACUUM (ANALYZE) report_windows, report_requests, ads_accounts, advertiser_accounts, dataset_windows"
            )
        )


def count_windows(engine: Engine, account_id: str | None = None) -> int:
    """Return how many windows there are, or an ads account has."""
    counted = text(
        "SELECT count(*) FROM report_windows WHERE account_id = coalesce(:id, account_id)"
    )
    with engine.begin() as connection:
        return int(connection.execute(counted, {"id": account_id}).scalar_one())
