"""The address of the database: checks, and forms for messages, psql and psycopg.

The mode of a database is `sandbox` or `real`: it has data of the sandbox or of the real Amazon.
"""

from functools import cache
from typing import Any, Final
from urllib.parse import quote, urlencode

import psycopg
from sqlalchemy import URL, Connection, text

from bidbeacon_pipelines.database.engine import DatabaseUnavailableError, first_line, shared_engine
from bidbeacon_pipelines.database.schema import check_schema
from bidbeacon_pipelines.settings import Mode, Settings
from bidbeacon_sessions.connections import connect_args, parse_database_url
from bidbeacon_sessions.errors import SettingsError
from bidbeacon_sessions.masking import names_secret

OLDEST_VERSION: Final = 16
ENCODING: Final = "UTF8"
_FIND_TABLE: Final = text("SELECT to_regclass('public.installation')")
_READ_MODE: Final = text("SELECT mode FROM public.installation")
_STORE_MODE: Final = text("UPDATE public.installation SET mode = :mode WHERE mode IS NULL")
_WRONG_MODES: Final = {
    "sandbox": "The database holds the sandbox's data, but Amazon credentials are set "
    "(BIDBEACON_ADS_API_CLIENT_ID or BIDBEACON_CREDENTIALS_FILE): restart `bidbeacon dev` or "
    "`bidbeacon db start`, or set BIDBEACON_DATABASE_URL to another database.",
    "real": "The database holds data of the real Amazon, but neither BIDBEACON_ADS_API_CLIENT_ID "
    "nor BIDBEACON_CREDENTIALS_FILE is set: set the Amazon credentials, or set "
    "BIDBEACON_DATABASE_URL to another database for the sandbox.",
}


class WrongModeError(DatabaseUnavailableError):
    """The mode of the database, `sandbox` or `real`, differs from the mode of the settings."""


def open_database(settings: Settings) -> str:
    """Return the address of the database, after checking its tables and mode once.

    Raises:
        DatabaseUnavailableError: The database can't be used, or has another mode than the settings.
        SchemaError: The tables are older than this program, or too new for it.
    """
    url = get_database(settings)
    _check_contents(url, settings.mode)
    return url


def get_database(settings: Settings) -> str:
    """Return the address of the database, after checking the server once.

    Raises:
        DatabaseUnavailableError: No usable database is set. The message says what to do.
    """
    if settings.database_url is None:
        raise DatabaseUnavailableError(
            "No database is running: start `bidbeacon dev` or `bidbeacon db start`, "
            "or set BIDBEACON_DATABASE_URL."
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
            f"{name} doesn't answer ({first_line(error)}): start it (`bidbeacon dev` and "
            "`bidbeacon db start` start the embedded one), or correct or unset "
            "BIDBEACON_DATABASE_URL."
        ) from None
    if version < OLDEST_VERSION * 10_000:
        raise DatabaseUnavailableError(
            f"{name} is PostgreSQL {version // 10_000}: {OLDEST_VERSION} or newer is needed."
        )
    if encoding != ENCODING:
        raise DatabaseUnavailableError(
            f"{name} has the encoding {encoding}, which can't store all text: "
            "use one made with ENCODING 'UTF8'."
        )
    return render_database_url(url)


def check_mode(connection: Connection, mode: Mode) -> None:
    """Check that the database has this mode (`sandbox` or `real`), or no mode yet.

    Raises:
        WrongModeError: The modes differ. The message says what to do.
    """
    if connection.execute(_FIND_TABLE).scalar() is None:
        return
    stored = connection.execute(_READ_MODE).scalar()
    if stored not in {None, mode}:
        raise WrongModeError(_WRONG_MODES[stored])


def store_mode(connection: Connection, mode: Mode) -> None:
    """Store the mode in a database that has none.

    Raises:
        WrongModeError: The database already has the other mode.
    """
    connection.execute(_STORE_MODE, {"mode": mode})
    check_mode(connection, mode)


def render_database_url(url: URL) -> str:
    """Return an address with the password, in a form that SQLAlchemy and libpq accept."""
    address = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    query = urlencode(url.query, doseq=True, quote_via=quote)  # libpq does not read + as a blank
    return address.replace(" ", "%20") + (f"?{query}" if query else "")


def show_database_url(database_url: str) -> str:
    """Return an address without password and secret parameters, or `an invalid address`."""
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
    """Return the arguments with which `psycopg.connect` connects to the database at `url`."""
    _, address = url.get_dialect()().create_connect_args(url)
    return {**address, **connect_args(url)}


def psql_args(url: URL) -> tuple[dict[str, Any], dict[str, str]]:
    """Return psql's connection parameters without secrets, and its environment variables.

    psql prompts for the password of a TLS key (`sslpassword`): no variable can set it.
    """
    _, address = url.get_dialect()().create_connect_args(url)
    shown = {name: value for name, value in address.items() if not names_secret(name)}
    # As for our own connections: the role's search path may have Dagster's schema first.
    shown["options"] = f"{shown.get('options', '')} -c search_path=public".strip()
    environment = {"PGCLIENTENCODING": "UTF8"}
    if "password" in address:
        environment["PGPASSWORD"] = address["password"]
    return shown, environment
