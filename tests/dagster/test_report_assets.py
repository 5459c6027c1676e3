"""Materializing partitions (account and window) of a report asset, in process, against the sandbox over HTTP."""

import os
import signal
import threading
from datetime import date, timedelta
from decimal import Decimal

from dagster import AssetPartitionStatus, DagsterRunStatus

from bidbeacon_pipelines.defs.partitions import (
    ACCOUNT_WINDOWS,
    WINDOW_PARTITIONS,
    NoPartitionError,
    partition_key,
)
from bidbeacon_pipelines.sandbox.faults import FaultOptions, FaultRule
from bidbeacon_pipelines.services.job_context import JobContext
from bidbeacon_pipelines.services.requests import drive_request
from bidbeacon_pipelines.services.windows import keep_windows
from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_sessions import SessionRecorder, with_job_session
from tests.dagster.world import ASSET_KEY, DATASET, World, ask_by_hand, failure_of, wait_until


def test_a_materialized_window_holds_exactly_what_amazon_knows(stocked: World) -> None:
    """Spend, sales, clicks and impressions of the day add up to the sandbox's truth, to the last digit."""
    account, day = stocked.account("DE"), stocked.day()
    assert stocked.materialize(account, day).success
    true = stocked.true_sums(account, day)
    assert true.spend > 0
    assert true == stocked.loaded_sums(account, day)


def test_a_materialization_tells_of_its_load(stocked: World) -> None:
    """Rows, amounts with their currency, the session's page and its sentences are metadata of the partition."""
    account, day = stocked.account("JP"), stocked.day()
    stocked.materialize(account, day)
    [(partition, told)] = stocked.materializations()
    window, session = stocked.window(account, day), stocked.one_session("load-windows")
    assert str(partition_key(account.account_key, day)) == partition
    assert window.row_count == told["dagster/row_count"]
    true = stocked.true_sums(account, day)
    cents = [float(round(amount, 2)) for amount in (true.spend, true.sales)]
    assert [*cents, "JPY"] == [told[name] for name in ("spend", "sales", "currency")]
    assert told["session"].endswith(f"/sessions/{session['id']}")
    assert told["session"] == told["loaded_by"]
    assert told["session_status"] == "succeeded"
    figures = ("rows_changed", "rows_quarantined", "requests_used", "report_covers")
    assert [0, 0, 1, f"1 day: {day} to {day}"] == [told[name] for name in figures]
    [request] = stocked.rows("SELECT report_id FROM report_requests")
    assert request["report_id"] == told["report_id"]
    for word in ("Queued", "Requested", str(day)):
        assert word in told["timeline"].replace("\\", ""), told["timeline"]


def test_a_materialization_is_one_session(stocked: World) -> None:
    """The session names run, step, account, asset and partition, and tells: queued, requested, processed."""
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


def test_materializing_twice_is_the_same_as_once(stocked: World) -> None:
    """A second materialization asks for a new report and leaves the same rows."""
    account, day = stocked.account(), stocked.day(40)
    columns = "SELECT row_key, spend, sales, clicks, orders, impressions FROM daily_target_performance ORDER BY 1"
    stocked.materialize(account, day)
    first = stocked.rows(columns)
    stocked.materialize(account, day)
    assert first
    assert first == stocked.rows(columns)
    assert stocked.window(account, day).load_count == 2
    assert len(stocked.accepted_creates()) == 2
    assert [told["load"] for _, told in stocked.materializations()] == [1, 2]


def test_a_report_in_flight_is_adopted(stocked: World) -> None:
    """A window that a report in flight covers is waited for: nothing is asked a second time."""
    account, day = stocked.account(), stocked.day()
    stocked.hold_reports()
    with (
        stocked.context() as context,
        with_job_session("earlier", store=stocked.sessions) as session,
    ):
        keep_windows(context, session, account, DATASET)
        [request_id] = ask_by_hand(context, session, account, [day])
        drive_request(context, session, request_id)
    assert stocked.window(account, day).status == "requested"
    stocked.release_reports()
    stocked.materialize(account, day)
    types = [action["type"] for action in stocked.one_session("load-windows")["actions"]]
    assert "report-adopted" in types
    assert "windows-queued" not in types
    assert stocked.window(account, day).load_count == 1
    assert len(stocked.accepted_creates()) == 1


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
        assert stocked.window(account, day).row_count == own["dagster/row_count"]
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


def test_a_partition_tells_what_was_done_since_its_load_before(stocked: World) -> None:
    """The sentences of a day's second load in a range are those of that load, from whichever sessions they are."""
    account, day = stocked.account(), stocked.day()
    stocked.materialize(account, day)
    stocked.hold_reports(times=1)
    with (
        stocked.context() as context,
        with_job_session("earlier", store=stocked.sessions) as session,
    ):
        [request_id] = ask_by_hand(context, session, account, [day])
        drive_request(context, session, request_id)
    stocked.release_reports()
    stocked.materialize_range(account, day, day + timedelta(days=1))
    # Dagster stores a range's partitions in the order of a set.
    key = str(partition_key(account.account_key, day))
    again = [metadata for partition, metadata in stocked.materializations() if partition == key][-1]
    told = again["timeline"].replace("\\", "").splitlines()
    words = [
        line.split()[2] for line in told if "is PENDING" not in line and "is PROCESSING" not in line
    ]
    assert words == ["Queued", "Requested", "Asked", "Adopted", "Loaded"]
    assert again["load"] == 2


