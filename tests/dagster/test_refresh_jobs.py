"""The jobs that keep windows fresh: `refresh_account` brings one account up to date; `poll_reports` creates and loads reports of all; both record materializations."""

from collections import Counter
from datetime import date

from dagster import AssetKey, AssetRecordsFilter
from sqlalchemy import func

from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.dagster.runs import (
    hold_reports,
    materializations,
    recorded_partitions,
    release_reports,
    run_job,
)
from tests.support.jobs import load_by_hand
from tests.support.reading import column, tuples
from tests.support.rows import change_requests, change_windows
from tests.support.world import World


def test_a_refresh_plans_all_that_is_due_and_creates_what_the_gate_allows(stocked: World) -> None:
    """An empty ads account gets its windows, planned reports of at most 120 days, and two of them at Amazon, the newest days first."""
    hold_reports(stocked)
    account = stocked.account("JP")
    assert run_job(stocked, "refresh_account", account).success
    requests = stocked.query("SELECT start_date, end_date, status FROM report_requests")
    at_amazon = [row["end_date"] for row in requests if row["status"] == "in_flight"]
    assert 2 == len(stocked.accepted()) == len(at_amazon)
    assert {max(row["end_date"] for row in requests)} == set(at_amazon)
    assert all((row["end_date"] - row["start_date"]).days < 120 for row in requests)
    session = stocked.one_session("refresh-account")
    types = Counter(action["type"] for action in session["actions"])
    assert (session["status"], session["account_key"]) == ("succeeded", account.ads_account_key)
    reports = sum(len(dataset.reports) for dataset in DATASETS.values())
    assert (types["windows-planned"], types["reports-planned"]) == (len(DATASETS), reports)


def test_a_refresh_loads_what_is_ready_and_records_it(stocked: World) -> None:
    """Reports of the account that Amazon has made become materializations."""
    account = stocked.account("JP")
    run_job(stocked, "refresh_account", account)
    change_requests(stocked.engine, ReportRequest.status == "in_flight", next_step_at=func.now())
    release_reports(stocked)
    assert run_job(stocked, "refresh_account", account).success
    loaded = "SELECT dataset, window_date FROM report_windows WHERE load_count > 0"
    dataset, day = tuples(stocked.engine, loaded)[0]
    partition = str(partition_key(account.account_key, day))
    asset = AssetKey(DATASETS[dataset].name)
    of_partition = AssetRecordsFilter(asset, asset_partitions=[partition])
    assert len(stocked.instance.fetch_materializations(of_partition, limit=9).records) == 1


def test_a_load_that_a_killed_run_did_not_record_is_recorded_by_the_next_poll(
    stocked: World,
) -> None:
    """It becomes a materialization once, unless its day is before the first partition."""
    account, day = stocked.account(), stocked.day()
    load_by_hand(stocked, account, day)
    assert materializations(stocked) == []
    for _ in range(2):
        run_job(stocked, "poll_reports")
    assert [str(partition_key(account.account_key, day))] == recorded_partitions(stocked)
    told = [action for each in stocked.sessions_of("poll-reports") for action in each["actions"]]
    assert [("loads-recorded", 1)] == [(action["type"], action["loads"]) for action in told]

    past = {"window_date": date(2020, 1, 1), "recorded_load_count": 0}
    change_windows(stocked.engine, ReportWindow.load_count > 0, **past)
    run_job(stocked, "poll_reports")
    recorded = "SELECT recorded_load_count FROM report_windows WHERE load_count > 0"
    assert [1] == column(stocked.engine, recorded)
    assert 1 == len(materializations(stocked))
