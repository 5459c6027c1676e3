"""The host's clock decides nothing that cannot be taken back: the database's time does, and with the sandbox a stored offset."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.clock import DatabaseClock, read_now
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.defs.sensors import poll_reports_in_flight, refresh_due_accounts
from bidbeacon_pipelines.problems.system_findings import silent_jobs, unhealthy_processes
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings, get_settings
from bidbeacon_pipelines.windows.rules import local_date, window_dates
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import Subject, with_job_session
from tests.dagster.judgements import read_judgements
from tests.dagster.runs import SERVED_DAYS, add_accounts, open_world, run_job
from tests.dagster.test_sensors import asked_for, make_reports_due
from tests.support.reading import call, column, tuples, value
from tests.support.rows import change_windows, simulate_time
from tests.support.world import DATASET, World

FORTY_DAYS = timedelta(days=40)
WORK = """
import sys
from typer.testing import CliRunner
from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.definitions import defs

account = ["--account", sys.argv[1]]
for command in (["refresh", *account], ["accounts", "cadence", sys.argv[1], "--every", "6h"]):
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
assert defs.resolve_job_def("delete_old_records").execute_in_process().success
"""
"""Refreshes an account, sets its cadence, and deletes what is old."""

TICK = """
import sys
from dagster import DagsterInstance, build_sensor_context
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.sensors import busy_accounts, refresh_due_accounts

with DagsterInstance.from_config(sys.argv[1]) as instance:
    [answer] = refresh_due_accounts(build_sensor_context(instance=instance, definitions=defs))
    print(type(answer).__name__, busy_accounts(instance, "refresh_account"))
"""
"""Evaluates a sensor; prints its answer, and which accounts rest after two failures."""

POLL = """
import sys
from dagster import DagsterInstance
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.processes import record_process
from bidbeacon_pipelines.definitions import defs

with DagsterInstance.from_config(sys.argv[1]) as instance:
    assert defs.resolve_job_def("poll_reports").execute_in_process(instance=instance).success
with shared_engine(sys.argv[2]).begin() as connection:
    record_process(connection, "worker", "b", 1, "1", is_start=True)
"""
"""Polls reports in a run that Dagster stores, and beats as a worker does."""


def run_ahead(days: int, *arguments: str) -> str:
    """Run Python in a process whose clock is so many days ahead; return what it prints."""
    faketime = shutil.which("faketime")
    assert faketime is not None, "this test needs faketime: apt-get install faketime"
    options = ["-m", "--disable-shm", "--exclude-monotonic", "-f", f"+{days}d"]
    result = subprocess.run(
        [faketime, *options, sys.executable, *arguments],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


WINDOWS = """
    SELECT window_date, status FROM report_windows
     WHERE account_id = :account_id AND country_code = :country_code AND dataset = 'daily_targets'
     ORDER BY window_date"""


def dates_of(world: World, account: Account) -> Sequence[date]:
    """Return the days that are windows of an account by the database's time."""
    reports = [replace(one, history_days=SERVED_DAYS) for one in DATASET.reports]
    now = value(world.engine, "SELECT now()")
    return window_dates(reports, local_date(now, account.time_zone))


def test_work_on_host_whose_clock_is_years_ahead_is_of_today(stocked: World) -> None:
    """By the database's time are: the windows that a refresh creates, none of which expires; a cadence's next look; which records are old."""
    account = stocked.account("JP")
    run_ahead(5 * 365, "-c", WORK, account.account_key)
    windows = tuples(stocked.engine, WINDOWS, **account.identity)
    assert dates_of(stocked, account) == [day for day, _ in windows]
    assert "expired" not in {status for _, status in windows}
    ahead = "SELECT next_run_at - now() FROM ads_accounts WHERE ads_account_key = :key"
    assert value(stocked.engine, ahead, key=account.ads_account_key) < timedelta(hours=7)
    assert stocked.one_session("sync-accounts")["status"] == "succeeded"
    deleted = "SELECT payload FROM session_actions WHERE type = 'old-records-deleted'"
    assert value(stocked.engine, deleted)["counts"]["sessions"] == 0


