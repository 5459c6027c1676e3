"""Runs the sandbox in the foreground, and says how it can be reached."""

import errno
import signal
import socket
import sys
from contextlib import suppress

import uvicorn

from bidbeacon_pipelines.sandbox.app import create_app
from bidbeacon_pipelines.sandbox.config import SandboxConfig
from bidbeacon_pipelines.sandbox.errors import CannotListenError
from bidbeacon_pipelines.sandbox.fault_rules import FaultRule
from bidbeacon_pipelines.sandbox.state import SandboxState


def serve(config: SandboxConfig, host: str = "127.0.0.1", port: int = 3040) -> None:
    """Serve until SIGINT or SIGTERM; calls in hand get a few seconds to end, and the exit code is 0.

    Port 0 is any free one; the address is printed as soon as it can be called.

    Raises:
        CannotListenError: something else listens there, or it is not this machine's address.
        StateFolderError: the state folder can't be read or written.
        SystemExit: after SIGTERM.
    """
    # uvicorn raises the signal again when it has shut down; without this the process would end as if killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _listen(host, port) as listener:
        app = create_app(config)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=3,
            )
        )
        url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        sys.stdout.write(announcement(app.state.sandbox, url))
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            server.run([listener])


def announcement(sandbox: SandboxState, url: str) -> str:
    """Give the lines that tell a person where the sandbox is, how to get in, and what is wrong with it on purpose."""
    config = sandbox.config
    clock = f"{sandbox.clock.now():%Y-%m-%d %H:%M:%S} UTC, {_pace(config.clock_rate)}"
    lines = (
        f"Sandbox of the Amazon Ads API: {url} (seed {config.seed}, {_count(config.accounts, 'account')})",
        f"  regions      {url}/na, {url}/eu, {url}/fe; tokens at …/auth/o2/token",
        f"  credentials  {config.client_id}, {config.client_secret}, {config.refresh_token}",
        f"  clock        {clock}",
        f"  faults       {_faults(config.all_faults())}",
        f"  own pages    {url}/sandbox/faults, …/ledger, …/clock, …/truth",
        "Ctrl-C stops it.",
    )
    return "\n".join(lines) + "\n"


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise CannotListenError(
            f"The sandbox can't listen on {host}:{port}: {reason}. Stop what uses that port, or choose another with "
            "--port (0: any free one)."
        ) from error
    return listener


def _pace(rate: float) -> str:
    if rate == 0:
        return "frozen"
    return "as fast as the real one" if rate == 1 else f"{rate:g} seconds a second"


def _faults(rules: tuple[FaultRule, ...]) -> str:
    """Say which faults are on, those of the same probability together."""
    if not rules:
        return "none"
    names: dict[float, list[str]] = {}
    for rule in rules:
        names.setdefault(rule.probability, []).append(rule.fault)
    return "; ".join(
        f"{', '.join(faults)} at {probability * 100:g} %" for probability, faults in names.items()
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
