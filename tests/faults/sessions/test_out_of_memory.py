"""A job that runs out of memory, in both ways in which that ends: Python hears of it, or the kernel kills the process."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.support.dagster_runs import wait_until_closed
from tests.support.world import World

pytestmark = pytest.mark.faults

CONTROLLERS = Path("/sys/fs/cgroup")
LIMIT = 48 * 1024 * 1024
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


@pytest.fixture
def limited_group() -> Iterator[Path]:
    """Yield the folder of a control group, version 1 or 2, whose one process the kernel gives little memory, as a container has it."""
    parent = CONTROLLERS / "memory" if (CONTROLLERS / "memory").is_dir() else CONTROLLERS
    folder = parent / f"bidbeacon-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("no control group can be made here: this takes root, or a delegated one")
    try:
        limits = [folder / name for name in ("memory.max", "memory.limit_in_bytes")]
        limit = next((file for file in limits if file.exists()), None)
        if limit is None:
            pytest.skip("a control group has no memory limit here")
        limit.write_text(str(LIMIT))
        yield folder
    finally:
        folder.rmdir()


def count_kills(group: Path) -> int:
    """Return how many processes the kernel has killed in a group because there was no memory left."""
    files = [group / name for name in ("memory.events", "memory.oom_control")]
    counts = next(file for file in files if file.exists()).read_text().splitlines()
    return int(dict(line.split() for line in counts)["oom_kill"])


def run_hungry(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a job that takes memory until something ends it."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments]
    return subprocess.run(
        command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_sessions_of_a_job_that_gets_no_more_memory_fail(world: World) -> None:
    """`MemoryError` is an exception like others: the session is failed, with what it told and with where it happened."""
    ended = run_hungry()
    assert 1 == ended.returncode
    session = world.one_session("hungry")
    assert ("failed", "MemoryError") == (session["status"], session["error"]["type"])
    assert ["loads-recorded"] == [action["type"] for action in session["actions"]]


def test_sessions_of_a_job_that_the_kernel_kills_for_its_memory_crash(
    world: World, limited_group: Path
) -> None:
    """The kernel's own out-of-memory kill, in a control group: the session is closed as crashed, with what was last seen."""
    ended = run_hungry(str(limited_group))
    assert (-signal.SIGKILL, 1) == (ended.returncode, count_kills(limited_group))
    assert "running" == world.one_session("hungry")["status"]
    wait_until_closed(world.sessions, world.instance)
    session = world.one_session("hungry")
    assert "crashed" == session["status"]
    loaded, finalized = session["actions"]
    assert ("loads-recorded", "session-finalized") == (loaded["type"], finalized["type"])
    assert finalized["last_seen_at"] is not None
