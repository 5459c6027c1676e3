"""Processes that tests start."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from bidbeacon_pipelines.dev.services import choose_port
from tests.support.waiting import wait_until


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; a zombie only waits for its parent."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def family_of(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Return a process and all that it has started."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def kill_family(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and all that it has started."""
    for each in family_of(process):
        with suppress(psutil.NoSuchProcess):  # it ended with its parent
            each.kill()
    process.wait()


@contextmanager
def running(program: str, *arguments: str) -> Iterator[None]:
    """Run a program that is installed beside this Python for the length of a block, then kill all that it has started."""
    process = subprocess.Popen([Path(sys.executable).with_name(program), *arguments])
    try:
        yield
    finally:
        kill_family(process)


@contextmanager
def running_webserver(*arguments: str) -> Iterator[httpx.Client]:
    """Run Dagster's webserver; yield a client of it once it has loaded its code location and answers."""
    port = choose_port()
    url = f"http://127.0.0.1:{port}"
    with (
        running("dagster-webserver", "--port", str(port), *arguments),
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        wait_until(lambda: _is_up(client), "the webserver answers", 240)
        yield client


def _is_up(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return client.get("/server_info").is_success
    return False
