"""No embedded server outlives the processes that use it, whatever ends these."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from bidbeacon_pipelines.dev import watcher
from bidbeacon_pipelines.dev.ports import choose_port
from bidbeacon_pipelines.dev.postmaster import find_postmaster
from bidbeacon_pipelines.settings import PROJECT_ROOT

PYTEST = ["pytest", "-q", "-p", "no:cacheprovider", "tests/postgres/waiting_tests.py"]


@contextmanager
def running(arguments: Sequence[str], home: Path) -> Iterator[int]:
    """Run a Python module in a process group of its own, and yield its number; the group is killed in the end."""
    environment = {
        **os.environ,
        "BIDBEACON_HOME": str(home),
        "BIDBEACON_STREAM_PORT": str(choose_port()),
    }
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def data_of_servers(pid: int) -> list[Path]:
    """Return the data directories of the running servers that a process and its children have started."""
    commands = [_command_of(child) for child in psutil.Process(pid).children(recursive=True)]
    watched = [Path(command[-1]) for command in commands if watcher.__name__ in command]
    return [
        data for data in watched if (server := find_postmaster(data)) is not None and server.ready
    ]


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended meanwhile
        return []


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Wait for a condition, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "servers", "number"),
    [
        (["bidbeacon_pipelines", "stream"], 1, signal.SIGTERM),
        (["bidbeacon_pipelines", "stream"], 1, signal.SIGKILL),
        (["benchmarks", "planning"], 1, signal.SIGTERM),
        (PYTEST, 1, signal.SIGTERM),
        ([*PYTEST, "-n", "2"], 2, signal.SIGTERM),
    ],
    ids=["command", "killed command", "benchmarks", "pytest", "pytest -n 2"],
)
def test_servers_end_with_process_that_started_them(
    tmp_path: Path, arguments: Sequence[str], servers: int, number: signal.Signals
) -> None:
    """A signal to the process alone, not to its group, leaves no server."""
    with running(arguments, tmp_path) as pid:
        wait_until(lambda: len(data_of_servers(pid)) == servers, "the servers run")
        data = data_of_servers(pid)
        os.kill(pid, number)
        wait_until(lambda: not any(map(find_postmaster, data)), "the servers have ended")


def test_servers_end_with_process_group(tmp_path: Path) -> None:
    """SIGKILL to the whole group of a test run, as of a job that takes too long in CI, leaves no server."""
    with running([*PYTEST, "-n", "2"], tmp_path) as pid:
        wait_until(lambda: len(data_of_servers(pid)) == 2, "the servers run")
        data = data_of_servers(pid)
        os.killpg(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(find_postmaster, data)), "the servers have ended")
