"""The suite `planning`: finding due work among all windows of 1,000 accounts, planning one, and what a run of an account costs.

Each median is over 25 rounds in which the questions take turns; the fastest round is what remains
where other programs use the machine.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from statistics import median
from uuid import uuid4

from sqlalchemy import Engine, text

from benchmarks import scarcity
from benchmarks.account_runs import account_runs
from benchmarks.figures import (
    Figure,
    at_least,
    at_most,
    interleaved,
    median_milliseconds,
    milliseconds,
    told,
)
from benchmarks.planning_plans import explain_due_work, explain_planning
from benchmarks.planning_world import (
    ACCOUNTS,
    DAYS,
    GLOBAL_ACCOUNT,
    NOW,
    REPORTS,
    TODAY,
    count_windows,
    keep_what_is_served,
    make_due,
    make_empty,
    planning_world,
)
from benchmarks.recording import seconds_to_record, seconds_to_record_backfill
from benchmarks.simulation import ACCOUNTS as ACCOUNTS_BY_COUNTRIES
from benchmarks.simulation import fill
from bidbeacon_pipelines.accounts.queries import get_ads_account, list_accounts, list_countries
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS, DATASETS
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.dispatch_rules import WAITS_FOR_AT_MOST
from bidbeacon_pipelines.requests.plan import plan_due
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_pipelines.windows.due import list_ads_accounts_with_due_work
from bidbeacon_pipelines.windows.queries import WindowTimes, create_windows
from bidbeacon_pipelines.windows.rules import expires_at, next_refresh_at, window_dates
from bidbeacon_sessions import SessionRecorder, SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from tools.temporary_postgres import TemporaryPostgres

PLANS = PROJECT_ROOT / "docs" / "planning-query-plans.md"
BEAT_SECONDS, CORES, BEAT_ACCOUNTS = 300, 2, 150
MOST_MILLISECONDS, MOST_CPU_SECONDS = 50, 3
MOST_STEADY, MOST_EMPTY = 100, 500
RECORDED_WINDOWS, MOST_SECONDS_TO_RECORD = 500, 5
BACKFILLED_WINDOWS = 450
"""Nearly all that one daily dataset of an account has; bound in proportion to the one above."""


def planning(*, keep_plans: bool = False, runs: int = 6) -> Iterator[Figure]:
    """Measure; with `keep_plans`, write the query plans to docs/planning-query-plans.md as well; time so many runs."""
    yield told(
        "load of the machine beforehand (processes that want a core)", os.getloadavg()[0], ""
    )
    with planning_world() as (server, engine):
        yield told("windows in the database", count_windows(engine), "windows")
        yield from _finding(server, engine)
        yield from _planning_one(engine)
        if keep_plans:
            PLANS.write_text(_plans(engine))
        make_empty(engine)
        yield from _due_work(engine, "all windows due", expected=ACCOUNTS + 1)
        keep_what_is_served(engine)
        yield told(
            "windows of the empty ads account", count_windows(engine, GLOBAL_ACCOUNT), "windows"
        )
        yield from _planning_empty(engine)
    yield from _scarcity()
    yield from run_costs(runs)


def _scarcity() -> Iterator[Figure]:
    """Simulate accounts for which Amazon makes fewer reports than are due; bounds are shares of what is possible."""
    due = scarcity.reports_due_a_day()
    for share, least in ((1.25, 0.99), (1.0, 0.93), (0.5, 0.85)):
        made = scarcity.live_month(due * share, days=6).share_on_time
        name = f"first refreshes on time, with {share:.0%} of the reports that are due"
        yield at_least(name, 100 * made, "%", 100 * least * scarcity.possible(share))
        beyond = 100 * (made - scarcity.possible(share))
        yield at_most("… beyond what is possible, an error of the simulation", beyond, "%", 1)
    month = scarcity.live_month(due / 10)
    name = "first refreshes on time in a month, with 10% of the reports that are due"
    yield at_least(name, 100 * month.share_on_time, "%", 80 * scarcity.possible(0.1))
    longest_pause = month.longest_pause / timedelta(days=1)
    yield at_most("longest pause of a dataset then", longest_pause, "days", 13)
    most_history = 0.02 * month.creates_a_day * scarcity.DAYS
    yield at_most("reports of the history then", month.history, "reports", most_history)
    passed_over = month.most_passed_over
    yield at_most("reports created before an older one then", passed_over, "", WAITS_FOR_AT_MOST)


def _finding(server: TemporaryPostgres, engine: Engine) -> Iterator[Figure]:
    yield from _due_work(engine, "nothing due", expected=0)
    make_due(engine, accounts=BEAT_ACCOUNTS)
    yield from _due_work(engine, f"{BEAT_ACCOUNTS} accounts due", expected=BEAT_ACCOUNTS)
    make_due(engine, accounts=ACCOUNTS + 1)
    yield from _due_work(engine, f"{ACCOUNTS:,} accounts due", expected=ACCOUNTS + 1)
    server.stop()
    server.start()
    engine.dispose()
    yield told(
        "which accounts have due work: first time after a restart",
        milliseconds(lambda: _ask(engine)),
        "ms",
    )


def _due_work(engine: Engine, state: str, *, expected: int) -> Iterator[Figure]:
    found = _ask(engine)
    assert len(found) == expected, f"{state}: expected {expected} accounts, got {len(found)}"
    name = f"which accounts have due work: {state}"
    yield from _timed(name, interleaved({name: lambda: _ask(engine)})[name], MOST_MILLISECONDS)


def _timed(name: str, took: Sequence[float], bound: float | None) -> Iterator[Figure]:
    """Return the median, with its bound, and the fastest round."""
    if bound is None:
        yield told(name, median(took), "ms")
    else:
        yield at_most(name, median(took), "ms", bound)
    yield told(f"{name}: the fastest", min(took), "ms")


def _ask(engine: Engine) -> list[str]:
    with engine.begin() as connection:
        return list_ads_accounts_with_due_work(connection, now=NOW, datasets=tuple(DATASETS))


@contextmanager
def _planner(engine: Engine) -> Iterator[tuple[JobContext, SessionRecorder]]:
    """Yield what planning needs; Amazon is never asked."""
    settings = Settings(home=Path("unused"))
    with (
        AdsApiClient(SANDBOX_CREDENTIAL, Endpoints.sandbox("http://127.0.0.1:9")) as client,
        with_job_session("bench", store=SessionStore(engine)) as session,
    ):
        yield JobContext(engine, lambda _: client, settings, lambda: NOW), session


def _planning_one(engine: Engine) -> Iterator[Figure]:
    """Plan ads accounts that have due windows in all datasets, each anew each time, or once more."""
    with engine.begin() as connection:
        accounts = [one for one in list_accounts(connection) if one.account_id != GLOBAL_ACCOUNT][
            :20
        ]
    few, waiting = len(REPORTS), cycle(accounts)
    bounds = {
        "one account": MOST_MILLISECONDS,
        "18 countries, steady": MOST_STEADY,
        "18 countries, again": None,
    }
    with _planner(engine) as (context, session):
        took = interleaved(
            {
                "one account": lambda: _plan(context, session, next(waiting).account_id, few=few),
                "18 countries, steady": lambda: _plan(context, session, GLOBAL_ACCOUNT, few=few),
                "18 countries, again": lambda: _plan(
                    context, session, GLOBAL_ACCOUNT, few=few, anew=False
                ),
            }
        )
    for name, bound in bounds.items():
        yield from _timed(f"planning, {few} reports: {name}", took[name], bound)
    yield told(
        f"making a day's windows of one account, {few} reports",
        _median_of_new_days(engine, accounts),
        "ms",
    )


def _planning_empty(engine: Engine) -> Iterator[Figure]:
    """Plan an ads account of 18 countries that was never loaded: all that Amazon serves is due at once."""
    few = sum(fill(report.dataset, ACCOUNTS_BY_COUNTRIES[18]).requests for report in REPORTS)
    name = f"planning an empty ads account of 18 countries, {len(DATASETS)} datasets"
    with _planner(engine) as (context, session):
        took = interleaved({name: lambda: _plan(context, session, GLOBAL_ACCOUNT, few=few)})
    yield from _timed(name, took[name], MOST_EMPTY)


def _plan(
    context: JobContext, session: SessionRecorder, account_id: str, *, few: int, anew: bool = True
) -> None:
    with context.engine.begin() as connection:
        countries = list_countries(connection, account_id)
        ads_account = get_ads_account(connection, countries[0].account_key)
        if anew:
            connection.execute(
                text("DELETE FROM report_requests WHERE account_id = :id AND status = 'planned'"),
                {"id": account_id},
            )
    plan_due(context, session, ads_account, countries)
    with context.engine.begin() as connection:
        planned = connection.execute(
            text(
                "SELECT count(*) FROM report_requests WHERE account_id = :id AND status = 'planned'"
            ),
            {"id": account_id},
        ).scalar_one()
    assert planned == few, f"expected {few} reports, got {planned}"


def _median_of_new_days(engine: Engine, accounts: list[Account]) -> float:
    waiting = iter(accounts)
    return median_milliseconds(lambda: _make_windows(engine, next(waiting)))


def _make_windows(engine: Engine, account: Account) -> None:
    """Make tomorrow's windows, as `keep_windows` does."""
    tomorrow = TODAY + timedelta(days=1)
    with engine.begin() as connection:
        for report in REPORTS:
            dataset, zone = report.dataset, account.time_zone
            times = {
                day: WindowTimes(
                    next_refresh_at(dataset, day, zone, None), expires_at(dataset, day, zone)
                )
                for day in window_dates(dataset.reports, tomorrow)
            }
            assert create_windows(connection, account, dataset.name, report.name, times) > 0


