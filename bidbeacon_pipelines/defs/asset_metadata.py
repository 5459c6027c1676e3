"""Metadata of assets that are tables or views: address, column schema, owners."""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from sqlalchemy import URL, Column

from bidbeacon_pipelines.datasets.dataset_tables import TAGS
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.views import ReportView, ViewColumn, name_type
from bidbeacon_sessions.connections import parse_database_url

OWNER = "team:advertising"


def table_metadata(table: str, columns: Iterable[Any]) -> dict[str, Any]:
    """Return a table's Dagster metadata: address, and columns with type, description, tags.

    The address is omitted if no database is set, for example when definitions are only listed.
    """
    return _metadata(f"public.{table}", [_table_column(column) for column in columns])


def view_metadata(view: ReportView) -> dict[str, Any]:
    """Return a view's Dagster metadata: address, and columns with type, description, tags."""
    return _metadata(view.full_name, [_view_column(column) for column in view.columns])


def _metadata(name: str, columns: list[dg.TableColumn]) -> dict[str, Any]:
    schema = dg.MetadataValue.table_schema(dg.TableSchema(columns=columns))
    found: dict[str, Any] = {"dagster/table_name": name, "dagster/column_schema": schema}
    address = get_settings().database_url
    if address is None:
        return found
    url = parse_database_url(address.get_secret_value())
    shown = URL.create(
        "postgresql", host=url.host or "localhost", port=url.port, database=url.database
    )  # without user and password
    return found | {"dagster/uri": f"{shown.render_as_string()}/{name.replace('.', '/')}"}


def _table_column(column: Column[Any]) -> dg.TableColumn:
    key = ("key",) if column.primary_key else ()
    return dg.TableColumn(
        name=column.name,
        type=name_type(column),
        description=column.comment,
        tags=dict.fromkeys((*key, *column.info.get(TAGS, ())), ""),
        constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
    )


def _view_column(column: ViewColumn) -> dg.TableColumn:
    return dg.TableColumn(
        name=column.name,
        type=column.type,
        description=column.description,
        tags=dict.fromkeys(column.tags, ""),
    )
