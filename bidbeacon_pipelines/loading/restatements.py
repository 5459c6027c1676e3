"""SQL on how the numbers of a window changed from load to load: the view `window_restatements`, and reading it."""

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset

_METRICS = ("impressions", "clicks", "orders", "sales", "spend")


def _rows_of(dataset: Dataset) -> str:
    """Return the rows of a dataset's table with the columns of the view; a metric that it has not is null."""
    kinds = {"sales": "numeric", "spend": "numeric"}
    metrics = ", ".join(
        name if name in dataset.columns else f"CAST(NULL AS {kinds.get(name, 'bigint')}) AS {name}"
        for name in _METRICS
    )
    return f"SELECT '{dataset.name}' AS dataset, account, window_date, ad_product, currency_code, {metrics} FROM {dataset.table}"


def performance_rows_view(datasets: Iterable[Dataset]) -> str:
    """Return the statement that makes the view `performance_rows`, with the rows of these datasets."""
    return f"\nCREATE OR REPLACE VIEW performance_rows AS\n{_UNION.join(map(_rows_of, datasets))}\n"


_UNION = "\n UNION ALL "
PERFORMANCE_ROWS_VIEW = performance_rows_view(ALL_DATASETS)
"""The rows of all datasets, with the metrics that nearly all of them have."""

