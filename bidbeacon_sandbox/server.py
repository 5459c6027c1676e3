"""The sandbox's ASGI app and its routes, served in the foreground or in a thread.

Each region has its own path, whereas Amazon has a host for each region.
"""

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route

from bidbeacon_sandbox import account_api, control_api, export_api, page, report_api
from bidbeacon_sandbox.accounts import REGIONS
from bidbeacon_sandbox.call import Handler, endpoint
from bidbeacon_sandbox.control_api import Page
from bidbeacon_sandbox.downloads import download
from bidbeacon_sandbox.rules import Operation
from bidbeacon_sandbox.settings import SandboxConfig
from bidbeacon_sandbox.state import SandboxState

_OF_REGIONS: tuple[tuple[str, str, Operation, Handler], ...] = (
    ("POST", "auth/o2/token", "token", account_api.issue_token),
    ("POST", "adsAccounts/list", "list_accounts", account_api.list_accounts),
    ("GET", "v2/profiles", "list_profiles", account_api.list_profiles),
    ("POST", "adsApi/v1/query/advertiserAccounts", "query_accounts", account_api.query_accounts),
    ("POST", "adsApi/v1/create/reports", "create_report", report_api.create_report),
    ("POST", "adsApi/v1/retrieve/reports", "retrieve_report", report_api.retrieve_report),
    ("POST", "adsApi/v1/delete/reports", "delete_report", report_api.delete_report),
    ("POST", "portfolios/list", "list_portfolios", export_api.list_portfolios),
    ("GET", "exports/{export_id}", "get_export", export_api.get_export),
    ("POST", "{kind}/export", "create_export", export_api.create_export),
)
"""The calls below the path of each region."""
_OWN: tuple[tuple[str, str, Page], ...] = (
    ("GET", "/healthz", control_api.healthz),
    ("GET", "/sandbox", page.show_page),
    ("POST", "/sandbox/change", page.change_by_form),
    ("POST", "/sandbox/ready-made", page.switch_ready_made),
    ("GET", "/sandbox/rules", control_api.show_rules),
    ("POST", "/sandbox/rules", control_api.add_rules),
    ("DELETE", "/sandbox/rules", control_api.clear_rules),
    ("POST", "/sandbox/clock", control_api.change_clock),
    ("GET", "/sandbox/truth", control_api.show_truth),
)
"""The sandbox's own calls, which need no token."""


class SandboxError(Exception):
    """The sandbox can't start; the message states the reason."""


def create_app(config: SandboxConfig) -> Starlette:
    """Return the app of a sandbox; its state is `app.state.sandbox`.

    Raises:
        RuleError: a rule refers to an unknown account or client.
    """
    routes = [
        Route(f"/{region.lower()}/{path}", endpoint(operation, handler), methods=[method])
        for region in REGIONS
        for method, path, operation, handler in _OF_REGIONS
    ]
    routes += [
        Route(path, control_api.page(answer), methods=[method]) for method, path, answer in _OWN
    ]
    routes.append(Route("/downloads/{job}/{part:int}.json.gz", endpoint("download", download)))
    routes.append(Route("/", lambda _: RedirectResponse("/sandbox")))
    app = Starlette(routes=routes)
    app.state.sandbox = SandboxState(config)
    return app


def serve(config: SandboxConfig, host: str = "127.0.0.1", port: int = 3040) -> None:
    """Serve until SIGINT or SIGTERM; running calls then have one second to finish.

    Port 0 means any free port. The address is printed as soon as calls are accepted.

    Raises:
        RuleError: a rule refers to an unknown account or client.
        SandboxError: the sandbox can't listen on the address.
        SystemExit: with code 0, after SIGTERM.
    """
    # After shutdown, uvicorn raises the signal again, which by default would kill the process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SandboxError(
            f"The sandbox can't listen on {host}:{port}: {error.strerror}. "
            "Stop the program that uses that port, or choose another with --port (0: any free one)."
        ) from error
    with listener, suppress(KeyboardInterrupt):
        app = create_app(config)
        url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        sys.stdout.write(_announcement(app.state.sandbox, url))
        sys.stdout.flush()
        _server(app, "warning").run([listener])


def _server(app: Starlette, log_level: str) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level=log_level,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


def _announcement(sandbox: SandboxState, url: str) -> str:
    config = sandbox.config
    credentials = (
        (one.client_id, one.client_secret.get_secret_value(), one.refresh_token.get_secret_value())
        for one in config.credentials
    )
    lines = (
        (
            f"Sandbox of the Amazon Ads API: {url} "
            f"(seed {config.seed}, ads accounts: {config.accounts})"
        ),
        f"  regions      {url}/na, {url}/eu, {url}/fe; tokens at …/auth/o2/token",
        *(f"  credential   {', '.join(one)}" for one in credentials),
        (
            f"  clock        {sandbox.clock.now():%Y-%m-%d %H:%M:%S} UTC"
            f"{', frozen' if sandbox.clock.is_frozen else ''}"
        ),
        f"  rules        {len(sandbox.rules.overview())}",
        f"  web page     {url}/sandbox",
        "Ctrl-C stops it.",
    )
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class SandboxHandle:
    """A running sandbox: its address, and its state, which may be changed."""

    url: str
    state: SandboxState


@contextmanager
def running_sandbox(config: SandboxConfig | None = None) -> Iterator[SandboxHandle]:
    """Run a sandbox in a thread until the `with` block ends; yield its handle."""
    app = create_app(config or SandboxConfig())
    server = _server(app, "critical")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield SandboxHandle(url, app.state.sandbox)
        finally:
            server.should_exit = True
            thread.join()
