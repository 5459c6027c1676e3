"""Metadata of assets that are tables or views: address, column schema, owners."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableSchema, TableSchemaMetadataValue
from sqlalchemy import URL, Column, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ArgumentError

from bidbeacon_pipelines.dev.errors import DatabaseUnavailableError
from bidbeacon_pipelines.dev.postgres import resolve_database_url
from bidbeacon_pipelines.settings import get_settings

OWNER = "team:advertising"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def place_metadata(name: str) -> dict[str, Any]:
    """Return where a table or view lies: its name with its schema, and its URI, which has neither user nor password.

    Without a database, as where somebody only lists the definitions, there is no URI.
    """
    place: dict[str, Any] = {"dagster/table_name": name}
    database = _database_uri()
    return place if database is None else place | {"dagster/uri": f"{database}/{name.replace('.', '/')}"}


@cache
def _database_uri() -> str | None:
    """Return the database's URI, for as long as this process runs."""
    try:
        url = make_url(resolve_database_url(get_settings()))
    except (DatabaseUnavailableError, ArgumentError):
        return None
    shown = URL.create("postgresql", host=url.host or "localhost", port=url.port, database=url.database)
    return shown.render_as_string()


def column_schema(columns: Iterable[Any]) -> TableSchemaMetadataValue:
    """Return the columns of a table (of SQLAlchemy) with types and descriptions."""
    return MetadataValue.table_schema(TableSchema(columns=[_column(one) for one in columns]))


def _column(column: Column[Any]) -> TableColumn:
    kind = column.type.compile(dialect=_DIALECT).partition(" COLLATE")[0]
    return TableColumn(
        name=column.name,
        type=kind.lower(),
        description=column.comment,
        tags={"key": ""} if column.primary_key else {},
        constraints=TableColumnConstraints(nullable=bool(column.nullable)),
    )
