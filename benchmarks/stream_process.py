"""Processes of a measurement: children to talk with, and the product's own server."""

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
from sqlalchemy import make_url

from bidbeacon_pipelines.settings import PROJECT_ROOT

COMMAND = ("-m", "bidbeacon_pipelines")
_CONTEXT = multiprocessing.get_context("spawn")


class Child:
    """A process that runs `target(*args, pipe)`."""

    def __init__(self, target: Callable[..., None], *args: object) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=target, args=(*args, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def say(self, word: object) -> None:
        """Send it something."""
        self._pipe.send(word)

    def hear(self, seconds: float) -> Any:
        """Return the next thing that it says."""
        assert self._pipe.poll(seconds), f"expected a word within {seconds} s, got none"
        return self._pipe.recv()

    def end(self) -> None:
        """Wait for its end."""
        self.process.join(timeout=20)
        if self.process.is_alive():
            self.process.kill()


class Server:
    """The product's server, as `bidbeacon stream` starts it."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.port = port
        self.pid = process.pid
        self._process = psutil.Process(process.pid)

    @property
    def memory_kb(self) -> float:
        """Resident memory."""
        return float(self._process.memory_info().rss) / 1000

    @property
    def cpu_seconds(self) -> float:
        """Time of the processor that it used."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def running_server(url: str) -> Iterator[Server]:
    """Run the stream on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, *COMMAND, "stream", "--port", str(port)]
    environment = {
        **os.environ,
        "BIDBEACON_DATABASE_URL": url,
        "BIDBEACON_STREAM_HOST": "127.0.0.1",
    }
    with subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment) as process:
        try:
            _wait_until_ready(port)
            yield Server(port, process)
        finally:
            process.terminate()


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("expected the stream to be ready within 30 s")


def postgres_cpu_seconds(url: str) -> float:
    """Return the processor time of the server behind an address: of backends that live, and of those that have ended."""
    port = make_url(url).port
    listening = (
        each for each in psutil.net_connections("tcp4") if each.status == psutil.CONN_LISTEN
    )
    postmaster = psutil.Process(next(each.pid for each in listening if each.laddr[1:] == (port,)))
    living = [each.cpu_times() for each in [postmaster, *postmaster.children(recursive=True)]]
    ended = postmaster.cpu_times()
    return float(
        sum(times.user + times.system for times in living)
        + ended.children_user
        + ended.children_system
    )
