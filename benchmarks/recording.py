"""How long one run takes to record many loaded windows in Dagster: the scheduled job, on loads that Dagster does not know of, and a backfill."""

from datetime import date, timedelta

from dagster import AssetKey, DagsterInstance, DagsterRunStatus, materialize
from sqlalchemy import text

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

_DATASETS = (DAILY_TARGETS, DAILY_PRODUCTS)

# As if one account's reports had been loaded by a run that was killed before it could say so.
_LOADED = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, report, window_date, expires_at, status, last_requested_at, last_loaded_at, data_as_of,
                                load_count, row_count, quarantined_count, unresolved_count, spend, sales)
    SELECT account_id, country_code, dataset, 'SP+SB+SD', CAST(now() AS date) - n, now() + interval '2 years', 'loaded', now(), now(), now(), 1, 700, 0, 2, 1234.56, 7890.12
      FROM advertiser_accounts CROSS JOIN unnest(CAST(:datasets AS text[])) AS dataset
     CROSS JOIN generate_series(2, 1 + CAST(:days AS int)) AS n
     WHERE account_key = :key""")


def seconds_to_record(instance: DagsterInstance, account_key: str, windows: int) -> float:
    """Record so many windows in one run of `poll_reports`; return the seconds from the beginning of its step to the last materialization."""
    from bidbeacon_pipelines.definitions import defs

    with shared_engine(open_database(get_settings())).begin() as connection:
        values = {
            "datasets": [dataset.name for dataset in _DATASETS],
            "days": windows // len(_DATASETS),
        }
        connection.execute(_LOADED, values | {"key": account_key})
    result = defs.resolve_job_def("poll_reports").execute_in_process(instance=instance)
    [stats] = instance.get_run_step_stats(result.run_id)
    stored = [
        at
        for dataset in _DATASETS
        for at in _recorded_at(instance, dataset, result.run_id, windows)
    ]
    assert result.dagster_run.status is DagsterRunStatus.SUCCESS
    assert len(stored) == windows, f"expected {windows} materializations, got {len(stored)}"
    assert stats.start_time is not None
    return max(stored) - stats.start_time


def seconds_to_record_backfill(
    instance: DagsterInstance, account_key: str, today: date, windows: int
) -> float:
    """Load so many days of an account in one run, as a backfill of a range does; return the seconds from the last load to the end of the run.

    Amazon's part and the loading are before that. The last day is the one before yesterday: it is
    over in every time zone.
    """
    days = (today - timedelta(days=ago) for ago in (windows + 1, 2))
    first, last = (partition_key(account_key, day) for day in days)
    result = materialize(
        [build_report_asset(DAILY_SEARCH_TERMS)],
        instance=instance,
        resources={"job_sessions": BidBeaconSessions()},
        tags={
            "dagster/asset_partition_range_start": str(first),
            "dagster/asset_partition_range_end": str(last),
        },
    )
    stored = _recorded_at(instance, DAILY_SEARCH_TERMS, result.run_id, windows)
    assert len(stored) == windows, f"expected {windows} materializations, got {len(stored)}"
    with shared_engine(open_database(get_settings())).begin() as connection:
        loaded_at = connection.execute(_LAST_LOAD).scalar_one()
    ended_at = instance.get_run_stats(result.run_id).end_time
    assert ended_at is not None
    return float(ended_at - loaded_at.timestamp())


_LAST_LOAD = text("SELECT max(last_loaded_at) FROM report_windows")


def _recorded_at(
    instance: DagsterInstance, dataset: Dataset, run_id: str, most: int
) -> list[float]:
    records = instance.fetch_materializations(AssetKey(dataset.asset_name), limit=most).records
    return [record.timestamp for record in records if record.run_id == run_id]
