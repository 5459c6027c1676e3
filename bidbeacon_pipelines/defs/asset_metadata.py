"""Metadata of assets that are tables or views: address, column schema, owners."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from dagster import (
    MetadataValue,
    TableColumn,
    TableColumnConstraints,
    TableSchema,
    TableSchemaMetadataValue,
)
from sqlalchemy import URL, Column, make_url
from sqlalchemy.exc import ArgumentError

from bidbeacon_pipelines.database.address import find_database
from bidbeacon_pipelines.database.errors import DatabaseUnavailableError
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.dataset_tables import TAGS
from bidbeacon_pipelines.store.report_views import ReportView, name_type

OWNER = "team:advertising"


def place_metadata(name: str) -> dict[str, Any]:
    """Return the location of a table or view: its qualified name, and its URI without user and password.

    Without a database, as when only definitions are listed, there is no URI.
    """
    place: dict[str, Any] = {"dagster/table_name": name}
    database = _database_uri()
    return (
        place
        if database is None
        else place | {"dagster/uri": f"{database}/{name.replace('.', '/')}"}
    )


@cache
def _database_uri() -> str | None:
    """Return the database's URI, for as long as this process runs."""
    try:
        url = make_url(find_database(get_settings()))
    except (DatabaseUnavailableError, ArgumentError):
        return None
    shown = URL.create(
        "postgresql", host=url.host or "localhost", port=url.port, database=url.database
    )
    return shown.render_as_string()


def column_schema(columns: Iterable[Any]) -> TableSchemaMetadataValue:
    """Return the columns of a table (of SQLAlchemy) with types, descriptions, and the registry's words on how they may be used."""
    return MetadataValue.table_schema(TableSchema(columns=[_column(column) for column in columns]))


def view_schema(view: ReportView) -> TableSchemaMetadataValue:
    """Return the columns of a view, as `column_schema` does those of a table."""
    columns = [
        TableColumn(
            column.name,
            type=column.type,
            description=column.description,
            tags=dict.fromkeys(column.tags, ""),
        )
        for column in view.columns
    ]
    return MetadataValue.table_schema(TableSchema(columns=columns))


def _column(column: Column[Any]) -> TableColumn:
    key = ("key",) if column.primary_key else ()
    return TableColumn(
        name=column.name,
        type=name_type(column),
        description=column.comment,
        tags=dict.fromkeys((*key, *column.info.get(TAGS, ())), ""),
        constraints=TableColumnConstraints(nullable=bool(column.nullable)),
    )
