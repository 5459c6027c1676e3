"""Assets that no run materializes: Amazon as the source, and the analysts' views.

Asset B depends on asset A only if rows of B depend on rows of A. It is not enough that both have
rows of the same account.
"""

from collections.abc import Sequence

import dagster as dg

from bidbeacon_pipelines.datasets.registry import (
    DAILY_CAMPAIGNS,
    DATASETS,
    HOURLY_CAMPAIGNS,
    Dataset,
)
from bidbeacon_pipelines.defs.asset_metadata import OWNER, view_metadata
from bidbeacon_pipelines.entities.tables import Ad, AdGroup, Campaign, Portfolio, Target
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.views import ACCOUNT_DAYS_VIEW, REPORT_VIEWS, list_joined_entities

ENTITY_TABLES = {
    entity.__tablename__: entity.__table__ for entity in (Campaign, AdGroup, Ad, Target, Portfolio)
}
"""The tables of entities by name. An asset has the same name as its table."""

AMAZON_ADS = dg.AssetSpec(
    "amazon_ads",
    group_name="amazon",
    kinds={"api"},
    tags={"grain": "api"},
    owners=[OWNER],
    description="Amazon Ads, the source of everything here: accounts, their entities and reports, "
    "by its API; or the sandbox.",
    metadata={"event_stream": dg.MetadataValue.url(get_settings().stream_public_url)},
)


def entities_behind(dataset: Dataset) -> list[str]:
    """Return the assets of the entities on which a dataset's rows depend.

    Campaigns determine which ad products are requested, and whether a report may be empty. Targets
    determine the target ids of rows. Names of entities do not count: only views join them to rows.
    """
    return ["campaigns", "targets"] if dataset.names_targets else ["campaigns"]


def _view_spec(name: str, tables: Sequence[str], grain: str) -> dg.AssetSpec:
    view = _VIEWS[name]
    return dg.AssetSpec(
        ["reports", name],
        group_name="analysis",
        kinds={"postgres", "view"},
        tags={"grain": grain},
        owners=[OWNER],
        description=(
            f"{view.description} For analysts. This is a view, so it is always as fresh as its "
            "table and needs no runs. The asset of the table shows how fresh the table is, and "
            f"its last events: `{tables[0]}`."
        ),
        deps=tables,
        metadata=view_metadata(view),
    )


_VIEWS = {view.name: view for view in REPORT_VIEWS}
_OF_ACCOUNT_DAYS = [DAILY_CAMPAIGNS.name, HOURLY_CAMPAIGNS.name]

# Every view reads the accounts: they are left out of its dependencies.
VIEWS = [
    *(
        _view_spec(one.name, [one.name, *list_joined_entities(one)], one.grain)
        for one in DATASETS.values()
    ),
    *(_view_spec(name, [name], name.removesuffix("s")) for name in ENTITY_TABLES),
    _view_spec(ACCOUNT_DAYS_VIEW.name, _OF_ACCOUNT_DAYS, "day"),
]
