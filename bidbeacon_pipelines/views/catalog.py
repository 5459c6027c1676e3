"""All views of schema `reports`: the statements that create them, and those that a database has."""

from collections.abc import Iterable
from itertools import chain
from typing import Any, cast

from sqlalchemy import Connection, Table, text

from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.entities.tables import Ad, AdGroup, Campaign, Portfolio, Target
from bidbeacon_pipelines.views.datasets import make_view
from bidbeacon_pipelines.views.days import (
    ACCOUNT_DAYS_VIEW,
    DAYS_VIEW,
    REPORT_DAYS_VIEW,
    RESTATEMENTS_VIEW,
)
from bidbeacon_pipelines.views.view import (
    ACCOUNT_COLUMNS,
    OF_ACCOUNT,
    SCHEMA,
    ReportView,
    own_column,
)

CREATE_SCHEMA = f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"
_ENTITIES: tuple[type[PipelinesBase], ...] = (Portfolio, Campaign, AdGroup, Ad, Target)


def _make_entity_view(table: Table) -> ReportView:
    """Return the view of a kind of entity: all of its columns, with the account's key and name in place of Amazon's id."""
    own = [column for column in table.columns if column.name not in {"account_id", "country_code"}]
    return ReportView(
        name=table.name,
        description=f"{table.comment}.",
        columns=(*ACCOUNT_COLUMNS, *map(own_column, own)),
        source=f"{table.name} t{OF_ACCOUNT}",
    )


def make_views(datasets: Iterable[Dataset]) -> tuple[ReportView, ...]:
    """Return every view of the schema, in the order in which they can be created."""
    return (
        *map(make_view, datasets),
        *(_make_entity_view(cast("Table", entity.__table__)) for entity in _ENTITIES),
        RESTATEMENTS_VIEW,
        ACCOUNT_DAYS_VIEW,
        DAYS_VIEW,
        REPORT_DAYS_VIEW,
    )


REPORT_VIEWS = make_views(ALL_DATASETS)


def create_statements(views: Iterable[ReportView] = REPORT_VIEWS) -> list[str]:
    """Return the statements that create the schema and its views."""
    return [CREATE_SCHEMA, *chain.from_iterable(view.statements for view in views)]


_STORED = text("""
    SELECT v.relname AS name, pg_get_viewdef(v.oid) AS definition, obj_description(v.oid) AS comment,
           (SELECT jsonb_agg(jsonb_build_array(c.attname, format_type(c.atttypid, c.atttypmod), col_description(v.oid, c.attnum)) ORDER BY c.attnum)
              FROM pg_attribute c WHERE c.attrelid = v.oid AND c.attnum > 0) AS columns
      FROM pg_class v WHERE v.relkind = 'v' AND v.relnamespace = to_regnamespace(:schema)""")


def read_views(connection: Connection) -> dict[str, Any]:
    """Return the views that the database's schema has, by name: definition, comment, and the columns with type and comment."""
    rows = connection.execute(_STORED, {"schema": SCHEMA}).mappings()
    return {row["name"]: dict(row) for row in rows}
