"""How every process connects to Postgres: the form of the address, and the settings of each connection."""

from typing import Any, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from bidbeacon_sessions.errors import InvalidDatabaseUrlError

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
        InvalidDatabaseUrlError: it is none of these. The message contains nothing of the address, which may hold a password.
    """
    try:
        url = make_url(database_url.strip())
    except (ArgumentError, ValueError):
        raise InvalidDatabaseUrlError from None
    if url.drivername.partition("+")[0] not in {"postgres", "postgresql"}:
        raise InvalidDatabaseUrlError
    return url.set(drivername=_DRIVER)


def connect_args(url: URL) -> dict[str, Any]:
    """Return what `create_engine(connect_args=…)` needs for every connection of ours.

    Text is UTF-8 whatever `PGCLIENTENCODING` says, instants are UTC, and silence is noticed on both sides. `options` of
    the address are kept; where both name a setting, ours counts.
    """
    given = url.query.get("options", ())
    options = [given] if isinstance(given, str) else list(given)
    options += [f"-c {name}={value}" for name, value in _SERVER_OPTIONS.items()]
    return {**_CLIENT_LIMITS, "client_encoding": "utf8", "options": " ".join(options)}
