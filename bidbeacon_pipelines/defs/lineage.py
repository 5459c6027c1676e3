"""The assets before and behind the datasets that nothing is run for: Amazon, and the views that analysts read.

An arrow from A to B means that rows of B depend on rows of A, not only that both are of one account.
"""

from typing import Any

import dagster as dg

from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset
from bidbeacon_pipelines.defs.asset_metadata import (
    OWNER,
    column_schema,
    place_metadata,
    view_schema,
)
from bidbeacon_pipelines.entities.tables import Ad, AdGroup, Campaign, Portfolio, Target
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.views import REPORT_VIEWS, ReportView, list_joined_entities

ENTITY_TABLES = {
    entity.__tablename__: entity.__table__ for entity in (Campaign, AdGroup, Ad, Target, Portfolio)
}
"""The tables of entities by name; the asset of each has the same name."""

AMAZON_ADS = dg.AssetSpec(
    "amazon_ads",
    group_name="amazon",
    kinds={"api"},
    tags={"grain": "api"},
    owners=[OWNER],
    description="Amazon Ads, the source of everything here: accounts, their entities and reports, by its API; or the sandbox.",
    metadata={"event_stream": dg.MetadataValue.url(get_settings().stream_public_url)},
)


def table_metadata(table: Any) -> dict[str, Any]:
    """Return the place and columns of an asset that is a table (of SQLAlchemy)."""
    return {
        **place_metadata(f"public.{table.name}"),
        "dagster/column_schema": column_schema(table.columns),
    }


def view_metadata(view: ReportView) -> dict[str, Any]:
    """Return the place and columns of an asset that is a view."""
    return {**place_metadata(view.full_name), "dagster/column_schema": view_schema(view)}


def entities_behind(dataset: Dataset) -> list[str]:
    """Return the assets of the entities that a dataset's rows depend on.

    Campaigns say which ad products are asked for, and whether a report without rows can be true.
    Targets give rows that name a target its id. Names are joined by the views.
    """
    return ["campaigns", "targets"] if dataset.names_targets else ["campaigns"]


def _view_spec(view: ReportView) -> dg.AssetSpec:
    """Return the asset of a view."""
    dataset = DATASETS.get(view.name)
    # Its own table comes first; the accounts, which all views read, are left out.
    tables = [dataset.asset_name, *list_joined_entities(dataset)] if dataset else [view.name]
    return dg.AssetSpec(
        ["reports", view.name],
        group_name="analysis",
        kinds={"postgres", "view"},
        tags={"grain": dataset.grain if dataset else view.name.removesuffix("s")},
        owners=[OWNER],
        description=(
            f"{view.description} For analysts; a view, so it is always as fresh as its table, and nothing is run for it: how fresh that is, and what "
            f"was done last, is shown by `{tables[0]}`."
        ),
        deps=tables,
        metadata=view_metadata(view),
    )


VIEWS = [_view_spec(view) for view in REPORT_VIEWS if view.name in {*DATASETS, *ENTITY_TABLES}]
