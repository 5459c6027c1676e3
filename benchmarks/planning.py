"""The suite `planning`: finding due work of 1,001 ads accounts, planning one, and runs.

Calls take turns over 25 rounds; each figure is the median of one call.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from benchmarks.account_runs import account_runs
from benchmarks.bulk_rows import fill_requests, fill_windows, note_windows
from benchmarks.database import RESULTS, alone, explained, fresh_database, write_plans
from benchmarks.figures import Figure, at_least, at_most, sample
from benchmarks.recording import seconds_to_record, seconds_to_record_backfill
from benchmarks.scarcity import live_month, possible, reports_due_a_day
from bidbeacon_pipelines.accounts.queries import get_ads_account, list_countries
from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.plan import plan_due
from bidbeacon_pipelines.requests.planning_rules import WAITS_FOR_AT_MOST
from bidbeacon_pipelines.requests.queries import insert_request, list_candidates, lock_plans
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.due import (
    list_ads_accounts_with_due_work,
    list_days_to_plan,
    list_next_due,
)
from bidbeacon_pipelines.windows.rules import window_dates
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionRecorder, SessionStore, with_job_session
from tests.support.rows import (
    add_account,
    change_ads_accounts,
    change_windows,
    remove_requests,
    remove_windows,
)
from tests.support.simulation import ACCOUNTS as COUNTRIES_BY_SIZE
from tests.support.simulation import ZONES, fill

ACCOUNTS, DAYS, ALL_DAYS = 1000, 480, 731
"""Accounts of one country; days of history of these, and of the account of 18 countries."""
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""An instant at which all accounts have the same date."""
TODAY = NOW.date()
GLOBAL_ACCOUNT = "amzn1.ads-account.g.global00000000000000000"
"""One ads account in 18 countries, beside the 1,000 of one country each."""
REPORTS = [report for dataset in DATASETS.values() for report in dataset.reports]
ROUNDS = 25
BEAT_SECONDS, BEAT_ACCOUNTS, RUNS, CORES = 300, 150, 6, 2
PLANS = RESULTS / "planning-plans.md"
PLANS_HEAD = f"""# Query plans of planning

Written by `make bench SUITE=planning KEEP=results`: 1,000 accounts, {len(REPORTS)} reports of \
{len(DATASETS)} datasets, {ACCOUNTS * len(REPORTS) * DAYS:,} windows, every account due since
last midnight, everything in memory."""


def planning(*, keep_plans: bool = False) -> Iterator[Figure]:
    """Measure; with `keep_plans`, also write the query plans."""
    with fresh_database() as engine:
        _add_accounts(engine)
        _fill_with_history(engine)
        yield _due_work(engine, "nothing due", expected=0)
        for accounts in (BEAT_ACCOUNTS, ACCOUNTS + 1):
            _make_due(engine, accounts)
            yield _due_work(engine, f"{accounts:,} accounts due", expected=accounts)
        few = len(REPORTS)
        yield from _planning(engine, {"one country": (few, 50), "18 countries": (few, 100)})
        if keep_plans:
            _keep_plans(engine)
        _make_empty(engine)
        yield _due_work(engine, "all windows due", expected=ACCOUNTS + 1)
        _keep_what_is_served(engine)
        filled = sum(fill(one.dataset, COUNTRIES_BY_SIZE[18]).requests for one in REPORTS)
        yield from _planning(engine, {"18 countries, never loaded": (filled, 500)})
    yield from _scarcity()
    yield from _runs()


def _add_accounts(engine: Engine) -> None:
    earlier = NOW - timedelta(hours=20)
    seen = {"first_seen_at": NOW - timedelta(days=DAYS), "entities_synced_at": NOW}
    with engine.begin() as connection:
        for number in range(ACCOUNTS):
            country = list(ZONES)[number % len(ZONES)]
            add_account(connection, country, _account_id(number), region="EU", **seen)
        for country in COUNTRIES_BY_SIZE[18]:
            add_account(connection, country, GLOBAL_ACCOUNT, region="EU", **seen)
        change_ads_accounts(connection, last_run_at=earlier, planned_at=earlier)


def _account_id(number: int) -> str:
    return f"amzn1.ads-account.g.bench{number:021d}"


