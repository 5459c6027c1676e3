"""SQL that merges a staged report into its dataset's table and writes only changed rows.

The report is compared with the table once. The rows that changed, appeared or vanished are stored
in the temporary table `report_changes` with their old metrics, but without the dimensions of rows
that vanished, since a join with fewer columns is faster by a quarter. The dataset's table and
`restatements` are written from `report_changes`. If none of the windows has rows or was loaded
before, the staged rows are inserted without a comparison. Stored rows of ad products that the
report does not cover never change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, TextClause, text

from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.loading.staging import WINDOWS, key_of, listed, same_key, staged_columns

_OF_WINDOWS = "o.account = ANY(:accounts) AND o.window_date = ANY(:days)"


@dataclass(frozen=True)
class MergeCounts:
    """An account's number of restatements; `vanished` counts those that removed a row."""

    restated: int = 0
    vanished: int = 0


def _facts(dataset: Dataset) -> list[str]:
    """Return the columns that a later report may change, which are metrics and names."""
    key = {
        *key_of(dataset),
        "ad_product",
        "currency_code",
        "target_match",
        *(dimension.column for dimension in dataset.keys),
    }
    return [column for column in staged_columns(dataset) if column not in key]


def merge_windows(
    connection: Connection, dataset: Dataset, values: Mapping[str, Any]
) -> dict[int, MergeCounts]:
    """Merge the staged rows into the dataset's table; return counts by account id.

    `values` are bound parameters: `ReportScope.values`, and `accounts` and `days` of the accepted
    windows. Only accepted windows may have staged rows.
    """
    counts: dict[int, MergeCounts] = {}
    new_rows = "report_rows"
    if connection.execute(_is_refresh(dataset), values).scalar_one():
        connection.execute(_compare(dataset), values)
        restated = connection.execute(_restate(dataset), values)
        counts = {account: MergeCounts(*numbers) for account, *numbers in restated}
        connection.execute(_update(dataset), values)
        connection.execute(_delete(dataset), values)
        new_rows = "report_changes WHERE change = 'appeared'"
    connection.execute(_insert(dataset, new_rows), values)
    return counts


# The first load of a window and replays of it restate nothing, unless the table has rows of the
# report's ad products that were loaded with another grouping.
_RESTATED_WINDOWS = f"""
    SELECT w.account, w.window_date, s.account_id, s.country_code,
           coalesce(s.data_as_of, :data_as_of) AS data_as_of
      FROM {WINDOWS} JOIN advertiser_accounts a ON a.id = w.account
      JOIN report_windows s ON s.account_id = a.account_id AND s.country_code = a.country_code
       AND s.dataset = :dataset AND s.report = :report AND s.window_date = w.window_date
     WHERE s.load_count > 1 OR s.load_count = 1 AND s.loaded_by_request <> :request_id
        OR s.load_count = 0 AND EXISTS (
           SELECT FROM {{table}} o WHERE o.account = w.account AND o.window_date = w.window_date
              AND o.ad_product = ANY(:ad_products))"""


def _json(values: Mapping[str, str]) -> str:
    pairs = ", ".join(f"'{name}', {value}" for name, value in values.items())
    return f"jsonb_build_object({pairs})"


def _metrics(dataset: Dataset) -> list[str]:
    return [metric.column for metric in dataset.metrics]


@cache
def _is_refresh(dataset: Dataset) -> TextClause:
    return text(f"""
        SELECT EXISTS ({_RESTATED_WINDOWS.format(table=dataset.name)})
            OR EXISTS (
               SELECT FROM {dataset.name} o
                WHERE o.ad_product = ANY(:ad_products) AND {_OF_WINDOWS})""")


