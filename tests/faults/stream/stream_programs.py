"""The stream's server as users start it."""

from contextlib import suppress
from pathlib import Path

import httpx

from bidbeacon_pipelines.dev.services import choose_port
from tests.support.processes import Program
from tests.support.waiting import wait_until


class Server(Program):
    """`bidbeacon stream` on one port."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.port = choose_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        command = ["-m", "bidbeacon_pipelines", "stream", "--port", str(self.port)]
        variables = {
            "BIDBEACON_DATABASE_URL": database_url,
            "BIDBEACON_HOME": str(folder / "home"),
            "BIDBEACON_STREAM_PUBLIC_URL": self.base_url,
        }
        super().__init__(command, folder / f"server-{self.port}.log", **variables)

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
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.base_url}/readyz", timeout=5).status_code == 200
        return False