_DAYS = f"CASE a.account_id WHEN '{GLOBAL_ACCOUNT}' THEN {ALL_DAYS} ELSE {DAYS} END"
_EXPIRES_AT = "(day + 731)::timestamp AT TIME ZONE a.time_zone"


def _fill_with_history(engine: Engine) -> None:
    midnight = f"DATE '{TODAY}'::timestamp AT TIME ZONE a.time_zone"
    loaded = dict.fromkeys(("last_requested_at", "last_loaded_at", "data_as_of"), midnight)
    counts = {"load_count": "5", "recorded_load_count": "5", "row_count": "700"}
    with engine.begin() as connection:
        fill_requests(connection, TODAY)
        for report in REPORTS:
            fill_windows(
                connection,
                report.dataset.name,
                report.name,
                TODAY,
                _DAYS,
                expires_at=_EXPIRES_AT,
                status="'loaded'",
                next_refresh_at=f"""
                    (SELECT min((day + o)::timestamp AT TIME ZONE a.time_zone)
                       FROM unnest(ARRAY{list(report.dataset.refresh_offsets)}) o
                      WHERE day + o > DATE '{TODAY}')""",
                spend="1234.56",
                sales="7890.12",
                **loaded,
                **counts,
            )
        note_windows(connection, TODAY)
    _tidy(engine)


def _make_due(engine: Engine, accounts: int) -> None:
    """Make the refreshes of some accounts due, as if the last ones were a day ago."""
    chosen = select(AdsAccount.account_id).order_by(AdsAccount.account_id).limit(accounts)
    for dataset in DATASETS.values():
        days = [TODAY - timedelta(days=offset) for offset in dataset.refresh_offsets]
        change_windows(
            engine,
            ReportWindow.account_id.in_(chosen),
            ReportWindow.dataset == dataset.name,
            ReportWindow.window_date.in_(days),
            next_refresh_at=NOW - timedelta(hours=12),
            data_as_of=ReportWindow.data_as_of - timedelta(days=1),
        )
    _tidy(engine)


def _make_empty(engine: Engine) -> None:
    alone(engine, "TRUNCATE report_windows, report_requests")
    with engine.begin() as connection:
        change_ads_accounts(connection, planned_at=None)
        for report in REPORTS:
            fill_windows(
                connection,
                report.dataset.name,
                report.name,
                TODAY,
                _DAYS,
                expires_at=_EXPIRES_AT,
                next_refresh_at="(day + 1)::timestamp AT TIME ZONE a.time_zone",
            )
    _tidy(engine)


def _keep_what_is_served(engine: Engine) -> None:
    for dataset in DATASETS.values():
        remove_windows(
            engine,
            ReportWindow.account_id == GLOBAL_ACCOUNT,
            ReportWindow.dataset == dataset.name,
            ReportWindow.window_date < window_dates(dataset.reports, TODAY)[0],
        )
    _tidy(engine)


def _tidy(engine: Engine) -> None:
    alone(engine, "VACUUM ANALYZE")


def _due_work(engine: Engine, state: str, *, expected: int) -> Figure:
    def list_due() -> None:
        with engine.begin() as connection:
            found = list_ads_accounts_with_due_work(connection, now=NOW, datasets=tuple(DATASETS))
        assert len(found) == expected, f"{state}: expected {expected} accounts, got {len(found)}"

    took = sample({state: list_due}, ROUNDS)[state]
    return at_most(f"which accounts have due work: {state}", median(took), "ms", 50)


def _planning(engine: Engine, cases: Mapping[str, tuple[int, float]]) -> Iterator[Figure]:
    """Time the planning of ads accounts; a case has its number of reports and its bound."""
    settings, waiting = Settings(home=Path("unused")), cycle(range(20))
    context = JobContext(engine, _no_client, settings, lambda: NOW)

    def plan(name: str) -> None:
        chosen = _account_id(next(waiting)) if name == "one country" else GLOBAL_ACCOUNT
        _plan(context, session, chosen, expected=cases[name][0])

    with with_job_session("bench", store=SessionStore(engine)) as session:
        took = sample({name: partial(plan, name) for name in cases}, ROUNDS)
    for name, (reports, bound) in cases.items():
        yield at_most(f"planning {reports} reports: {name}", median(took[name]), "ms", bound)


def _no_client(_credential: str) -> AdsApiClient:
    raise AssertionError("planning does not call Amazon")


