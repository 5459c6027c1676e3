"""How every process connects to Postgres: the form of the address, and the settings of each connection."""

import re
from typing import Any, Final
from urllib.parse import quote, urlencode

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from bidbeacon_sessions.errors import InvalidDatabaseUrlError
from bidbeacon_sessions.secret_names import names_secret

_DRIVER: Final = "postgresql+psycopg"

# A host that is gone without a word is noticed within half a minute on both sides, not within hours. Work and heartbeat have
# the same limits: a heartbeat that outlives its work's connection would vouch for work that hangs.
_CLIENT_LIMITS: Final = {
    "fallback_application_name": "bidbeacon",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_SERVER_OPTIONS: Final = {
    "timezone": "UTC",
    # A killed client is noticed while its statement runs, not at its end: the locks it holds block the next run.
    "client_connection_check_interval": "2000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    # Longer than nearly every load, which is the longest that a lock is held, and shorter than a lease.
    "lock_timeout": "30s",
    # Nobody thinks for a minute in the middle of a transaction. Does not end a frozen client in the middle of COPY, which
    # counts as active: see `connections.py`.
    "idle_in_transaction_session_timeout": "60s",
}


def parse_database_url(database_url: str) -> URL:
    """Return an address as SQLAlchemy's URL, for psycopg 3.

    Args:
        database_url: `postgresql://…`, `postgres://…` or `postgresql+driver://…`.

    Raises:
        InvalidDatabaseUrlError: it is none of these, or sets what only we set. The message contains nothing of the
            address, which may hold a password.
    """
    try:
        url = make_url(database_url.strip())
    except (ArgumentError, ValueError):
        raise InvalidDatabaseUrlError from None
    # A second @ is one of the password: what follows the first would be taken for the host, and be shown.
    if url.drivername.partition("+")[0] not in {"postgres", "postgresql"} or database_url.count("@") > 1:
        raise InvalidDatabaseUrlError
    if ours := _settings_in(url) & {*_SERVER_OPTIONS, "client_encoding"}:
        raise InvalidDatabaseUrlError(f"without {' and '.join(sorted(ours))}, which BidBeacon sets itself")
    return url.set(drivername=_DRIVER)


def render_database_url(url: URL) -> str:
    """Return `postgresql://…` with the password, as SQLAlchemy, psycopg and psql all read it."""
    address = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    query = urlencode(url.query, doseq=True, quote_via=quote)  # libpq does not read + as a blank
    return address.replace(" ", "%20") + (f"?{query}" if query else "")


def show_database_url(database_url: str) -> str:
    """Return an address as it may be shown: no password, no secret parameter, and nothing at all of one that is invalid."""
    try:
        url = parse_database_url(database_url)
    except InvalidDatabaseUrlError:
        return "an invalid address"
    return (
        url.set(drivername="postgresql")
        .difference_update_query([name for name in url.query if names_secret(name)])
        .render_as_string(hide_password=True)
    )


def connect_args(url: URL) -> dict[str, Any]:
    """Return what `create_engine(connect_args=…)` needs for every connection of ours.

    Text is UTF-8 whatever `PGCLIENTENCODING` says, instants are UTC, and silence is noticed on both sides. `options` and
    the client's limits that the address names are kept.
    """
    limits = {name: value for name, value in _CLIENT_LIMITS.items() if name not in url.query}
    options = [*_options(url), *(f"-c {name}={value}" for name, value in _SERVER_OPTIONS.items())]
    return {**limits, "client_encoding": "utf8", "options": " ".join(options)}


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
    environment = {"PGCLIENTENCODING": "UTF8"}
    if "password" in address:
        environment["PGPASSWORD"] = address["password"]
    return shown, environment


def _options(url: URL) -> list[str]:
    given = url.query.get("options", ())
    return [given] if isinstance(given, str) else list(given)


def _settings_in(url: URL) -> set[str]:
    """Return the names of the server's settings that an address sets."""
    names = re.findall(r"(?:-c\s*|--)([\w.-]+)\s*=", " ".join(_options(url)))
    return {name.lower().replace("-", "_") for name in names} | ({"client_encoding"} & url.query.keys())
