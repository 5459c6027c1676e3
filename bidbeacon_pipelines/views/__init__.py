"""The analysts' views in the schema `reports`: datasets, days, restatements, entities."""

from collections.abc import Iterable
from typing import cast

from sqlalchemy import Table

from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.entities.tables import Ad, AdGroup, Campaign, Portfolio, Target
from bidbeacon_pipelines.views.datasets import COMMON_COLUMNS, list_joined_entities, make_view
from bidbeacon_pipelines.views.days import (
    ACCOUNT_DAYS,
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
    ViewColumn,
    name_type,
    own_column,
)

__all__ = [
    "ACCOUNT_DAYS",
    "ACCOUNT_DAYS_VIEW",
    "COMMON_COLUMNS",
    "DAYS_VIEW",
    "REPORT_DAYS_VIEW",
    "REPORT_VIEWS",
    "RESTATEMENTS_VIEW",
    "SCHEMA",
    "ReportView",
    "ViewColumn",
    "list_joined_entities",
    "make_views",
    "name_type",
]

_ENTITIES: tuple[type[PipelinesBase], ...] = (Portfolio, Campaign, AdGroup, Ad, Target)


def _make_entity_view(table: Table) -> ReportView:
    own = [column for column in table.columns if column.name not in {"account_id", "country_code"}]
    return ReportView(
        name=table.name,
        description=f"{table.comment}.",
        columns=(*ACCOUNT_COLUMNS, *map(own_column, own)),
        source=f"{table.name} t{OF_ACCOUNT}",
    )


def make_views(datasets: Iterable[Dataset]) -> tuple[ReportView, ...]:
    """Return all views of the schema `reports` in an order in which they can be created."""
    return (
        *map(make_view, datasets),
        *(_make_entity_view(cast("Table", entity.__table__)) for entity in _ENTITIES),
        RESTATEMENTS_VIEW,
        ACCOUNT_DAYS_VIEW,
        DAYS_VIEW,
        REPORT_DAYS_VIEW,
    )


REPORT_VIEWS = make_views(ALL_DATASETS)
