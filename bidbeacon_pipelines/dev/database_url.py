"""The address of a PostgreSQL that someone else runs, and whether it can be used."""

from typing import Final

import psycopg

from bidbeacon_pipelines.dev.errors import DatabaseUnavailableError
from bidbeacon_sessions.connections import (
    parse_database_url,
    psycopg_args,
    render_database_url,
    show_database_url,
)

OLDEST_VERSION: Final = 14
ENCODING: Final = "UTF8"


def checked_database_url(database_url: str) -> str:
    """Return the address, as `postgresql://…`, of a database that answers, is new enough and stores all text.

    Raises:
        InvalidDatabaseUrlError: It can't be parsed.
        DatabaseUnavailableError: It doesn't answer, is older than PostgreSQL 14 or not in UTF-8; the message has no password.
    """
    url = parse_database_url(database_url)
    name = f"The database of BIDBEACON_DATABASE_URL ({show_database_url(database_url)})"
    try:
        with psycopg.connect(**psycopg_args(url)) as connection:
            version = connection.info.server_version
            encoding = connection.info.parameter_status("server_encoding")
    except psycopg.Error as error:
        raise DatabaseUnavailableError(
            f"{name} doesn't answer ({_first_line(error)}): start it, correct the variable, or unset it to use the embedded one."
        ) from None
    if version < OLDEST_VERSION * 10_000:
        raise DatabaseUnavailableError(
            f"{name} is PostgreSQL {version // 10_000}: {OLDEST_VERSION} or newer is needed."
        )
    if encoding != ENCODING:
        raise DatabaseUnavailableError(
            f"{name} has the encoding {encoding}, which can't store all text: use one made with ENCODING 'UTF8'."
        )
    return render_database_url(url)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
