"""The services of `bidbeacon dev`: commands, ports and health checks."""

import shutil
import socket
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx

from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings

LOOPBACK: Final = "127.0.0.1"
ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound
SANDBOX_REPORTS_IN_FLIGHT: Final = 20
"""The sandbox's limit of reports in flight: the gate's maximum, so no report is refused."""
OURS: Final = (sys.executable, "-m", "bidbeacon_pipelines")
SANDBOX: Final = (sys.executable, "-m", "bidbeacon_sandbox")
LOCATION: Final = "bidbeacon"
WORKSPACE: Final = "workspace.yaml"
STARTING: Final = "DagsterUserCodeUnreachableError"
"""The error in Dagster's webserver while the code server does not answer yet."""
QUERY: Final = """{
  workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
    __typename ... on PythonError { className message } } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"""


class LocalError(RuntimeError):
    """BidBeacon can't run on this machine; the message has the remedy."""


@dataclass(frozen=True)
class Service:
    """One program that runs as long as `bidbeacon dev`.

    Attributes:
        name: The service's name. Its log file and the setting of its port are named after it.
        command: Program and arguments; no secret, since all users of the machine can read them.
        options: Options of its subprocess, such as the working directory.
        host: Address it listens on.
        port: Port it listens on.
        problem: Returns why the service is not ready, or None if it is ready. The attribute is None
            if the check of another service covers this one.
        needs_database: Whether the service is started only after the database is upgraded.
    """

    name: str
    command: tuple[str, ...]
    options: Mapping[str, Any]
    host: str = LOOPBACK
    port: int | None = None
    problem: Callable[["Service"], str | None] | None = None
    needs_database: bool = True

    @property
    def url(self) -> str:
        """The service's address for a browser on this machine."""
        shown = LOOPBACK if self.host in ANY_ADDRESS else self.host
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}"

    def check_port(self) -> None:
        """Raise `LocalError` if another program uses the port."""
        if self.port is not None and not is_free(self.port, self.host):
            variable = f"BIDBEACON_{self.name.upper().replace('-', '_')}_PORT"
            raise LocalError(
                f"Port {self.port} ({self.name}) is in use: stop the program that "
                f"`lsof -i :{self.port}` shows, or set {variable} to another port."
            )


def list_services(settings: Settings, code_server_port: int) -> list[Service]:
    """Return the services: the sandbox (if it is used), the stream, and Dagster's.

    Dagster's processes run in DAGSTER_HOME, because a `.env` file in their working directory
    would override the environment.
    """
    ours, dagsters = {"cwd": PROJECT_ROOT}, {"cwd": settings.dagster_home}
    workspace = ("-w", str(settings.dagster_home / WORKSPACE))
    command: tuple[str, ...]

    host, port = settings.bind_host, settings.sandbox_port
    in_flight = ("--max-reports-in-flight", str(SANDBOX_REPORTS_IN_FLIGHT))
    page = ("--page-url", settings.stream_public_url)
    command = (*SANDBOX, "--host", host, "--port", str(port), *page, *in_flight)
    sandbox = Service("sandbox", command, ours, host, port, web_problem, needs_database=False)

    host, port = settings.stream_host, settings.stream_port
    command = (*OURS, "stream", "--port", str(port))
    stream = Service("stream", command, ours, host, port, web_problem)

    host, port = LOOPBACK, code_server_port
    module = ("-m", "bidbeacon_pipelines.definitions", "--location-name", LOCATION)
    command = (_script("dagster"), "code-server", "start", "-h", host, "-p", str(port), *module)
    code_server = Service("code-server", command, dagsters, host, port)

    command = (_script("dagster-daemon"), "run", *workspace)
    daemon = Service("daemon", command, dagsters)

    host, port = settings.bind_host, settings.dagster_port
    command = (_script("dagster-webserver"), *workspace, "-h", host, "-p", str(port))
    webserver = Service("dagster", command, dagsters, host, port, dagster_problem)

    found = [stream, code_server, daemon, webserver]
    return [sandbox, *found] if settings.uses_sandbox else found


def _script(name: str) -> str:
    return shutil.which(name, path=sysconfig.get_path("scripts")) or name


@cache
def _web() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=5)


def web_problem(service: Service) -> str | None:
    """Return why the sandbox or the stream is not ready, or None if it is ready."""
    try:
        _web().get(f"{service.url}/healthz").raise_for_status()
    except httpx.HTTPError as error:
        return f"{service.url} doesn't answer: {error}"
    return None


def dagster_problem(service: Service) -> str | None:
    """Return why Dagster's webserver, code location or daemons are not ready, or None.

    Raises:
        LocalError: The definitions can't be loaded.
    """
    try:
        answer = _web().post(f"{service.url}/graphql", json={"query": QUERY}).raise_for_status()
    except httpx.HTTPError as error:
        return f"{service.url} doesn't answer: {error}"
    data = answer.json()["data"]
    for entry in data["workspaceOrError"]["locationEntries"]:
        found = entry["locationOrLoadError"]
        if found is None or found.get("className") == STARTING:
            return "the code location has not loaded"
        if found["__typename"] == "PythonError":
            raise LocalError(f"Dagster can't load the definitions: {found['message']}")
    statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    missing = [one["daemonType"] for one in statuses if one["required"] and not one["healthy"]]
    return f"no heartbeat from daemon {', '.join(missing)}" if missing else None


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server can listen on `port` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError:
        return False
    return True


def choose_port(preferred: int = 0) -> int:
    """Return `preferred` if it is free, else any free port."""
    if preferred and is_free(preferred):
        return preferred
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])
