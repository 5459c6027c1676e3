"""The parts of a view in the schema `reports`, and the columns that views share."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column
from sqlalchemy.dialects import postgresql

from bidbeacon_pipelines.datasets.dataset_tables import TAGS
from bidbeacon_pipelines.datasets.derived import (
    ATTRIBUTION,
    ATTRIBUTION_DAYS,
    ATTRIBUTION_DAYS_SQL,
    Ratio,
)
from bidbeacon_pipelines.datasets.fields import DIMENSION_TAGS, RATIO_TAGS
from bidbeacon_pipelines.states.window_states import is_final_by

SCHEMA = "reports"
_DIALECT = postgresql.dialect()


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view; `description` is its comment in the database.

    `tags` are the column's tags in the registry, such as `additive`. `type` is a PostgreSQL type.
    """

    name: str
    expression: str
    description: str
    type: str = "text"
    tags: tuple[str, ...] = ()

    @property
    def selected(self) -> str:
        """The column's expression in the select list, with its alias if it needs one."""
        named = self.expression.partition(".")[2] == self.name
        return self.expression if named else f"{self.expression} AS {self.name}"


def name_type(column: Column[Any]) -> str:
    """Return PostgreSQL's name for the type of a column, without the collation."""
    return column.type.compile(dialect=_DIALECT).partition(" COLLATE")[0].lower()


def own_column(column: Column[Any]) -> ViewColumn:
    """Return a view column that shows a column of the view's table unchanged."""
    tags = column.info.get(TAGS, ())
    return ViewColumn(
        column.name, f"t.{column.name}", column.comment or "", name_type(column), tags
    )


@dataclass(frozen=True)
class ReportView:
    """A view in the schema `reports`."""

    name: str
    description: str
    columns: tuple[ViewColumn, ...]
    source: str

    @property
    def full_name(self) -> str:
        """The name of the view with the schema, such as `reports.days`."""
        return f"{SCHEMA}.{self.name}"

    @property
    def sql(self) -> str:
        """The SQL statements that create the view and the comments on it and its columns."""
        selected = ",\n       ".join(column.selected for column in self.columns)
        comments = (
            f"COMMENT ON COLUMN {self.full_name}.{column.name} IS {_literal(column.description)}"
            for column in self.columns
        )
        return ";\n".join(
            (
                f"CREATE VIEW {self.full_name} AS\nSELECT {selected}\n  FROM {self.source}",
                f"COMMENT ON VIEW {self.full_name} IS {_literal(self.description)}",
                *comments,
            )
        )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


ATTRIBUTION_COLUMN = ViewColumn(
    ATTRIBUTION_DAYS, ATTRIBUTION_DAYS_SQL, ATTRIBUTION, "integer", DIMENSION_TAGS
)

OF_ACCOUNT = (
    "\n  JOIN advertiser_accounts a ON a.account_id = t.account_id "
    "AND a.country_code = t.country_code"
)
ACCOUNT_COLUMNS = (
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

AS_OF = ViewColumn(
    "as_of",
    "w.as_of",
    "When the report of the row's day was requested: later events are not in the report. "
    "Null if the day must be loaded again, because reports combine other ad products now.",
    "timestamp with time zone",
)
IS_FINAL = ViewColumn(
    "is_final",
    "w.is_final",
    "Whether every report of the day that Amazon serves was loaded for the last time; "
    "until then the day is provisional.",
    "boolean",
)
IS_COMPLETE = ViewColumn(
    "is_complete",
    "w.is_complete",
    "Whether every report of the day that Amazon serves is loaded. "
    "If it is false, sums of the day are too small. If it is true, `not_served` and `left_out` of "
    "`reports.days` may still list ad products and campaigns without data.",
    "boolean",
)
AGE = (AS_OF, IS_FINAL, IS_COMPLETE)


def of_served_reports(condition: str, alias: str) -> str:
    """Return SQL that is true if all reports served for a day, at least one, meet `condition`.

    `alias` is the alias of `report_windows` in the query.
    """
    return f"coalesce(bool_and({condition}) FILTER (WHERE {alias}.not_served_since IS NULL), false)"


def with_age(dataset: str, *, alias: str = "w") -> str:
    """Return the SQL join that adds `as_of`, `is_final` and `is_complete` to a row.

    `dataset` is an SQL expression for the dataset's name. `as_of` is determined for the row's ad
    product, `is_final` and `is_complete` for the whole day. The join yields exactly one row. So
    PostgreSQL omits the join if a query uses none of these columns, and otherwise reads a day's
    windows once for all rows of the day.
    """
    return f"""
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              {of_served_reports(is_final_by("now()"), "w")} AS is_final,
              {of_served_reports("w.data_as_of IS NOT NULL", "w")} AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
          AND w.dataset = {dataset} AND w.window_date = t.window_date) {alias} ON true"""


def ratio_column(ratio: Ratio) -> ViewColumn:
    """Return the view column that divides two metrics of the same row."""
    return ViewColumn(
        ratio.column,
        f"CAST(t.{ratio.numerator} AS numeric) / nullif(t.{ratio.denominator}, 0)",
        f"{ratio.description}: {ratio.numerator} / {ratio.denominator} of this row. "
        "Over several rows, divide the sums.",
        "numeric",
        RATIO_TAGS,
    )