def test_pauses_after_failures_hold_on_host_whose_clock_is_two_days_ahead(real: World) -> None:
    """The first sync of accounts is not repeated at each tick, and an account rests after two failures."""
    real.break_with("token", what="revoked")
    assert not run_job(real, "sync_accounts", raise_on_error=False).success
    for _ in range(2):
        with (
            pytest.raises(RuntimeError),
            with_job_session("refresh-account", store=real.sessions, account=Subject("DE.acme")),
        ):
            raise RuntimeError("Amazon is odd")
    printed = run_ahead(2, "-c", TICK, real.instance.root_directory)
    assert printed.splitlines()[-1] == "SkipReason {'DE.acme'}"


def test_what_a_worker_a_month_ahead_has_stored_stops_nothing(real: World) -> None:
    """Its poll and its session count as never, so that the next poll starts and a silence is found; its clock is found at once."""
    add_accounts(real)
    run_ahead(30, "-c", POLL, real.instance.root_directory, real.database_url)
    [session] = real.sessions_of("poll-reports")
    assert session["started_at"] > datetime.now(UTC) + timedelta(days=29)
    make_reports_due(real)
    assert [("poll_reports", {})] == asked_for(real, poll_reports_in_flight)
    now = call(real.engine, read_now, get_settings())
    clock = call(real.engine, unhealthy_processes, get_settings(), now)
    tomorrow = now + timedelta(days=1)
    silence = call(real.engine, silent_jobs, get_settings(), tomorrow)
    assert ["clocks-differ"] == [one.code for one in clock]
    assert ["nothing-happens"] == [one.code for one in silence]


def test_page_alerts_and_checks_agree_on_host_whose_clock_is_two_days_ahead(stocked: World) -> None:
    """They and `doctor` judge by the database's time: with a host two days ahead they find what they find with a right one."""
    account = stocked.account("JP")
    stocked.plan(account)
    of_dataset, hour = ReportWindow.dataset == "daily_targets", timedelta(hours=1)
    unwanted = {"wanted_by": None, "wanted_at": None}
    change_windows(stocked.engine, of_dataset, next_refresh_at=func.now() - hour, **unwanted)
    of_day = of_dataset, ReportWindow.window_date == stocked.day(5)
    failed = {"status": "failed", "cause": {"code": "report-failed", "status": "FAILED"}}
    change_windows(stocked.engine, *of_day, next_refresh_at=func.now() + 24 * hour, **failed)
    asked = account.account_key, str(stocked.yesterday_of(account))
    printed = run_ahead(2, "-m", "tests.dagster.judgements", *asked)
    ahead = json.loads(printed.splitlines()[-1])
    right = json.loads(json.dumps(read_judgements(*asked)))
    assert right == ahead
    checked = "SELECT count(*) FROM session_actions WHERE type = 'dataset-checked'"
    assert 2 * len(DATASETS) == value(stocked.engine, checked)
    assert right["datasets"]["daily_targets"]["due"] > 0
    assert {"report-failed": 1} == ahead["home"]
    told = "SELECT finding ->> 'code' FROM findings WHERE gone_at IS NULL"
    assert ["report-failed"] == column(stocked.engine, told)


def test_stored_offset_moves_all_decisions(stocked: World) -> None:
    """With the sandbox, a simulation can move the time of sensors and jobs by a stored offset."""
    account = stocked.account("JP")
    simulate_time(stocked.engine, ahead_by=FORTY_DAYS)
    with open_world(stocked.engine, stocked.sandbox, stocked.instance) as ahead:
        ahead.plan(account)
    newest, _ = tuples(stocked.engine, WINDOWS, **account.identity)[-1]
    assert dates_of(stocked, account)[-1] + FORTY_DAYS == newest
    assert asked_for(stocked, refresh_due_accounts)


def test_stored_offset_does_not_count_with_amazon_credentials(stocked: World) -> None:
    """With real credentials the offset is not read."""
    real = Settings(ads_api_client_id="amzn1.application-oa2-client.1")
    engine, minute = stocked.engine, timedelta(minutes=1)
    simulate_time(engine, ahead_by=FORTY_DAYS)
    now = value(engine, "SELECT clock_timestamp()")
    assert call(engine, read_now, real) - now < minute
    assert call(engine, read_now, get_settings()) - now > FORTY_DAYS - minute
    assert DatabaseClock(engine, real)() - now < minute
