"""Child processes of `bidbeacon dev`, with small real programs."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from bidbeacon_pipelines.dev import processes
from bidbeacon_pipelines.dev.processes import Processes, ServiceFailedError
from bidbeacon_pipelines.dev.services import LocalError, Service, choose_port, is_free

WELL = """
import signal, socket, subprocess, sys
if "deaf" in sys.argv:
    signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
listener.accept()
signal.pause()
"""
ILL = "print('first word'); print('\\x1b[31mlast word\\x1b[0m', flush=True); raise SystemExit(7)"

Play = Callable[[Processes], Coroutine[Any, Any, None]]


def port_problem(service: Service) -> str | None:
    """Return why nobody listens on a service's port."""
    assert service.port is not None
    try:
        socket.create_connection((service.host, service.port)).close()
    except OSError as error:
        return str(error)
    return None


def service_of(program: str, *arguments: str) -> Service:
    """Return a service that runs a Python program on a free port."""
    port = choose_port()
    command = (sys.executable, "-c", program, str(port), *arguments)
    return Service("fake", command, {}, port=port, problem=port_problem)


def lives(process: psutil.Process) -> bool:
    """Return whether a process still does something; a zombie waits only for its parent to notice."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def run(logs: Path, play: Play) -> None:
    """Play with children, none of which is left at the end."""

    async def play_and_stop() -> None:
        children = Processes(logs)
        try:
            await play(children)
        finally:
            started = psutil.Process().children(recursive=True)
            await children.stop()
            assert not [each for each in started if lives(each)]

    asyncio.run(play_and_stop())


def test_service_is_awaited_and_ended_with_its_own_children(tmp_path: Path) -> None:
    """Its output goes to its log, and that of the start before is kept."""
    (tmp_path / "fake.log").write_text("of yesterday")

    async def play(children: Processes) -> None:
        service = service_of(WELL)
        await children.start(service)
        await children.wait_until_ready(service)
        assert len(psutil.Process().children(recursive=True)) == 2

    run(tmp_path, play)
    assert (tmp_path / "fake.log").read_text().startswith("listening\n")
    assert "of yesterday" == (tmp_path / "fake.log.1").read_text()


@pytest.mark.parametrize("when", ["at its start", "later"])
def test_end_of_a_service_is_an_error_with_its_last_lines(tmp_path: Path, when: str) -> None:
    """The error names service and exit code, and shows the end of the log without colours."""

    async def play(children: Processes) -> None:
        other, ill = service_of(WELL), service_of(ILL)
        await children.start(other)
        await children.wait_until_ready(other)
        await children.start(ill)
        if when == "later":
            await children.wait_until_one_ends()
        else:
            await children.wait_until_ready(ill)

    with pytest.raises(ServiceFailedError, match=r"^fake ended \(exit code 7\)\.") as failed:
        run(tmp_path, play)
    assert str(failed.value).endswith(f"The end of {tmp_path}/fake.log:\nfirst word\nlast word")


def test_service_that_never_gets_ready_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what is missing."""
    monkeypatch.setattr(processes, "READY_SECONDS", 0)

    async def play(children: Processes) -> None:
        service = service_of("import signal; signal.pause()")
        await children.start(service)
        await children.wait_until_ready(service)

    with pytest.raises(ServiceFailedError, match=r"is not ready after 0 s: .*refused"):
        run(tmp_path, play)


@pytest.mark.parametrize("at_once", [False, True])
def test_deaf_service_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    """When its time is over, or at once."""
    patience = 60 if at_once else 0.2
    stages = ((signal.SIGINT, patience), (signal.SIGTERM, patience), (signal.SIGKILL, 10))
    monkeypatch.setattr(processes, "STOP_STAGES", stages)
    began = time.monotonic()

    async def play(children: Processes) -> None:
        service = service_of(WELL, "deaf")
        await children.start(service)
        await children.wait_until_ready(service)
        if at_once:
            asyncio.get_running_loop().call_later(0.1, children.kill)

    run(tmp_path, play)
    assert time.monotonic() - began < 30


def test_long_log_is_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its service goes on writing."""
    monkeypatch.setattr(processes, "LOG_BYTES", 5)
    monkeypatch.setattr(processes, "ROTATE_SECONDS", 0.01)
    moved = tmp_path / "fake.log.1"

    service = "import time\nwhile True: print('a long line', flush=True); time.sleep(0.01)"

    async def wait_for_rotation(children: Processes) -> None:
        await children.start(service_of(service))
        watching = asyncio.ensure_future(children.wait_until_one_ends())
        deadline = time.monotonic() + 20
        while not moved.exists() or not (tmp_path / "fake.log").read_text():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        watching.cancel()

    run(tmp_path, wait_for_rotation)
    assert moved.read_text().startswith("a long line\n")


def test_taken_port_is_refused_with_its_holder() -> None:
    """The one line names the port, the service, who holds it, and the variable to set."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free(port)
        assert choose_port(port) != port
        with pytest.raises(LocalError) as refused:
            Service("code-server", (), {}, port=port).check_port()
    assert str(refused.value).startswith(f"Port {port} (code-server) is in use by ")
    assert f"(process {os.getpid()})" in str(refused.value)
    assert "set BIDBEACON_CODE_SERVER_PORT to another port" in str(refused.value)
    assert choose_port(port) == port
    Service("code-server", (), {}, port=port).check_port()
