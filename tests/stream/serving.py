"""The stream's server in a thread or in a process of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from bidbeacon_sessions import SessionStore, following
from bidbeacon_sessions.server import StreamServer
from tests.stream.reading import wait_until

Serve = Callable[..., AbstractContextManager[StreamServer]]
STREAM_COMMAND = [sys.executable, "-m", "bidbeacon_pipelines", "stream", "--port", "0"]


@contextmanager
def serve_stream(store: SessionStore, **options: Any) -> Iterator[StreamServer]:
    """Serve a store in a thread; readers are told where the log stands several times a second."""
    server = StreamServer(store, host="127.0.0.1", port=0, **options)
    thread = threading.Thread(target=server.run, daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "SYNC_SECONDS", 0.3)
        thread.start()
        try:
            wait_until(lambda: server.app.state.follower.is_ready)
            yield server
        finally:
            server.should_exit = True
            thread.join(timeout=10)
    assert not thread.is_alive()


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
