"""Short ways to read what is stored."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, text

P = ParamSpec("P")
T = TypeVar("T")


def column(engine: Engine, statement: str, **values: Any) -> list[Any]:
    """Return the first column of a query's rows."""
    with engine.begin() as connection:
        return list(connection.execute(text(statement), values).scalars())


def value(engine: Engine, statement: str, **values: Any) -> Any:
    """Return the only value of a query with one row."""
    [found] = column(engine, statement, **values)
    return found


def tuples(engine: Engine, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(text(statement), values)]


def call(
    engine: Engine,
    function: Callable[Concatenate[Connection, P], T],
    *arguments: P.args,
    **options: P.kwargs,
) -> T:
    """Call a function of the product in a transaction of its own, which ends before the result is read."""
    with engine.begin() as connection:
        return function(connection, *arguments, **options)
