"""Materializing partitions (account and window) of a report asset, in process, against the sandbox over HTTP."""

import re
from datetime import date

from dagster import AssetObservation, AssetPartitionStatus, DagsterEventType, EventRecordsFilter
from sqlalchemy import func

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.partitions import ACCOUNT_WINDOWS, WINDOW_PARTITIONS, partition_key
from bidbeacon_pipelines.problems.checks import CHECKS
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.dagster.runs import ASSET_KEY, failure_of, materializations, materialize_days, run_job
from tests.support.checking import assert_has
from tests.support.dagster_runs import links_to
from tests.support.reading import tuples
from tests.support.rows import add_windows, change_accounts, change_windows
from tests.support.waiting import wait_until
from tests.support.world import DATASET, World


def partition_statuses(
    world: World, account: Account, *days: date
) -> dict[date, AssetPartitionStatus | None]:
    """Return the status of partitions that Dagster's UI shows, by day."""
    keys = {day: str(partition_key(account.account_key, day)) for day in days}
    asked = list(keys.values())
    found = world.instance.get_status_by_partition(ASSET_KEY, asked, ACCOUNT_WINDOWS) or {}
    return {day: found.get(key) for day, key in keys.items()}


def observations(world: World) -> list[AssetObservation]:
    """Return all observations of the tests' asset, oldest first."""
    of_asset = EventRecordsFilter(DagsterEventType.ASSET_OBSERVATION, asset_key=ASSET_KEY)
    records = world.instance.get_event_records(of_asset, ascending=True)
    return [record.asset_observation for record in records if record.asset_observation]


def test_a_materialization_shows_its_load_and_session(stocked: World) -> None:
    """The rows equal Amazon's to the last digit; metadata has figures, the session's link and the explanation of the day."""
    account, day = stocked.account("JP"), stocked.day()
    result = materialize_days(stocked, account, day)
    true = stocked.true_sums(account, day)
    assert true.spend > 0
    assert true == stocked.stored_sums(account, day)
    [(partition, told)] = materializations(stocked)
    assert str(partition_key(account.account_key, day)) == partition
    session = stocked.one_session("load-windows")
    assert links_to(told, session)
    expected = {
        "dagster/partition_row_count": stocked.window(account, day).row_count,
        "spend": float(round(true.spend, 2)),
        "sales": float(round(true.sales, 2)),
        "currency": "JPY",
        "rows_changed": 0,
        "rows_quarantined": 0,
    }
    assert expected.items() <= told.items()
    assert told["explanation"].startswith(f"It has {expected['dagster/partition_row_count']} rows")
    assert len(str(told)) < 2_000

    of_account = {"account_key": account.account_key, "run_id": result.run_id}
    asked = {"dataset": DATASET.name, "partitions": [partition]}
    assert_has(session, status="succeeded", input=asked, **of_account)
    assert partition == session["labels"]["partition"]
    types = [action["type"] for action in session["actions"]]
    milestones = ["load-requested", "windows-queued", "report-requested", "report-processed"]
    assert milestones == [kind for kind in types if kind in milestones]


def test_a_day_of_several_reports_is_materialized_once_all_are_loaded(stocked: World) -> None:
    """Until then each load is an observation; a window that has expired or is not served is not waited for."""
    account, day = stocked.account(), stocked.day()
    materialize_days(stocked, account, day)
    rows = stocked.window(account, day).row_count
    add_windows(stocked.engine, account, [day], report="SB")
    for status, expected in (("missing", (1, 1)), ("expired", (2, 1)), ("not_served", (3, 1))):
        since = func.now() if status == "not_served" else None
        is_other = ReportWindow.report == "SB"
        change_windows(stocked.engine, is_other, status=status, not_served_since=since)
        change_windows(stocked.engine, recorded_load_count=0)
        assert run_job(stocked, "poll_reports").success
        assert expected == (len(materializations(stocked)), len(observations(stocked)))
    [observed] = observations(stocked)
    assert str(partition_key(account.account_key, day)) == observed.partition
    assert rows == observed.metadata["dagster/partition_row_count"].value


def test_a_range_is_one_report_and_one_materialization_a_day(stocked: World) -> None:
    """One run loads three days with one request; of another dataset, whose report is planned, it loads nothing."""
    account = stocked.account()
    days = [stocked.day(ago) for ago in (5, 4, 3)]
    stocked.plan(account)
    assert stocked.query("SELECT 1 FROM report_requests WHERE dataset = 'daily_campaigns'")
    assert materialize_days(stocked, account, days[0], days[-1]).success
    told = dict(materializations(stocked))
    for day in days:
        own = told[str(partition_key(account.account_key, day))]
        assert stocked.window(account, day).row_count == own["dagster/partition_row_count"]
        spend = float(round(stocked.true_sums(account, day).spend, 2))
        assert (spend, "USD") == (own["spend"], own["currency"])
        assert len(str(own)) < 2_000
    session = stocked.one_session("load-windows")
    ends = [str(partition_key(account.account_key, day)) for day in (days[0], days[-1])]
    assert " … ".join(ends) == session["labels"]["partitions"]
    loaded = (
        "SELECT DISTINCT dataset, window_date FROM report_windows WHERE load_count > 0 ORDER BY 2"
    )
    assert [(DATASET.name, day) for day in days] == tuples(stocked.engine, loaded)
    assert len(stocked.accepted()) == 1


