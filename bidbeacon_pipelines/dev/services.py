"""What `bidbeacon dev` runs: the list of services, each with its command, its port and where it says that it is well."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bidbeacon_pipelines.private_files import make_private_folder
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings

ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not bound


@dataclass(frozen=True)
class Service:
    """One program that runs as long as `bidbeacon dev`.

    Attributes:
        name: Short name, also of its log file.
        title: What people call it.
        command: Program and arguments; no secret, since everyone on the machine can read them.
        port: Port it listens on.
        port_variable: Environment variable that sets the port.
        health_path: Path that answers 200 when the service is ready.
        host: Address it listens on.
        folder: Working directory.
    """

    name: str
    title: str
    command: tuple[str, ...]
    port: int
    port_variable: str
    health_path: str
    host: str = "127.0.0.1"
    folder: Path = PROJECT_ROOT

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        return f"http://{'127.0.0.1' if self.host in ANY_ADDRESS else self.host}:{self.port}"

    @property
    def health_url(self) -> str:
        """What answers 200 when it is ready."""
        return self.url + self.health_path


SANDBOX_REPORTS_IN_FLIGHT = 20
"""Reports of an ads account that the sandbox makes at a time: as many as the gate ever allows, so that it refuses none."""
FIRST_WITH_SANDBOX = 8
"""Reports in flight at first, so that a newcomer's accounts fill in minutes; nothing is known of the limits of Amazon itself."""


def services(settings: Settings) -> list[Service]:
    """List the services: the sandbox where no Amazon credentials are set, the stream, and Dagster.

    Dagster runs as `dagster dev`: it loads our code once, for webserver and daemon, reloads it from
    its own UI, and ends as a whole when a part of it ends, so that a restart is complete.
    """
    ours = (sys.executable, "-m", "bidbeacon_pipelines")
    sandbox = Service(
        name="sandbox",
        title="Sandbox Ads API",
        command=(
            *ours,
            "sandbox",
            "--port",
            str(settings.sandbox_port),
            "--state-dir",
            str(settings.home / "sandbox"),
            "--set",
            f"max_reports_in_flight={SANDBOX_REPORTS_IN_FLIGHT}",
        ),
        port=settings.sandbox_port,
        port_variable="BIDBEACON_SANDBOX_PORT",
        health_path="/healthz",
        host=settings.bind_host,
    )
    stream = Service(
        name="stream",
        title="Event Stream",
        command=(*ours, "stream", "--port", str(settings.stream_port)),
        port=settings.stream_port,
        port_variable="BIDBEACON_STREAM_PORT",
        health_path="/healthz",
    )
    host, port, workspace = (
        settings.bind_host,
        str(settings.dagster_port),
        str(PROJECT_ROOT / "workspace.yaml"),
    )
    dagster = Service(
        name="dagster",
        title="Dagster",
        command=(sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", host, "-p", port),
        port=settings.dagster_port,
        port_variable="BIDBEACON_DAGSTER_PORT",
        health_path="/server_info",
        host=host,
        # In the project's folder it would read `.env` as well, and let it win over the environment
        # that we give it.
        folder=dagster_home(settings),
    )
    return [sandbox, stream, dagster] if settings.uses_sandbox else [stream, dagster]


def service_environment(settings: Settings, database_url: str) -> dict[str, str]:
    """Return the variables that make every process of one `bidbeacon dev` see the same settings.

    Dagster's home is a folder of ours with a link to the project's `dagster.yaml` (see
    `make_dagster_home`), since Dagster leaves folders in it. 200 events a batch: a run that records
    500 partitions takes half the time.
    """
    return {
        "BIDBEACON_DATABASE_URL": database_url,
        "BIDBEACON_HOME": str(settings.home),
        "BIDBEACON_DAGSTER_PORT": str(settings.dagster_port),
        "BIDBEACON_STREAM_PORT": str(settings.stream_port),
        "BIDBEACON_SANDBOX_PORT": str(settings.sandbox_port),
        "BIDBEACON_DAGSTER_PUBLIC_URL": settings.dagster_public_url,
        "BIDBEACON_STREAM_PUBLIC_URL": settings.stream_public_url,
        "BIDBEACON_STREAM_CHANGES_WITHOUT_TOKEN": str(changes_need_no_token(settings)).lower(),
        "BIDBEACON_FIRST_REPORTS_IN_FLIGHT": str(_first_reports_in_flight(settings)),
        "DAGSTER_HOME": str(dagster_home(settings)),
        "DAGSTER_EVENT_BATCH_SIZE": os.environ.get("DAGSTER_EVENT_BATCH_SIZE", "200"),
        "PYTHONUNBUFFERED": "1",
    }


def changes_need_no_token(settings: Settings) -> bool:
    """Return whether the page may change something without a token: where neither a token nor a public address is set, unless the setting forbids it."""
    if settings.stream_token is not None or settings.has_public_address:
        return False
    is_set = "stream_changes_without_token" in settings.model_fields_set
    return settings.stream_changes_without_token or not is_set


def _first_reports_in_flight(settings: Settings) -> int:
    """Return what the setting says, or more than that for a sandbox where it says nothing."""
    is_set = "first_reports_in_flight" in settings.model_fields_set
    return (
        FIRST_WITH_SANDBOX
        if settings.uses_sandbox and not is_set
        else settings.first_reports_in_flight
    )


def dagster_home(settings: Settings) -> Path:
    """Return the folder that is Dagster's home, absolute as Dagster demands."""
    return settings.home.absolute() / "dagster"


def make_dagster_home(settings: Settings) -> None:
    """Make Dagster's home, with a link to the project's `dagster.yaml`, wherever the project is by now."""
    home = dagster_home(settings)
    make_private_folder(home)
    link = home / "dagster.yaml"
    link.unlink(missing_ok=True)
    link.symlink_to(PROJECT_ROOT / "dagster.yaml")
