"""The address of a PostgreSQL that someone else runs: its forms, and whether it can be used."""

from typing import Final
from urllib.parse import urlsplit

import psycopg

from bidbeacon_pipelines.dev.errors import DatabaseUnavailableError

OLDEST_VERSION: Final = 14
CONNECT_SECONDS: Final = 10


def normalized_database_url(url: str) -> str:
    """Give the address in the form `postgresql://…`, from that, `postgres://…` or `postgresql+driver://…`.

    Raises:
        DatabaseUnavailableError: It is the address of something else.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme.partition("+")[0] not in {"postgres", "postgresql"}:
        raise DatabaseUnavailableError(
            f"BIDBEACON_DATABASE_URL must begin with postgresql://, it begins with {scheme[:20] if separator else 'no scheme'!r}."
        )
    return f"postgresql://{rest}"


def checked_database_url(url: str) -> str:
    """Give the normalized address of a database that answers and is new enough.

    Raises:
        DatabaseUnavailableError: It doesn't answer, or is older than PostgreSQL 14; the message has no password.
    """
    url = normalized_database_url(url)
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            version = connection.info.server_version
    except psycopg.Error as error:
        raise DatabaseUnavailableError(
            f"The database of BIDBEACON_DATABASE_URL ({without_password(url)}) doesn't answer ({_first_line(error)}): "
            "start it, correct the variable, or unset it to use the embedded one."
        ) from None
    if version < OLDEST_VERSION * 10_000:
        raise DatabaseUnavailableError(
            f"The database of BIDBEACON_DATABASE_URL ({without_password(url)}) is PostgreSQL {version // 10_000}: "
            f"{OLDEST_VERSION} or newer is needed."
        )
    return url


def without_password(url: str) -> str:
    """Give an address that can be shown: user, host, port and database, nothing else."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[0].partition(':')[0]}@{parts.netloc.rpartition('@')[2]}{parts.path}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
