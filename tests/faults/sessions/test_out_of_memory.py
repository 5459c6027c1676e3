"""A job that runs out of memory, in both ways in which that ends: Python hears of it, or the kernel kills the process."""

import signal
import subprocess
import sys
import textwrap

import pytest

from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions.reaper import close_dead_sessions
from tests.dagster.world import World, wait_until
from tests.faults.sessions.memory_limit import memory_limit

MEGABYTE = 1024 * 1024
PROGRAM = """
    import os, resource, sys
    from bidbeacon_pipelines.actions import LoadsRecorded
    from bidbeacon_sessions import SessionStore, with_job_session

    store = SessionStore.connect(os.environ["BIDBEACON_DATABASE_URL"])
    with with_job_session("hungry", store=store) as session:
        session.add(LoadsRecorded(loads=1))
        if len(sys.argv) > 1:
            open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
        else:
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 1024 * 1024, resource.RLIM_INFINITY))
        held = []
        while True:
            held.append(os.urandom(1024 * 1024))
"""


def run_hungry(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a job that takes memory until something ends it."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments]
    return subprocess.run(
        command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.faults
def test_sessions_of_a_job_that_gets_no_more_memory_fail(world: World) -> None:
    """`MemoryError` is an exception like others: the session is failed, with what it told and with where it happened."""
    ended = run_hungry()
    assert 1 == ended.returncode
    session = world.one_session("hungry")
    assert ("failed", "MemoryError") == (session["status"], session["error"]["type"])
    assert ["loads-recorded"] == [action["type"] for action in session["actions"]]


@pytest.mark.faults
def test_sessions_of_a_job_that_the_kernel_kills_for_its_memory_crash(world: World) -> None:
    """The kernel's own out-of-memory kill, in a control group: the session is closed as crashed, with what was last seen."""
    with memory_limit(48 * MEGABYTE) as limit:
        if limit is None:
            pytest.skip("no control group can be made here: this takes root, or a delegated one")
        ended = run_hungry(str(limit.folder))
        assert (-signal.SIGKILL, 1) == (ended.returncode, limit.count_kills())
    assert "running" == world.one_session("hungry")["status"]
    wait_until(
        lambda: close_dead_sessions(world.sessions, world.instance) > 0, "it is closed", seconds=60
    )
    session = world.one_session("hungry")
    assert "crashed" == session["status"]
    assert ["loads-recorded", "session-finalized"] == [
        action["type"] for action in session["actions"]
    ]
    assert session["actions"][-1]["last_seen_at"] is not None
