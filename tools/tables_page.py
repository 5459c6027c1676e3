"""The page of tables: `python -m tools.tables_page` prints it."""

import inspect
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy.dialects import postgresql

from bidbeacon_pipelines.tables import PipelinesBase
from bidbeacon_sessions.tables import SessionsBase

_HEAD = """# Tables

Printed from the tables' classes by `make docs`; a test compares them.

BidBeacon's tables are in the schema `public`. Analysts read the views of the schema `reports`: the
[data dictionary](data-dictionary.md) describes them. Dagster's own tables are in the schema
`dagster`. The table of a dataset has the dataset's name.

A column that ends in `_at` is an instant in UTC. A column that ends in `_date` is a day of the
account's own calendar. Ids are text. Amounts are in the row's currency.
"""
_DIALECT = postgresql.dialect()


def make_page() -> str:
    """Return the page as Markdown with a final newline."""
    return "\n".join([_HEAD, *_of_package(PipelinesBase), *_of_package(SessionsBase)])


def _of_package(base: Any) -> Iterator[str]:
    """Yield the sections of a package's tables, by module, in the order of their files."""
    classes = sorted((mapper.class_ for mapper in base.registry.mappers), key=_place)
    for module, tables in groupby(classes, lambda one: one.__module__):
        yield f"## `{module.removesuffix('.tables')}`\n"
        for table in tables:
            yield from _section(table)


def _section(table: Any) -> Iterator[str]:
    yield f"### `{table.__tablename__}`\n"
    yield f"{inspect.getdoc(table)}\n"
    yield from ("| column | type | null |", "|---|---|---|")
    for column in table.__table__.columns:
        null = "yes" if column.nullable else "no"
        yield f"| `{column.name}` | {column.type.compile(_DIALECT).lower()} | {null} |"
    yield ""


def _place(table: type[Any]) -> tuple[str, int]:
    return table.__module__, inspect.getsourcelines(table)[1]


if __name__ == "__main__":
    print(make_page(), end="")
