"""Engines on the product's database: psycopg 3, UTC sessions."""

from functools import cache

from sqlalchemy import Engine, create_engine, make_url

# A statement whose client was killed is noticed within two seconds, not at its end: the locks it holds block the next run.
_OPTIONS = "-c timezone=UTC -c client_connection_check_interval=2000"


def make_engine(database_url: str, *, pool_size: int = 3) -> Engine:
    """Make an engine on `postgresql://…`; the caller disposes of it."""
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_pre_ping=True,
        connect_args={"options": _OPTIONS},
    )


@cache
def shared_engine(database_url: str) -> Engine:
    """Give this process's engine for a database."""
    return make_engine(database_url)
