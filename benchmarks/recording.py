"""The time to record many loaded windows in Dagster, in a scheduled run or a backfill."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from dagster import AssetKey, DagsterInstance, DagsterRunStatus, materialize
from sqlalchemy import func, select

from bidbeacon_pipelines.accounts.queries import read_account
from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.datasets.registry import (
    DAILY_PRODUCTS,
    DAILY_SEARCH_TERMS,
    DAILY_TARGETS,
    Dataset,
)
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.defs.reports import build_report_asset
from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.rows import add_windows, as_loaded, days_until

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def seconds_to_record(instance: DagsterInstance, account_key: str, windows: int) -> float:
    """Return the seconds that one run of `poll_reports` takes to record loaded windows."""
    from bidbeacon_pipelines.definitions import defs

    engine, datasets = shared_engine(open_database(get_settings())), (DAILY_TARGETS, DAILY_PRODUCTS)
    account, days = read_account(engine, account_key), days_until(_last_day(), windows // 2)
    counts = {"row_count": 700, "quarantined_count": 0, "unresolved_count": 2}
    totals = {"spend": Decimal("1234.56"), "sales": Decimal("7890.12")}
    loaded = as_loaded(datetime.now(UTC)) | counts | totals
    for dataset in datasets:
        add_windows(engine, account, days, dataset.name, **loaded)
    result = defs.resolve_job_def("poll_reports").execute_in_process(_QUIET, instance=instance)
    assert result.dagster_run.status is DagsterRunStatus.SUCCESS
    stored = [at for each in datasets for at in _recorded_at(instance, each, result.run_id)]
    assert len(stored) == windows, f"expected {windows} materializations, got {len(stored)}"
    [stats] = instance.get_run_step_stats(result.run_id)
    assert stats.start_time is not None
    return max(stored) - stats.start_time


def seconds_to_record_backfill(instance: DagsterInstance, account_key: str, windows: int) -> float:
    """Return the seconds from the last load of a backfill to the end of its run."""
    days = days_until(_last_day(), windows)
    first, last = (partition_key(account_key, day) for day in (days[0], days[-1]))
    result = materialize(
        [build_report_asset(DAILY_SEARCH_TERMS)],
        instance=instance,
        run_config=_QUIET,
        resources={"job_sessions": BidBeaconSessions()},
        tags={
            "dagster/asset_partition_range_start": str(first),
            "dagster/asset_partition_range_end": str(last),
        },
    )
    stored = _recorded_at(instance, DAILY_SEARCH_TERMS, result.run_id)
    assert len(stored) == windows, f"expected {windows} materializations, got {len(stored)}"
    with shared_engine(open_database(get_settings())).begin() as connection:
        loaded_at = connection.execute(select(func.max(ReportWindow.last_loaded_at))).scalar_one()
    ended_at = instance.get_run_stats(result.run_id).end_time
    assert ended_at is not None
    assert loaded_at is not None
    return float(ended_at - loaded_at.timestamp())


def _last_day() -> date:
    """Return the day before yesterday, which is over in every time zone."""
    return datetime.now(UTC).date() - timedelta(days=2)


def _recorded_at(instance: DagsterInstance, dataset: Dataset, run_id: str) -> list[float]:
    records = instance.fetch_materializations(AssetKey(dataset.name), limit=1_000).records
    return [record.timestamp for record in records if record.run_id == run_id]
