"""The sandbox as an ASGI app with its routes, and how to run it: in the foreground or in a thread.

Each region is below its own path, as Amazon has it on its own host.
"""

import errno
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from bidbeacon_sandbox import (
    account_api,
    advertiser_accounts,
    control_api,
    export_api,
    report_api,
)
from bidbeacon_sandbox.account_api import issue_token
from bidbeacon_sandbox.accounts import REGIONS
from bidbeacon_sandbox.call import endpoint
from bidbeacon_sandbox.config import CannotListenError, OptionError, SandboxConfig
from bidbeacon_sandbox.control_api import page
from bidbeacon_sandbox.downloads import download
from bidbeacon_sandbox.exports import EXPORT_KINDS
from bidbeacon_sandbox.fault_rules import FaultRuleError
from bidbeacon_sandbox.faults import FaultRule
from bidbeacon_sandbox.guard import PageGuard
from bidbeacon_sandbox.ledger import LedgerMiddleware
from bidbeacon_sandbox.state import SandboxState
from bidbeacon_sandbox.variants import WithoutRequestIds


def create_app(config: SandboxConfig) -> Starlette:
    """Make the app of a sandbox; its state is `app.state.sandbox`, its files go when it shuts down.

    Raises:
        OSError: the faults file can't be read.
        pydantic.ValidationError: what it holds can't be understood.
        StateFolderError: the state folder can't be used.
    """
    sandbox = SandboxState(config)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        sandbox.close()

    app = Starlette(
        routes=[*_ads_routes(), *_own_routes()],
        middleware=[
            Middleware(PageGuard),
            Middleware(LedgerMiddleware, ledger=sandbox.ledger, now=sandbox.clock.now),
        ],
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    if "no_request_id" in config.variants:
        app.add_middleware(WithoutRequestIds)
    return app


def _ads_routes() -> list[BaseRoute]:
    routes: list[BaseRoute] = []
    for region in REGIONS:
        routes += _region_routes(region.lower())
    path = "/downloads/{kind}/{key}/{part:int}.json.gz"
    return [*routes, Route(path, endpoint("download", download))]


def _region_routes(region: str) -> list[BaseRoute]:
    create_report = endpoint("create_report", report_api.create_report)
    retrieve_report = endpoint("retrieve_report", report_api.retrieve_report)
    return [
        Route(f"/{region}/auth/o2/token", endpoint("token", issue_token), methods=["POST"]),
        Route(
            f"/{region}/adsAccounts/list",
            endpoint("list_accounts", account_api.list_accounts),
            methods=["POST"],
        ),
        Route(f"/{region}/v2/profiles", endpoint("list_profiles", account_api.list_profiles)),
        Route(
            f"/{region}/adsApi/v1/query/advertiserAccounts",
            endpoint("query_accounts", advertiser_accounts.query_accounts),
            methods=["POST"],
        ),
        Route(f"/{region}/adsApi/v1/create/reports", create_report, methods=["POST"]),
        Route(f"/{region}/adsApi/v1/retrieve/reports", retrieve_report, methods=["POST"]),
        *(
            Route(
                f"/{region}/{kind}/export",
                endpoint("create_export", export_api.create_export(kind)),
                methods=["POST"],
            )
            for kind in EXPORT_KINDS
        ),
        Route(
            f"/{region}/portfolios/list",
            endpoint("list_portfolios", export_api.list_portfolios),
            methods=["POST"],
        ),
        Route(f"/{region}/exports/{{export_id}}", endpoint("get_export", export_api.get_export)),
    ]


def _own_routes() -> list[BaseRoute]:
    return [
        Route("/healthz", page(control_api.healthz)),
        Route("/sandbox/ledger", page(control_api.show_ledger)),
        Route("/sandbox/ledger", page(control_api.clear_ledger), methods=["DELETE"]),
        Route("/sandbox/faults", page(control_api.show_faults)),
        Route("/sandbox/faults", page(control_api.add_faults), methods=["POST"]),
        Route("/sandbox/faults", page(control_api.clear_faults), methods=["DELETE"]),
        Route("/sandbox/clock", page(control_api.show_clock)),
        Route("/sandbox/clock", page(control_api.change_clock), methods=["POST"]),
        Route("/sandbox/truth", page(control_api.show_truth)),
        Route("/sandbox/truth/totals", page(control_api.show_totals)),
    ]


def serve(config: SandboxConfig, host: str = "127.0.0.1", port: int = 3040) -> None:
    """Serve until SIGINT or SIGTERM; calls in hand get a few seconds to end, and the exit code is 0.

    Port 0 is any free one; the address is printed as soon as it can be called.

    Raises:
        CannotListenError: something else listens there, or it is not this machine's address.
        OptionError: a fault names no account of the sandbox.
        StateFolderError: the state folder can't be read or written.
        SystemExit: after SIGTERM.
    """
    # uvicorn raises the signal again when it has shut down; without this the process would end as
    # if killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _listen(host, port) as listener:
        app = _sandbox_app(config)
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
    """Return the lines that tell a person where the sandbox is, how to get in, and what is wrong with it on purpose."""
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


def _sandbox_app(config: SandboxConfig) -> Starlette:
    try:
        return create_app(config)
    except FaultRuleError as error:
        raise OptionError(f"A fault is invalid: {error}") from None


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
    """Return which faults are on, those of the same probability together."""
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
    with running_app(app) as url:
        yield SandboxHandle(url, app.state.sandbox)


@contextmanager
def running_app(app: Starlette) -> Iterator[str]:
    """Serve an app until the block ends; the value is its address.

    Raises:
        TimeoutError: it didn't start within 20 seconds.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(
            target=server.run, args=([listener],), name="sandbox", daemon=True
        )
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_START_SECONDS)


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise TimeoutError(f"expected the sandbox to start within {_START_SECONDS} seconds")
        time.sleep(0.01)
