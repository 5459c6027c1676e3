"""SQL for the changes of a window's totals between loads: the view `window_restatements`."""

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset

_METRICS = ("impressions", "clicks", "orders", "sales", "spend")


def performance_rows_view(datasets: Iterable[Dataset]) -> str:
    """Return the statement that creates `performance_rows`, a view of all datasets' rows.

    The view has the metrics that most datasets have. A metric that a dataset lacks is null.
    """
    kinds = {"sales": "numeric", "spend": "numeric"}
    nulls = {name: f"CAST(NULL AS {kinds.get(name, 'bigint')}) AS {name}" for name in _METRICS}
    rows = (
        f"SELECT '{dataset.name}' AS dataset, account, window_date, ad_product, currency_code, "
        + ", ".join(name if name in dataset.columns else nulls[name] for name in _METRICS)
        + f" FROM {dataset.name}"
        for dataset in datasets
    )
    return "\nCREATE VIEW performance_rows AS\n" + "\n UNION ALL ".join(rows) + "\n"


def _of_metrics(columns: str, indent: int) -> str:
    """Return the SQL `columns` once for each metric, with the metric's name instead of `{0}`."""
    return f",\n{' ' * indent}".join(columns.format(name) for name in _METRICS)


_BEFORE_AND_AFTER = _of_metrics(
    """CASE WHEN l.load_number > 1 THEN l.{0} - l.{0}_change END AS {0}_before,
       l.{0}""",
    indent=7,
)
_AFTER_LOAD = _of_metrics(
    "n.{0} - coalesce(sum(d.{0}) OVER later, 0) AS {0}, coalesce(d.{0}, 0) AS {0}_change",
    indent=14,
)
_CHANGES = _of_metrics(
    """sum(coalesce(CAST(s.new_values ->> '{0}' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> '{0}' AS numeric), 0)) AS {0}""",
    indent=21,
)

# Totals are computed backwards from the current ones, by subtracting the changes of later loads.
# Every change names the report that it replaced: the newest one that confirmed the totals before.
# A replay of quarantined rows restates a load by itself (`old_data_as_of` = `new_data_as_of`), so
# it is part of that load. A window with deleted restatements has no rows here, since only its
# current totals are known; neither have ad products that Amazon does not serve, since their zeros
# are not measured.
_OF_PRODUCT = """s.account_id = w.account_id AND s.country_code = w.country_code
          AND s.dataset = w.dataset AND s.window_date = w.window_date
          AND s.dimensions ->> 'ad_product' = p.ad_product"""
