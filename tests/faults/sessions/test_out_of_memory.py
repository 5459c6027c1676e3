"""A job that gets no more memory from Python."""

import subprocess
import sys
import textwrap

import pytest

from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.support.world import World

pytestmark = pytest.mark.faults

PROGRAM = """
    import os, resource
    from bidbeacon_pipelines.actions import LoadsRecorded
    from bidbeacon_sessions import SessionStore, with_job_session

    store = SessionStore.connect(os.environ["BIDBEACON_DATABASE_URL"])
    with with_job_session("hungry", store=store) as session:
        session.add(LoadsRecorded(loads=1))
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 1024 * 1024, resource.RLIM_INFINITY))
        held = []
        while True:
            held.append(os.urandom(1024 * 1024))
"""


def test_sessions_of_a_job_that_gets_no_more_memory_fail(world: World) -> None:
    """`MemoryError` is an exception like others: the session is failed, with what it told and with where it happened."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    ended = subprocess.run(command, cwd=PROJECT_ROOT, timeout=60, check=False)
    assert 1 == ended.returncode
    session = world.one_session("hungry")
    assert ("failed", "MemoryError") == (session["status"], session["error"]["type"])
    assert ["loads-recorded"] == [action["type"] for action in session["actions"]]
