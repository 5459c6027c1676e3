"""Runs the sandbox in the foreground."""

import signal
import sys

import uvicorn

from bidbeacon_pipelines.sandbox.app import create_app
from bidbeacon_pipelines.sandbox.config import SandboxConfig


def serve(config: SandboxConfig, host: str = "127.0.0.1", port: int = 3040) -> None:
    """Serve until SIGINT or SIGTERM; calls in hand get a few seconds to end, and the exit code is 0.

    Raises:
        SystemExit: after SIGTERM, or because the port is taken.
    """
    # uvicorn raises the signal again when it has shut down; without this the process would end as if killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(config),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