def test_a_run_that_can_load_nothing_fails_with_its_sessions_error(stocked: World) -> None:
    """Without a partition the error says what to do instead; of a disabled account it names the command that enables it."""
    account = stocked.account()
    without = defs.resolve_job_def("load_datasets").execute_in_process(
        instance=stocked.instance, asset_selection=[ASSET_KEY], raise_on_error=False
    )
    change_accounts(stocked.engine, paused=True)
    disabled = materialize_days(stocked, account, stocked.day(), raise_on_error=False)
    errors = [session["error"] for session in stocked.sessions_of("load-windows")]
    assert ["NoPartitionError", "AccountStoppedError"] == [error["type"] for error in errors]
    descriptions = [failure_of(run).description for run in (without, disabled)]
    assert descriptions == [error["message"] for error in errors]
    assert f"bidbeacon accounts resume {account.account_key}" in errors[1]["message"]
    assert ([], []) == (stocked.accepted(), materializations(stocked))


def test_a_run_of_a_day_that_is_not_over_loads_the_others_and_fails(stocked: World) -> None:
    """The last partition is today in UTC; the error names it with the reason, as its observation does."""
    account = stocked.account()
    latest = date.fromisoformat(WINDOW_PARTITIONS.get_partition_keys()[-1])
    assert latest == stocked.day(0)
    result = materialize_days(stocked, account, latest, raise_on_error=False)
    session = stocked.one_session("load-windows")
    assert "failed" == session["status"]
    reason = f"{latest}: The day is not over in the account's time zone ({account.time_zone})."
    assert reason in str(failure_of(result).description)
    assert stocked.accepted() == []
    [observation] = observations(stocked)
    assert str(partition_key(account.account_key, latest)) == observation.partition
    told = {name: str(value.value) for name, value in observation.metadata.items()}
    assert "not-requested" == told["outcome"]
    assert re.search(r"has no data yet, as expected|has not started", told["explanation"])
    assert links_to(told, session)
    day = stocked.yesterday_of(account)
    result = materialize_days(stocked, account, day, latest, raise_on_error=False)
    assert reason in str(failure_of(result).description)
    statuses = partition_statuses(stocked, account, day, latest)
    expected = {day: AssetPartitionStatus.MATERIALIZED, latest: AssetPartitionStatus.FAILED}
    assert expected == statuses


def test_a_partition_of_a_range_fails_exactly_when_its_window_fails(stocked: World) -> None:
    """A report without rows is suspicious for a day that had some, and is loaded for another; checks stay evaluated."""
    account, suspicious, loaded = stocked.account(), stocked.day(41), stocked.day(40)
    materialize_days(stocked, account, suspicious)
    stocked.break_with("rows", change="vanish", share=1)
    result = materialize_days(stocked, account, suspicious, loaded, raise_on_error=False)
    session = stocked.sessions_of("load-windows")[-1]
    failure, message = failure_of(result), session["error"]["message"]
    assert failure.description == message
    assert (True, False) == (f"{suspicious}: " in message, str(loaded) in message)
    assert links_to(failure.metadata, session)
    statuses = partition_statuses(stocked, account, suspicious, loaded)
    failed, materialized = AssetPartitionStatus.FAILED, AssetPartitionStatus.MATERIALIZED
    assert {suspicious: failed, loaded: materialized} == statuses
    [observed] = observations(stocked)
    assert str(partition_key(account.account_key, suspicious)) == observed.partition
    assert "suspicious" == observed.metadata["outcome"].value
    assert "Its last report is suspicious" in str(observed.metadata["explanation"].value)
    logged = [entry.dagster_event for entry in stocked.instance.all_logs(result.run_id)]
    kinds = [event.event_type for event in logged if event is not None]
    assert len(CHECKS) == kinds.count(DagsterEventType.ASSET_CHECK_EVALUATION)


def test_a_report_that_a_poll_refuses_is_an_observation_of_each_of_its_days(stocked: World) -> None:
    """Each partition shows outcome and sentence once, however often reports are polled; no day is materialized."""
    account = stocked.account()
    materialize_days(stocked, account, stocked.day(30))
    stocked.break_with("rows", change="negative_metric", share=0.9)
    days = [stocked.day(ago) for ago in (4, 3)]
    [request_id] = stocked.plan_by_hand(account, days)
    with stocked.session("asked") as session:
        drive_request(stocked.context, session, request_id)

    def have_all_ended() -> bool:
        assert run_job(stocked, "poll_reports").success
        return not stocked.query("SELECT id FROM report_requests WHERE finished_at IS NULL")

    wait_until(have_all_ended, "every request has ended")
    run_job(stocked, "poll_reports")
    found = observations(stocked)
    expected = [str(partition_key(account.account_key, day)) for day in days]
    assert expected == sorted(str(one.partition) for one in found)
    for one in found:
        assert "failed" == one.metadata["outcome"].value
        assert "Its report failed" in str(one.metadata["explanation"].value)
    assert 1 == len(materializations(stocked))
