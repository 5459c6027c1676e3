"""The sensor that closes sessions whose process died, for each end that Dagster may know of the run."""

from contextlib import ExitStack
from contextvars import copy_context
from datetime import timedelta
from uuid import UUID

import pytest
from dagster import DagsterRunStatus, SkipReason, build_sensor_context, job, op

from bidbeacon_pipelines.defs.schedules import close_crashed_sessions, poll_reports_in_flight
from bidbeacon_sessions import SessionRecorder, with_job_session
from bidbeacon_sessions.reaper import close_dead_sessions
from bidbeacon_sessions.settings import SessionSettings
from tests.dagster.world import World

SUCCESS, FAILURE, CANCELED = (
    DagsterRunStatus.SUCCESS,
    DagsterRunStatus.FAILURE,
    DagsterRunStatus.CANCELED,
)
STARTING, STARTED, CANCELING = (
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)


@op
def work() -> None:
    """Do nothing."""


@job
def working() -> None:
    """One op."""
    work()


def leave_session(
    world: World,
    run_id: str | None,
    stack: ExitStack,
    *,
    silent_for: int = 0,
    step_key: str = "work",
) -> UUID:
    """Open a session that is never closed, as a killed process leaves it, with its last sign of life so many seconds ago.

    Its heartbeat stops with `stack`. It is entered in a context of its own, as this test is another
    process and must not work for it.
    """
    context = with_job_session("killed", store=world.sessions, run_id=run_id, step_key=step_key)
    session: SessionRecorder = copy_context().run(context.__enter__)
    stack.callback(context.__exit__, None, None, None)
    world.execute(
        "UPDATE session_leases SET heartbeat_at = heartbeat_at - :ago, expires_at = expires_at - :ago WHERE session_id = :id",
        ago=timedelta(seconds=silent_for),
        id=session.session_id,
    )
    return session.session_id


def start_run(world: World, status: DagsterRunStatus) -> str:
    """Bring a run into a status; return its id."""
    return world.instance.create_run_for_job(working, status=status).run_id


def status_of_run(world: World, run_id: str) -> DagsterRunStatus:
    """Return the status of a run."""
    run = world.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def status_of(world: World, session_id: UUID) -> str:
    """Return the status of a session."""
    [row] = world.rows("SELECT status FROM job_sessions WHERE id = :id", id=session_id)
    return str(row["status"])


@pytest.mark.parametrize(
    ("run", "run_then", "session", "outcome", "reason"),
    [
        (None, None, "crashed", "problems", "its process died."),
        (
            SUCCESS,
            SUCCESS,
            "crashed",
            "warnings",
            "its process died, and a later attempt brought the run to",
        ),
        (
            FAILURE,
            FAILURE,
            "crashed",
            "problems",
            "its process died, and Dagster ended the run as failed.",
        ),
        (STARTED, FAILURE, "crashed", "problems", "its process died, and nobody had told Dagster."),
        (
            STARTING,
            FAILURE,
            "crashed",
            "problems",
            "its process died, and nobody had told Dagster.",
        ),
        (CANCELED, CANCELED, "cancelled", "warnings", "the run was terminated in Dagster."),
        (
            CANCELING,
            CANCELED,
            "cancelled",
            "warnings",
            "its process ended while Dagster was terminating",
        ),
    ],
)
def test_a_dead_session_ends_as_its_run_did_and_an_unfinished_run_ends_with_it(
    world: World,
    run: DagsterRunStatus | None,
    run_then: DagsterRunStatus | None,
    session: str,
    outcome: str,
    reason: str,
) -> None:
    """The last action says who closed it and why.

    Dagster would hold the run for unfinished for ever, with its slot and its account.
    """
    run_id = start_run(world, run) if run else None
    with ExitStack() as stack:
        leave_session(world, run_id, stack, silent_for=60)
        assert close_dead_sessions(world.sessions, world.instance) == 1
    closed = world.one_session("killed")
    assert (session, outcome) == (closed["status"], closed["outcome"])
    assert closed["actions"][-1]["type"] == "session-finalized"
    assert closed["actions"][-1]["reason"].startswith(reason)
    assert closed["finished_at"] is not None
    assert (session == "cancelled") == (closed["error"] is None)
    if run_id is not None:
        assert run_then == status_of_run(world, run_id)
        messages = [record.message for record in world.instance.all_logs(run_id)]
        assert (run_then != run) == any("gave no sign of life" in message for message in messages)


def test_a_run_with_another_living_session_goes_on(world: World) -> None:
    """One dead step does not make a run dead whose other step beats."""
    run_id = start_run(world, STARTED)
    with ExitStack() as stack:
        leave_session(world, run_id, stack, silent_for=60)
        leave_session(world, run_id, stack, step_key="other")
        assert close_dead_sessions(world.sessions, world.instance) == 1
        assert status_of_run(world, run_id) is STARTED


def test_a_living_session_is_left_alone(world: World) -> None:
    """A session that beats stays running, whatever Dagster says of its run."""
    with ExitStack() as stack:
        session_id = leave_session(world, start_run(world, FAILURE), stack)
        assert close_dead_sessions(world.sessions, world.instance) == 0
        assert status_of(world, session_id) == "running"


def test_a_pause_within_the_lease_is_forgiven_while_the_run_is_under_way(world: World) -> None:
    """Twenty seconds of silence close the session of a finished run, and not that of one that Dagster holds for started."""
    with ExitStack() as stack:
        paused = leave_session(world, start_run(world, STARTED), stack, silent_for=20)
        ended = leave_session(world, start_run(world, FAILURE), stack, silent_for=20)
        assert close_dead_sessions(world.sessions, world.instance) == 1
        assert ("running", "crashed") == (status_of(world, paused), status_of(world, ended))


def test_the_sensor_says_what_it_closed(world: World) -> None:
    """A tick starts no run; its reason tells how many sessions it has closed."""
    said = []
    with ExitStack() as stack:
        leave_session(world, None, stack, silent_for=60)
        for _ in range(2):
            with build_sensor_context(instance=world.instance) as context:
                answer = close_crashed_sessions(context)
            assert isinstance(answer, SkipReason)
            said.append(answer.skip_message)
    assert said == ["Closed 1 sessions.", "All running sessions live."]


def test_a_frozen_worker_holds_nobody_up_for_three_minutes() -> None:
    """As things are set: its lease, the closer that ends its run and its locks, the sensor's tick, and a minute to start and load."""
    settings = SessionSettings(_env_file=None)
    looks = (
        close_crashed_sessions.minimum_interval_seconds
        + poll_reports_in_flight.minimum_interval_seconds
    )
    assert 180 - 60 >= settings.lease_seconds + settings.heartbeat_seconds + looks


def test_a_crash_is_known_within_two_minutes() -> None:
    """As things are set: a lease renewed just before the kill has to run out, and a look may just have been missed, twice."""
    settings = SessionSettings(_env_file=None)
    looks = 2 * close_crashed_sessions.minimum_interval_seconds
    assert 120 > settings.lease_seconds + settings.heartbeat_seconds + looks
