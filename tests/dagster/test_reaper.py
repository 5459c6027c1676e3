"""The reaper: sessions whose process died, for each end that Dagster may know of the run, and runs that nobody works on."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from dagster import (
    DagsterEventType,
    DagsterInstance,
    DefaultRunLauncher,
    SkipReason,
    build_sensor_context,
    job,
)
from dagster import DagsterRunStatus as Status

from bidbeacon_pipelines.defs.upkeep import close_crashed_sessions
from bidbeacon_sessions import with_job_session
from bidbeacon_sessions.reaper import (
    CODE_LOCATION_TAG,
    LOST_AFTER,
    close_dead_sessions,
    fail_lost_runs,
)
from tests.stream.writing import start_session
from tests.support.dagster_runs import status_of
from tests.support.recorded_sessions import recorded, wait_past_grace
from tests.support.threads import at_once
from tests.support.world import World


@job
def working() -> None:
    """No op: none is executed."""


CRASHED = ("crashed", "problems", "process died.")
CANCELLED = ("cancelled", "warnings", "terminated in Dagster")
"""How a session ends: its status, its outcome, and what the reason has."""


def leave_session(
    world: World, run_id: str | None, *, silent_for: int = 0, step: str = "work"
) -> UUID:
    """Write a session as a killed process leaves it, with its last heartbeat the given seconds ago; return its id."""
    wait_past_grace(world.engine)
    with world.sessions.begin() as connection:
        session_id = start_session(connection, job="killed", run_id=run_id, step_key=step)
    earlier = "heartbeat_at = heartbeat_at - :ago, expires_at = expires_at - :ago"
    of_session = {"id": session_id, "ago": timedelta(seconds=silent_for)}
    world.execute(f"UPDATE session_leases SET {earlier} WHERE session_id = :id", **of_session)
    return session_id


def start_run(world: World, status: Status, location: str | None = None) -> str:
    """Bring a run into a status, as launched from a code location; return its id."""
    tags = {CODE_LOCATION_TAG: location} if location else {}
    return world.instance.create_run_for_job(working, status=status, tags=tags).run_id


def look_twice(
    world: World, location: str | None = None, between: Callable[[], object] = lambda: None
) -> tuple[int, int]:
    """Look for lost runs, and again three minutes later; return how many were failed each time."""
    first, cursor = fail_lost_runs(world.sessions, world.instance, location)
    between()
    seen = {
        run_id: (sign, (datetime.fromisoformat(since) - LOST_AFTER).isoformat())
        for run_id, (sign, since) in json.loads(cursor or "{}").items()
    }
    return first, fail_lost_runs(world.sessions, world.instance, location, json.dumps(seen))[0]


@pytest.mark.parametrize(
    ("run", "run_then", "ends"),
    [
        (None, None, CRASHED),
        (Status.SUCCESS, Status.SUCCESS, ("crashed", "warnings", "process died.")),
        (Status.FAILURE, Status.FAILURE, CRASHED),
        (Status.STARTED, Status.FAILURE, CRASHED),
        (Status.STARTING, Status.FAILURE, CRASHED),
        (Status.CANCELED, Status.CANCELED, CANCELLED),
        (Status.CANCELING, Status.CANCELED, CANCELLED),
    ],
)
def test_a_dead_session_ends_as_its_run_did_and_an_unfinished_run_ends_with_it(
    world: World, run: Status | None, run_then: Status | None, ends: tuple[str, str, str]
) -> None:
    """The last action says who closed it and why.

    Dagster would hold the run for unfinished for ever, with its slot and its account. This
    instance's launcher raises where it is asked to terminate a run.
    """
    run_id = start_run(world, run) if run else None
    leave_session(world, run_id, silent_for=60)
    assert close_dead_sessions(world.sessions, world.instance) == 1
    closed = world.one_session("killed")
    *expected, reason = ends
    assert expected == [closed["status"], closed["outcome"]]
    assert closed["actions"][-1]["type"] == "session-finalized"
    assert reason in closed["actions"][-1]["reason"]
    assert closed["finished_at"] is not None
    assert (ends == CANCELLED) == (closed["error"] is None)
    if run_id is not None:
        assert run_then == status_of(world.instance, run_id)
        messages = [record.message for record in world.instance.all_logs(run_id)]
        assert (run_then != run) == any("sent no heartbeat" in message for message in messages)


@pytest.mark.parametrize("answer", [True, False])
def test_the_launcher_terminates_a_dead_run_which_is_failed_whatever_it_answers(
    world: World, monkeypatch: pytest.MonkeyPatch, *, answer: bool
) -> None:
    """Its worker may be frozen, and wake up."""
    asked: list[str] = []

    class Launcher(DefaultRunLauncher):
        def terminate(self, run_id: str) -> bool:
            asked.append(run_id)
            return answer

    monkeypatch.setattr(DagsterInstance, "run_launcher", Launcher())
    run_id = start_run(world, Status.STARTED)
    leave_session(world, run_id, silent_for=60)
    assert close_dead_sessions(world.sessions, world.instance) == 1
    assert ([run_id], Status.FAILURE) == (asked, status_of(world.instance, run_id))


def test_a_run_with_another_living_session_goes_on(world: World) -> None:
    """One dead step does not make a run dead whose other step beats."""
    run_id = start_run(world, Status.STARTED)
    leave_session(world, run_id, silent_for=60)
    leave_session(world, run_id, step="other")
    assert close_dead_sessions(world.sessions, world.instance) == 1
    assert status_of(world.instance, run_id) is Status.STARTED


def test_living_sessions_and_pauses_within_the_lease_are_left_alone(world: World) -> None:
    """Twenty seconds of silence close the session of a finished run, and not that of one that Dagster holds for started."""
    lives = leave_session(world, start_run(world, Status.FAILURE))
    paused = leave_session(world, start_run(world, Status.STARTED), silent_for=20)
    ended = leave_session(world, start_run(world, Status.FAILURE), silent_for=20)
    assert close_dead_sessions(world.sessions, world.instance) == 1
    statuses = {row.id: row.status for row in recorded(world.sessions)}
    assert {lives: "running", paused: "running", ended: "crashed"} == statuses


def test_of_reapers_at_once_one_ends_a_run(real: World) -> None:
    """Four daemons' ticks at the same moment: the session is closed once, and its run failed once."""
    run_id = start_run(real, Status.STARTED)
    leave_session(real, run_id, silent_for=60)
    reap = partial(close_dead_sessions, real.sessions, real.instance)
    assert sorted(at_once([reap] * 4)) == [0, 0, 0, 1]
    events = [record.dagster_event_type for record in real.instance.all_logs(run_id)]
    assert events.count(DagsterEventType.RUN_FAILURE) == 1


