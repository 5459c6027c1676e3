"""The servers that the app is tested on, granian and uvicorn, and `bidbeacon stream`, which uses granian.

`ASGI_SERVER=uvicorn` runs all tests of this folder under uvicorn: `make test-asgi`.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import uvicorn

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import StreamServer, create_app


class UvicornServer:
    """The stream on one address; takes what `StreamServer` does."""

    def __init__(self, store: SessionStore, *, host: str, port: int, **options: Any) -> None:
        self.app = create_app(store, **options)
        self._socket = socket.create_server((host, port))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://{host}:{self.port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app,
                log_level="warning",
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=1,
            )
        )

    @property
    def is_listening(self) -> bool:
        """Whether connections are accepted."""
        return self._server.started

    @property
    def is_ready(self) -> bool:
        """Whether the change log is being read."""
        return bool(self.app.state.stream.is_ready)

    def run(self) -> None:
        """Serve until `stop`."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End `run`, from any thread."""
        self.app.state.stream.close()
        self._server.should_exit = True


Server = StreamServer | UvicornServer
Serve = Callable[..., AbstractContextManager[Server]]
SERVERS: dict[str, type[Server]] = {"granian": StreamServer, "uvicorn": UvicornServer}
CHOSEN = os.environ.get("ASGI_SERVER", "granian")
ON_BOTH = pytest.mark.parametrize("asgi_server", SERVERS, indirect=True)
BY_SETTINGS_OF_GRANIAN = pytest.mark.skipif(
    CHOSEN != "granian",
    reason="granian refuses it by its own settings, which the app does not know",
)
STREAM_COMMAND = [sys.executable, "-m", "bidbeacon_pipelines", "stream", "--port", "0"]


@contextmanager
def run_server(
    command: list[str], **environment: str
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run a command that serves; yield its process and the address that it prints."""
    variables = os.environ | environment
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        try:
            assert process.stdout is not None
            name, _, url = process.stdout.readline().strip().partition(": ")
            assert "Event Stream" == name
            yield process, url
        finally:
            process.kill()
