"""What is deleted when it is older than it is kept."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine, insert, text

from bidbeacon_pipelines import retention
from bidbeacon_pipelines.actions import ReportFailed, WindowsQueued
from bidbeacon_pipelines.amazon_ads.tables import ApiCall
from bidbeacon_pipelines.datasets.partitions import drop_old_partitions, ensure_partitions
from bidbeacon_pipelines.datasets.registry import HOURLY_TARGETS
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.upkeep import delete_old_records as delete_old_records_job
from bidbeacon_pipelines.loading.restatements import find_first_kept_day
from bidbeacon_pipelines.retention import delete_old_records
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.tables import SessionHeader
from tests.support.reading import call, column, tuples, value
from tests.support.rows import add_account, change_sessions

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
DEFAULTS = Settings()


def add_calls(engine: Engine, *ages: timedelta, before: datetime = NOON) -> None:
    """Add a call of each age to the ledger."""
    facts = {"region": "NA", "call": "token", "retry_count": 0}
    times = dict.fromkeys(("duration", "queued", "waited"), timedelta())
    rows = [{"called_at": before - age} | facts | times for age in ages]
    with engine.begin() as connection:
        connection.execute(insert(ApiCall), rows)


def count(engine: Engine, table: str) -> int:
    """Give how many rows a table has."""
    return int(value(engine, f"SELECT count(*) FROM {table}"))


def run(engine: Engine, statement: str, *rows: Mapping[str, Any]) -> None:
    """Run a statement for each row."""
    with engine.begin() as connection:
        connection.execute(text(statement), list(rows))


def delete(engine: Engine, settings: Settings = DEFAULTS) -> dict[str, int]:
    """Delete what is old at noon, in a session; give what that deleted."""
    with with_job_session("delete-old-records", store=SessionStore(engine)) as session:
        counts = delete_old_records(engine, session, settings, NOON)
    return {what: count for what, count in counts.items() if count}


def test_calls_are_kept_for_as_many_days_as_the_setting_says(engine: Engine) -> None:
    """Thirty by default: one that is a second older goes, one that is not stays."""
    month = timedelta(days=30)
    add_calls(engine, month + timedelta(seconds=1), month, timedelta(0))
    assert {"api_calls": 1} == delete(engine)
    assert {"api_calls": 1} == delete(engine, Settings(api_call_days=1))
    assert count(engine, "api_calls") == 1


LIMIT = """
    INSERT INTO rate_limits (client_id, region, call_class, account_id, next_start_at)
    VALUES ('client', 'NA', 'create', :name, :at)"""
PROCESS = "INSERT INTO processes VALUES ('stream', :name, 1, '1', :at, :at)"


@pytest.mark.parametrize(("table", "statement"), [("rate_limits", LIMIT), ("processes", PROCESS)])
def test_what_was_silent_for_a_day_is_deleted(engine: Engine, table: str, statement: str) -> None:
    """Rate limits that nobody used since then, and processes that were not seen; the others stay."""
    silent = {"old": timedelta(days=1, seconds=1), "young": timedelta(hours=23)}
    run(engine, statement, *({"name": name, "at": NOON - ago} for name, ago in silent.items()))
    assert {table: 1} == delete(engine)
    assert count(engine, table) == 1


def test_removals_of_rows_are_deleted_once_they_were_acknowledged_for_long(engine: Engine) -> None:
    """After as many days as sessions; one that nobody has acknowledged stays."""
    account = add_account(engine)
    acknowledged = [{"by": "maria", "at": NOON - timedelta(days=days)} for days in (91, 89)]
    removals: list[dict[str, Any]] = [*acknowledged, {"by": None, "at": None}]
    run(
        engine,
        """INSERT INTO row_removals (request_id, account_id, country_code, dataset, days, rows, spend, currency_code, acknowledged_by, acknowledged_at)
           VALUES (1, :account_id, :country_code, 'daily_targets', '{}', 1, 0, 'USD', :by, :at)""",
        *(account.identity | removal for removal in removals),
    )
    assert {"row_removals": 1} == delete(engine)
    assert 2 == count(engine, "row_removals")


def test_many_are_deleted_in_small_pieces(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a statement deletes at once are gone all the same, also where the last piece is a full one."""
    monkeypatch.setattr(retention, "ROWS_A_PIECE", 5)
    add_calls(engine, *[timedelta(days=40)] * 15, timedelta(days=1))
    assert {"api_calls": 15} == delete(engine)
    assert count(engine, "api_calls") == 1


