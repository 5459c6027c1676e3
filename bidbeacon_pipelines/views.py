"""The views of schema `reports`, which analysts read: one for each dataset, made from the registry, and one for each kind of entity.

Names of campaigns and ad groups are joined from the entities, so they are today's. Every join is an
outer join to a unique key: PostgreSQL leaves it out of queries that use none of its columns.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from sqlalchemy import Column, Connection, Table, text
from sqlalchemy.dialects import postgresql

from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets.dataset_tables import TAGS, columns_of
from bidbeacon_pipelines.datasets.derived import (
    ATTRIBUTION,
    ATTRIBUTION_DAYS,
    ATTRIBUTION_DAYS_SQL,
    Ratio,
    ratios_of,
)
from bidbeacon_pipelines.datasets.fields import DIMENSION_TAGS, RATIO_TAGS, Dimension
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.entities.tables import Ad, AdGroup, Campaign, Portfolio, Target
from bidbeacon_pipelines.summaries.tables import AccountDailySummary

SCHEMA = "reports"
COMMON_COLUMNS = (
    *("account_key", "account_name", "country_code", "window_date", "ad_product"),
    *(ATTRIBUTION_DAYS, "currency_code"),
)
"""The columns that the view of every dataset has."""
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
CREATE_SCHEMA = f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view.

    Attributes:
        name: Its name.
        expression: Its SQL.
        description: What it is, which is also its comment in the database.
        type: Its type in PostgreSQL.
        tags: Words that say how it may be used, where the registry has any.
    """

    name: str
    expression: str
    description: str
    type: str = "text"
    tags: tuple[str, ...] = ()

    @property
    def selected(self) -> str:
        """The SQL expression that the view selects."""
        named = self.expression.partition(".")[2] == self.name
        return self.expression if named else f"{self.expression} AS {self.name}"


def name_type(column: Column[Any]) -> str:
    """Return the type of a column as PostgreSQL names it, without its collation."""
    return column.type.compile(dialect=_DIALECT).partition(" COLLATE")[0].lower()


def _own(column: Column[Any]) -> ViewColumn:
    """Return a column of the view's own table, as it is there."""
    tags = column.info.get(TAGS, ())
    return ViewColumn(
        column.name, f"t.{column.name}", column.comment or "", name_type(column), tags
    )


@dataclass(frozen=True)
class ReportView:
    """A view of schema `reports`."""

    name: str
    description: str
    columns: tuple[ViewColumn, ...]
    source: str

    @property
    def full_name(self) -> str:
        """Its name with its schema."""
        return f"{SCHEMA}.{self.name}"

    @property
    def statements(self) -> list[str]:
        """The statements that create it and comment on it and its columns."""
        selected = ",\n       ".join(column.selected for column in self.columns)
        comments = [
            f"COMMENT ON COLUMN {self.full_name}.{column.name} IS {_literal(column.description)}"
            for column in self.columns
        ]
        return [
            f"CREATE VIEW {self.full_name} AS\nSELECT {selected}\n  FROM {self.source}",
            f"COMMENT ON VIEW {self.full_name} IS {_literal(self.description)}",
            *comments,
        ]


_ATTRIBUTION_DAYS = ViewColumn(
    ATTRIBUTION_DAYS, ATTRIBUTION_DAYS_SQL, ATTRIBUTION, "integer", DIMENSION_TAGS
)
_LOCAL_HOUR = "CAST(extract(hour FROM t.hour_at AT TIME ZONE a.time_zone) AS integer)"


def make_view(dataset: Dataset) -> ReportView:
    """Return the view of a dataset."""
    joined = "".join(
        f"\n  LEFT JOIN {entity} {alias} ON {alias}.account_id = a.account_id"
        f" AND {alias}.country_code = a.country_code AND {alias}.{key} = {reference}"
        for entity, alias, key, reference in _joins(dataset)
    )
    return ReportView(
        name=dataset.name,
        description=f"{dataset.title}. One row is one {dataset.entity}, {dataset.grain}, ad product and currency of an account.",
        columns=tuple(_columns(dataset)),
        source=f"{dataset.table} t\n  JOIN advertiser_accounts a ON a.id = t.account{joined}",
    )


_JOINS = (
    ("campaigns", "c", "campaign_id", "t.campaign_id"),
    ("portfolios", "f", "portfolio_id", "c.portfolio_id"),
    ("ad_groups", "g", "ad_group_id", "t.ad_group_id"),
)


def _joins(dataset: Dataset) -> list[tuple[str, str, str, str]]:
    """Return the joins of a dataset's view: entity, alias, key, and what refers to it."""
    named = {column.name for column in columns_of(dataset)}
    return [join for join in _JOINS if join[2] == "portfolio_id" or join[2] in named]


def list_joined_entities(dataset: Dataset) -> list[str]:
    """Return the tables of entities that a dataset's view takes names from."""
    return [entity for entity, *_ in _joins(dataset)]


_OF_ACCOUNT = "\n  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code"
_ACCOUNT = (
    ViewColumn(
        "account_key",
        "a.account_key",
        "Key of the account: an ads account in one country.",
        tags=DIMENSION_TAGS,
    ),
    ViewColumn("account_name", "a.name", "Name of the account.", tags=DIMENSION_TAGS),
    ViewColumn(
        "country_code",
        "a.country_code",
        "Country of the account: two letters, GB for the United Kingdom.",
        tags=DIMENSION_TAGS,
    ),
)


