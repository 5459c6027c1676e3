"""The sessions of one database, and the connections to it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import msgspec
import psycopg
from sqlalchemy import Connection, Engine, create_engine, text

from bidbeacon_sessions.connections import connect_args, name_connections, parse_database_url


class SessionStore:
    """The sessions of one database.

    Args:
        engine: an SQLAlchemy engine on PostgreSQL with the psycopg 3 driver; the store only borrows
            it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        name_connections(engine)

    @classmethod
    def connect(cls, database_url: str) -> "SessionStore":
        """Make a store with a small pool of its own on `postgresql://…`."""
        url = parse_database_url(database_url)
        return cls(
            create_engine(
                url,
                pool_size=2,
                max_overflow=6,
                pool_pre_ping=True,
                connect_args=connect_args(url),
                json_deserializer=msgspec.json.decode,
            )
        )

    def begin(self) -> AbstractContextManager[Connection]:
        """Open a transaction."""
        return self.engine.begin()

    def open_connection(self) -> psycopg.Connection[Any]:
        """Open a driver's connection outside of the pool, on which each statement commits by itself."""
        pooled = self.engine.raw_connection()
        driver = cast("psycopg.Connection[Any]", pooled.driver_connection)
        pooled.detach()
        driver.autocommit = True
        return driver

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a read-only transaction whose statements all see the same moment of the database."""
        with self.engine.connect() as connection:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            yield connection.execution_options(**options)

    def ping(self) -> None:
        """Have the database answer, whatever it holds.

        Raises:
            SQLAlchemyError: it does not.
        """
        with self.begin() as connection:
            connection.execute(text("SELECT 1"))

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()
