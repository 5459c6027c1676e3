"""Reads mapped rows."""

from typing import TypeVar

from sqlalchemy import Connection, Select
from sqlalchemy.orm import Session

Row = TypeVar("Row")


def read_rows(connection: Connection, statement: Select[Row]) -> list[Row]:
    """Return the rows of a statement as objects of their mapped class, detached from it."""
    with Session(connection, join_transaction_mode="rollback_only") as session:
        return list(session.scalars(statement))