@cache
def _compare(dataset: Dataset) -> TextClause:
    key, facts, metrics = key_of(dataset), _facts(dataset), _metrics(dataset)
    both = ["ad_product", "currency_code"]
    others = [column for column in staged_columns(dataset) if column not in {*key, *metrics, *both}]
    either = ", ".join(f"coalesce(r.{column}, o.{column}) AS {column}" for column in both)
    old = ", ".join(f"o.{column} AS old_{column}" for column in metrics)
    return text(f"""
        CREATE TEMP TABLE report_changes ON COMMIT DROP AS
        SELECT {listed(key)}, {either}, {listed(others, "r")}, {listed(metrics, "r")}, {old},
               CASE WHEN r.account IS NULL THEN 'vanished' WHEN o.account IS NULL THEN 'appeared'
                    ELSE 'changed' END AS change
          FROM report_rows r
          FULL JOIN (SELECT {listed([*key, *both, *facts])} FROM {dataset.name} o
                      WHERE ad_product = ANY(:ad_products) AND {_OF_WINDOWS}) o
                USING ({listed(key)})
         WHERE r.account IS NULL AND (o.account, o.window_date) IN (SELECT * FROM {WINDOWS})
            OR o.account IS NULL
            OR r.account = o.account
               AND ({listed(facts, "r")}) IS DISTINCT FROM ({listed(facts, "o")})""")


@cache
def _restate(dataset: Dataset) -> TextClause:
    new = {metric: f"c.{metric}" for metric in _metrics(dataset)}
    old = {metric: f"c.old_{metric}" for metric in new}
    hour = "c.hour_at" if dataset.is_hourly else "CAST(NULL AS timestamptz)"
    dimensions = [dimension.column for dimension in dataset.dimensions]
    known = {column: f"coalesce(c.{column}, o.{column})" for column in dimensions}
    described = {"ad_product": "c.ad_product"} | known
    return text(f"""
        WITH restated AS (
            INSERT INTO restatements (
                   account_id, country_code, dataset, window_date, hour_at, row_key, dimensions,
                   currency_code, change, old_values, new_values, old_data_as_of, new_data_as_of,
                   request_id)
            SELECT w.account_id, w.country_code, :dataset, c.window_date, {hour}, c.row_key,
                   {_json(described)}, c.currency_code, c.change,
                   CASE WHEN c.change <> 'appeared' THEN {_json(old)} END,
                   CASE WHEN c.change <> 'vanished' THEN {_json(new)} END,
                   w.data_as_of, :data_as_of, :request_id
              FROM report_changes c
              JOIN ({_RESTATED_WINDOWS.format(table=dataset.name)}) w USING (account, window_date)
              LEFT JOIN {dataset.name} o
                     ON c.change = 'vanished' AND {same_key(dataset, "c", "o")} AND {_OF_WINDOWS}
             WHERE c.change <> 'changed'
                OR ({", ".join(new.values())}) IS DISTINCT FROM ({", ".join(old.values())})
            RETURNING account_id, country_code, change)
        SELECT a.id, count(*), count(*) FILTER (WHERE change = 'vanished')
          FROM restated
          JOIN advertiser_accounts a USING (account_id, country_code)
         GROUP BY a.id""")


@cache
def _update(dataset: Dataset) -> TextClause:
    facts = ", ".join(f"{column} = c.{column}" for column in _facts(dataset))
    return text(f"""
        UPDATE {dataset.name} o SET {facts}, request_id = :request_id FROM report_changes c
         WHERE c.change = 'changed' AND {same_key(dataset, "c", "o")} AND {_OF_WINDOWS}""")


@cache
def _delete(dataset: Dataset) -> TextClause:
    return text(f"""
        DELETE FROM {dataset.name} o USING report_changes c
         WHERE c.change = 'vanished' AND {same_key(dataset, "c", "o")} AND {_OF_WINDOWS}""")


@cache
def _insert(dataset: Dataset, source: str) -> TextClause:
    columns = listed(staged_columns(dataset))
    # In key order, since an index that grows at its end costs half of one that grows everywhere.
    return text(f"""
        INSERT INTO {dataset.name} ({columns}, request_id)
        SELECT {columns}, :request_id FROM {source} ORDER BY {listed(key_of(dataset))}""")
