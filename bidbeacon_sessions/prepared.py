"""Statements that are sent very often: prepared once on each connection, and sent with the least that a round trip needs.

The driver's `execute` makes a cursor, reads the statement and looks for types anew each time: three quarters of what a small statement
costs its process. Here libpq gets values as text; whether a statement is sent so or in the usual way makes no other difference.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import generators, pq
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName, error_from_result


@dataclass(frozen=True)
class Statement:
    """A statement with `$1`, `$2` … for its values, each cast to its type.

    Attributes:
        name: what the server calls it.
        sql: its text.
    """

    name: bytes
    sql: bytes


class PreparedConnection:
    """A connection of the driver that commits by itself, with the statements it has prepared."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._prepared: set[Statement] = set()

    def find_value(self, statement: Statement, values: Sequence[bytes | None]) -> bytes | None:
        """Send a statement and wait for its answer, as the driver waits: an interrupt cancels it. Give its first value, as text.

        Raises:
            psycopg.Error: what the driver would raise.
        """
        answer = self._send(statement, values)
        return answer.get_value(0, 0) if answer.ntuples else None

    def count_written(self, statement: Statement, values: Sequence[bytes | None]) -> int:
        """Send one in the same way, and give how many rows it wrote.

        Raises:
            psycopg.Error: what the driver would raise.
        """
        return self._send(statement, values).command_tuples or 0

    def _send(self, statement: Statement, values: Sequence[bytes | None]) -> pq.abc.PGresult:
        try:
            return self._send_prepared(statement, values)
        except InvalidSqlStatementName:
            self._prepared.clear()  # a pool on the way, or the driver itself, has dropped what was prepared
            return self._send_prepared(statement, values)

    def _send_prepared(self, statement: Statement, values: Sequence[bytes | None]) -> pq.abc.PGresult:
        if statement not in self._prepared:
            self._prepare(statement)
        self._connection.pgconn.send_query_prepared(statement.name, values)
        return self._answer()

    def _prepare(self, statement: Statement) -> None:
        self._connection.pgconn.send_prepare(statement.name, statement.sql)
        with suppress(
            DuplicatePreparedStatement
        ):  # prepared already, when an interrupt kept us from hearing it
            self._answer()
        self._prepared.add(statement)

    def _answer(self) -> pq.abc.PGresult:
        answer: pq.abc.PGresult
        [answer] = self._connection.wait(generators.execute(self._connection.pgconn))
        if answer.status not in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK}:
            raise error_from_result(answer)
        return answer