def _plans(engine: Engine) -> str:
    with engine.begin() as connection:
        account = list_accounts(connection)[50]
        version = connection.execute(text("SHOW server_version")).scalar_one()
        parts = [
            explain_due_work(connection, now=NOW),
            *explain_planning(connection, account, DAILY_TARGETS, now=NOW, session_id=uuid4()),
        ]
        connection.rollback()
    return f"{PLANS_HEAD}\nPostgreSQL {version}.\n\n" + "\n".join(parts)


PLANS_HEAD = f"""# Query plans of planning

Written by `make bench SUITE=planning KEEP=plans`: 1,000 accounts, {len(REPORTS)} reports of {len(DATASETS)} datasets, {ACCOUNTS * len(REPORTS) * DAYS:,} windows, every account due since
last midnight, everything in memory. See [planning.md](planning.md) for the figures."""


def run_costs(timed: int) -> Iterator[Figure]:
    """Measure what runs of an account's refresh cost, and how long so many take, two at a time; the rest of a beat is extrapolated."""
    yield told("load of the machine before the runs", os.getloadavg()[0], "")
    with account_runs(timed + 6) as runs:  # some of them can't be refreshed
        assert len(runs.keys) >= timed + 4, f"expected {timed + 4} accounts, got {len(runs.keys)}"
        recorded = seconds_to_record(runs.instance, runs.keys[0], RECORDED_WINDOWS)
        backfilled = seconds_to_record_backfill(
            runs.instance, runs.keys[0], utc_now().date(), BACKFILLED_WINDOWS
        )
        runs.measure(runs.keys[:1])
        alone = runs.measure(runs.keys[1:4])
        together = runs.measure(runs.keys[4 : 4 + timed], at_once=CORES)
    yield at_most(
        f"recording {RECORDED_WINDOWS} windows in one run", recorded, "s", MOST_SECONDS_TO_RECORD
    )
    most = MOST_SECONDS_TO_RECORD * BACKFILLED_WINDOWS / RECORDED_WINDOWS
    yield at_most(
        f"recording {BACKFILLED_WINDOWS} windows of a backfill in one run", backfilled, "s", most
    )
    each = alone.cpu_seconds / alone.runs
    yield at_most(
        "CPU of one account's refresh, in a run of its own", each, "CPU s", MOST_CPU_SECONDS
    )
    busy = BEAT_ACCOUNTS * each / (CORES * BEAT_SECONDS) * 100
    yield at_most(f"{BEAT_ACCOUNTS} such runs every 5 minutes, of two cores", busy, "%", 100)
    beat = BEAT_ACCOUNTS * together.seconds / together.runs
    how = "measured" if together.runs == BEAT_ACCOUNTS else f"extrapolated from {together.runs}"
    yield at_most(f"{BEAT_ACCOUNTS} such runs, two at a time, {how}", beat, "s", BEAT_SECONDS)
