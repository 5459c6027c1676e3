"""SQL that merges the staged report into a dataset's table, for accepted windows: only changes are written.

A report is compared with the table once. Rows that differ go into `report_changes` with their old
metrics: those that changed, appeared or vanished. From there the table is changed and
`restatements` are written; rows that appeared are left on the stage and inserted. The first load of
windows has nothing to be compared with. A row of an ad product that the report was not asked for is
never touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Connection, TextClause, text

from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset
from bidbeacon_pipelines.loading.staging import WINDOWS, key_of, listed, same_key, staged_columns

# An enabled target goes before a paused one before any other, then the lowest id: so a new twin
# does not take over an old one's history.
TARGETS = """
    SELECT DISTINCT ON (a.id, t.ad_group_id, t.match_digest) a.id AS account, t.ad_group_id, t.match_digest, t.target_id
      FROM targets t JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE a.id = ANY(:accounts) AND NOT t.negative AND t.match_digest IS NOT NULL AND t.ad_group_id IS NOT NULL
     ORDER BY a.id, t.ad_group_id, t.match_digest,
              CASE t.state WHEN 'ENABLED' THEN 0 WHEN 'PAUSED' THEN 1 ELSE 2 END, length(t.target_id), t.target_id"""
"""The target that each text names in an ad group: what `target_id` of rows is derived from."""
_IS_TARGET = "t.account = {0}.account AND t.ad_group_id = {0}.ad_group_id AND t.match_digest = {0}.target_match"
_OF_WINDOWS = "o.account = ANY(:accounts) AND o.window_date = ANY(:days)"
IS_UNRESOLVED = "target_id IS NULL AND target_match IS NOT NULL"


@dataclass(frozen=True)
class MergeCounts:
    """The counts of a merge: rows written (new or changed), rows removed, changes of earlier reports recorded."""

    written: int = 0
    vanished: int = 0
    restated: int = 0


def _facts(dataset: Dataset) -> list[str]:
    """Return the columns of a row that a later report may change: metrics, and names."""
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
    """Merge the stage, which has rows of these windows only, into the table; return counts by account.

    Args:
        connection: the load's transaction.
        dataset: what is staged.
        values: bound values: `accounts` and `days` of the windows that take the report, its
            `ad_products`, `request_id` and `data_as_of`, and
            the names of `dataset` and `report`.
    """
    changed, vanished, restated = {}, {}, {}
    if connection.execute(_is_refresh(dataset), values).scalar_one():
        connection.execute(_compare(dataset), values)
        connection.execute(text("TRUNCATE report_rows"))
        connection.execute(_stage_appeared(dataset))
        restated = _counted(connection, _restate(dataset), values)
        changed = _counted(connection, _update(dataset), values)
        vanished = _counted(connection, _delete(dataset), values)
    inserted = _counted(connection, _COUNT, values)
    connection.execute(_insert(dataset), values)
    return {
        account: MergeCounts(
            inserted.get(account, 0) + changed.get(account, 0),
            vanished.get(account, 0),
            restated.get(account, 0),
        )
        for account in set(values["accounts"])
    }


def _counted(
    connection: Connection, statement: TextClause, values: Mapping[str, Any]
) -> dict[int, int]:
    return {row.account: row.rows for row in connection.execute(statement, values)}


def keep_windows(connection: Connection, values: Mapping[str, Any]) -> None:
    """Leave on the stage only the rows of some windows: their `accounts` and `days`."""
    connection.execute(
        text(f"""
            DELETE FROM report_rows r
             WHERE NOT EXISTS (SELECT FROM {WINDOWS} WHERE w.account = r.account AND w.window_date = r.window_date)"""),
        values,
    )


_COUNT = text("SELECT account, count(*) AS rows FROM report_rows GROUP BY account")

# The first load of a window restates nothing; nor does a replay of that load.
_RESTATED_WINDOWS = f"""
    SELECT w.account, w.window_date, s.account_id, s.country_code, s.data_as_of
      FROM {WINDOWS} JOIN advertiser_accounts a ON a.id = w.account
      JOIN report_windows s ON s.account_id = a.account_id AND s.country_code = a.country_code
       AND s.dataset = :dataset AND s.report = :report AND s.window_date = w.window_date
     WHERE s.load_count > 1 OR s.load_count = 1 AND s.loaded_by_request <> :request_id"""
_RESTATEMENT = """account_id, country_code, dataset, window_date, hour_at, row_key, dimensions, currency_code, change,
    old_values, new_values, old_data_as_of, new_data_as_of, request_id"""


def _json(columns: list[str], prefix: str = "") -> str:
    pairs = ", ".join(f"'{column}', {prefix}{column}" for column in columns)
    return f"jsonb_build_object({pairs})"


def _metrics(dataset: Dataset) -> list[str]:
    return [metric.column for metric in dataset.metrics]


@cache
def _is_refresh(dataset: Dataset) -> TextClause:
    """Return the statement that checks whether any window was loaded before, or has rows anyway."""
    return text(f"""
        SELECT EXISTS ({_RESTATED_WINDOWS})
            OR EXISTS (SELECT FROM {dataset.table} o WHERE o.ad_product = ANY(:ad_products) AND {_OF_WINDOWS})""")


@cache
def _compare(dataset: Dataset) -> TextClause:
    """Return the statement that collects the rows in which the stage and the table differ."""
    key, facts, metrics = key_of(dataset), _facts(dataset), _metrics(dataset)
    others = [column for column in staged_columns(dataset) if column not in {*key, *metrics}]
    known = ", ".join(
        f"CASE WHEN r.account IS NULL THEN o.{column} ELSE r.{column} END AS {column}"
        for column in others
    )
    old = ", ".join(f"o.{column} AS old_{column}" for column in metrics)
    return text(f"""
        CREATE TEMP TABLE report_changes ON COMMIT DROP AS
        SELECT {listed(key)}, {known}, {listed(metrics, "r")}, {old},
               CASE WHEN r.account IS NULL THEN 'vanished' WHEN o.account IS NULL THEN 'appeared' ELSE 'changed' END AS change
          FROM report_rows r
          FULL JOIN (SELECT {listed(staged_columns(dataset))} FROM {dataset.table} o WHERE ad_product = ANY(:ad_products) AND {_OF_WINDOWS}) o
                USING ({listed(key)})
         WHERE r.account IS NULL AND (o.account, o.window_date) IN (SELECT * FROM {WINDOWS})
            OR o.account IS NULL OR r.account = o.account AND ({listed(facts, "r")}) IS DISTINCT FROM ({listed(facts, "o")})""")


@cache
def _stage_appeared(dataset: Dataset) -> TextClause:
    columns = listed(staged_columns(dataset))
    return text(
        f"INSERT INTO report_rows ({columns}) SELECT {columns} FROM report_changes WHERE change = 'appeared'"
    )


@cache
def _restate(dataset: Dataset) -> TextClause:
    metrics = _metrics(dataset)
    hour = "hour_at" if dataset.is_hourly else "CAST(NULL AS timestamptz)"
    dimensions = ["ad_product", *(dimension.column for dimension in dataset.dimensions)]
    return text(f"""
        WITH restated AS (
            INSERT INTO restatements ({_RESTATEMENT})
            SELECT account_id, country_code, :dataset, window_date, {hour}, row_key, {_json(dimensions)}, currency_code, change,
                   CASE WHEN change <> 'appeared' THEN {_json(metrics, "old_")} END,
                   CASE WHEN change <> 'vanished' THEN {_json(metrics)} END, data_as_of, :data_as_of, :request_id
              FROM report_changes JOIN ({_RESTATED_WINDOWS}) w USING (account, window_date)
             WHERE change <> 'changed' OR ({listed(metrics)}) IS DISTINCT FROM ({", ".join(f"old_{metric}" for metric in metrics)})
            RETURNING account_id, country_code)
        SELECT a.id AS account, count(*) AS rows FROM restated JOIN advertiser_accounts a USING (account_id, country_code) GROUP BY a.id""")


@cache
def _update(dataset: Dataset) -> TextClause:
    facts = ", ".join(f"{column} = c.{column}" for column in _facts(dataset))
    return text(f"""
        WITH changed AS (
            UPDATE {dataset.table} o SET {facts}, request_id = :request_id FROM report_changes c
             WHERE c.change = 'changed' AND {same_key(dataset, "c", "o")} AND {_OF_WINDOWS} RETURNING o.account)
        SELECT account, count(*) AS rows FROM changed GROUP BY account""")


@cache
def _delete(dataset: Dataset) -> TextClause:
    return text(f"""
        WITH vanished AS (
            DELETE FROM {dataset.table} o USING report_changes c
             WHERE c.change = 'vanished' AND {same_key(dataset, "c", "o")} AND {_OF_WINDOWS} RETURNING o.account)
        SELECT account, count(*) AS rows FROM vanished GROUP BY account""")


@cache
def _insert(dataset: Dataset) -> TextClause:
    """Return the statement that writes new rows in the order of the key: an index that grows at its end costs half of one that grows everywhere."""
    columns, key = listed(staged_columns(dataset)), listed(key_of(dataset), "r")
    target, join = "", ""
    if dataset.names_targets:
        target, join = ", target_id", f"LEFT JOIN ({TARGETS}) t ON {_IS_TARGET.format('r')}"
    return text(f"""
        INSERT INTO {dataset.table} ({columns}{target}, request_id)
        SELECT {listed(staged_columns(dataset), "r")}{target.replace(" ", " t.")}, :request_id FROM report_rows r {join} ORDER BY {key}""")


@cache
def _resolve(dataset: Dataset) -> TextClause:
    return text(f"""
        WITH resolved AS (
            UPDATE {dataset.table} p SET target_id = t.target_id FROM ({TARGETS}) t
             WHERE p.account = ANY(:accounts) AND p.target_id IS NULL AND p.target_match IS NOT NULL AND {_IS_TARGET.format("p")}
            RETURNING p.account, p.window_date, p.ad_product),
        windows AS (
            SELECT s.account_id, s.country_code, s.report, s.window_date, count(*) AS rows
              FROM resolved r JOIN advertiser_accounts a ON a.id = r.account
              JOIN report_windows s ON s.account_id = a.account_id AND s.country_code = a.country_code AND s.dataset = :dataset
               AND s.window_date = r.window_date AND s.product_totals ? r.ad_product
             GROUP BY s.account_id, s.country_code, s.report, s.window_date),
        counted AS (
            UPDATE report_windows s SET unresolved_count = s.unresolved_count - w.rows FROM windows w
             WHERE s.account_id = w.account_id AND s.country_code = w.country_code AND s.dataset = :dataset
               AND s.report = w.report AND s.window_date = w.window_date)
        SELECT count(*) FROM resolved""")


def resolve_targets(connection: Connection, account: int) -> int:
    """Resolve rows of an account with unknown targets; return how many."""
    return sum(
        int(
            connection.execute(
                _resolve(dataset), {"accounts": [account], "dataset": dataset.name}
            ).scalar_one()
        )
        for dataset in DATASETS.values()
        if dataset.names_targets
    )


@dataclass(frozen=True)
class WindowTotals:
    """The totals of a window; sums in the account's currency.

    `products` is the JSON of an object that has rows, spend and sales of each ad product.
    """

    rows: int
    unresolved: int
    spend: Decimal
    sales: Decimal
    products: str


def total_windows(
    connection: Connection, dataset: Dataset, values: Mapping[str, Any]
) -> dict[tuple[int, date], WindowTotals]:
    """Return what some windows hold; `values` has their `accounts`, `days` and `currencies`, and the report's `ad_products`."""
    rows = connection.execute(_total(dataset), values).mappings()
    return {
        (row.pop("account"), row.pop("window_date")): WindowTotals(**row) for row in map(dict, rows)
    }


