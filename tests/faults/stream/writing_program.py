"""A writing process: sessions by transactions of every kind, and its own list of what the server acknowledged.

`python writing_program.py '{"url": …, "journal": …, "seed": 1, "job": …, "sessions": 2, "actions":
30, "wait": 0.05}'`. The journal is written around each commit, so that it is right up to the
instruction at which the process is killed: its last word about a place is `tried`, `acknowledged`
or `undone`.
"""

import json
import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.exc import DBAPIError

from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.writes import close_session
from tests.stream.writing import start_session, write_action

KINDS = {"plain": 55, "undone": 10, "savepoint": 15, "late": 10, "prepared": 7, "given up": 3}
AWAY_SECONDS = 0.1


class Writer:
    """Writes sessions one after the other, each with several transactions open at once."""

    def __init__(self, options: dict[str, Any]) -> None:
        url = make_url(options["url"]).set(drivername="postgresql+psycopg")
        self._engine = create_engine(
            url, pool_size=8, max_overflow=20, pool_pre_ping=True, isolation_level="AUTOCOMMIT"
        )
        self._journal = os.open(options["journal"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._chance = random.Random(options["seed"])
        self._options = options
        self._session: UUID
        self._ord = 0
        self._deferred: list[tuple[int, Callable[[], Any]]] = []

    def run(self) -> None:
        """Write them all."""
        for _ in range(self._options["sessions"]):
            self._ord = 0
            self._until_acknowledged(self._start)
            while self._ord < self._options["actions"]:
                [kind] = self._chance.choices(list(KINDS), list(KINDS.values()))
                self._act(kind)
                self._end_deferred(self._ord)
            self._end_deferred(sys.maxsize)
            self._until_acknowledged(self._close)

    def _start(self, connection: Connection) -> None:
        self._session = start_session(connection, job=self._options["job"])

    def _close(self, connection: Connection) -> None:
        close_session(connection, self._session, status="succeeded", finished_at=utc_now())

    def _until_acknowledged(self, write: Callable[[Connection], Any]) -> None:
        """Do it again until the server says that it is done."""
        is_done = False
        while not is_done:
            connection = self._connect()
            try:
                connection.exec_driver_sql("BEGIN")
                write(connection)
            except DBAPIError:
                _drop(connection)
            else:
                is_done = self._end(connection, "COMMIT", 0, "acknowledged")

    def _act(self, kind: str) -> None:
        """Write an action; where the connection breaks, nothing of its transaction comes true."""
        connection, place = self._connect(), self._next()
        try:
            connection.exec_driver_sql("BEGIN")
            write_action(connection, self._session, place)
            if kind == "savepoint":
                undone = self._next()
                self._note("undone", undone)
                connection.exec_driver_sql("SAVEPOINT undone")
                write_action(connection, self._session, undone)
                connection.exec_driver_sql("ROLLBACK TO undone")
        except DBAPIError:
            self._note("undone", place)
            _drop(connection)
            return
        verb, outcome = "COMMIT", "acknowledged"
        if kind in {"undone", "given up"}:
            verb, outcome = "ROLLBACK", "undone"
        if kind in {"prepared", "given up"}:
            name = f"'{self._session}-{place}'"
            if self._end(connection, f"PREPARE TRANSACTION {name}", place, "tried"):
                statement = f"{verb} PREPARED {name}"
                self._defer(lambda: self._end(self._connect(), statement, place, outcome))
        elif kind == "late":
            self._defer(lambda: self._end(connection, verb, place, outcome))
        else:
            threading.Event().wait(self._chance.uniform(0, self._options["wait"]))
            self._end(connection, verb, place, outcome)

    def _end(self, connection: Connection, statement: str, place: int, outcome: str) -> bool:
        """End a transaction; return whether the server said so, which is noted."""
        self._note("tried", place)
        try:
            connection.exec_driver_sql(statement)
        except DBAPIError:
            _drop(connection)
            return False
        self._note(outcome, place)
        with suppress(DBAPIError):
            connection.close()
        return True

    def _next(self) -> int:
        self._ord += 1
        return self._ord

    def _defer(self, end: Callable[[], Any]) -> None:
        """End a transaction when its session has come to some later action."""
        self._deferred.append((self._ord + self._chance.randint(1, 6), end))

    def _end_deferred(self, upto: int) -> None:
        due = [end for place, end in self._deferred if place <= upto]
        self._deferred = [(place, end) for place, end in self._deferred if place > upto]
        for end in due:
            end()

    def _connect(self) -> Connection:
        """Connect, however long the server is away; whoever started this process kills it when it has waited long enough."""
        while True:
            try:
                return self._engine.connect()
            except DBAPIError:
                threading.Event().wait(AWAY_SECONDS)

    def _note(self, outcome: str, place: int) -> None:
        os.write(self._journal, f"{json.dumps([str(self._session), place, outcome])}\n".encode())


def _drop(connection: Connection) -> None:
    """Give up a connection that is broken, or whose transaction is."""
    connection.invalidate()
    connection.close()


if __name__ == "__main__":
    Writer(json.loads(sys.argv[1])).run()
