"""Materializing partitions (account and window) of a report asset, in process, against the sandbox over HTTP."""

import os
import signal
import threading
from datetime import date

from dagster import AssetPartitionStatus, DagsterEventType, DagsterRunStatus

from bidbeacon_pipelines.defs.partitions import (
    ACCOUNT_WINDOWS,
    WINDOW_PARTITIONS,
    NoPartitionError,
    partition_key,
)
from bidbeacon_pipelines.reports.checks import CHECKS
from bidbeacon_pipelines.sandbox.faults import FaultOptions, FaultRule
from bidbeacon_pipelines.services.requests import drive_request
from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_sessions import with_job_session
from tests.dagster.world import ASSET_KEY, DATASET, World, ask_by_hand, failure_of, wait_until


def test_a_materialization_shows_its_load(stocked: World) -> None:
    """The stored rows equal Amazon's to the last digit; the partition's metadata has figures, the session's link and three sentences, and the event is small."""
    account, day = stocked.account("JP"), stocked.day()
    stocked.materialize(account, day)
    true = stocked.true_sums(account, day)
    assert true.spend > 0
    assert true == stocked.loaded_sums(account, day)
    [(partition, told)] = stocked.materializations()
    window, session = stocked.window(account, day), stocked.one_session("load-windows")
    assert str(partition_key(account.account_key, day)) == partition
    assert window.row_count == told["dagster/partition_row_count"]
    cents = [float(round(amount, 2)) for amount in (true.spend, true.sales)]
    assert [*cents, "JPY"] == [told[name] for name in ("spend", "sales", "currency")]
    assert told["session"].endswith(f"/sessions/{session['id']}")
    figures = ("rows_changed", "rows_quarantined", "requests_used", "report_covers")
    assert [0, 0, 1, f"1 day: {day} to {day}"] == [told[name] for name in figures]
    [request] = stocked.rows("SELECT report_id FROM report_requests")
    assert request["report_id"] == told["report_id"]
    *_, last = lines = told["actions"].replace("\\", "").splitlines()
    assert 0 < len(lines) <= 3
    assert f"Loaded {window.row_count} rows" in last
    assert len(str(told)) < 2_000
    stocked.run_job("poll_reports")
    assert len(stocked.materializations()) == 1  # Dagster knows of it


def test_a_materialization_is_one_session(stocked: World) -> None:
    """The session names run, step, account, asset and partition, and tells: queued, requested, processed; the run's log says what it waits for."""
    account, day = stocked.account(), stocked.day()
    result = stocked.materialize(account, day)
    session = stocked.one_session("load-windows")
    assert session["status"] == "succeeded"
    assert (result.run_id, DATASET.asset_name, 0) == (
        session["run_id"],
        session["step_key"],
        session["retry_number"],
    )
    assert account.account_key == session["account_key"]
    assert ASSET_KEY.to_user_string() == session["labels"]["asset"]
    assert str(partition_key(account.account_key, day)) == session["labels"]["partition"]
    assert session["input"] == {
        "dataset": DATASET.name,
        "partitions": [f"{account.account_key}|{day}"],
    }
    types = [action["type"] for action in session["actions"]]
    told = [kind for kind in types if kind not in {"windows-planned", "report-pending"}]
    assert told == ["load-requested", "windows-queued", "report-requested", "report-processed"]
    logged = [entry.user_message for entry in stocked.instance.all_logs(result.run_id)]
    assert 1 == logged.count("0 of 1 windows loaded, waiting for Amazon")


def test_a_range_is_one_report_and_one_materialization_a_day(stocked: World) -> None:
    """One run loads three days with one request; each day's partition has its own rows and spend."""
    account = stocked.account()
    days = [stocked.day(ago) for ago in (5, 4, 3)]
    assert stocked.materialize_range(account, days[0], days[-1]).success
    told = dict(stocked.materializations())
    assert len(stocked.accepted_creates()) == 1
    assert [str(partition_key(account.account_key, day)) for day in days] == sorted(told)
    for day in days:
        own = told[str(partition_key(account.account_key, day))]
        assert stocked.window(account, day).row_count == own["dagster/partition_row_count"]
        spend = round(stocked.true_sums(account, day).spend, 2)
        assert (float(spend), "USD") == (own["spend"], own["currency"])
        assert (own["requests_used"], own["report_covers"]) == (
            1,
            f"3 days: {days[0]} to {days[-1]}",
        )
        assert len(str(own)) < 2_000, (
            "what a range tells of all its days must not be repeated in each"
        )
    session = stocked.one_session("load-windows")
    ends = [str(partition_key(account.account_key, day)) for day in (days[0], days[-1])]
    assert " … ".join(ends) == session["labels"]["partitions"]
    assert "partition" not in session["labels"]


