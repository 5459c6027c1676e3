"""Old runs lose their events in Dagster's tables, and nothing else of it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetCheckResult,
    AssetKey,
    AssetObservation,
    DagsterInstance,
    MaterializeResult,
    OpExecutionContext,
    asset,
    asset_check,
    in_process_executor,
    job,
    materialize,
    op,
)
from sqlalchemy import Engine, text

from bidbeacon_pipelines import retention
from bidbeacon_pipelines.retention import delete_old_records
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions import SessionStore, with_job_session
from tests.support.reading import column

STORAGE = "storage: {custom: {module: bidbeacon_pipelines.dagster_instance.storage, class: BidBeaconStorage, config: {}}}"


@pytest.fixture
def instance(
    database_url: str, dagster_tables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    """Yield a Dagster instance that keeps its history in this test's database."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    monkeypatch.setenv("BIDBEACON_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    (tmp_path / "dagster.yaml").write_text(STORAGE)
    with DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


@asset
def numbers(context: OpExecutionContext) -> MaterializeResult[None]:
    """Be observed, and be materialized."""
    context.log.info("a line")
    context.log_event(AssetObservation("numbers"))
    return MaterializeResult()


@asset_check(asset=numbers)
def numbers_are_right() -> AssetCheckResult:
    """Be checked."""
    return AssetCheckResult(passed=True, description="they are")


@op
def fail_op() -> None:
    """Fail."""
    raise ValueError("on purpose")


@job(executor_def=in_process_executor)
def fail() -> None:
    """One op."""
    fail_op()


def prune(engine: Engine, days: float) -> int:
    """Prune as if it were so many days later; return how many events that deleted."""
    with with_job_session("prune", store=SessionStore(engine)) as session:
        later = datetime.now(UTC) + timedelta(days=days)
        return delete_old_records(engine, session, get_settings(), later)["run_events"]


def kinds(engine: Engine) -> set[str]:
    """Return the kinds of events that are stored."""
    stored = "SELECT DISTINCT coalesce(dagster_event_type, 'LINE') FROM dagster.event_logs"
    return set(column(engine, stored))


def test_an_old_run_keeps_the_history_of_its_assets_and_how_it_ended(
    instance: DagsterInstance, engine: Engine
) -> None:
    """Materialization, observation and check stay as they were, in the table and in what Dagster says; steps, lines and resources go."""
    result = materialize([numbers, numbers_are_right], instance=instance)
    assert {"LINE", "STEP_START", "ENGINE_EVENT"} <= kinds(engine)
    assert prune(engine, 15) > 5
    assert kinds(engine) == {
        *("PIPELINE_START", "PIPELINE_SUCCESS", "ASSET_OBSERVATION"),
        *("ASSET_MATERIALIZATION", "ASSET_MATERIALIZATION_PLANNED"),
        *("ASSET_CHECK_EVALUATION", "ASSET_CHECK_EVALUATION_PLANNED"),
    }
    event = instance.get_latest_materialization_event(AssetKey("numbers"))
    assert event is not None
    assert event.run_id == result.run_id
    [key] = numbers_are_right.check_keys
    [check] = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    assert check.status.value == "SUCCEEDED"
    stats = instance.get_run_stats(result.run_id)
    assert stats.start_time is not None
    assert stats.end_time is not None


def test_young_runs_and_runs_under_way_keep_all(instance: DagsterInstance, engine: Engine) -> None:
    """Thirteen days later nothing is deleted, nor ever of a run that has not ended."""
    materialize([numbers], instance=instance)
    assert prune(engine, 13) == 0
    with engine.begin() as connection:
        connection.execute(text("UPDATE dagster.runs SET status = 'STARTED'"))
    assert prune(engine, 30) == 0


def test_a_failed_run_still_tells_why(instance: DagsterInstance, engine: Engine) -> None:
    """Its end stays, with the error."""
    result = fail.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    prune(engine, 15)
    assert kinds(engine) == {"PIPELINE_START", "PIPELINE_FAILURE"}


def test_pieces_add_up_and_a_second_time_finds_nothing(
    instance: DagsterInstance, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three events a statement delete as much as all at once, and then there is nothing left."""
    for _ in range(3):
        fail.execute_in_process(instance=instance, raise_on_error=False)
    monkeypatch.setattr(retention, "ROWS_A_PIECE", 3)
    assert prune(engine, 15) > 9
    assert kinds(engine) == {"PIPELINE_START", "PIPELINE_FAILURE"}
    assert prune(engine, 15) == 0


def test_without_dagsters_tables_there_is_nothing_to_do(engine: Engine, tmp_path: Path) -> None:
    """A database that Dagster does not keep its history in is left alone."""
    assert prune(engine, 15) == 0


def test_printed_lines_go_with_their_runs(
    instance: DagsterInstance, engine: Engine, tmp_path: Path
) -> None:
    """A folder that nothing was written to for long is deleted, a young one stays."""
    logs = tmp_path / "home" / "dagster" / "storage"
    for name, age in (("old", 15), ("young", 13)):
        (logs / name / "compute_logs").mkdir(parents=True)
        written = (datetime.now(UTC) - timedelta(days=age)).timestamp()
        for path in (logs / name / "compute_logs", logs / name):
            os.utime(path, (written, written))
    prune(engine, 0)
    assert ["young"] == [path.name for path in logs.iterdir()]
