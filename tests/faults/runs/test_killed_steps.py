"""A step that is killed in a process of its own and tried again, and a process that is paused for longer than its lease."""

import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from dagster import DagsterRunStatus, execute_job, reconstructable

from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.faults.runs.stepping import dying_once
from tests.support.checking import assert_has
from tests.support.dagster_runs import status_of, wait_until_closed
from tests.support.world import World


@pytest.mark.faults
def test_runs_whose_step_was_killed_and_tried_again(world: World) -> None:
    """The run succeeds; the killed attempt's session is closed as crashed when the next attempt starts."""
    result = execute_job(reconstructable(dying_once), instance=world.instance)
    assert result.success
    assert status_of(world.instance, result.run_id) is DagsterRunStatus.SUCCESS
    first, second = world.sessions_of("die-once")
    assert_has(first, status="crashed", retry_number=0)
    assert_has(second, status="succeeded", retry_number=1)
    assert "a newer attempt of the same step started." == first["actions"][-1]["reason"]


PROGRAM = """
    import os, sys
    from bidbeacon_pipelines.actions import LoadsRecorded
    from bidbeacon_sessions import SessionStore, with_job_session

    store = SessionStore.connect(os.environ["BIDBEACON_DATABASE_URL"])
    with with_job_session("paused", store=store) as session:
        session.add(LoadsRecorded(loads=1))
        print("running", flush=True)
        sys.stdin.readline()
        session.add(LoadsRecorded(loads=2))
"""


@pytest.mark.faults
def test_runs_paused_for_longer_than_their_lease(world: World) -> None:
    """Stopped, closed as crashed meanwhile, and continued: the process gets SessionClosedError, and nothing of it is written."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, cwd=PROJECT_ROOT, text=True, **pipes) as process:
        try:
            assert process.stdout is not None
            assert "running\n" == process.stdout.readline()
            os.kill(process.pid, signal.SIGSTOP)
            wait_until_closed(world.sessions, world.instance)
            os.kill(process.pid, signal.SIGCONT)
            _, said = process.communicate("go on\n", timeout=60)
        finally:
            process.kill()
    assert "SessionClosedError" in said
    assert process.returncode == 1
    session = world.one_session("paused")
    assert "crashed" == session["status"]
    types = [action["type"] for action in session["actions"]]
    assert ["loads-recorded", "session-finalized"] == types
