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

from bidbeacon_sandbox import account_api, control_api, export_api, report_api
from bidbeacon_sandbox.accounts import REGIONS
from bidbeacon_sandbox.call import Handler, endpoint
from bidbeacon_sandbox.control_api import Page, page
from bidbeacon_sandbox.downloads import download
from bidbeacon_sandbox.exports import EXPORT_KINDS
from bidbeacon_sandbox.guard import PageGuard
from bidbeacon_sandbox.ledger import LedgerMiddleware
from bidbeacon_sandbox.page import change_by_form, show_page
from bidbeacon_sandbox.rules import Operation
from bidbeacon_sandbox.settings import CannotListenError, Credential, SandboxConfig
from bidbeacon_sandbox.state import SandboxState


def create_app(config: SandboxConfig) -> Starlette:
    """Make the app of a sandbox; its state is `app.state.sandbox`, its files go when it shuts down.

    Raises:
        OptionError: a rule can't be understood.
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
    return app


_OF_REGIONS: tuple[tuple[str, Operation, Handler], ...] = (
    ("auth/o2/token", "token", account_api.issue_token),
    ("adsAccounts/list", "list_accounts", account_api.list_accounts),
    ("adsApi/v1/query/advertiserAccounts", "query_accounts", account_api.query_accounts),
    ("adsApi/v1/create/reports", "create_report", report_api.create_report),
    ("adsApi/v1/retrieve/reports", "retrieve_report", report_api.retrieve_report),
    ("adsApi/v1/delete/reports", "delete_report", report_api.delete_report),
    ("portfolios/list", "list_portfolios", export_api.list_portfolios),
    *((f"{kind}/export", "create_export", export_api.create_export(kind)) for kind in EXPORT_KINDS),
)
"""Calls by POST below each region."""


def _ads_routes() -> list[BaseRoute]:
    routes: list[BaseRoute] = [
        Route("/downloads/{kind}/{key}/{part:int}.json.gz", endpoint("download", download))
    ]
    for region in map(str.lower, REGIONS):
        for path, operation, handler in _OF_REGIONS:
            answer = endpoint(operation, handler)
            routes.append(Route(f"/{region}/{path}", answer, methods=["POST"]))
        profiles = endpoint("list_profiles", account_api.list_profiles)
        exports = endpoint("get_export", export_api.get_export)
        routes.append(Route(f"/{region}/v2/profiles", profiles))
        routes.append(Route(f"/{region}/exports/{{export_id}}", exports))
    return routes


_OWN: tuple[tuple[str, str, Page], ...] = (
    ("GET", "/healthz", control_api.healthz),
    ("GET", "/sandbox", show_page),
    ("POST", "/sandbox/change", change_by_form),
    ("GET", "/sandbox/ledger", control_api.show_ledger),
    ("DELETE", "/sandbox/ledger", control_api.clear_ledger),
    ("GET", "/sandbox/rules", control_api.show_rules),
    ("POST", "/sandbox/rules", control_api.add_rules),
    ("DELETE", "/sandbox/rules", control_api.clear_rules),
    ("GET", "/sandbox/clock", control_api.show_clock),
    ("POST", "/sandbox/clock", control_api.change_clock),
    ("GET", "/sandbox/truth", control_api.show_truth),
    ("GET", "/sandbox/truth/totals", control_api.show_totals),
)
"""The sandbox's own pages, which need no token."""


def _own_routes() -> list[BaseRoute]:
    return [Route(path, page(answer), methods=[method]) for method, path, answer in _OWN]


def serve(config: SandboxConfig, host: str = "127.0.0.1", port: int = 3040) -> None:
    """Serve until SIGINT or SIGTERM; calls in hand get a few seconds to end, and the exit code is 0.

    Port 0 is any free one; the address is printed as soon as it can be called.

    Raises:
        CannotListenError: something else listens there, or it is not this machine's address.
        OptionError: a rule can't be understood.
        StateFolderError: the state folder can't be read or written.
        SystemExit: after SIGTERM.
    """
    # uvicorn raises the signal again when it has shut down; without this the process would end as
    # if killed.
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
    """Return the lines that tell a person where the sandbox is, how to get in, and what is wrong with it on purpose."""
    config = sandbox.config
    lines = (
        f"Sandbox of the Amazon Ads API: {url} (seed {config.seed}, ads accounts: {config.accounts})",
        f"  regions      {url}/na, {url}/eu, {url}/fe; tokens at …/auth/o2/token",
        *(f"  credential   {_shown(credential)}" for credential in config.credentials),
        f"  clock        {sandbox.clock.now():%Y-%m-%d %H:%M:%S} UTC, {sandbox.clock.rate:g} seconds a second",
        f"  rules        {len(sandbox.rules.overview())}",
        f"  its page     {url}/sandbox",
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


def _shown(credential: Credential) -> str:
    """Return what a client needs to show; the sandbox's secrets are made up."""
    secret, token = credential.client_secret, credential.refresh_token
    return f"{credential.client_id}, {secret.get_secret_value()}, {token.get_secret_value()}"


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
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield SandboxHandle(url, app.state.sandbox)
        finally:
            server.should_exit = True
            thread.join(_START_SECONDS)


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise TimeoutError(f"expected the sandbox to start within {_START_SECONDS} seconds")
        time.sleep(0.01)
