"""A database's sessions: its connections for work, and those that append."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, cast
from weakref import WeakKeyDictionary

import msgspec
import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from bidbeacon_sessions.connections import connect_args, name_connections, parse_database_url

_IDLE_SECONDS = 1.0
_USED_AT = "used_at"


class SessionStore:
    """The sessions of one database.

    Args:
        engine: an SQLAlchemy engine on PostgreSQL with the psycopg 3 driver; the store only borrows
            it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._appending = _appending_on(engine)

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

    @contextmanager
    def each(self) -> Iterator[Connection]:
        """Open a connection on which each statement is a transaction of its own: one round trip, also for its commit."""
        with self._appending.connect() as connection:
            yield connection

    @contextmanager
    def appending(self) -> Iterator[psycopg.Connection[Any]]:
        """Open the driver's connection behind one of `each`, for the few statements that are sent very often."""
        pooled = self._appending.raw_connection()
        try:
            yield cast("psycopg.Connection[Any]", pooled.driver_connection)
        except psycopg.OperationalError:
            pooled.invalidate()
            raise
        finally:
            pooled.close()

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
        self._appending.dispose()
        self.engine.dispose()


_appending: WeakKeyDictionary[Engine, Engine] = WeakKeyDictionary()
_making = threading.Lock()


def _appending_on(engine: Engine) -> Engine:
    """Return the engine on which all stores on `engine` append: each statement commits by itself, and nothing is sent between two."""
    with _making:
        if engine not in _appending:
            _appending[engine] = _make_appending(engine)
        return _appending[engine]


def _make_appending(engine: Engine) -> Engine:
    appending = create_engine(
        engine.url.set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=2,  # one for the recorder, one for the heartbeat
        max_overflow=6,
        pool_use_lifo=True,
        pool_reset_on_return=None,
        connect_args=connect_args(engine.url),
    )
    event.listen(appending, "checkin", _note_use)
    event.listen(appending, "checkout", _ping_after_a_pause)
    for each in (engine, appending):
        name_connections(each)
    return appending


def _note_use(_: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _ping_after_a_pause(
    connection: DBAPIConnection, record: ConnectionPoolEntry, _: object
) -> None:
    """Ask whether a connection still lives only where it lay idle: in the middle of work this would double what an append costs."""
    if time.monotonic() - record.info.get(_USED_AT, time.monotonic()) < _IDLE_SECONDS:
        return
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
    except psycopg.Error as error:
        raise DisconnectionError from error
