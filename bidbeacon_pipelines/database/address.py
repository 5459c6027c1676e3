"""The database that a process works on: its address, checked once, and how an address is written for people, psql and psycopg.

Nothing here starts a server or changes a table.
"""

from functools import cache
from typing import Any, Final
from urllib.parse import quote, urlencode

import psycopg
from sqlalchemy import URL

from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.errors import DatabaseUnavailableError, first_line
from bidbeacon_pipelines.database.mode import check_mode
from bidbeacon_pipelines.database.schema import check_schema
from bidbeacon_pipelines.settings import Mode, Settings
from bidbeacon_sessions.connections import connect_args, parse_database_url
from bidbeacon_sessions.errors import SettingsError
from bidbeacon_sessions.masking import names_secret

OLDEST_VERSION: Final = 16
ENCODING: Final = "UTF8"


def open_database(settings: Settings) -> str:
    """Return the address of the database, after checking once that its tables and its mode fit this program.

    Raises:
        DatabaseUnavailableError: The database can't be used, or holds data of the other mode.
        SchemaError: Its tables are older or newer than this program.
    """
    url = find_database(settings)
    _check_contents(url, settings.mode)
    return url


def find_database(settings: Settings) -> str:
    """Return the address of the database, after checking once that the server answers and can be used.

    Raises:
        DatabaseUnavailableError: No database is set, or it can't be used; the message says what to do.
    """
    if settings.database_url is None:
        raise DatabaseUnavailableError(
            "No database is running: start `bidbeacon dev` or `bidbeacon db start`, or set BIDBEACON_DATABASE_URL."
        )
    return _checked_address(settings.database_url.get_secret_value())


@cache
def _check_contents(url: str, mode: Mode) -> None:
    engine = shared_engine(url)
    check_schema(engine)
    with engine.connect() as connection:
        check_mode(connection, mode)


@cache
def _checked_address(database_url: str) -> str:
    url = parse_database_url(database_url)
    name = f"The database at {show_database_url(database_url)}"
    try:
        with psycopg.connect(**psycopg_args(url)) as connection:
            version = connection.info.server_version
            encoding = connection.info.parameter_status("server_encoding")
    except psycopg.Error as error:
        raise DatabaseUnavailableError(
            f"{name} doesn't answer ({first_line(error)}): start it (`bidbeacon dev` and `bidbeacon db start` "
            "start the embedded one), or correct or unset BIDBEACON_DATABASE_URL."
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


def render_database_url(url: URL) -> str:
    """Return `postgresql://…` with the password, as SQLAlchemy, psycopg and psql all read it."""
    address = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    query = urlencode(url.query, doseq=True, quote_via=quote)  # libpq does not read + as a blank
    return address.replace(" ", "%20") + (f"?{query}" if query else "")


def show_database_url(database_url: str) -> str:
    """Return an address as it may be shown: no password, no secret parameter, and nothing at all of one that is invalid."""
    try:
        url = parse_database_url(database_url)
    except SettingsError:
        return "an invalid address"
    return (
        url.set(drivername="postgresql")
        .difference_update_query([name for name in url.query if names_secret(name)])
        .render_as_string(hide_password=True)
    )


def psycopg_args(url: URL) -> dict[str, Any]:
    """Return what `psycopg.connect(**…)` needs to connect in the same way."""
    _, address = url.get_dialect()().create_connect_args(url)
    return {**address, **connect_args(url)}


def psql_args(url: URL) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what psql gets on its command line, which every user of the machine can list, and what in its environment.

    No variable takes a key's password (`sslpassword`): psql asks for it.
    """
    _, address = url.get_dialect()().create_connect_args(url)
    shown = {name: value for name, value in address.items() if not names_secret(name)}
    # As our own connections: the role's search path may name Dagster's schema first.
    shown["options"] = f"{shown.get('options', '')} -c search_path=public".strip()
    environment = {"PGCLIENTENCODING": "UTF8"}
    if "password" in address:
        environment["PGPASSWORD"] = address["password"]
    return shown, environment
