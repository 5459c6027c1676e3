"""The sensor that closes sessions whose process died, for each end that Dagster may know of the run."""

from contextlib import ExitStack
from contextvars import copy_context
from uuid import UUID

import pytest
from dagster import DagsterRunStatus, SkipReason, build_sensor_context, job, op

from bidbeacon_pipelines.defs.schedules import close_crashed_sessions, poll_reports_in_flight
from bidbeacon_sessions import SessionRecorder, with_job_session
from bidbeacon_sessions.dagster import close_dead_sessions
from bidbeacon_sessions.settings import SessionSettings
from tests.dagster.world import World


@op
def work() -> None:
    """Do nothing."""


@job
def working() -> None:
    """One op."""
    work()


def leave_session(world: World, run_id: str | None, stack: ExitStack, *, step_key: str = "work") -> UUID:
    """Open a session that is never closed, as a killed process leaves it; its heartbeat stops with `stack`.

    It is entered in a context of its own, as this test is another process and must not work for it.
    """
    context = with_job_session("killed", store=world.sessions, run_id=run_id, step_key=step_key)
    session: SessionRecorder = copy_context().run(context.__enter__)
    stack.callback(context.__exit__, None, None, None)
    return session.session_id


def silence(world: World, session_id: UUID, seconds: int) -> None:
    """Let a session's last sign of life, and its lease of 45 seconds with it, be so long ago."""
    world.execute(
        """UPDATE session_leases SET heartbeat_at = now() - make_interval(secs => :seconds),
                                     expires_at = now() - make_interval(secs => :seconds - 45) WHERE session_id = :id""",
        seconds=seconds,
        id=session_id,
    )


def start_run(world: World, status: DagsterRunStatus) -> str:
    """Bring a run into a status; return its id."""
    return world.instance.create_run_for_job(working, status=status).run_id


def status_of(world: World, session_id: UUID) -> str:
    """Return the status of a session."""
    [row] = world.rows("SELECT status FROM job_sessions WHERE id = :id", id=session_id)
    return str(row["status"])


@pytest.mark.parametrize(
    ("run", "session", "reason"),
    [
        (DagsterRunStatus.CANCELED, "cancelled", "the run was terminated in Dagster."),
        (DagsterRunStatus.FAILURE, "crashed", "its process died, and Dagster ended the run as failed."),
        (
            DagsterRunStatus.SUCCESS,
            "crashed",
            "its process died, and a later attempt brought the run to its end.",
        ),
        (DagsterRunStatus.STARTED, "crashed", "its process died, and nobody had told Dagster."),
        (DagsterRunStatus.STARTING, "crashed", "its process died, and nobody had told Dagster."),
        (DagsterRunStatus.CANCELING, "cancelled", "its process ended while Dagster was terminating the run."),
        (None, "crashed", "its process died."),
    ],
)
def test_a_dead_session_ends_as_its_run_did(
    world: World, run: DagsterRunStatus | None, session: str, reason: str
) -> None:
    """The status follows from the run's, and the last action says who closed it and why."""
    with ExitStack() as stack:
        session_id = leave_session(world, start_run(world, run) if run else None, stack)
        silence(world, session_id, 60)
        assert close_dead_sessions(world.sessions, world.instance) == 1
        closed = world.one_session("killed")
        assert (session, reason) == (closed["status"], closed["actions"][-1]["reason"])
        assert closed["actions"][-1]["type"] == "session-finalized"
        assert closed["finished_at"] is not None
        assert (session == "cancelled") == (closed["error"] is None)
        is_problem = session == "crashed" and run is not DagsterRunStatus.SUCCESS
        assert ("problems" if is_problem else "warnings") == closed["outcome"]


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
def test_a_run_whose_worker_is_gone_is_reported_failed(world: World, status: DagsterRunStatus) -> None:
    """Dagster would hold it for started for ever; its slot and its account are free again."""
    run_id = start_run(world, status)
    with ExitStack() as stack:
        silence(world, leave_session(world, run_id, stack), 60)
        close_dead_sessions(world.sessions, world.instance)
    run = world.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is DagsterRunStatus.FAILURE
    messages = [record.message for record in world.instance.all_logs(run_id)]
    assert any("gave no sign of life" in message for message in messages)


def test_a_run_that_was_being_cancelled_ends_as_cancelled(world: World) -> None:
    """A worker that died while it was being terminated has done what was asked of it."""
    run_id = start_run(world, DagsterRunStatus.CANCELING)
    with ExitStack() as stack:
        silence(world, leave_session(world, run_id, stack), 60)
        close_dead_sessions(world.sessions, world.instance)
    run = world.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is DagsterRunStatus.CANCELED


def test_a_run_with_another_living_session_goes_on(world: World) -> None:
    """One dead step does not make a run dead whose other step beats."""
    run_id = start_run(world, DagsterRunStatus.STARTED)
    with ExitStack() as stack:
        dead = leave_session(world, run_id, stack)
        leave_session(world, run_id, stack, step_key="other")
        silence(world, dead, 60)
        assert close_dead_sessions(world.sessions, world.instance) == 1
        run = world.instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is DagsterRunStatus.STARTED


def test_a_living_session_is_left_alone(world: World) -> None:
    """A session that beats stays running, whatever Dagster says of its run."""
    with ExitStack() as stack:
        session_id = leave_session(world, start_run(world, DagsterRunStatus.FAILURE), stack)
        assert close_dead_sessions(world.sessions, world.instance) == 0
        assert status_of(world, session_id) == "running"


def test_a_pause_within_the_lease_is_forgiven_while_the_run_is_under_way(world: World) -> None:
    """Twenty seconds of silence close the session of a finished run, and not that of one that Dagster holds for started."""
    with ExitStack() as stack:
        paused = leave_session(world, start_run(world, DagsterRunStatus.STARTED), stack)
        ended = leave_session(world, start_run(world, DagsterRunStatus.FAILURE), stack)
        silence(world, paused, 20)
        silence(world, ended, 20)
        assert close_dead_sessions(world.sessions, world.instance) == 1
        assert ("running", "crashed") == (status_of(world, paused), status_of(world, ended))


def test_the_sensor_says_what_it_closed(world: World) -> None:
    """A tick starts no run; its reason tells how many sessions it has closed."""
    said = []
    with ExitStack() as stack:
        silence(world, leave_session(world, None, stack), 60)
        for _ in range(2):
            with build_sensor_context(instance=world.instance) as context:
                answer = close_crashed_sessions(context)
            assert isinstance(answer, SkipReason)
            said.append(answer.skip_message)
    assert said == ["Closed 1 sessions.", "All running sessions live."]


def test_a_frozen_worker_holds_nobody_up_for_three_minutes() -> None:
    """As things are set: its lease, the closer that ends its run and its locks, the sensor's tick, and a minute to start and load."""
    settings = SessionSettings(_env_file=None)
    looks = close_crashed_sessions.minimum_interval_seconds + poll_reports_in_flight.minimum_interval_seconds
    assert 180 - 60 >= settings.lease_seconds + settings.heartbeat_seconds + looks


def test_a_crash_is_known_within_two_minutes() -> None:
    """As things are set: a lease renewed just before the kill has to run out, and a look may just have been missed, twice."""
    settings = SessionSettings(_env_file=None)
    looks = 2 * close_crashed_sessions.minimum_interval_seconds
    assert 120 > settings.lease_seconds + settings.heartbeat_seconds + looks
