"""Windows that a run dealt with and did not load are observations of their partitions, whoever started the run."""

from typing import Any
from uuid import uuid4

import pytest
from dagster import AssetObservation, build_op_context, serialize_value

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.defs.observations import observe_unloaded_windows
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.sandbox.faults import FaultName, FaultOptions, FaultRule
from bidbeacon_pipelines.services.requests import drive_request
from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_sessions import SessionStore, with_job_session
from tests.dagster.world import World, ask_by_hand, wait_until

MOST_BYTES = 8_000


def break_with(world: World, fault: FaultName, **options: Any) -> None:
    """Put a fault in force, for good."""
    world.sandbox.state.faults.add(FaultRule(fault=fault, options=FaultOptions(**options)))


def ask(world: World, account: Account, *ago: int) -> None:
    """Ask Amazon for days of an account, as a scheduled run that ended since has done."""
    with world.context() as context, with_job_session("asked", store=world.sessions) as session:
        days = [world.day(each) for each in ago]
        [request_id] = ask_by_hand(context, session, account, days)
        drive_request(context, session, request_id)


def look_until_ended(world: World) -> None:
    """Run the shared look until no request is open."""

    def look() -> bool:
        assert world.run_job("poll_reports").success
        return not world.rows("SELECT id FROM report_requests WHERE finished_at IS NULL")

    wait_until(look, "every request has ended")


def told(observation: AssetObservation) -> dict[str, Any]:
    """Return what an observation tells, without Markdown's escapes."""
    return {
        name: str(value.value).replace("\\", "") for name, value in observation.metadata.items()
    }


def test_a_report_that_is_refused_in_a_look_is_an_observation_of_each_of_its_days(
    stocked: World,
) -> None:
    """Each partition is told outcome, sentence and session, which has ended; once, however often is looked; no day is materialized."""
    account = stocked.account()
    stocked.materialize(account, stocked.day(30))
    break_with(stocked, "bad_rows", share=0.9, kinds=("negative_metric",))
    ask(stocked, account, 4, 3)
    look_until_ended(stocked)
    stocked.run_job("poll_reports")
    found = stocked.observations()
    days = [str(partition_key(account.account_key, stocked.day(ago))) for ago in (3, 4)]
    assert days == [str(one.partition) for one in found]
    [session] = [
        each
        for each in stocked.sessions_of("poll-reports")
        if "report-failed" in str(each["actions"])
    ]
    for one in found:
        facts = told(one)
        assert ("failed", "succeeded") == (facts["outcome"], facts["session_status"])
        assert facts["session"].endswith(f"/sessions/{session['id']}")
        assert "failed for " in facts["timeline"]
        assert len(facts["timeline"].splitlines()) == 1
        assert len(serialize_value(one)) < MOST_BYTES
    assert [
        str(partition_key(account.account_key, stocked.day(30)))
    ] == stocked.recorded_partitions()


def test_a_suspicious_report_of_a_run_by_hand_is_an_observation_before_the_run_fails(
    stocked: World,
) -> None:
    """Who asked for the day sees beside the old materialization why there is no new one."""
    account, day = stocked.account(), stocked.day()
    stocked.materialize(account, day)
    assert stocked.observations() == []
    break_with(stocked, "empty_report")
    assert not stocked.materialize(account, day, raise_on_error=False).success
    [one] = stocked.observations()
    facts = told(one)
    assert str(partition_key(account.account_key, day)) == one.partition
    assert ("suspicious", "failed") == (facts["outcome"], facts["session_status"])
    assert "was suspicious for 1 day" in facts["timeline"]
    assert len(stocked.materializations()) == 1


def test_an_observation_that_can_not_be_made_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Without a database there is none, and a line in the log."""
    nowhere = SessionStore(make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    session_id = uuid4()
    with build_op_context() as context:
        observe_unloaded_windows(context, nowhere, session_id)
    assert (
        f"Session {session_id}: the windows that it did not load could not be recorded"
        in caplog.text
    )
