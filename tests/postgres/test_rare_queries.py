"""Queries for what is rare read few blocks of a large database that has none of it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.loading.quarantine_queries import (
    list_quarantined_reports,
    list_quarantined_rows,
)
from bidbeacon_pipelines.materializations.queries import lock_unrecorded_days
from bidbeacon_pipelines.problems import report_findings
from bidbeacon_pipelines.problems.checks import list_quarantined
from bidbeacon_pipelines.problems.data_findings import undecided_days, unproven_histories
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.requests import gate, queries
from bidbeacon_pipelines.requests.queries import attach_windows, is_needed
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.totals import summarize_windows
from bidbeacon_pipelines.states.window_states import (
    STOPPED,
    WindowState,
    list_late_accounts,
    state_values,
    windows_in,
)
from bidbeacon_pipelines.windows import due
from bidbeacon_pipelines.windows.queries import list_windows_of_request, release_windows
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import list_wanted
from bidbeacon_sessions.leases import list_dead_sessions, read_run_signs
from tests.support.rows import add_account, change_windows

NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATE_AFTER: Final = timedelta(hours=12)
SETTINGS: Final = Settings()
FIRST, GATE, DAILY = "amzn1.ads-account.g.rare", ("test", "NA"), "daily_campaigns"
RARE: Final = [state for state in WindowState if state not in {WindowState.FRESH, *STOPPED}]
REPORTS: Final = [report for dataset in DATASETS.values() for report in dataset.reports]
ACCOUNTS, DAYS = 20, -(-100_000 // (20 * len(REPORTS)))
FEW_BLOCKS: Final = 700
"""The largest tables and the primary key of windows have more; a walk along it reads 100,000."""
RUNS: Final = 12
"""psycopg prepares a statement at its sixth run, and the server may keep a plan five runs later."""

# All loaded and recorded; nothing falls due before tomorrow.
_WINDOWS = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, expires_at,
                                status, next_refresh_at, last_requested_at, last_loaded_at,
                                data_as_of, load_count, recorded_load_count, row_count,
                                quarantined_count, unresolved_count, last_request_id,
                                loaded_by_request)
    SELECT a.account_id, a.country_code, r.dataset, r.report, today - n, today - n + 731,
           'loaded', CASE WHEN n < 60 THEN today + 1 + n % 30 END, at, at,
           at, 5, 5, 700, 0, 0, n, n
      FROM (SELECT CAST(:today AS date) AS today) t
     CROSS JOIN generate_series(1, :days) n
     CROSS JOIN LATERAL (SELECT today - greatest(n - 60, 0) + interval '8 hours' AS at) loaded
     CROSS JOIN advertiser_accounts a
     CROSS JOIN unnest(CAST(:datasets AS text[]), CAST(:reports AS text[])) r(dataset, report)""")
_MADE = text("""
    INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date, windows)
    SELECT account_id, country_code, dataset, report, :today, count(*)
      FROM report_windows GROUP BY account_id, country_code, dataset, report""")
_REQUESTS = text("""
    INSERT INTO report_requests (account_id, dataset, report, start_date, end_date, status,
                                 report_id, attempts, created_at, sent_at, finished_at)
    SELECT account_id, 'daily_targets', 'SP+SB+SD', day - 30, day, 'loaded', 'r', 1, day, day, day
      FROM ads_accounts CROSS JOIN generate_series(1, 2000) n
     CROSS JOIN LATERAL (SELECT CAST(:today AS date) - n AS day) d""")
_SESSIONS = text("""
    WITH headers AS (
        INSERT INTO session_headers (id, job_name, run_id, step_key, account_key, status, outcome,
                                     started_at, finished_at)
        SELECT gen_random_uuid(), 'refresh-account', gen_random_uuid(), 'op', account_key,
               'succeeded', 'ok', at, at
          FROM advertiser_accounts CROSS JOIN generate_series(1, 2000) n
         CROSS JOIN LATERAL (SELECT :now - n * interval '1 hour' AS at) t
        RETURNING id, account_key, started_at),
    actions AS (
        INSERT INTO session_actions (session_id, ord, type, tone, at, payload)
        SELECT id, 1, 'report-loaded', 'success', started_at, '{}' FROM headers)
    INSERT INTO session_references (session_id, ord, account_key, dataset, window_key, effect,
                                    started_at)
    SELECT id, 1, account_key, 'daily_targets', '2026-01-01', 'loaded', started_at
      FROM headers""")
_SETTLE = (
    "UPDATE ads_accounts SET planned_at = :now, last_run_at = :now",
    "UPDATE advertiser_accounts SET entities_synced_at = :now",
)


