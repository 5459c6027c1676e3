"""A sandbox in a thread of this process, on a free port of 127.0.0.1: real HTTP for tests and tools."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from bidbeacon_pipelines.sandbox.app import create_app
from bidbeacon_pipelines.sandbox.config import SandboxConfig
from bidbeacon_pipelines.sandbox.state import SandboxState

_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class SandboxHandle:
    """A running sandbox: its address, and its state to look into and to change."""

    url: str
    state: SandboxState


@contextmanager
def running_sandbox(config: SandboxConfig | None = None) -> Iterator[SandboxHandle]:
    """Run a sandbox until the block ends.

    Raises:
        TimeoutError: it didn't start within 20 seconds.
    """
    app = create_app(config or SandboxConfig())
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="critical", access_log=False, server_header=False, timeout_graceful_shutdown=1
        )
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield SandboxHandle(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.sandbox)
        finally:
            server.should_exit = True
            thread.join(_START_SECONDS)


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise TimeoutError(f"expected the sandbox to start within {_START_SECONDS} seconds")
        time.sleep(0.01)