def test_another_code_locations_session_and_runs_are_left_alone(world: World) -> None:
    """Only its own reaper ends them."""
    dead, lost = (start_run(world, Status.STARTED, "theirs") for _ in range(2))
    leave_session(world, dead, silent_for=60)
    assert close_dead_sessions(world.sessions, world.instance, "ours") == 0
    assert (0, 0) == look_twice(world, "ours")
    assert "running" == world.one_session("killed")["status"]
    assert {Status.STARTED} == {status_of(world.instance, run_id) for run_id in (dead, lost)}
    assert close_dead_sessions(world.sessions, world.instance, "theirs") == 1
    assert (0, 1) == look_twice(world, "theirs")
    assert {Status.FAILURE} == {status_of(world.instance, run_id) for run_id in (dead, lost)}


def test_a_started_run_that_died_outside_of_a_session_is_failed_after_three_minutes(
    world: World,
) -> None:
    """Not while a session is open; an event or the end of a session begins the time anew."""
    run_id = start_run(world, Status.STARTED)
    run = world.instance.get_run_by_id(run_id)
    assert run is not None
    in_session = partial(with_job_session, "work", store=world.sessions, run_id=run_id)

    def work_in_session() -> None:
        with in_session(step_key="short"):
            pass

    with in_session(step_key="long"):
        assert (0, 0) == look_twice(world)
    assert (0, 0) == look_twice(world, between=work_in_session)
    told = partial(world.instance.report_engine_event, "It works.", run)
    assert (0, 0) == look_twice(world, between=told)
    assert (0, 1) == look_twice(world)
    assert status_of(world.instance, run_id) is Status.FAILURE


def test_runs_that_are_not_started_are_left_to_dagsters_run_monitoring(world: World) -> None:
    """It ends those that don't start, or don't stop."""
    statuses = [Status.NOT_STARTED, Status.STARTING, Status.CANCELING]
    run_ids = [start_run(world, status) for status in statuses]
    assert (0, 0) == look_twice(world)
    assert statuses == [status_of(world.instance, run_id) for run_id in run_ids]


def test_the_sensor_says_what_it_did(world: World) -> None:
    """A tick starts no run; its cursor says how long runs have been quiet."""
    run_id = start_run(world, Status.STARTED)
    said = []
    leave_session(world, None, silent_for=60)
    for _ in range(2):
        with build_sensor_context(instance=world.instance) as context:
            answer = close_crashed_sessions(context)
        assert isinstance(answer, SkipReason)
        assert [run_id] == list(json.loads(context.cursor or ""))
        said.append(answer.skip_message)
    closed = "Closed sessions: 1. Runs reported as failed: 0."
    assert [closed, "All running sessions are alive."] == said
