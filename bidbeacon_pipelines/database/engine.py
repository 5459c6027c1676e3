"""Engines for the database of BidBeacon (psycopg 3, UTC), and database errors."""

from functools import cache

from sqlalchemy import Engine, create_engine

from bidbeacon_sessions.connections import connect_args, parse_database_url
from bidbeacon_sessions.errors import UsageError


class DatabaseUnavailableError(UsageError):
    """The database can't be used. The message is one line that also says what to do."""


def first_line(error: Exception) -> str:
    """Return the first line of PostgreSQL's message, without SQLAlchemy's additions."""
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]


def make_engine(database_url: str, *, pool_size: int = 3) -> Engine:
    """Make an engine for an address `postgresql://…`; the caller disposes of the engine."""
    url = parse_database_url(database_url)
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_pre_ping=True,
        connect_args=connect_args(url),
    )


@cache
def shared_engine(database_url: str) -> Engine:
    """Return the one engine that all code in this process shares for a database."""
    return make_engine(database_url)
