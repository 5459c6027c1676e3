"""The connections that the log is followed on: few, kept, and broken off when the server behind them has fallen silent.

A router that forgets a connection, or a host that is gone, says nothing: whoever waits for an answer waits for hours. Whether a
server is silent or only busy is told by asking another connection whether it still works on what it was asked.
"""

import os
import socket
import threading
from contextlib import AbstractContextManager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from bidbeacon_sessions.change_log import list_working
from bidbeacon_sessions.database import connect_args

_Driver = psycopg.Connection[Any]


class LogConnections:
    """A small pool of its own beside the store's, for use by several threads.

    Args:
        engine: on the same database; only its address is used.
    """

    def __init__(self, engine: Engine) -> None:
        url = engine.url.set(drivername="postgresql+psycopg")
        self._engine = create_engine(url, pool_size=2, max_overflow=4, connect_args=connect_args(url))
        self._asking = create_engine(url, poolclass=NullPool, connect_args=connect_args(url))
        self._used: dict[ConnectionPoolEntry, _Driver] = {}
        self._lock = threading.Lock()
        event.listen(self._engine, "checkout", self._note_checkout)
        event.listen(self._engine, "checkin", self._note_checkin)

    def begin(self) -> AbstractContextManager[Connection]:
        """Open a transaction."""
        return self._engine.begin()

    def break_off_silent(self) -> int:
        """Break off those connections that are waited on though their server works on nothing for them; give how many."""
        waiting = {driver.info.backend_pid: driver for driver in self._list_used() if _is_waited_on(driver)}
        silent = waiting.keys() - self._list_working(list(waiting))
        return sum(_shut_down(waiting[pid]) for pid in silent)

    def close(self) -> None:
        """Break off whatever is waited on, and close the others."""
        for driver in self._list_used():
            _shut_down(driver)
        self._engine.dispose()

    def _list_used(self) -> list[_Driver]:
        with self._lock:
            return [driver for driver in self._used.values() if not driver.closed]

    def _list_working(self, pids: list[int]) -> set[int]:
        """Ask on a connection made for it; a server that does not answer that one either works on nothing for us."""
        try:
            with self._asking.connect() as connection:
                return list_working(connection, pids)
        except SQLAlchemyError:
            return set()

    def _note_checkout(self, driver: _Driver, entry: ConnectionPoolEntry, _: object) -> None:
        with self._lock:
            self._used[entry] = driver

    def _note_checkin(self, _: _Driver | None, entry: ConnectionPoolEntry) -> None:
        with self._lock:
            self._used.pop(entry, None)


def _is_waited_on(driver: _Driver) -> bool:
    return driver.info.transaction_status is TransactionStatus.ACTIVE


def _shut_down(driver: _Driver) -> bool:
    """Make whoever waits on a connection see that it is broken; give False where it was closed meanwhile."""
    try:
        with socket.socket(fileno=os.dup(driver.fileno())) as shared:
            shared.shutdown(socket.SHUT_RDWR)
    except (psycopg.Error, OSError):
        return False
    return True
