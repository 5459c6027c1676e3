"""A writing process: sessions by transactions of every kind, and its own list of what the server acknowledged.

`python writing_program.py '{"url": …, "journal": …, "seed": 1, "job": …, "sessions": 2, "actions":
30, "wait": 0.05}'`. The journal is written around each commit, so that it is right up to the
instruction at which the process is killed.
"""

import json
import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.exc import DBAPIError

from bidbeacon_sessions.writes import (
    NewAction,
    NewSession,
    close_session,
    insert_action,
    insert_session,
)

KINDS = {
    "plain": 55,
    "undone": 10,
    "savepoint": 15,
    "late": 10,
    "prepared": 7,
    "prepared_undone": 3,
}
AWAY_SECONDS = 0.1


@dataclass(frozen=True)
class Deferred:
    """A transaction that ends when its session has come to some later action."""

    due: int
    end: Callable[[], None]


class Writer:
    """Writes sessions one after the other, each with several transactions open at once."""

    def __init__(self, options: dict[str, Any]) -> None:
        url = make_url(options["url"]).set(drivername="postgresql+psycopg")
        self._engine = create_engine(
            url, pool_size=8, max_overflow=20, pool_use_lifo=True, isolation_level="AUTOCOMMIT"
        )
        self._journal = os.open(options["journal"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._chance = random.Random(options["seed"])
        self._options = options
        self._session = uuid4()
        self._ord = 0
        self._deferred: list[Deferred] = []

    def run(self) -> None:
        """Write them all."""
        for _ in range(self._options["sessions"]):
            self._open()
            while self._ord < self._options["actions"]:
                [kind] = self._chance.choices(list(KINDS), list(KINDS.values()))
                getattr(self, f"_{kind}")()
                self._end_deferred(self._ord)
            self._end_deferred(sys.maxsize)
            self._close()

    def _open(self) -> None:
        self._session, self._ord = uuid4(), 0
        new = NewSession(
            id=self._session, job_name=self._options["job"], started_at=datetime.now(UTC)
        )
        self._until_acknowledged(lambda connection: insert_session(connection, new))

    def _close(self) -> None:
        end = datetime.now(UTC)
        self._until_acknowledged(
            lambda connection: close_session(
                connection, self._session, status="succeeded", finished_at=end
            )
        )

    def _until_acknowledged(self, write: Callable[[Connection], Any]) -> None:
        """Do it again until the server says that it is done; a second time changes nothing."""
        while True:
            connection = self._begin()
            try:
                write(connection)
            except DBAPIError:
                _drop(connection)
            else:
                if self._commit(connection, 0):
                    return

    def _plain(self) -> None:
        connection, place = self._begin(), self._next()
        if self._write(connection, place):
            self._pause()
            self._commit(connection, place)

    def _undone(self) -> None:
        connection, place = self._begin(), self._next()
        if self._write(connection, place):
            self._pause()
            self._note("undone", place)
            _let_go(connection)

    def _savepoint(self) -> None:
        connection, kept, undone = self._begin(), self._next(), self._next()
        if not self._write(connection, kept, savepoint="kept"):
            return
        if self._write(connection, undone, savepoint="undone"):
            try:
                connection.exec_driver_sql("ROLLBACK TO undone")
            except DBAPIError:
                self._give_up(connection, kept)
            else:
                self._note("undone", undone)
                self._commit(connection, kept)
        else:
            self._note("undone", kept)

    def _late(self) -> None:
        connection, place = self._begin(), self._next()
        if self._write(connection, place):
            self._defer(lambda: self._commit(connection, place))

    def _prepared(self) -> None:
        self._prepare("COMMIT", "acknowledged")

    def _prepared_undone(self) -> None:
        self._prepare("ROLLBACK", "undone")

    def _prepare(self, end: str, outcome: str) -> None:
        connection, place = self._begin(), self._next()
        if not self._write(connection, place):
            return
        name = f"{self._session}-{place}"
        self._note("tried", place)
        try:
            connection.exec_driver_sql(f"PREPARE TRANSACTION '{name}'")
        except DBAPIError:
            _drop(connection)
            return
        _let_go(connection)
        self._defer(lambda: self._end_prepared(f"{end} PREPARED '{name}'", place, outcome))

    def _end_prepared(self, statement: str, place: int, outcome: str) -> None:
        connection = self._connect()
        try:
            connection.exec_driver_sql(statement)
        except DBAPIError:
            _drop(connection)
            return
        self._note(outcome, place)
        _let_go(connection)

    def _next(self) -> int:
        self._ord += 1
        return self._ord

    def _pause(self) -> None:
        threading.Event().wait(self._chance.uniform(0, self._options["wait"]))

    def _defer(self, end: Callable[[], Any]) -> None:
        self._deferred.append(Deferred(self._ord + self._chance.randint(1, 6), end))

    def _end_deferred(self, upto: int) -> None:
        due = [deferred for deferred in self._deferred if deferred.due <= upto]
        self._deferred = [deferred for deferred in self._deferred if deferred.due > upto]
        for deferred in due:
            deferred.end()

    def _connect(self) -> Connection:
        """Connect, however long the server is away; whoever started this process kills it when it has waited long enough."""
        while True:
            try:
                return self._engine.connect()
            except DBAPIError:
                threading.Event().wait(AWAY_SECONDS)

    def _begin(self) -> Connection:
        while True:
            connection = self._connect()
            try:
                connection.exec_driver_sql("BEGIN")
            except DBAPIError:
                _drop(connection)
            else:
                return connection

    def _write(self, connection: Connection, place: int, savepoint: str | None = None) -> bool:
        """Write an action; where the connection breaks, nothing of its transaction comes true."""
        payload = {"n": place, "said": "x" * self._chance.randint(0, 200)}
        action = NewAction(
            ord=place,
            type="thing-done",
            tone="neutral",
            at=datetime.now(UTC),
            payload=payload,
        )
        try:
            if savepoint is not None:
                connection.exec_driver_sql(f"SAVEPOINT {savepoint}")
            assert insert_action(connection, self._session, action)
        except DBAPIError:
            self._give_up(connection, place)
            return False
        return True

    def _give_up(self, connection: Connection, place: int) -> None:
        self._note("undone", place)
        _drop(connection)

    def _commit(self, connection: Connection, place: int) -> bool:
        self._note("tried", place)
        try:
            connection.exec_driver_sql("COMMIT")
        except DBAPIError:
            _drop(connection)
            return False
        self._note("acknowledged", place)
        _let_go(connection)
        return True

    def _note(self, outcome: str, place: int) -> None:
        os.write(self._journal, f"{json.dumps([str(self._session), place, outcome])}\n".encode())


def _drop(connection: Connection) -> None:
    """Give up a connection that is broken, or whose transaction is."""
    connection.invalidate()
    connection.close()


def _let_go(connection: Connection) -> None:
    """Give a connection back, without what is open on it."""
    with suppress(DBAPIError):
        connection.close()


if __name__ == "__main__":
    Writer(json.loads(sys.argv[1])).run()
