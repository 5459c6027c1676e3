"""The assets upstream and downstream of the datasets: Amazon, accounts and entities, and the views that analysts read.

Dagster shows these assets and does not materialize them: a sync observes accounts and entities, and a view is always as its tables are.
"""

from collections.abc import Iterable
from typing import Any

from dagster import AssetSpec, MetadataValue

from bidbeacon_pipelines.defs.column_schemas import OWNER, column_schema
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS
from bidbeacon_pipelines.reports.datasets import DATASETS
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.entity_tables import Ad, AdGroup, Campaign, Portfolio, Target
from bidbeacon_pipelines.store.report_views import REPORT_VIEWS, ReportView
from bidbeacon_pipelines.store.tables import AdvertiserAccount

AMAZON_ADS = AssetSpec(
    "amazon_ads",
    group_name="amazon",
    owners=[OWNER],
    description="Amazon Ads, the source of everything here: accounts, their entities and reports, by its API; or the sandbox.",
    metadata={"event_stream": MetadataValue.url(get_settings().stream_public_url)},
)


def _table_spec(table: Any, name: str, description: str, **options: Any) -> AssetSpec:
    """Return the asset of a table that a job keeps as Amazon has it."""
    return AssetSpec(
        name,
        group_name="entities",
        kinds={"postgres"},
        owners=[OWNER],
        description=description,
        metadata={
            "dagster/table_name": f"public.{table.name}",
            "dagster/column_schema": column_schema(table.columns),
        },
        **options,
    )


ACCOUNTS = _table_spec(
    AdvertiserAccount.__table__,
    "accounts",
    "Ads accounts in each of their countries, as `sync_accounts` found them last: name, currency, time zone, status.",
    deps=[AMAZON_ADS],
)
ENTITIES = [
    _table_spec(
        entity.__table__,
        entity.__tablename__,
        f"{entity.__tablename__.replace('_', ' ').capitalize()} of an account, as `sync_ad_entities` found them last.",
        deps=[ACCOUNTS],
        partitions_def=ACCOUNT_PARTITIONS,
    )
    for entity in (Campaign, AdGroup, Ad, Target, Portfolio)
]


def _view_spec(view: ReportView, tables: Iterable[str]) -> AssetSpec:
    """Return the asset of a view."""
    return AssetSpec(
        ["reports", view.name],
        group_name="analysis",
        kinds={"postgres", "view"},
        owners=[OWNER],
        description=view.description,
        deps=list(tables),
        metadata={"dagster/table_name": view.full_name},
    )


_NAMED_BY = ("campaigns", "ad_groups")
VIEWS = [
    _view_spec(view, [DATASETS[view.name].asset_name, *_NAMED_BY])
    if view.name in DATASETS
    else _view_spec(view, ["account_daily_summary"])
    for view in REPORT_VIEWS
    if view.name in DATASETS or view.name == "account_daily_summaries"
]
