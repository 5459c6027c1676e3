"""Processes that tests start."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres
from bidbeacon_pipelines.dev.services import choose_port
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.support.waiting import wait_until

SERVICES = ("DAGSTER", "STREAM", "SANDBOX")
"""Of `bidbeacon dev`, by the names of their settings."""


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


class Terminal:
    """A home folder, the ports of its services, and the commands that are called with them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ports = {f"BIDBEACON_{name}_PORT": str(choose_port()) for name in SERVICES}
        self.process: subprocess.Popen[bytes]
        self._output = home.parent / "output"
        self._environment = os.environ | self.ports | {"BIDBEACON_HOME": str(home)}

    def popen(self, output: Any, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command under a umask that closes nothing."""
        return subprocess.Popen(
            [sys.executable, "-m", "bidbeacon_pipelines", *words],
            cwd=PROJECT_ROOT,
            env=self._environment | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=0,
        )

    def call(self, *words: str, **environment: str) -> tuple[int, str]:
        """Call a command as in another terminal; return its exit code and output."""
        process = self.popen(subprocess.PIPE, *words, **environment)
        output = process.communicate()[0].decode()
        return process.returncode, output

    def start(self, *words: str, **environment: str) -> float:
        """Start a command that goes on, and wait until it is ready; return how many seconds that took."""
        with self._output.open("wb") as file:
            self.process = self.popen(file, *words, **environment)
        is_ready = lambda: self.process.poll() is not None or "Ready in " in self.text()
        took = wait_until(is_ready, "ready", seconds=200)
        assert self.process.poll() is None, self.text()
        return took

    def text(self) -> str:
        """Return the output of the command that was started last."""
        return self._output.read_text()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Yield a terminal with a new home folder; end what was started, and delete the data."""
    terminal = Terminal(tmp_path / "home")
    yield terminal
    terminal.process.terminate()
    terminal.process.wait(60)
    shutil.rmtree(EmbeddedPostgres(terminal.home).data.resolve(), ignore_errors=True)


class Program:
    """One process, which is started on one command again and again."""

    def __init__(self, command: list[str], log: Path, **variables: str) -> None:
        self.log = log
        self._command = [sys.executable, *command]
        own = {"PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1"}
        self.environment = os.environ | own | variables
        self.process: psutil.Popen

    def start(self) -> None:
        """Start it; it must not run."""
        with self.log.open("a") as log:
            self.process = psutil.Popen(
                self._command, cwd=PROJECT_ROOT, env=self.environment, stdout=log, stderr=log
            )

    @contextmanager
    def running(self) -> Iterator["Program"]:
        """Start it for the length of a block, and kill it then."""
        self.start()
        try:
            yield self
        finally:
            self.kill()

    @property
    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        code: int | None = self.process.poll()
        return code

    def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it is gone."""
        if self.ended is None:
            self.process.kill()
            self.process.wait()


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
