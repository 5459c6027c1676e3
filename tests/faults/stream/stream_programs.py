"""The processes of a test: the stream's server as users start it, steppers and writers; each may be killed, frozen or started again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from bidbeacon_pipelines.dev.services import choose_port
from tests.dagster.world import wait_until

HERE = Path(__file__).parent


class Program:
    """One process, which is started on one command again and again.

    Args:
        command: program and arguments.
        code: the folder that our packages are imported from.
        log: where it writes.
        environment: further variables.
    """

    def __init__(
        self, command: list[str], code: Path, log: Path, environment: Mapping[str, str]
    ) -> None:
        self.log = log
        self._command = [sys.executable, *command]
        self._code = code
        own = {"PYTHONPATH": str(code), "PYTHONUNBUFFERED": "1"}
        self.environment = {**os.environ, **own, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it must not run."""
        assert self._process is None or self._process.poll() is not None
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._code,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop it where it stands."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


class Server(Program):
    """`bidbeacon stream` on one port."""

    def __init__(self, code: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.port = choose_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        command = ["-m", "bidbeacon_pipelines", "stream", "--port", str(self.port)]
        own = {"BIDBEACON_HOME": str(folder / "home"), "BIDBEACON_STREAM_PUBLIC_URL": self.base_url}
        super().__init__(command, code, folder / f"server-{self.port}.log", {**own, **environment})

    def start(self) -> None:
        """Start it, and wait until it reads the log."""
        super().start()
        wait_until(
            lambda: self.is_ready or self.ended is not None, "the stream is ready", seconds=60
        )
        assert self.ended is None, self.log.read_text()

    def metrics(self) -> str:
        """Return what it tells Prometheus."""
        return httpx.get(f"{self.base_url}/metrics", timeout=30).text

    @property
    def is_ready(self) -> bool:
        """Whether it says that it reads the log."""
        try:
            return httpx.get(f"{self.base_url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


def stepper(url: str, how: str, code: Path, log: Path) -> Program:
    """Return a stepping process."""
    return Program([str(HERE / "stepping_program.py"), url, *([how] if how else [])], code, log, {})


def writer(options: Mapping[str, object], code: Path, log: Path) -> Program:
    """Return a writing process."""
    return Program([str(HERE / "writing_program.py"), json.dumps(options)], code, log, {})
