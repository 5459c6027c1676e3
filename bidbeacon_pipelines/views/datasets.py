"""The view of a dataset, made from the dataset's registry entry.

Names of campaigns and ad groups are joined from the tables of entities, so they are current. Every
join is an outer join to at most one row, which PostgreSQL omits from queries that do not use it.
"""

from collections.abc import Iterator

from bidbeacon_pipelines.datasets.dataset_tables import columns_of
from bidbeacon_pipelines.datasets.derived import ATTRIBUTION_DAYS, ratios_of
from bidbeacon_pipelines.datasets.fields import DIMENSION_TAGS, Dimension
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.views.view import (
    ACCOUNT_COLUMNS,
    AGE,
    ATTRIBUTION_COLUMN,
    ReportView,
    ViewColumn,
    own_column,
    ratio_column,
    with_age,
)

COMMON_COLUMNS = (
    *("account_key", "account_name", "country_code", "window_date", "ad_product"),
    *(ATTRIBUTION_DAYS, "currency_code", "as_of", "is_final", "is_complete"),
)
"""The columns that the view of every dataset has."""
_LOCAL_HOUR = "CAST(extract(hour FROM t.hour_at AT TIME ZONE a.time_zone) AS integer)"


def make_view(dataset: Dataset) -> ReportView:
    """Return the analysts' view of a dataset."""
    joined = "".join(
        f"\n  LEFT JOIN {entity} {alias} ON {alias}.account_id = a.account_id"
        f" AND {alias}.country_code = a.country_code AND {alias}.{key} = {reference}"
        for entity, alias, key, reference in _joins(dataset)
    )
    if dataset.names_targets:
        joined += _NAMES
    age = with_age(f"'{dataset.name}'")
    return ReportView(
        name=dataset.name,
        description=f"{dataset.title}. One row is one {dataset.entity}, {dataset.grain}, "
        "ad product and currency of an account.",
        columns=tuple(_columns(dataset)),
        source=f"{dataset.name} t\n  JOIN advertiser_accounts a ON a.id = t.account{joined}{age}",
    )


_NAMES = """
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id
                          AND n.match_digest = t.target_match"""
_JOINS = (
    ("campaigns", "c", "campaign_id", "t.campaign_id"),
    ("portfolios", "f", "portfolio_id", "c.portfolio_id"),
    ("ad_groups", "g", "ad_group_id", "t.ad_group_id"),
)


def _joins(dataset: Dataset) -> list[tuple[str, str, str, str]]:
    """Return the joins of a dataset's view as entity, alias, key and referencing column."""
    named = {column.name for column in columns_of(dataset)}
    return [join for join in _JOINS if join[2] == "portfolio_id" or join[2] in named]


def list_joined_entities(dataset: Dataset) -> list[str]:
    """Return the entity tables that a dataset's view joins."""
    return [entity for entity, *_ in _joins(dataset)]


def _columns(dataset: Dataset) -> Iterator[ViewColumn]:
    own = {column.name: own_column(column) for column in columns_of(dataset)}
    yield from ACCOUNT_COLUMNS
    yield own["window_date"]
    if dataset.is_hourly:
        yield own["hour_at"]
        yield ViewColumn(
            "local_hour",
            _LOCAL_HOUR,
            "Hour of the day on the account's own clock: 0 to 23.",
            "integer",
            DIMENSION_TAGS,
        )
    yield own["ad_product"]
    yield ATTRIBUTION_COLUMN
    yield own["currency_code"]
    for dimension in dataset.dimensions:
        yield from _dimension(dimension, own)
    if dataset.names_targets:
        yield ViewColumn(
            "target_id",
            "n.target_id",
            "Id of the target that the row names; null until the target is in an export.",
            tags=DIMENSION_TAGS,
        )
    yield from (own[metric.column] for metric in dataset.metrics)
    yield from map(ratio_column, ratios_of(dataset))
    yield from AGE


def _dimension(dimension: Dimension, own: dict[str, ViewColumn]) -> Iterator[ViewColumn]:
    """Yield a dimension's view columns, such as a campaign's id, current name and portfolio.

    `own` has the columns of the dataset's table by name.
    """
    name = dimension.column
    if name == "campaign_name":
        return
    yield own[name]
    if name == "campaign_id":
        campaign_name = "coalesce(c.name, t.campaign_name)" if "campaign_name" in own else "c.name"
        yield ViewColumn(
            "campaign_name",
            campaign_name,
            "Current name of the campaign; null until the campaign is in an export.",
            tags=DIMENSION_TAGS,
        )
        yield ViewColumn(
            "portfolio_id",
            "c.portfolio_id",
            "Id of the campaign's current portfolio; null if the campaign is in no portfolio.",
            tags=DIMENSION_TAGS,
        )
        yield ViewColumn(
            "portfolio_name", "f.name", "Current name of this portfolio.", tags=DIMENSION_TAGS
        )
    if name == "ad_group_id":
        yield ViewColumn(
            "ad_group_name",
            "g.name",
            "Current name of the ad group; null until the ad group is in an export.",
            tags=DIMENSION_TAGS,
        )
    if f"{name}_reported" in own:
        yield own[f"{name}_reported"]
