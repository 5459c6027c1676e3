"""The sandboxes of tests, one after the other on one server: starting and stopping one takes longer than most tests."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import SandboxHandle, create_app
from tests.support.waiting import wait_until

START_SECONDS = 20


class KeptServer:
    """A server whose app is the sandbox of the running test."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the sandbox answer."""
        assert self._app is not None, "no test has a sandbox now"
        await self._app(scope, receive, send)

    @contextmanager
    def play(self, config: SandboxConfig) -> Iterator[SandboxHandle]:
        """Serve a new sandbox until the block ends."""
        app = create_app(config)
        self._app = app
        try:
            yield SandboxHandle(self._url, app.state.sandbox)
        finally:
            self._app = None


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[KeptServer]:
    """Yield a running server for the sandboxes of all tests."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        kept = KeptServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        config = uvicorn.Config(
            kept, lifespan="off", log_level="critical", access_log=False, server_header=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_until(lambda: server.started or not thread.is_alive(), "it serves", START_SECONDS)
        assert thread.is_alive()
        yield kept
        server.should_exit = server.force_exit = True
        thread.join(START_SECONDS)
