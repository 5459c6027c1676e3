"""The processes of a test, each of which may be killed, frozen or started again: the stream's server as users start it, steppers and writers."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from bidbeacon_pipelines.dev.services import choose_port
from tests.dagster.world import wait_until


class Program:
    """One process, which is started on one command again and again.

    Args:
        command: program and arguments.
        code: the folder that our packages are imported from.
        log: where it writes.
        environment: further variables.
    """

    def __init__(
        self,
        command: list[str],
        code: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._command = [sys.executable, *command]
        self._code = code
        own = {"PYTHONPATH": str(code), "PYTHONUNBUFFERED": "1"}
        self.environment = {**os.environ, **own, **(environment or {})}
        self.process: psutil.Popen

    def start(self) -> None:
        """Start it; it must not run."""
        with self.log.open("a") as log:
            self.process = psutil.Popen(
                self._command, cwd=self._code, env=self.environment, stdout=log, stderr=log
            )

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
