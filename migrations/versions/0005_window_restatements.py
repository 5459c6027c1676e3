"""The view that tells how the numbers of a window changed from load to load.

Revision ID: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"

WINDOW_RESTATEMENTS_VIEW = """
CREATE VIEW window_restatements AS
SELECT w.account_id,
       w.country_code,
       a.account_key,
       w.dataset,
       w.window_date,
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
 CROSS JOIN LATERAL (
       SELECT a.currency_code
        UNION
       SELECT p.currency_code FROM performance_daily p
        WHERE p.account_id = w.account_id AND p.country_code = w.country_code AND p.dataset = w.dataset
          AND p.window_date = w.window_date
        UNION
       SELECT p.currency_code FROM performance_hourly p
        WHERE p.account_id = w.account_id AND p.country_code = w.country_code AND p.dataset = w.dataset
          AND p.window_date = w.window_date
        UNION
       SELECT s.currency_code FROM restatements s
        WHERE s.account_id = w.account_id AND s.country_code = w.country_code AND s.dataset = w.dataset
          AND s.window_date = w.window_date) c
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(p.impressions), 0) AS impressions, coalesce(sum(p.clicks), 0) AS clicks,
              coalesce(sum(p.orders), 0) AS orders, coalesce(sum(p.sales), 0) AS sales, coalesce(sum(p.spend), 0) AS spend
         FROM (SELECT account_id, country_code, dataset, window_date, currency_code, impressions, clicks, orders, sales, spend
                 FROM performance_daily
                UNION ALL
               SELECT account_id, country_code, dataset, window_date, currency_code, impressions, clicks, orders, sales, spend
                 FROM performance_hourly) p
        WHERE p.account_id = w.account_id AND p.country_code = w.country_code AND p.dataset = w.dataset
          AND p.window_date = w.window_date AND p.currency_code = c.currency_code) n
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
                  AND s.window_date = w.window_date
                UNION
               SELECT coalesce(r.sent_at, r.created_at)
                 FROM session_touches t
                 JOIN session_actions x ON x.session_id = t.session_id AND x.ord = t.ord
                 JOIN report_requests r ON r.id = CAST(x.payload ->> 'request_id' AS bigint)
                WHERE t.account_key = a.account_key AND t.dataset = w.dataset
                  AND t.window_key = to_char(w.window_date, 'YYYY-MM-DD') AND t.effect = 'loaded') i
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
                 AND s.window_date = w.window_date AND s.currency_code = c.currency_code
               GROUP BY s.new_data_as_of) d ON d.new_data_as_of = i.data_as_of
        WINDOW later AS (ORDER BY i.data_as_of DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) l
 WHERE w.data_as_of IS NOT NULL
"""


def upgrade() -> None:
    op.execute(WINDOW_RESTATEMENTS_VIEW)
