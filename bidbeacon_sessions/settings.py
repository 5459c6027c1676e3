"""Settings of job sessions."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Final
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url

from bidbeacon_sessions.connections import parse_database_url
from bidbeacon_sessions.errors import SettingsError
from bidbeacon_sessions.masking import remember_secret

_SHORTEST_TOKEN: Final = 16
_DAY: Final = 24 * 3600


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback host, which only this machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_host(value: str) -> str:
    if not re.fullmatch(r"[\w.:%-]+", value):
        raise ValueError("expected an IP address or a host name, such as 127.0.0.1")
    return value


def _check_web_address(value: str) -> str:
    try:
        return str(HttpUrl(value)).rstrip("/")
    except ValidationError:
        raise ValueError(
            "expected an address such as http://127.0.0.1:3030 or https://stream.example.com"
        ) from None


def _check_token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(rf"[!-~]{{{_SHORTEST_TOKEN},}}", value.get_secret_value()):
        raise ValueError(f"expected {_SHORTEST_TOKEN} or more ASCII characters without blanks")
    return value


def _check_database_url(value: SecretStr) -> SecretStr:
    try:
        parse_database_url(value.get_secret_value())
    except SettingsError as error:
        raise ValueError(str(error).rstrip(".")) from None
    return value


Port = Annotated[int, Field(ge=1, le=65_535)]
Host = Annotated[str, AfterValidator(_check_host)]
WebAddress = Annotated[str, AfterValidator(_check_web_address)]


class SessionSettings(BaseSettings):
    """Settings, read from variables `BIDBEACON_<NAME>` in the environment or in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="BIDBEACON_",
        env_file_encoding="utf-8-sig",  # Windows' editors begin a file with a mark
        dotenv_filtering="match_prefix",
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    database_url: Annotated[SecretStr, AfterValidator(_check_database_url)] | None = None
    """The address of the PostgreSQL database, `postgresql://user:password@host:port/database`.

    PostgreSQL 16 or newer is needed. If no address is set, `bidbeacon dev` and `bidbeacon db start`
    use the embedded database.
    """
    stream_host: Host = "127.0.0.1"
    """The address on which the Event Stream listens.

    An address that is not loopback needs `BIDBEACON_STREAM_TOKEN`.
    """
    stream_port: Port = 3030
    """The Event Stream's port."""
    stream_token: Annotated[SecretStr, AfterValidator(_check_token)] | None = None
    """The token that every request to the Event Stream needs.

    Clients send it as `Authorization: Bearer …`; people enter it at `/login`. It has at least 16
    ASCII characters and no blanks.
    """
    stream_changes_token: Annotated[SecretStr, AfterValidator(_check_token)] | None = None
    """The token for requests that change something, if requests that only read need no token.

    If neither this token nor `BIDBEACON_STREAM_TOKEN` is set, `bidbeacon dev` makes a token at each
    start. If the Event Stream has no token, nothing can be changed on its pages.
    """
    dagster_port: Port = 3000
    """The port of Dagster's webserver."""
    dagster_public_url: WebAddress = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data.get('dagster_port', 3000)}"
    )
    """The address at which browsers reach Dagster's UI, used in links.

    The default is this machine with the port `BIDBEACON_DAGSTER_PORT`.
    """
    stream_public_url: WebAddress = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data.get('stream_port', 3030)}"
    )
    """The address at which browsers reach the Event Stream, used in links and alerts.

    The default is this machine with the port `BIDBEACON_STREAM_PORT`.
    """

    lease_seconds: int = Field(45, ge=5, le=_DAY)
    """A session counts as dead after this many seconds without a heartbeat."""
    heartbeat_seconds: float = Field(5.0, gt=0, le=_DAY)
    """The seconds between two heartbeats of a running session."""
    change_log_rows: int = Field(200_000, ge=1_000, le=1_000_000_000)
    """How many changes a client of the stream may be behind.

    A client that is further behind must load its data again.
    """

    def login_url(self, token: str) -> str:
        """Return the address that logs a browser in with the token."""
        return f"{self.stream_public_url}/login?token={quote(token, safe='')}"

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Refuse unknown names in `.env`.

        Unknown names in the environment are ignored, since Kubernetes may have set them.
        """
        for name in values.keys() - cls.model_fields.keys():
            near = get_close_matches(name, cls.model_fields, 1)
            meant = f"BIDBEACON_{near[0].upper()}" if near else "the name of a setting"
            raise ValueError(f"BIDBEACON_{name.upper()}: unknown name; expected {meant}")
        return values

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("expected a value; remove the variable to use the default")
        if isinstance(value, str) and any(
            char == "\0" or "\ud800" <= char <= "\udfff" for char in value
        ):
            raise ValueError("expected text in UTF-8")
        return value


MAX_ACTION_BYTES = 16 * 1024
MAX_INPUT_BYTES = 64 * 1024
MAX_ACTIONS = 5_000


_readers: list[Callable[[], SessionSettings]] = [lambda: SessionSettings(_env_file=".env")]


def read_settings_with(reader: Callable[[], SessionSettings]) -> None:
    """Set the function that returns the settings, in place of the environment and `.env`."""
    _readers[:] = [reader]


@cache
def get_session_settings() -> SessionSettings:
    """Return the settings, which are read once per process."""
    settings = _readers[0]()
    remember_secrets(settings)
    return settings


def remember_secrets(settings: BaseSettings) -> None:
    """Mask all secret settings from now on; of a database or Redis address, only the password."""
    for name, value in settings:
        if isinstance(value, SecretStr):
            for number, part in enumerate(value.get_secret_value().split()):
                is_address = part.startswith(("postgres", "redis"))
                secret = make_url(part).password or "" if is_address else part
                remember_secret(f"setting {name} {number}", secret)
