"""Child processes of `bidbeacon dev`, with small real programs."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from bidbeacon_pipelines.dev import processes
from bidbeacon_pipelines.dev.processes import Processes, ServiceFailedError
from bidbeacon_pipelines.dev.services import LocalError, Service
from tests.support.processes import is_alive

WELL = """
import signal, subprocess, sys
if sys.argv[1:] == ["deaf"]:
    signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
print("ready", flush=True)
signal.pause()
"""
ILL = "print('first word'); print('\\x1b[31mlast word\\x1b[0m', flush=True); raise SystemExit(7)"
CHATTY = """
import os, time
size = 0
while size <= os.fstat(1).st_size:
    size = os.fstat(1).st_size
    print("a long line", flush=True)
    time.sleep(0.01)
print("goes on")
"""


def service_of(logs: Path, program: str, *arguments: str) -> Service:
    """Return a service that runs a Python program and is ready once it says so."""
    log = logs / "fake.log"
    problem = lambda _: None if "ready" in log.read_text() else "not a word"
    return Service("fake", (sys.executable, "-c", program, *arguments), {}, problem=problem)


def list_children() -> set[psutil.Process]:
    """Return the processes that this one has started, with theirs."""
    return {*psutil.Process().children(recursive=True)}


def run(logs: Path, service: Service, work: Callable[[Processes], Awaitable[object]]) -> None:
    """Start a service, do some work, stop all services, and check that no process is left."""
    before = list_children()  # servers of earlier tests

    async def work_and_stop() -> None:
        children = Processes(logs)
        try:
            await children.start(service)
            await work(children)
        finally:
            started = list_children() - before
            await children.stop()
            assert not any(map(is_alive, started))

    asyncio.run(work_and_stop())


@pytest.mark.parametrize(("mood", "patience"), [("obedient", 60), ("deaf", 0.2), ("deaf", 60)])
def test_service_is_stopped_with_its_own_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mood: str, patience: float
) -> None:
    """One that ignores signals is killed, at once after a second Ctrl-C; its last two logs are kept."""
    stages = ((signal.SIGINT, patience), (signal.SIGTERM, patience), (signal.SIGKILL, 10))
    monkeypatch.setattr(processes, "STOP_STAGES", stages)
    (tmp_path / "fake.log").write_text("of yesterday")
    service = service_of(tmp_path, WELL, mood)
    began, before = time.monotonic(), list_children()

    async def work(children: Processes) -> None:
        await children.wait_until_ready(service)
        assert 2 == len(list_children() - before)
        if (mood, patience) == ("deaf", 60):
            asyncio.get_running_loop().call_later(0.1, children.kill)

    run(tmp_path, service, work)
    assert time.monotonic() - began < 50
    assert (tmp_path / "fake.log").read_text().startswith("ready\n")
    assert "of yesterday" == (tmp_path / "fake.log.1").read_text()


def test_end_of_a_service_is_an_error_with_its_last_lines(tmp_path: Path) -> None:
    """The error names service and exit code, and shows the end of the log without colors."""
    ill = service_of(tmp_path, ILL)
    with pytest.raises(
        ServiceFailedError, match=r"^fake: the service ended \(exit code 7\)\."
    ) as failed:
        run(tmp_path, ill, lambda children: children.wait_until_ready(ill))
    assert str(failed.value).endswith(f"The end of {tmp_path}/fake.log:\nfirst word\nlast word")


def test_service_that_is_never_ready_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what is missing."""
    monkeypatch.setattr(processes, "READY_SECONDS", 0)
    service = service_of(tmp_path, "import signal; signal.pause()")
    with pytest.raises(ServiceFailedError, match=r"is not ready after 0 s: not a word"):
        run(tmp_path, service, lambda children: children.wait_until_ready(service))


@pytest.mark.parametrize("is_disk_full", [False, True])
def test_long_log_is_moved_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_disk_full: bool
) -> None:
    """The service goes on writing into the same file; this one ends when its log gets shorter. On a full disk its old lines make room."""
    if is_disk_full:
        (tmp_path / "fake.log.1").symlink_to("/dev/full")
    monkeypatch.setattr(processes, "LOG_BYTES", 30)
    monkeypatch.setattr(processes, "ROTATE_SECONDS", 0.05)
    service = service_of(tmp_path, CHATTY)
    with pytest.raises(ServiceFailedError, match=r"exit code 0\)(.|\n)*\ngoes on$"):
        run(tmp_path, service, Processes.wait_until_one_ends)
    assert is_disk_full or (tmp_path / "fake.log.1").read_text().startswith("a long line\n")


def test_port_in_use_is_refused() -> None:
    """The line names the port, the service and the variable to set."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        service = Service("code-server", (), {}, port=port)
        expected = rf"Port {port} \(code-server\) is in use: .* set BIDBEACON_CODE_SERVER_PORT"
        with pytest.raises(LocalError, match=expected):
            service.check_port()
    service.check_port()
