"""Services of `deploy/compose.yaml`: the command, environment and writable folders of each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bidbeacon_pipelines.settings import PROJECT_ROOT

COMPOSE = PROJECT_ROOT / "deploy" / "compose.yaml"
_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<kind>:?[-?])(?P<rest>[^}]*))?\}|(?P<bare>\w+))"
)


@dataclass(frozen=True)
class Service:
    """A service as it is written, with variables filled in.

    Attributes:
        command: Program and arguments.
        environment: Its variables.
        folders: What it may write to; nobody else does.
        files: Files of the checkout that it sees, each with its place.
        grace_seconds: How long it has to end before it is killed.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    folders: Sequence[Path]
    files: Mapping[Path, Path]
    grace_seconds: float


def read_services(variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the services of the compose file.

    Args:
        variables: What a person sets beside the file.
    """
    written = yaml.safe_load(COMPOSE.read_text())["services"]
    return {name: _read(filled_in(service, variables)) for name, service in written.items()}


def filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    """Replace variables in all texts of a value, as compose does."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _look_up(match, variables), value)
    if isinstance(value, list):
        return [filled_in(each, variables) for each in value]
    if isinstance(value, dict):
        return {name: filled_in(each, variables) for name, each in value.items()}
    return value


def _look_up(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match["escaped"]:
        return "$"
    name, kind, rest = match["name"] or match["bare"], match["kind"] or "", match["rest"]
    value = variables.get(name)
    if value is not None and (value or ":" not in kind):
        return value
    assert "?" not in kind, f"{name}: {rest}"
    return rest or ""


def _read(service: Mapping[str, Any]) -> Service:
    # A name without a value is one that a person may set beside the file.
    given = service.get("environment", {}).items()
    environment = {name: _text(value) for name, value in given if value is not None}
    volumes = [volume.split(":") for volume in service.get("volumes", ())]
    own = [volume[0] for volume in volumes if len(volume) == 1]
    folders = [Path(each.split(":")[0]) for each in (*service.get("tmpfs", ()), *own)]
    files = {COMPOSE.parent / each[0]: Path(each[1]) for each in volumes if each[0][:1] == "."}
    grace = float(service.get("stop_grace_period", "10s").removesuffix("s"))
    return Service(service.get("command", ()), environment, folders, files, grace)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