# Totals are computed backwards from the current ones, by subtracting what later loads changed.
# Loads that changed nothing leave no restatement; the timeline, the row before and the row after a
# change know of them. The first load changes nothing, it has no "before". A replay of
# quarantined rows restates a load by itself (`old_data_as_of` = `new_data_as_of`), so it is part of
# that load.
_SHORT = " ".join(f"WHEN '{long}' THEN '{short}'" for long, short in SHORT_NAMES.items())
WINDOW_RESTATEMENTS_VIEW = f"""
CREATE OR REPLACE VIEW window_restatements AS
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
       CASE WHEN l.load_number > 1 THEN l.impressions - l.impressions_change END AS impressions_before,
       l.impressions,
       CASE WHEN l.load_number > 1 THEN l.clicks - l.clicks_change END AS clicks_before,
       l.clicks,
       CASE WHEN l.load_number > 1 THEN l.orders - l.orders_change END AS orders_before,
       l.orders,
       CASE WHEN l.load_number > 1 THEN l.sales - l.sales_change END AS sales_before,
       l.sales,
       CASE WHEN l.load_number > 1 THEN l.spend - l.spend_change END AS spend_before,
       l.spend,
       l.rows_changed,
       l.rows_appeared,
       l.rows_vanished
  FROM report_windows w
  JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
 CROSS JOIN LATERAL jsonb_object_keys(w.product_totals) AS p(ad_product)
 CROSS JOIN LATERAL (
       SELECT a.currency_code
        UNION
       SELECT o.currency_code FROM performance_rows o
        WHERE o.dataset = w.dataset AND o.account = a.id AND o.window_date = w.window_date AND o.ad_product = p.ad_product
        UNION
       SELECT s.currency_code FROM restatements s
        WHERE s.account_id = w.account_id AND s.country_code = w.country_code AND s.dataset = w.dataset
          AND s.window_date = w.window_date AND s.dimensions ->> 'ad_product' = p.ad_product) c
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(o.impressions), 0) AS impressions, coalesce(sum(o.clicks), 0) AS clicks,
              coalesce(sum(o.orders), 0) AS orders, coalesce(sum(o.sales), 0) AS sales, coalesce(sum(o.spend), 0) AS spend
         FROM performance_rows o
        WHERE o.dataset = w.dataset AND o.account = a.id AND o.window_date = w.window_date
          AND o.ad_product = p.ad_product AND o.currency_code = c.currency_code) n
 CROSS JOIN LATERAL (
       SELECT i.data_as_of,
              row_number() OVER (ORDER BY i.data_as_of) AS load_number,
              n.impressions - coalesce(sum(d.impressions) OVER later, 0) AS impressions, coalesce(d.impressions, 0) AS impressions_change,
              n.clicks - coalesce(sum(d.clicks) OVER later, 0) AS clicks, coalesce(d.clicks, 0) AS clicks_change,
              n.orders - coalesce(sum(d.orders) OVER later, 0) AS orders, coalesce(d.orders, 0) AS orders_change,
              n.sales - coalesce(sum(d.sales) OVER later, 0) AS sales, coalesce(d.sales, 0) AS sales_change,
              n.spend - coalesce(sum(d.spend) OVER later, 0) AS spend, coalesce(d.spend, 0) AS spend_change,
              coalesce(d.rows_changed, 0) AS rows_changed, coalesce(d.rows_appeared, 0) AS rows_appeared,
              coalesce(d.rows_vanished, 0) AS rows_vanished
         FROM (SELECT w.data_as_of
                UNION
               SELECT unnest(ARRAY[s.old_data_as_of, s.new_data_as_of]) FROM restatements s
                WHERE s.account_id = w.account_id AND s.country_code = w.country_code AND s.dataset = w.dataset
                  AND s.window_date = w.window_date AND s.dimensions ->> 'ad_product' = p.ad_product
                UNION
               SELECT coalesce(r.sent_at, r.created_at)
                 FROM session_references t
                 JOIN session_actions x ON x.session_id = t.session_id AND x.ord = t.ord
                 JOIN report_requests r ON r.id = CAST(x.payload ->> 'request_id' AS bigint)
                WHERE t.account_key = a.account_key AND t.dataset = w.dataset
                  AND t.window_key = to_char(w.window_date, 'YYYY-MM-DD') AND t.effect = 'loaded'
                  AND CASE p.ad_product {_SHORT} END = ANY(string_to_array(r.report, '+'))) i
         LEFT JOIN (
              SELECT s.new_data_as_of,
                     sum(coalesce(CAST(s.new_values ->> 'impressions' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'impressions' AS numeric), 0)) AS impressions,
                     sum(coalesce(CAST(s.new_values ->> 'clicks' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'clicks' AS numeric), 0)) AS clicks,
                     sum(coalesce(CAST(s.new_values ->> 'orders' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'orders' AS numeric), 0)) AS orders,
                     sum(coalesce(CAST(s.new_values ->> 'sales' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'sales' AS numeric), 0)) AS sales,
                     sum(coalesce(CAST(s.new_values ->> 'spend' AS numeric), 0)
                       - coalesce(CAST(s.old_values ->> 'spend' AS numeric), 0)) AS spend,
                     count(*) FILTER (WHERE s.change = 'changed') AS rows_changed,
                     count(*) FILTER (WHERE s.change = 'appeared') AS rows_appeared,
                     count(*) FILTER (WHERE s.change = 'vanished') AS rows_vanished
                FROM restatements s
               WHERE s.account_id = w.account_id AND s.country_code = w.country_code AND s.dataset = w.dataset
                 AND s.window_date = w.window_date AND s.dimensions ->> 'ad_product' = p.ad_product AND s.currency_code = c.currency_code
               GROUP BY s.new_data_as_of) d ON d.new_data_as_of = i.data_as_of
        WINDOW later AS (ORDER BY i.data_as_of DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) l
"""


_LOADS = text("""
    SELECT * FROM window_restatements
     WHERE account_id = :account_id AND country_code = :country_code AND dataset = :dataset AND window_date = :day
     ORDER BY ad_product, currency_code, load_number""")


def list_window_loads(
    connection: Connection, account: Account, dataset: str, day: date
) -> list[RowMapping]:
    """Return the loads of a window, rows of `window_restatements`: those of one ad product and currency after one another, oldest first.

    `age_days` counts from the window's day to the account-local day on which the report was asked
    for: n of T+n. Totals before the first load (`spend_before` and so on) are None.
    """
    rows = connection.execute(_LOADS, account.identity | {"dataset": dataset, "day": day})
    return list(rows.mappings())


def delete_restatements(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most so many restatements of windows from before a day; return how many."""
    deleted = connection.execute(
        text("""DELETE FROM restatements WHERE id = ANY (ARRAY(
                    SELECT id FROM restatements WHERE window_date < :before LIMIT :limit))"""),
        {"before": before.date(), "limit": limit},
    )
    return deleted.rowcount
