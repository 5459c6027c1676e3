"""What is deleted when it is older than it is kept."""

from datetime import UTC, datetime, timedelta

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine, text

from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.upkeep import delete_old_records as delete_old_records_job
from bidbeacon_pipelines.jobs import retention
from bidbeacon_pipelines.jobs.retention import delete_old_records
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_pipelines.store.api_calls import insert_calls
from bidbeacon_sessions import SessionStore, with_job_session

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def add_calls(engine: Engine, *ages: timedelta, before: datetime = NOON) -> None:
    """Add a call of each age to the ledger."""
    rows = [
        {
            "called_at": (before - age).isoformat(),
            "region": "NA",
            "call": "token",
            "duration": 0,
            "queued": 0,
            "waited": 0,
            "retry_count": 0,
        }
        for age in ages
    ]
    with engine.begin() as connection:
        insert_calls(connection, rows)


def add_lane(engine: Engine, account_id: str, idle: timedelta) -> None:
    """Add a lane that was last used so long ago."""
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO api_lanes VALUES ('NA', 'create', :account_id, :at)"),
            {"account_id": account_id, "at": NOON - idle},
        )


def count(engine: Engine, table: str) -> int:
    """Give how many rows a table has."""
    with engine.begin() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def delete(engine: Engine, settings: Settings) -> dict[str, int]:
    """Delete what is old at noon, in a session."""
    with with_job_session("delete-old-records", store=SessionStore(engine)) as session:
        return delete_old_records(engine, session, settings, NOON)


def test_calls_are_kept_for_as_many_days_as_the_setting_says(engine: Engine) -> None:
    """Thirty by default: one that is a second older goes, one that is not stays."""
    month = timedelta(days=30)
    add_calls(engine, month + timedelta(seconds=1), month, timedelta(0))
    assert {"api_calls": 1, "api_lanes": 0} == delete(engine, Settings())
    assert {"api_calls": 1, "api_lanes": 0} == delete(engine, Settings(api_call_days=1))
    assert count(engine, "api_calls") == 1


def test_lanes_that_nobody_used_for_a_day_are_deleted(engine: Engine) -> None:
    """The others are in use."""
    add_lane(engine, "old", timedelta(days=1, seconds=1))
    add_lane(engine, "young", timedelta(hours=23))
    assert {"api_calls": 0, "api_lanes": 1} == delete(engine, Settings())
    assert count(engine, "api_lanes") == 1


def test_many_are_deleted_in_small_pieces(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a statement deletes at once are gone all the same, also where the last piece is a full one."""
    monkeypatch.setattr(retention, "ROWS_A_STATEMENT", 5)
    add_calls(engine, *[timedelta(days=40)] * 15, timedelta(days=1))
    assert {"api_calls": 15, "api_lanes": 0} == delete(engine, Settings())
    assert count(engine, "api_calls") == 1


def test_what_was_deleted_is_told_by_table(engine: Engine) -> None:
    """One action with the counts; tables without old records are in them as 0, and not in the sentence."""
    add_calls(engine, timedelta(days=40), timedelta(days=41))
    delete(engine, Settings())
    with engine.begin() as connection:
        payload = connection.execute(text("SELECT payload FROM session_actions")).scalar_one()
    assert {"rows": 2, "by_table": "2 of api_calls", "counts": {"api_calls": 2, "api_lanes": 0}} == payload


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
    with engine.begin() as connection:
        sessions = connection.execute(text("SELECT job_name, status FROM job_sessions")).all()
    assert [("delete-old-records", "succeeded")] == [tuple(row) for row in sessions]
    [daily] = [schedule for schedule in defs.schedules or () if schedule.name == "delete_old_records_daily"]
    assert "23 3 * * *" == daily.cron_schedule  # type: ignore[union-attr]  # ours are plain schedules