WINDOW_RESTATEMENTS_VIEW = f"""
CREATE VIEW window_restatements AS
SELECT w.account_id,
       w.country_code,
       a.account_key,
       w.dataset,
       w.window_date,
       p.ad_product,
       c.currency_code,
       l.load_number,
       l.data_as_of,
       CAST(l.data_as_of AT TIME ZONE a.time_zone AS date) - w.window_date AS age_days,
       l.confirmed_as_of,
       CAST(l.confirmed_as_of AT TIME ZONE a.time_zone AS date) - w.window_date
           AS confirmed_age_days,
       {_BEFORE_AND_AFTER},
       l.rows_changed,
       l.rows_appeared,
       l.rows_vanished
  FROM report_windows w
  JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
 CROSS JOIN LATERAL (
       SELECT jsonb_object_keys(w.product_totals) EXCEPT SELECT unnest(w.not_served)) \
AS p(ad_product)
 CROSS JOIN LATERAL (
       SELECT a.currency_code
        UNION
       SELECT o.currency_code FROM performance_rows o
        WHERE o.dataset = w.dataset AND o.account = a.id AND o.window_date = w.window_date \
AND o.ad_product = p.ad_product
        UNION
       SELECT s.currency_code FROM restatements s WHERE {_OF_PRODUCT}) c
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(o.impressions), 0) AS impressions, coalesce(sum(o.clicks), 0) AS clicks,
              coalesce(sum(o.orders), 0) AS orders, coalesce(sum(o.sales), 0) AS sales, \
coalesce(sum(o.spend), 0) AS spend
         FROM performance_rows o
        WHERE o.dataset = w.dataset AND o.account = a.id AND o.window_date = w.window_date
          AND o.ad_product = p.ad_product AND o.currency_code = c.currency_code) n
 CROSS JOIN LATERAL (
       SELECT i.data_as_of,
              row_number() OVER earliest_first AS load_number,
              greatest(i.data_as_of, lead(d.replaced_as_of, 1, w.data_as_of) OVER earliest_first)
                  AS confirmed_as_of,
              {_AFTER_LOAD},
              coalesce(d.rows_changed, 0) AS rows_changed, \
coalesce(d.rows_appeared, 0) AS rows_appeared,
              coalesce(d.rows_vanished, 0) AS rows_vanished
         FROM (SELECT least(w.first_data_as_of, min(s.old_data_as_of))
                 FROM restatements s WHERE {_OF_PRODUCT}
                UNION
               SELECT s.new_data_as_of
                 FROM restatements s WHERE {_OF_PRODUCT} AND s.currency_code = c.currency_code
              ) i(data_as_of)
         LEFT JOIN (
              SELECT s.new_data_as_of,
                     max(s.old_data_as_of) FILTER (WHERE s.old_data_as_of < s.new_data_as_of)
                         AS replaced_as_of,
                     {_CHANGES},
                     count(*) FILTER (WHERE s.change = 'changed') AS rows_changed,
                     count(*) FILTER (WHERE s.change = 'appeared') AS rows_appeared,
                     count(*) FILTER (WHERE s.change = 'vanished') AS rows_vanished
                FROM restatements s
               WHERE {_OF_PRODUCT} AND s.currency_code = c.currency_code
               GROUP BY s.new_data_as_of) d ON d.new_data_as_of = i.data_as_of
        WINDOW earliest_first AS (ORDER BY i.data_as_of),
               later AS (ORDER BY i.data_as_of DESC \
ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) l
 WHERE w.not_served_since IS NULL AND p.ad_product <> ALL(w.not_served)
   AND w.window_date >= coalesce((SELECT restatements_from FROM installation), '-infinity')
"""


_LOADS = text("""
    SELECT * FROM window_restatements
     WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset
       AND window_date = :day
     ORDER BY ad_product, currency_code, load_number""")


def list_window_loads(
    connection: Connection, account: Account, dataset: str, day: date
) -> list[RowMapping]:
    """Return the loads that changed a window's totals, as rows of `window_restatements`.

    The rows are sorted by ad product, currency and load, oldest load first. `age_days` counts from
    the window's day to the account-local day of the request. In the first load, the totals before
    it (`spend_before` and so on) are None.
    """
    rows = connection.execute(_LOADS, account.identity | {"dataset": dataset, "day": day})
    return list(rows.mappings())


def find_first_kept_day(connection: Connection) -> date | None:
    """Return the day from which all restatements are kept; None if none was ever deleted."""
    day: date | None = connection.execute(
        text("SELECT restatements_from FROM installation")
    ).scalar_one()
    return day


_DELETE = text("""
    WITH deleted AS (
        DELETE FROM restatements WHERE id = ANY (ARRAY(
            SELECT id FROM restatements WHERE window_date < :before LIMIT :limit))
        RETURNING window_date),
    noted AS (
        UPDATE installation
           SET restatements_from =
               greatest(restatements_from, (SELECT max(window_date) + 1 FROM deleted))
         WHERE EXISTS (SELECT FROM deleted))
    SELECT count(*) FROM deleted""")


def delete_restatements(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` restatements of days before `before`; return the number deleted.

    Afterwards, `find_first_kept_day` returns a day after all days of the deleted restatements.
    """
    deleted = connection.execute(_DELETE, {"before": before.date(), "limit": limit})
    return int(deleted.scalar_one())