def add_session(
    engine: Engine, ended: timedelta | None, *, started: timedelta = timedelta(days=200)
) -> UUID:
    """Add a session with two actions, which started and ended so long before noon."""
    windows = {"account": "US.a", "dataset": "daily_targets", "windows": [date(2026, 1, 1)]}
    with with_job_session("x", store=SessionStore(engine), clock=lambda: NOON - started) as session:
        session.add(WindowsQueued(**windows, request_id=1))
        session.add(ReportFailed(**windows, request_id=1, cause={"code": "other"}))
    running = {"status": "running", "outcome": None, "finished_at": None}
    changed = running if ended is None else {"finished_at": NOON - ended}
    change_sessions(engine, SessionHeader.id == session.session_id, **changed)
    return session.session_id


def test_sessions_are_deleted_ninety_days_after_their_end_with_all_they_tell(
    engine: Engine,
) -> None:
    """One that ended later stays, however early it began, and so does one that runs; actions and references go with theirs."""
    add_session(engine, timedelta(days=90, seconds=1))
    kept = {add_session(engine, timedelta(days=89)), add_session(engine, None)}
    assert {"sessions": 1} == delete(engine)
    own = value(engine, "SELECT id FROM session_headers WHERE job_name = 'delete-old-records'")
    for table in ("session_actions", "session_references"):
        left = column(engine, f"SELECT session_id FROM {table} WHERE ord <= 2")
        assert kept == set(left) - {own}


def test_many_sessions_go_in_small_pieces(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a piece are gone all the same."""
    monkeypatch.setattr(retention, "SESSIONS_A_PIECE", 2)
    for _ in range(5):
        add_session(engine, timedelta(days=100))
    assert {"sessions": 5} == delete(engine)


def add_restatements(engine: Engine, *days: date) -> None:
    """Let a row vanish from the window of each day."""
    account = add_account(engine)
    run(
        engine,
        """INSERT INTO restatements (account_id, country_code, dataset, window_date, row_key, dimensions, currency_code,
                       change, old_values, old_data_as_of, new_data_as_of, request_id)
           VALUES (:account_id, :country_code, 'daily_targets', :day, '', '{}', 'USD', 'vanished', '{}', now(), now(), 1)""",
        *(account.identity | {"day": day} for day in days),
    )


def test_restatements_of_windows_that_are_long_over_are_deleted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day of the window counts: its restatements go together, in small pieces, and the numbers before them are not made up."""
    monkeypatch.setattr(retention, "ROWS_A_PIECE", 2)
    today = NOON.date()
    add_restatements(engine, *[today - timedelta(days=101)] * 3, today - timedelta(days=100), today)
    assert {"restatements": 3} == delete(engine, Settings(restatement_days=100))
    assert count(engine, "restatements") == 2
    assert today - timedelta(days=100) == call(engine, find_first_kept_day)
    assert {} == delete(engine, Settings(restatement_days=100))


KEPT_FOR_A_TIME = (
    *("api_calls", "rate_limits", "amazon_access", "sessions", "restatements", "run_events"),
    *("printed_lines", "hourly_months", "findings", "row_removals", "loads_by_hand"),
    *("processes", "unwritable_folders", "registry_overrides"),
)


def test_what_was_deleted_is_told_by_table(engine: Engine) -> None:
    """One action with the counts; tables without old records are in them as 0, and not in the sentence."""
    add_calls(engine, timedelta(days=40), timedelta(days=41))
    delete(engine)
    payload = value(engine, "SELECT payload FROM session_actions")
    assert (2, "2 of api_calls") == (payload["rows"], payload["by_table"])
    assert payload["counts"] == dict.fromkeys(KEPT_FOR_A_TIME, 0) | {"api_calls": 2}


def test_dagster_deletes_once_a_day(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job runs in a session of its own, and a schedule starts it."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    get_settings.cache_clear()
    add_calls(engine, timedelta(days=31), timedelta(days=29), before=datetime.now(UTC))
    with DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def(delete_old_records_job.name)
        assert job.execute_in_process(instance=instance).success
    assert count(engine, "api_calls") == 1
    sessions = tuples(engine, "SELECT job_name, status FROM job_sessions")
    assert [("delete-old-records", "succeeded")] == sessions
    daily = defs.resolve_schedule_def("delete_old_records_daily")
    assert "23 3 * * *" == daily.cron_schedule


def test_months_of_hours_are_dropped_whole(engine: Engine) -> None:
    """A month goes once all of its days are older than they are kept; those of the next weeks are there."""
    call(engine, drop_old_partitions, date(2100, 1, 1))
    ensure_partitions(engine, HOURLY_TARGETS, date(2025, 12, 31), date(2026, 1, 1))
    assert {} == delete(engine, Settings(hourly_days=74))
    assert {"hourly_months": 1} == delete(engine, Settings(hourly_days=73))
    names = column(engine, "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
    of_targets = {name for name in names if name.startswith(HOURLY_TARGETS.name)}
    months = ("2026_01", "2026_02", "2026_03", "2026_04")
    assert {f"{HOURLY_TARGETS.name}_{month}" for month in months} == of_targets
