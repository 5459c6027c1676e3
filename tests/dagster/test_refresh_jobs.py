"""The jobs that keep windows fresh: `refresh_account` plans; `poll_reports` creates and loads reports, and records materializations."""

from collections import Counter

from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.requests.backfill import drive_windows
from bidbeacon_sessions import with_job_session
from tests.dagster.world import DATASET, World


def test_a_refresh_plans_all_that_is_due_and_asks_amazon_for_nothing(stocked: World) -> None:
    """An empty ads account gets its windows, and planned reports of at most 120 days."""
    account = stocked.account("JP")
    assert stocked.run_job("refresh_account", account).success
    requests = stocked.rows("SELECT start_date, end_date, status FROM report_requests")
    assert stocked.accepted_creates() == []
    assert {"planned"} == {row["status"] for row in requests}
    assert all((row["end_date"] - row["start_date"]).days < 120 for row in requests)
    session = stocked.one_session("refresh-account")
    types = Counter(action["type"] for action in session["actions"])
    assert (session["status"], session["account_key"]) == ("succeeded", account.ads_account_key)
    assert {"windows-planned": len(DATASETS), "reports-planned": len(DATASETS)} == types


def test_reports_are_created_as_far_as_the_gate_allows(stocked: World) -> None:
    """The first poll creates two, newest days first, for any number of accounts; a full gate admits no third."""
    stocked.hold_reports()
    for country in ("US", "CA"):
        stocked.run_job("refresh_account", stocked.account(country))
    for _ in range(2):
        assert stocked.run_job("poll_reports").success
    requests = stocked.rows("SELECT end_date FROM report_requests WHERE status = 'in_flight'")
    assert len(stocked.accepted_creates()) == len(requests) == 2
    [newest] = stocked.rows("SELECT max(end_date) AS day FROM report_requests")
    assert {newest["day"]} == {row["end_date"] for row in requests}


def test_a_load_that_a_killed_run_did_not_record_is_recorded_by_the_next_poll(
    stocked: World,
) -> None:
    """It becomes a materialization once, unless its day is before the first partition."""
    account, day = stocked.account(), stocked.day()
    with (
        stocked.context() as context,
        with_job_session("killed", store=stocked.sessions) as session,
    ):
        drive_windows(context, session, account, DATASET, [day])
    assert stocked.materializations() == []
    for _ in range(2):
        stocked.run_job("poll_reports")
    assert [str(partition_key(account.account_key, day))] == stocked.recorded_partitions()
    told = [action for each in stocked.sessions_of("poll-reports") for action in each["actions"]]
    assert [("loads-recorded", 1)] == [(action["type"], action["loads"]) for action in told]

    stocked.execute(
        "UPDATE report_windows SET window_date = '2020-01-01', recorded_load_count = 0 WHERE load_count > 0"
    )
    stocked.run_job("poll_reports")
    [row] = stocked.rows("SELECT recorded_load_count AS n FROM report_windows WHERE load_count > 0")
    assert (row["n"], len(stocked.materializations())) == (1, 1)
