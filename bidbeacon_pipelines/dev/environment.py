"""Sets the variables of `bidbeacon dev`'s processes, and writes them for other terminals."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from bidbeacon_pipelines.dev.services import LOCATION, LOOPBACK, WORKSPACE, LocalError
from bidbeacon_pipelines.private_files import make_private_folder
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_pipelines.settings_files import RUNNING_ENV

LOGIN_VARIABLE: Final = "BIDBEACON_STREAM_CHANGES_TOKEN"
FIRST_WITH_SANDBOX: Final = 8
"""The initial limit of reports in flight with the sandbox: its data then loads in minutes."""


def shared_environment(settings: Settings, database_url: str) -> dict[str, str]:
    """Return the variables that give all processes and other terminals the same settings."""
    names = (
        "dagster_port",
        "stream_port",
        "sandbox_port",
        "sandbox_url",
        "scratch_folder",
        "dagster_public_url",
        "stream_public_url",
    )
    return {
        **{f"BIDBEACON_{name.upper()}": str(getattr(settings, name)) for name in names},
        "BIDBEACON_DATABASE_URL": database_url,
        "BIDBEACON_HOME": str(settings.home.absolute()),
        "BIDBEACON_FIRST_REPORTS_IN_FLIGHT": str(_first_reports_in_flight(settings)),
        **_make_changes_token(settings),
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_EVENT_BATCH_SIZE": os.environ.get("DAGSTER_EVENT_BATCH_SIZE", "200"),
    }


def service_environment(shared: Mapping[str, str]) -> dict[str, str]:
    """Return the complete environment of the services of `bidbeacon dev`."""
    return {**os.environ, **shared, "PYTHONUNBUFFERED": "1"}


def _make_changes_token(settings: Settings) -> dict[str, str]:
    if settings.stream_token is not None or settings.stream_changes_token is not None:
        return {}
    return {LOGIN_VARIABLE: secrets.token_urlsafe()}


def _first_reports_in_flight(settings: Settings) -> int:
    is_set = "first_reports_in_flight" in settings.model_fields_set
    use_setting = is_set or not settings.uses_sandbox
    return settings.first_reports_in_flight if use_setting else FIRST_WITH_SANDBOX


def make_dagster_home(settings: Settings, code_server_port: int) -> None:
    """Create DAGSTER_HOME with a link to `dagster.yaml` and the address of the code server."""
    make_private_folder(settings.dagster_home)
    link = settings.dagster_home / "dagster.yaml"
    link.unlink(missing_ok=True)
    link.symlink_to(PROJECT_ROOT / "dagster.yaml")
    server = {"host": LOOPBACK, "port": code_server_port, "location_name": LOCATION}
    workspace = json.dumps({"load_from": [{"grpc_server": server}]})  # JSON is YAML
    (settings.dagster_home / WORKSPACE).write_text(workspace)


@contextmanager
def shared_with_other_terminals(settings: Settings, shared: Mapping[str, str]) -> Iterator[None]:
    """Write the variables to a private file for other terminals; delete it after the block."""
    file = settings.home / RUNNING_ENV
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_text("".join(f"{name}={_quoted(name, shared[name])}\n" for name in shared))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _quoted(name: str, value: str) -> str:
    """Return a value quoted for both `sh` and python-dotenv; raise `LocalError` if impossible."""
    if set(value) & set("'\\\n$"):
        raise LocalError(
            f"{name}: expected a value without single quotes, dollar signs, backslashes and line "
            f"breaks, got: {value!r}."
        )
    return f"'{value}'"