@pytest.fixture(scope="module")
def world(shared_database_url: str) -> Iterator[Engine]:
    """Yield an engine on a database with 100,000 windows that are all as they should be."""
    engine = make_engine(shared_database_url)
    values = {
        "now": NOW,
        "today": NOW.date(),
        "days": DAYS,
        "datasets": [report.dataset.name for report in REPORTS],
        "reports": [report.name for report in REPORTS],
    }
    with engine.begin() as connection:
        for number in range(ACCOUNTS):
            names = {"account_id": f"{FIRST}{number}", "account_key": f"US.rare{number}"}
            add_account(connection, first_seen_at=NOW - timedelta(days=DAYS), **names)
        for statement in (*map(text, _SETTLE), _WINDOWS, _MADE, _REQUESTS, _SESSIONS):
            connection.execute(statement, values)
    with psycopg.connect(shared_database_url, autocommit=True) as driver:
        driver.execute("VACUUM (ANALYZE)")
    yield engine
    engine.dispose()


QUERIES: Final[Mapping[str, Callable[[Connection], object]]] = {
    "unrecorded days": lock_unrecorded_days,
    "an unrecorded day": lambda c: lock_unrecorded_days(c, limit=1),
    "windows in rare states": lambda c: c.execute(
        text(windows_in(RARE)), state_values(NOW, LATE_AFTER)
    ).all(),
    "counts of windows": lambda c: summarize_windows(c, NOW, LATE_AFTER).unsettled,
    "late accounts": lambda c: list_late_accounts(c, DAILY, NOW, LATE_AFTER),
    "windows of a finding": lambda c: report_findings.list_finding_windows(
        c, SETTINGS, NOW, "expired"
    ),
    "days that are not served": lambda c: list(unproven_histories(c, SETTINGS, NOW)),
    "findings": lambda c: survey(c, SETTINGS, NOW).findings[:0],
    "quarantined accounts": list_quarantined,
    "quarantined accounts of a dataset": lambda c: list_quarantined(c, DAILY),
    "quarantined rows": list_quarantined_rows,
    "quarantined reports": list_quarantined_reports,
    "what is wanted": list_wanted,
    "due work": lambda c: due.list_ads_accounts_with_due_work(c, now=NOW, datasets=tuple(DATASETS)),
    "accounts without entities": lambda c: due.list_keys_without_entities(
        c, now=NOW, synced_before=NOW - timedelta(days=1), missed_before=NOW - timedelta(hours=6)
    ),
    "released windows": lambda c: due.replan_released(c, f"{FIRST}0", 20_000),
    "days to plan": lambda c: due.list_days_to_plan(c, f"{FIRST}0", now=NOW),
    "what falls due next": lambda c: due.list_next_due(
        c, f"{FIRST}0", after=NOW, until=NOW + timedelta(hours=1)
    ),
    "windows left": lambda c: queries.count_windows_left(c, f"{FIRST}0", "US", now=NOW),
    "plans": lambda c: queries.lock_plans(c, f"{FIRST}0"),
    "requests to step": lambda c: queries.list_requests_to_step(
        c, due_at=NOW, downloads=SETTINGS.scratch_folder
    ),
    "the next request": lambda c: queries.lock_next_request(
        c, UUID(int=1), due_at=NOW, downloads=SETTINGS.scratch_folder
    ),
    "candidates": lambda c: queries.list_candidates(c, *GATE, now=NOW, tolerance=LATE_AFTER),
    "gates with work": lambda c: gate.list_gates_with_work(c, now=NOW),
    "late windows of a gate": lambda c: gate.count_late_windows(c, *GATE, overdue_before=NOW),
    "windows of a request": lambda c: list_windows_of_request(c, 20_000),
    "attached windows": lambda c: attach_windows(c, -1, now=NOW),
    "whether a request is needed": lambda c: is_needed(c, -1, now=NOW),
    "windows released from a request": lambda c: release_windows(c, 20_000, []),
    "dead sessions": list_dead_sessions,
    "sessions of no run": lambda c: read_run_signs(c, ["no run"]),
}
_BLOCKS = text("""
    SELECT CAST(coalesce(sum(pg_stat_get_xact_blocks_fetched(oid)), 0) AS bigint)
      FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')""")


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_for_what_is_rare_reads_little(world: Engine, name: str) -> None:
    """It finds nothing and walks no table, also by the plan that is kept for all values."""
    read: list[int] = []
    with world.connect() as connection:
        connection.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))
        for _ in range(RUNS):
            before = connection.execute(_BLOCKS).scalar_one()
            assert not QUERIES[name](connection)
            read.append(connection.execute(_BLOCKS).scalar_one() - before)
        connection.rollback()
    assert max(read) <= FEW_BLOCKS, read


def test_failed_windows_are_not_read_to_find_those_that_wait_for_a_decision(world: Engine) -> None:
    """However many have failed: few are suspicious."""
    half = [f"{FIRST}{number}" for number in range(ACCOUNTS // 2)]
    with world.connect() as connection:
        connection.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))
        is_failed = ReportWindow.account_id.in_(half)
        change_windows(connection, is_failed, status="failed", cause={"code": "other"})
        connection.execute(text("ANALYZE report_windows"))
        before = connection.execute(_BLOCKS).scalar_one()
        assert not list(undecided_days(connection, SETTINGS, NOW))
        read = connection.execute(_BLOCKS).scalar_one() - before
        connection.rollback()
    assert read <= FEW_BLOCKS
