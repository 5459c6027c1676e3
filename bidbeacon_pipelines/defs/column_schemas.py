"""Column schemas and the owner of assets in Dagster; the columns are derived from the tables."""

from collections.abc import Iterable
from typing import Any

from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableSchema, TableSchemaMetadataValue
from sqlalchemy import Column
from sqlalchemy.dialects import postgresql

OWNER = "team:advertising"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


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