def test_a_run_without_a_partition_says_so(stocked: World) -> None:
    """It fails, materializes nothing, and says what to do instead."""
    result = stocked.materialize_nothing()
    assert not result.success
    assert failure_of(result) == ("Failure", str(NoPartitionError()))
    assert stocked.materializations() == []
    session = stocked.one_session("load-windows")
    assert (session["status"], session["error"]["type"]) == ("failed", "NoPartitionError")


def test_a_disabled_account_fails_with_its_reason(stocked: World) -> None:
    """Dagster's failure and the session's error are the same, and name the command that enables the account."""
    account = stocked.account()
    stocked.execute(
        "UPDATE advertiser_accounts SET enabled = false WHERE account_key = :key",
        key=account.account_key,
    )
    result = stocked.materialize(account, stocked.day(), raise_on_error=False)
    session = stocked.one_session("load-windows")
    assert session["status"] == "failed"
    assert failure_of(result) == ("Failure", session["error"]["message"])
    assert session["error"]["type"] == "AccountSkippedError"
    assert f"bidbeacon accounts resume {account.account_key}" in session["error"]["message"]
    assert stocked.accepted_creates() == []


def test_the_latest_partition_is_skipped_with_an_observation(stocked: World) -> None:
    """Its day is over nowhere: the run succeeds, asks nothing of Amazon, materializes nothing, and the partition says why; in a range, days that are over are loaded."""
    account, latest = (
        stocked.account(),
        date.fromisoformat(WINDOW_PARTITIONS.get_partition_keys()[-1]),
    )
    assert stocked.materialize(account, latest).success
    session = stocked.one_session("load-windows")
    assert (session["status"], session["outcome"]) == ("succeeded", "ok")
    assert stocked.accepted_creates() == []
    assert stocked.materializations() == []
    [observation] = stocked.observations()
    assert str(partition_key(account.account_key, latest)) == observation.partition
    told = {name: str(value.value) for name, value in observation.metadata.items()}
    assert "not-asked" == told["outcome"]
    assert "the day is not over in the account's time zone" in told["reason"]
    assert told["session"].endswith(f"/sessions/{session['id']}")
    assert {str(latest): None} == partition_statuses(stocked, account, latest)
    day = stocked.yesterday_of(account)
    assert stocked.materialize_range(account, day, latest).success
    assert {
        str(day): AssetPartitionStatus.MATERIALIZED,
        str(latest): None,
    } == partition_statuses(stocked, account, day, latest)


def test_a_partition_of_a_range_fails_exactly_when_its_window_fails(stocked: World) -> None:
    """A report without rows is suspicious for the day that had some, and is loaded for the other; the failure leads to the session, the checks stay evaluated."""
    account, suspicious, loaded = stocked.account(), stocked.day(41), stocked.day(40)
    stocked.materialize(account, suspicious)
    stocked.sandbox.state.faults.add(FaultRule(fault="empty_report"))
    result = stocked.materialize_range(account, suspicious, loaded, raise_on_error=False)
    session = stocked.sessions_of("load-windows")[-1]
    [event] = [event for event in result.all_events if event.is_step_failure]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    assert failure.description == session["error"]["message"]
    assert f"{suspicious}: " in failure.description
    assert str(loaded) not in failure.description
    assert str(failure.metadata["session"].value).endswith(f"/sessions/{session['id']}")
    assert event.step_failure_data.error is not None
    assert event.step_failure_data.error.cause is None
    statuses = partition_statuses(stocked, account, suspicious, loaded)
    assert {
        str(suspicious): AssetPartitionStatus.FAILED,
        str(loaded): AssetPartitionStatus.MATERIALIZED,
    } == statuses
    [observed] = stocked.observations()
    assert str(partition_key(account.account_key, suspicious)) == observed.partition
    assert "suspicious" == observed.metadata["outcome"].value
    assert "was suspicious for 1 day" in str(observed.metadata["reason"].value)
    logged = [entry.dagster_event for entry in stocked.instance.all_logs(result.run_id)]
    kinds = [event.event_type for event in logged if event is not None]
    assert len(CHECKS) == kinds.count(DagsterEventType.ASSET_CHECK_EVALUATION)