@cache
def _total(dataset: Dataset) -> TextClause:
    unresolved = IS_UNRESOLVED if dataset.names_targets else "false"
    spend, sales = (
        f"coalesce(sum({name}) FILTER (WHERE p.currency_code = w.currency), 0)"
        if name in dataset.columns
        else "CAST(0 AS numeric)"
        for name in ("spend", "sales")
    )
    return text(f"""
        WITH products AS (
            SELECT w.account, w.window_date, asked.ad_product, count(p.account) AS rows,
                   count(p.account) FILTER (WHERE {unresolved}) AS unresolved, {spend} AS spend, {sales} AS sales
              FROM unnest(CAST(:accounts AS int[]), CAST(:days AS date[]), CAST(:currencies AS text[])) AS w(account, window_date, currency)
             CROSS JOIN unnest(CAST(:ad_products AS text[])) AS asked(ad_product)
              LEFT JOIN {dataset.table} p
                     ON p.account = w.account AND p.window_date = w.window_date AND p.ad_product = asked.ad_product
             GROUP BY w.account, w.window_date, asked.ad_product)
        SELECT account, window_date, CAST(sum(rows) AS bigint) AS rows, CAST(sum(unresolved) AS bigint) AS unresolved,
               sum(spend) AS spend, sum(sales) AS sales,
               CAST(jsonb_object_agg(ad_product, jsonb_build_object('rows', rows, 'spend', spend, 'sales', sales)) AS text) AS products
          FROM products GROUP BY account, window_date""")
