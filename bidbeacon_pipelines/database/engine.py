"""Engines on the product's database (psycopg 3, UTC sessions), and the errors of a database."""

from functools import cache

from sqlalchemy import Engine, create_engine

from bidbeacon_sessions.connections import connect_args, parse_database_url
from bidbeacon_sessions.errors import UsageError


class DatabaseUnavailableError(UsageError):
    """The database can't be used; each message is one line with advice."""


def first_line(error: Exception) -> str:
    """Return PostgreSQL's message, without the statement and values that SQLAlchemy adds."""
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]


def make_engine(database_url: str, *, pool_size: int = 3) -> Engine:
    """Make an engine on `postgresql://…`; the caller disposes of it."""
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
    """Return the engine that this process shares for a database."""
    return make_engine(database_url)