def _plan(context: JobContext, session: SessionRecorder, account_id: str, *, expected: int) -> None:
    planned = ReportRequest.account_id == account_id, ReportRequest.status == "planned"
    with context.engine.begin() as connection:
        remove_requests(connection, *planned)
        countries = list_countries(connection, account_id)
        ads_account = get_ads_account(connection, countries[0].account_key)
    plan_due(context, session, ads_account, countries)
    with context.engine.begin() as connection:
        found = connection.execute(select(func.count()).where(*planned)).scalar_one()
    assert found == expected, f"expected {expected} reports, got {found}"


def _keep_plans(engine: Engine) -> None:
    with engine.begin() as connection:
        calls = _statements(connection, _account_id(50))
        parts = [explained(connection, title, call) for title, call in calls.items()]
        write_plans(PLANS, PLANS_HEAD, connection, parts)
        connection.rollback()


def _statements(connection: Connection, account_id: str) -> Mapping[str, Callable[[], object]]:
    request: dict[str, Any] = {
        "account_id": account_id,
        "dataset": REPORTS[0].dataset.name,
        "report": REPORTS[0].name,
        "start_date": TODAY,
        "end_date": TODAY,
        "by_hand": False,
        "created_at": NOW,
    }
    soon, late = NOW + timedelta(hours=6), timedelta(hours=12)
    return {
        "Ads accounts with due work": partial(
            list_ads_accounts_with_due_work, connection, now=NOW, datasets=tuple(DATASETS)
        ),
        "Days that planning an ads account reads": partial(
            list_days_to_plan, connection, account_id, now=NOW
        ),
        "Next due times of its windows": partial(
            list_next_due, connection, account_id, after=NOW, until=soon
        ),
        "Its planned requests": partial(lock_plans, connection, account_id),
        "Storing a request": partial(insert_request, connection, **request),
        "Candidates for creation at a gate": partial(
            list_candidates, connection, "client", "EU", now=NOW, tolerance=late
        ),
    }


def _scarcity() -> Iterator[Figure]:
    """Simulate accounts with fewer reports than are due; bounds are shares of the possible."""
    due = reports_due_a_day()
    for share, least in ((1.25, 0.99), (1.0, 0.93), (0.5, 0.85)):
        days = live_month(due * share, days=6)
        given = f"with {share:.0%} of the reports that are due"
        on_time, bound = 100 * days.share_on_time, 100 * least * possible(share)
        yield at_least(f"first refreshes on time, {given}", on_time, "%", bound)
        name = f"reports created before an older one, {given}"
        yield at_most(name, days.most_passed_over, "", WAITS_FOR_AT_MOST)
    month = live_month(due / 10)
    name = "first refreshes on time in a month, with 10% of the reports that are due"
    yield at_least(name, 100 * month.share_on_time, "%", 80 * possible(0.1))
    longest_pause = month.longest_pause / timedelta(days=1)
    yield at_most("longest pause of a dataset then", longest_pause, "days", 13)
    yield at_most("reports of the history then", month.history, "reports", 12)


def _runs() -> Iterator[Figure]:
    """Measure runs of `refresh_account`, alone and six, two at a time; extrapolate to a beat."""
    with account_runs(RUNS + 6) as runs:  # some of them can't be refreshed
        assert len(runs.keys) >= RUNS + 4, f"expected {RUNS + 4} accounts, got {len(runs.keys)}"
        recorded = seconds_to_record(runs.instance, runs.keys[0], 500)
        yield at_most("recording 500 windows in one run", recorded, "s", 5)
        backfilled = seconds_to_record_backfill(runs.instance, runs.keys[0], 450)
        yield at_most("recording 450 windows of a backfill in one run", backfilled, "s", 4.5)
        runs.measure(runs.keys[:1])
        each = runs.measure(runs.keys[1:4]).cpu_seconds / 3
        yield at_most("CPU of one account's refresh, in a run of its own", each, "CPU s", 3)
        together = runs.measure(runs.keys[4 : 4 + RUNS], at_once=CORES).seconds
    beat = BEAT_ACCOUNTS * together / RUNS
    name = f"{BEAT_ACCOUNTS} such runs, two at a time, extrapolated from {RUNS}"
    yield at_most(name, beat, "s", BEAT_SECONDS)
