"""Metadata of assets that are tables or views: address, column schema, owners."""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from sqlalchemy import URL, Column

from bidbeacon_pipelines.datasets.dataset_tables import TAGS
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.views import ReportView, name_type
from bidbeacon_sessions.connections import parse_database_url

OWNER = "team:advertising"


def place_metadata(name: str) -> dict[str, Any]:
    """Return the qualified name of a table or view and its URI without user and password.

    There is no URI if the settings have no database, as when definitions are only listed.
    """
    place: dict[str, Any] = {"dagster/table_name": name}
    address = get_settings().database_url
    if address is None:
        return place
    url = parse_database_url(address.get_secret_value())
    shown = URL.create(
        "postgresql", host=url.host or "localhost", port=url.port, database=url.database
    )
    return place | {"dagster/uri": f"{shown.render_as_string()}/{name.replace('.', '/')}"}


def column_schema(columns: Iterable[Any]) -> dg.TableSchemaMetadataValue:
    """Return columns of SQLAlchemy with types, descriptions and the registry's tags."""
    return dg.MetadataValue.table_schema(
        dg.TableSchema(columns=[_column(column) for column in columns])
    )


def view_schema(view: ReportView) -> dg.TableSchemaMetadataValue:
    """Return the columns of a view with types, descriptions and tags."""
    columns = [
        dg.TableColumn(
            column.name,
            type=column.type,
            description=column.description,
            tags=dict.fromkeys(column.tags, ""),
        )
        for column in view.columns
    ]
    return dg.MetadataValue.table_schema(dg.TableSchema(columns=columns))


def _column(column: Column[Any]) -> dg.TableColumn:
    key = ("key",) if column.primary_key else ()
    return dg.TableColumn(
        name=column.name,
        type=name_type(column),
        description=column.comment,
        tags=dict.fromkeys((*key, *column.info.get(TAGS, ())), ""),
        constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
    )