def _columns(dataset: Dataset) -> Iterator[ViewColumn]:
    own = {column.name: _own(column) for column in columns_of(dataset)}
    yield from _ACCOUNT
    yield own["window_date"]
    if dataset.is_hourly:
        yield own["hour_at"]
        yield ViewColumn(
            "local_hour",
            _LOCAL_HOUR,
            "Hour of the account's own clock at which it began: 0 to 23.",
            "integer",
            DIMENSION_TAGS,
        )
    yield own["ad_product"]
    yield _ATTRIBUTION_DAYS
    yield own["currency_code"]
    for dimension in dataset.dimensions:
        yield from _dimension(dimension, own)
    if dataset.names_targets:
        yield own["target_id"]
    yield from (own[metric.column] for metric in dataset.metrics)
    yield from map(_ratio, ratios_of(dataset))


def _dimension(dimension: Dimension, own: dict[str, ViewColumn]) -> Iterator[ViewColumn]:
    """Return the columns of a dimension; a campaign's reported name is used until an export has it."""
    name = dimension.column
    if name == "campaign_name":
        return
    yield own[name]
    if name == "campaign_id":
        campaign_name = "coalesce(c.name, t.campaign_name)" if "campaign_name" in own else "c.name"
        yield ViewColumn(
            "campaign_name",
            campaign_name,
            "Name of the campaign today; null until an export has it.",
            tags=DIMENSION_TAGS,
        )
        yield ViewColumn(
            "portfolio_id",
            "c.portfolio_id",
            "Portfolio that the campaign is in today; null where it is in none.",
            tags=DIMENSION_TAGS,
        )
        yield ViewColumn(
            "portfolio_name", "f.name", "Name of that portfolio today.", tags=DIMENSION_TAGS
        )
    if name == "ad_group_id":
        yield ViewColumn(
            "ad_group_name",
            "g.name",
            "Name of the ad group today; null until an export has it.",
            tags=DIMENSION_TAGS,
        )
    if f"{name}_reported" in own:
        yield own[f"{name}_reported"]


def _make_summary_view(table: Table) -> ReportView:
    """Return the view of what accounts' days add up to, with the attribution window."""
    own = {column.name: _own(column) for column in table.columns}
    first = ("summary_date", "ad_product")
    rest = (name for name in own if name not in {"account_id", "country_code", *first})
    return ReportView(
        name=table.name,
        description=table.comment or "",
        columns=(
            *_ACCOUNT,
            *(own[name] for name in first),
            _ATTRIBUTION_DAYS,
            *(own[name] for name in rest),
        ),
        source=f"{table.name} t{_OF_ACCOUNT}",
    )


def _make_entity_view(table: Table) -> ReportView:
    """Return the view of a kind of entity: all of its columns, with the account's key and name in place of Amazon's id."""
    own = [column for column in table.columns if column.name not in {"account_id", "country_code"}]
    return ReportView(
        name=table.name,
        description=f"{table.comment}.",
        columns=(*_ACCOUNT, *map(_own, own)),
        source=f"{table.name} t{_OF_ACCOUNT}",
    )


def _ratio(ratio: Ratio) -> ViewColumn:
    return ViewColumn(
        ratio.column,
        f"CAST(t.{ratio.numerator} AS numeric) / nullif(t.{ratio.denominator}, 0)",
        f"{ratio.description}: {ratio.numerator} / {ratio.denominator} of this row. Over several rows divide the sums.",
        "numeric",
        RATIO_TAGS,
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_RESTATEMENTS = ReportView(
    name="restatements",
    description="How the totals of a day changed from load to load. One row is one load of one ad product of a day of a dataset, in one currency.",
    columns=(
        *_ACCOUNT,
        ViewColumn("dataset", "t.dataset", "Name of the dataset, which is also that of its view."),
        ViewColumn("window_date", "t.window_date", "Day of the account's own calendar.", "date"),
        ViewColumn("ad_product", "t.ad_product", "SPONSORED_PRODUCTS, SPONSORED_BRANDS, …"),
        ViewColumn("currency_code", "t.currency_code", "Currency of the amounts."),
        ViewColumn(
            "load_number",
            "t.load_number",
            "1 for the first load of the day's ad product.",
            "bigint",
        ),
        ViewColumn(
            "data_as_of",
            "t.data_as_of",
            "When the report was asked for: what happened later is not in it.",
            "timestamp with time zone",
        ),
        ViewColumn(
            "age_days",
            "t.age_days",
            "How many days old the day was then, on the account's calendar.",
            "integer",
        ),
        *chain.from_iterable(
            (
                ViewColumn(
                    f"{metric}_before",
                    f"t.{metric}_before",
                    f"{metric} of the day before this load; null for the first.",
                    "numeric",
                ),
                ViewColumn(
                    metric, f"t.{metric}", f"{metric} of the day after this load.", "numeric"
                ),
            )
            for metric in ("impressions", "clicks", "orders", "sales", "spend")
        ),
        ViewColumn(
            "rows_changed", "t.rows_changed", "Rows whose metrics this load changed.", "bigint"
        ),
        ViewColumn("rows_appeared", "t.rows_appeared", "Rows that this load added.", "bigint"),
        ViewColumn("rows_vanished", "t.rows_vanished", "Rows that this load removed.", "bigint"),
    ),
    source=f"window_restatements t{_OF_ACCOUNT}",
)
_ENTITIES: tuple[type[PipelinesBase], ...] = (Portfolio, Campaign, AdGroup, Ad, Target)


def make_views(datasets: Iterable[Dataset]) -> tuple[ReportView, ...]:
    """Return every view of the schema, in the order in which they can be created."""
    return (
        *map(make_view, datasets),
        *(_make_entity_view(cast("Table", entity.__table__)) for entity in _ENTITIES),
        _RESTATEMENTS,
        _make_summary_view(cast("Table", AccountDailySummary.__table__)),
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
