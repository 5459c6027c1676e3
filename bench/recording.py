"""How long one run takes to record many loaded windows in Dagster: the scheduled job itself, on loads that Dagster does not know of."""

from dagster import AssetKey, DagsterInstance, DagsterRunStatus
from sqlalchemy import text

from bidbeacon_pipelines.local.postgres import resolve_database_url
from bidbeacon_pipelines.reports.datasets import DAILY_PRODUCTS, DAILY_TARGETS
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.engine import shared_engine

_DATASETS = (DAILY_TARGETS, DAILY_PRODUCTS)

# As if one account's reports had been loaded by a run that was killed before it could say so.
_LOADED = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, window_date, status, last_requested_at, last_loaded_at, data_as_of,
                                load_count, row_count, quarantined_count, unresolved_count, spend, sales)
    SELECT account_id, country_code, dataset, CAST(now() AS date) - n, 'loaded', now(), now(), now(), 1, 700, 0, 2, 1234.56, 7890.12
      FROM advertiser_accounts CROSS JOIN unnest(CAST(:datasets AS text[])) AS dataset
     CROSS JOIN generate_series(2, 1 + CAST(:days AS int)) AS n
     WHERE account_key = :key""")


def seconds_to_record(instance: DagsterInstance, account_key: str, windows: int) -> float:
    """Record so many windows in one run of `poll_reports`; give the seconds from the beginning of its step to the last materialization."""
    from bidbeacon_pipelines.definitions import defs

    with shared_engine(resolve_database_url(get_settings())).begin() as connection:
        values = {"datasets": [dataset.name for dataset in _DATASETS], "days": windows // len(_DATASETS)}
        connection.execute(_LOADED, values | {"key": account_key})
    result = defs.resolve_job_def("poll_reports").execute_in_process(instance=instance)
    [stats] = instance.get_run_step_stats(result.run_id)
    stored = [
        event.timestamp
        for dataset in _DATASETS
        for event in instance.fetch_materializations(AssetKey(dataset.asset_name), limit=windows).records
        if event.run_id == result.run_id
    ]
    assert result.dagster_run.status is DagsterRunStatus.SUCCESS
    assert len(stored) == windows, f"expected {windows} materializations, got {len(stored)}"
    assert stats.start_time is not None
    return max(stored) - stats.start_time
