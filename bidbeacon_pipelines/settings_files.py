"""Reads settings from the environment, `.env`, and a file that `bidbeacon dev` writes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bidbeacon_sessions.errors import SettingsError
from bidbeacon_sessions.settings import SessionSettings, remember_secrets

RUNNING_ENV: Final = "env"
"""The name of the file to which `bidbeacon dev` and `db start` write their settings."""
_LONGEST_SHOWN: Final = 200

_CHECKOUT: Final = Path(__file__).resolve().parent.parent
PROJECT_ROOT: Final = _CHECKOUT if (_CHECKOUT / "workspace.yaml").exists() else Path.cwd()
"""The repository if `workspace.yaml` is there, else the working folder."""

Kind = TypeVar("Kind", bound=BaseSettings)


class _Home(BaseSettings):
    model_config = SessionSettings.model_config | SettingsConfigDict(extra="ignore")
    home: Path = Path(".bidbeacon")


def running_env_file(env_file: Path = PROJECT_ROOT / ".env") -> Path:
    """Return the path of the file to which a running `bidbeacon dev` or `db start` writes."""
    return PROJECT_ROOT / _Home(_env_file=env_file).home / RUNNING_ENV


def read_settings(
    kind: type[Kind], env_file: Path = PROJECT_ROOT / ".env", *, running: bool = True
) -> Kind:
    """Read settings from the environment, `.env`, and the file of a running `bidbeacon dev`.

    The environment overrides `.env`, and `.env` overrides the file of `bidbeacon dev`, which is
    read only if `running` is true. From then on, the process masks the secrets in these settings.

    Raises:
        SettingsError: Some settings are invalid, or a file can't be read.
    """
    _check_readable(env_file)
    files = [env_file]
    if running and os.access(running_env_file(env_file), os.F_OK):
        files.insert(0, running_env_file(env_file))
        _check_readable(files[0])
    try:
        settings = kind(_env_file=files)
    except ValidationError as error:
        problems = [each for each in error.errors() if each["type"] != "default_factory_not_called"]
        raise SettingsError(*(_describe(kind, problem, env_file) for problem in problems)) from None
    remember_secrets(settings)
    return settings


def _check_readable(env_file: Path) -> None:
    try:
        env_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{env_file}: expected UTF-8, but byte {error.start + 1:,} is not: "
            "save the file as UTF-8."
        ) from None
    except OSError as error:
        raise SettingsError(f"{env_file} can't be read: {error.strerror}.") from None


def _describe(kind: type[BaseSettings], problem: Mapping[str, Any], env_file: Path) -> str:
    """Return a message on an invalid setting, with its source and, if not secret, its value."""
    expected = (
        problem["msg"].removeprefix("Value error, ").replace("Input should be", "expected", 1)
    )
    if not problem["loc"]:  # no setting has this name
        return f"{expected}, set in {env_file}."
    name = str(problem["loc"][0])
    variable = f"BIDBEACON_{name.upper()}"
    is_secret = SecretStr.__name__ in str(kind.model_fields[name].annotation)
    got = (
        "its value is not shown" if is_secret else f"got {str(problem['input'])[:_LONGEST_SHOWN]!r}"
    )
    place = "in the environment" if variable in map(str.upper, os.environ) else f"in {env_file}"
    return f"{variable}: {expected[:1].lower()}{expected[1:]}; {got}, set {place}."