def test_a_report_that_a_poll_refuses_is_an_observation_of_each_of_its_days(stocked: World) -> None:
    """Each partition shows outcome, sentence and session; once, however often is polled; no day is materialized."""
    account = stocked.account()
    stocked.materialize(account, stocked.day(30))
    rule = FaultOptions(share=0.9, kinds=("negative_metric",))
    stocked.sandbox.state.faults.add(FaultRule(fault="bad_rows", options=rule))
    days = [stocked.day(ago) for ago in (4, 3)]
    with stocked.context() as context, with_job_session("asked", store=stocked.sessions) as session:
        [request_id] = ask_by_hand(context, session, account, days)
        drive_request(context, session, request_id)

    def have_all_ended() -> bool:
        assert stocked.run_job("poll_reports").success
        return not stocked.rows("SELECT id FROM report_requests WHERE finished_at IS NULL")

    wait_until(have_all_ended, "every request has ended")
    stocked.run_job("poll_reports")
    found = stocked.observations()
    assert {str(partition_key(account.account_key, day)) for day in days} == {
        str(one.partition) for one in found
    }
    assert 2 == len(found)
    for one in found:
        assert "failed" == one.metadata["outcome"].value
        assert "failed for " in str(one.metadata["reason"].value)
    assert 1 == len(stocked.materializations())


def test_loading_three_days_of_targets_loads_nothing_of_another_dataset(stocked: World) -> None:
    """Windows of campaigns are due, and their report is planned: beside the days that were asked for, of which its other countries get theirs, none of it is created or loaded."""
    account, days = stocked.account(), [stocked.day(ago) for ago in (5, 4, 3)]
    assert stocked.run_job("refresh_account", account).success
    [due] = stocked.rows(
        "SELECT count(*) AS n FROM report_windows WHERE dataset = 'daily_campaigns' AND next_refresh_at <= now()"
    )
    planned = stocked.rows("SELECT 1 FROM report_requests WHERE dataset = 'daily_campaigns'")
    assert due["n"] > 100
    assert planned
    assert stocked.materialize_range(account, days[0], days[-1]).success
    loaded = stocked.rows(
        "SELECT DISTINCT dataset, window_date FROM report_windows WHERE load_count > 0 ORDER BY 2"
    )
    assert [(DATASET.name, day) for day in days] == [
        (row["dataset"], row["window_date"]) for row in loaded
    ]
    assert len(stocked.accepted_creates()) == 1
    created = stocked.rows("SELECT DISTINCT dataset FROM report_requests WHERE status <> 'planned'")
    assert [{"dataset": DATASET.name}] == created


def test_a_session_ends_with_what_it_waited_for(stocked: World) -> None:
    """Its session ends with the seconds that Amazon asked for, and why."""
    rule = FaultRule(
        fault="throttle", operation="retrieve_report", times=1, options=FaultOptions(seconds=1)
    )
    stocked.sandbox.state.faults.add(rule)
    stocked.materialize(stocked.account(), stocked.day())
    *_, last = stocked.one_session("load-windows")["actions"]
    assert ("waited-for-amazon", True) == (last["type"], last["seconds"] >= 1)
    assert "(HTTP 429)" in last["reason"]


def partition_statuses(
    world: World, account: Account, *days: date
) -> dict[str, AssetPartitionStatus | None]:
    """Return how Dagster's UI shows partitions, by day."""
    keys = [str(partition_key(account.account_key, day)) for day in days]
    found = world.instance.get_status_by_partition(ASSET_KEY, keys, ACCOUNT_WINDOWS) or {}
    return {key.partition("|")[2]: found.get(key) for key in keys}


def test_a_terminated_run_is_a_cancelled_session(stocked: World) -> None:
    """Dagster's interrupt ends run and session as cancelled; the report in flight stays for the next one."""
    account, day = stocked.account(), stocked.day()
    stocked.sandbox.state.faults.add(
        FaultRule(fault="report_pending", options=FaultOptions(seconds=600))
    )
    interrupter = threading.Thread(target=_interrupt_when_requested, args=(stocked,))
    interrupter.start()
    result = stocked.materialize(account, day, raise_on_error=False)
    interrupter.join()
    session = stocked.one_session("load-windows")
    run = stocked.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status is DagsterRunStatus.CANCELED
    assert session["status"] == "cancelled"
    assert session["error"]["type"] == "DagsterExecutionInterruptedError"
    assert stocked.window(account, day).status == "requested"


def _interrupt_when_requested(world: World) -> None:
    query = "SELECT 1 FROM session_actions WHERE type = 'report-pending'"
    wait_until(lambda: bool(world.rows(query)), "the run waits for Amazon")
    [run] = world.instance.get_runs()
    world.instance.report_run_canceling(run)  # what Terminate does before it interrupts the worker
    os.kill(os.getpid(), signal.SIGINT)
