"""Keep restatements without the session log.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
oldest_program = None  # as before: programs that do not know this migration go on

WINDOW_RESTATEMENTS_VIEW = """
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
       l.confirmed_as_of,
       CAST(l.confirmed_as_of AT TIME ZONE a.time_zone AS date) - w.window_date
           AS confirmed_age_days,
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
       SELECT s.currency_code FROM restatements s WHERE s.account_id = w.account_id AND s.country_code = w.country_code
          AND s.dataset = w.dataset AND s.window_date = w.window_date
          AND s.dimensions ->> 'ad_product' = p.ad_product) c
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(o.impressions), 0) AS impressions, coalesce(sum(o.clicks), 0) AS clicks,
              coalesce(sum(o.orders), 0) AS orders, coalesce(sum(o.sales), 0) AS sales, coalesce(sum(o.spend), 0) AS spend
         FROM performance_rows o
        WHERE o.dataset = w.dataset AND o.account = a.id AND o.window_date = w.window_date
          AND o.ad_product = p.ad_product AND o.currency_code = c.currency_code) n
 CROSS JOIN LATERAL (
       SELECT i.data_as_of,
              row_number() OVER earliest_first AS load_number,
              greatest(i.data_as_of, lead(d.replaced_as_of, 1, w.data_as_of) OVER earliest_first)
                  AS confirmed_as_of,
              n.impressions - coalesce(sum(d.impressions) OVER later, 0) AS impressions, coalesce(d.impressions, 0) AS impressions_change,
              n.clicks - coalesce(sum(d.clicks) OVER later, 0) AS clicks, coalesce(d.clicks, 0) AS clicks_change,
              n.orders - coalesce(sum(d.orders) OVER later, 0) AS orders, coalesce(d.orders, 0) AS orders_change,
              n.sales - coalesce(sum(d.sales) OVER later, 0) AS sales, coalesce(d.sales, 0) AS sales_change,
              n.spend - coalesce(sum(d.spend) OVER later, 0) AS spend, coalesce(d.spend, 0) AS spend_change,
              coalesce(d.rows_changed, 0) AS rows_changed, coalesce(d.rows_appeared, 0) AS rows_appeared,
              coalesce(d.rows_vanished, 0) AS rows_vanished
         FROM (SELECT least(w.first_data_as_of, min(s.old_data_as_of))
                 FROM restatements s WHERE s.account_id = w.account_id AND s.country_code = w.country_code
          AND s.dataset = w.dataset AND s.window_date = w.window_date
          AND s.dimensions ->> 'ad_product' = p.ad_product
                UNION
               SELECT s.new_data_as_of
                 FROM restatements s WHERE s.account_id = w.account_id AND s.country_code = w.country_code
          AND s.dataset = w.dataset AND s.window_date = w.window_date
          AND s.dimensions ->> 'ad_product' = p.ad_product AND s.currency_code = c.currency_code
              ) i(data_as_of)
         LEFT JOIN (
              SELECT s.new_data_as_of,
                     max(s.old_data_as_of) FILTER (WHERE s.old_data_as_of < s.new_data_as_of)
                         AS replaced_as_of,
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
               WHERE s.account_id = w.account_id AND s.country_code = w.country_code
          AND s.dataset = w.dataset AND s.window_date = w.window_date
          AND s.dimensions ->> 'ad_product' = p.ad_product AND s.currency_code = c.currency_code
               GROUP BY s.new_data_as_of) d ON d.new_data_as_of = i.data_as_of
        WINDOW earliest_first AS (ORDER BY i.data_as_of),
               later AS (ORDER BY i.data_as_of DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) l
 WHERE w.not_served_since IS NULL AND p.ad_product <> ALL(w.not_served)
   AND w.window_date >= coalesce((SELECT restatements_from FROM installation), '-infinity')
"""


def upgrade() -> None:
    op.execute("""DROP VIEW reports.restatements""")
    op.add_column("installation", sa.Column("restatements_from", sa.Date(), nullable=True))
    op.add_column(
        "report_windows", sa.Column("first_data_as_of", sa.DateTime(timezone=True), nullable=True)
    )
    op.execute("DROP VIEW window_restatements")
    op.execute(WINDOW_RESTATEMENTS_VIEW)
    op.execute("""CREATE VIEW reports.restatements AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.dataset,
       t.window_date,
       t.ad_product,
       t.currency_code,
       t.load_number,
       t.data_as_of AS as_of,
       t.age_days,
       t.confirmed_as_of,
       t.impressions_before,
       t.impressions,
       t.clicks_before,
       t.clicks,
       t.orders_before,
       t.orders,
       t.sales_before,
       t.sales,
       t.spend_before,
       t.spend,
       t.rows_changed,
       t.rows_appeared,
       t.rows_vanished,
       w.is_final
  FROM window_restatements t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = t.dataset
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.restatements IS 'How the totals of a day changed from load to load. One row is one load that changed the totals of one ad product of a day of a dataset in one currency, or its first load. Days whose restatements are deleted have none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.restatements.account_name IS 'Name of the account.'""")
    op.execute(
        """COMMENT ON COLUMN reports.restatements.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.dataset IS 'Name of the dataset, which is also that of its view.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.load_number IS '1 for the first load; loads that changed nothing have no number.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.as_of IS 'When this report was requested: what happened later is not in it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.age_days IS 'How many days old the day was then, on the account''s calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.confirmed_as_of IS 'When the newest report that states these totals was requested.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.impressions_before IS 'impressions of the day before this load; null for the first.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.impressions IS 'impressions of the day after this load.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.clicks_before IS 'clicks of the day before this load; null for the first.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.clicks IS 'clicks of the day after this load.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.orders_before IS 'orders of the day before this load; null for the first.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.orders IS 'orders of the day after this load.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.sales_before IS 'sales of the day before this load; null for the first.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.sales IS 'sales of the day after this load.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.spend_before IS 'spend of the day before this load; null for the first.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.spend IS 'spend of the day after this load.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.rows_changed IS 'Rows whose metrics this load changed.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.rows_appeared IS 'Rows that this load added.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.rows_vanished IS 'Rows that this load removed.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