def test_what_a_run_by_hand_loaded_is_not_recorded_again(stocked: World) -> None:
    """The next look at reports in flight finds nothing that Dagster does not know of."""
    account = stocked.account()
    stocked.materialize(account, stocked.day())
    stocked.run_job("poll_reports")
    assert len(stocked.materializations()) == 1


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
    """Its day is over nowhere: the run succeeds, asks nothing of Amazon, materializes nothing, and the partition says why."""
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
    assert "the day is not over in the account's time zone" in told["timeline"]
    assert told["session"].endswith(f"/sessions/{session['id']}")
    assert {str(latest): None} == partition_statuses(stocked, account, latest)


def test_in_a_range_only_days_that_are_over_are_loaded(stocked: World) -> None:
    """A day that is over is materialized, and one to come is neither that nor failed."""
    account = stocked.account()
    day = stocked.yesterday_of(account)
    latest = date.fromisoformat(WINDOW_PARTITIONS.get_partition_keys()[-1])
    assert stocked.materialize_range(account, day, latest).success
    assert [str(partition_key(account.account_key, day))] == stocked.recorded_partitions()
    statuses = partition_statuses(stocked, account, day, latest)
    assert {str(day): AssetPartitionStatus.MATERIALIZED, str(latest): None} == statuses


def test_a_partition_of_a_range_fails_exactly_when_its_window_fails(stocked: World) -> None:
    """A report without rows is suspicious for the day that had some, and is loaded for the other; the failure leads to the session."""
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


def test_a_skipped_day_is_red_where_another_window_of_its_run_fails(stocked: World) -> None:
    """Dagster paints every partition of a failed run that was not materialized, so the observation says that the day was skipped."""
    account = stocked.account()
    loaded = stocked.yesterday_of(account)
    suspicious = loaded - timedelta(days=1)
    latest = date.fromisoformat(WINDOW_PARTITIONS.get_partition_keys()[-1])
    stocked.materialize(account, suspicious)
    stocked.sandbox.state.faults.add(FaultRule(fault="empty_report"))
    assert not stocked.materialize_range(account, suspicious, latest, raise_on_error=False).success
    assert {
        str(suspicious): AssetPartitionStatus.FAILED,
        str(loaded): AssetPartitionStatus.MATERIALIZED,
        str(latest): AssetPartitionStatus.FAILED,
    } == partition_statuses(stocked, account, suspicious, loaded, latest)
    outcomes = {
        str(each.partition): each.metadata["outcome"].value for each in stocked.observations()
    }
    assert outcomes[str(partition_key(account.account_key, latest))] == "not-asked"
    assert outcomes[str(partition_key(account.account_key, suspicious))] != "not-asked"


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


def test_progress_is_logged_while_a_run_waits(stocked: World) -> None:
    """The run's log says how many windows are loaded, and what it waits for."""
    result = stocked.materialize(stocked.account(), stocked.day())
    logged = [entry.user_message for entry in stocked.instance.all_logs(result.run_id)]
    assert any(line.startswith("0 of 1 windows loaded, waiting for Amazon (") for line in logged), (
        logged
    )


def partition_statuses(
    world: World, account: Account, *days: date
) -> dict[str, AssetPartitionStatus | None]:
    """Return how Dagster's UI shows partitions, by day."""
    keys = [str(partition_key(account.account_key, day)) for day in days]
    found = world.instance.get_status_by_partition(ASSET_KEY, keys, ACCOUNT_WINDOWS) or {}
    return {key.partition("|")[2]: found.get(key) for key in keys}


def test_a_report_that_fails_at_amazon_is_asked_for_again_and_leaves_old_data(
    stocked: World,
) -> None:
    """A failed report leaves the window's rows as they were; its retry is told and waits for its time."""
    account, day = stocked.account(), stocked.day(40)
    stocked.materialize(account, day)
    before = stocked.loaded_sums(account, day)
    stocked.sandbox.state.faults.add(
        FaultRule(fault="report_failed", options=FaultOptions(code="INTERNAL"))
    )
    with stocked.context() as context, with_job_session("again", store=stocked.sessions) as session:
        [request_id] = ask_by_hand(context, session, account, [day])
        drive_request(context, session, request_id)
        wait_until(
            lambda: _failed_at_amazon(stocked, request_id, context, session),
            "Amazon fails the report",
        )
    assert before == stocked.loaded_sums(account, day)
    assert before.spend > Decimal(0)
    session = stocked.one_session("again")
    assert "request-retried" in [action["type"] for action in session["actions"]]
    assert ("succeeded", "ok") == (session["status"], session["outcome"])


def _failed_at_amazon(
    world: World, request_id: int, context: JobContext, session: SessionRecorder
) -> bool:
    drive_request(context, session, request_id)
    [row] = world.rows("SELECT failure_kind FROM report_requests WHERE id = :id", id=request_id)
    return row["failure_kind"] is not None


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
