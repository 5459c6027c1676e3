"""Sum up account days when they are read, and show analysts holes and age.

Views that only got columns are replaced, which leaves what roles may read as it is.

Revision ID: 0024
"""

from alembic import op

revision = "0024"
down_revision = "0023"
oldest_program = "0024"  # the newest migration that a program has to know

# A view reads tables by its owner's rights, but a function in it by the reader's own, so the view
# has the query of `window_states`, as this database has it.
DAYS_VIEW = """
CREATE VIEW reports.days AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       a.currency_code,
       t.dataset,
       t.report,
       t.window_date,
       t.state,
       t.cause ->> 'code' AS cause,
       t.as_of,
       t.is_final,
       t.next_at
  FROM ({states}) t(account_id, country_code, account_key, dataset, report, window_date, state, cause, since, next_at, as_of, is_final)
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code"""


def upgrade() -> None:
    op.execute("""DROP VIEW reports.account_daily_summaries""")
    op.drop_table("account_daily_summaries")
    op.drop_column("report_windows", "replayed_at")
    op.execute("""CREATE OR REPLACE VIEW reports.daily_campaigns AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       coalesce(c.name, t.campaign_name) AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.cost_type,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       t.viewable_impressions,
       t.new_to_brand_orders,
       t.new_to_brand_sales,
       t.new_to_brand_units,
       t.orders_promoted,
       t.sales_promoted,
       t.units_promoted,
       t.sales_halo,
       t.units_halo,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final
  FROM daily_campaign_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_campaigns'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""CREATE OR REPLACE VIEW reports.hourly_campaigns AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.hour_at,
       CAST(extract(hour FROM t.hour_at AT TIME ZONE a.time_zone) AS integer) AS local_hour,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final
  FROM hourly_campaign_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_campaigns'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""CREATE OR REPLACE VIEW reports.daily_placements AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.placement,
       t.placement_reported,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       t.viewable_impressions,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final
  FROM daily_placement_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_placements'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""CREATE OR REPLACE VIEW reports.daily_targets AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.target_value,
       t.match_type,
       t.target_id,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       t.orders_promoted,
       t.sales_promoted,
       t.units_promoted,
       t.sales_halo,
       t.units_halo,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final
  FROM daily_target_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_targets'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""CREATE OR REPLACE VIEW reports.hourly_targets AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.hour_at,
       CAST(extract(hour FROM t.hour_at AT TIME ZONE a.time_zone) AS integer) AS local_hour,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.target_value,
       t.match_type,
       t.target_id,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final
  FROM hourly_target_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_targets'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""CREATE OR REPLACE VIEW reports.daily_products AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.ad_id,
       t.product_id,
       t.sku,
       t.marketplace,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final
  FROM daily_product_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_products'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""CREATE OR REPLACE VIEW reports.hourly_products AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.hour_at,
       CAST(extract(hour FROM t.hour_at AT TIME ZONE a.time_zone) AS integer) AS local_hour,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.ad_id,
       t.product_id,
       t.marketplace,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final
  FROM hourly_product_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_products'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""CREATE OR REPLACE VIEW reports.daily_search_terms AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.target_value,
       t.match_type,
       t.search_term,
       t.target_id,
       t.impressions,
       t.clicks,
       t.spend,
       t.orders,
       t.sales,
       t.units,
       CAST(t.spend AS numeric) / nullif(t.clicks, 0) AS cpc,
       CAST(t.clicks AS numeric) / nullif(t.impressions, 0) AS ctr,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       w.as_of,
       w.is_final
  FROM daily_search_term_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_search_terms'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""CREATE OR REPLACE VIEW reports.daily_purchased_products AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.campaign_id,
       c.name AS campaign_name,
       c.portfolio_id,
       f.name AS portfolio_name,
       t.ad_group_id,
       g.name AS ad_group_name,
       t.target_value,
       t.match_type,
       t.product_id,
       t.sku,
       t.purchased_product_id,
       t.purchased_marketplace,
       t.target_id,
       t.orders,
       t.sales,
       t.units,
       t.orders_promoted,
       t.sales_promoted,
       t.units_promoted,
       t.orders_halo,
       t.sales_halo,
       t.units_halo,
       t.orders_from_clicks,
       t.sales_from_clicks,
       t.units_from_clicks,
       t.new_to_brand_orders,
       t.new_to_brand_sales,
       t.new_to_brand_units,
       w.as_of,
       w.is_final
  FROM daily_purchased_product_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_purchased_products'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("ALTER VIEW reports.restatements RENAME COLUMN data_as_of TO as_of")
    op.execute("""CREATE OR REPLACE VIEW reports.restatements AS
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
        """COMMENT ON COLUMN reports.restatements.as_of IS 'When this report was requested: what happened later is not in it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""CREATE VIEW reports.account_daily_summaries AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.window_date,
       t.ad_product,
       CASE WHEN t.ad_product <> 'SPONSORED_PRODUCTS' OR a.account_type = 'vendor' THEN 14
            WHEN a.account_type = 'seller' THEN 7 END AS attribution_days,
       t.currency_code,
       t.impressions,
       t.clicks,
       t.orders,
       t.sales,
       t.spend,
       CAST(t.spend AS numeric) / nullif(t.sales, 0) AS acos,
       CAST(t.sales AS numeric) / nullif(t.spend, 0) AS roas,
       h.impressions AS hourly_impressions,
       h.clicks AS hourly_clicks,
       h.orders AS hourly_orders,
       h.sales AS hourly_sales,
       h.spend AS hourly_spend,
       w.as_of,
       w.is_final,
       hw.as_of AS hourly_as_of
  FROM advertiser_accounts a
 CROSS JOIN LATERAL (
    SELECT window_date, ad_product, currency_code, sum(impressions) AS impressions, sum(clicks) AS clicks, sum(orders) AS orders, sum(sales) AS sales, sum(spend) AS spend
      FROM (SELECT window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_campaign_performance WHERE account = a.id
             UNION ALL
            SELECT w.window_date, 'SPONSORED_PRODUCTS', a.currency_code, 0, 0, 0, 0.000000, 0.000000 FROM report_windows w
             WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_campaigns'
               AND w.product_totals ? 'SPONSORED_PRODUCTS') r
     GROUP BY window_date, ad_product, currency_code) t
  LEFT JOIN LATERAL (
       SELECT sum(impressions) AS impressions, sum(clicks) AS clicks, sum(orders) AS orders, sum(sales) AS sales, sum(spend) AS spend FROM hourly_campaign_performance h
        WHERE h.account = a.id AND h.window_date = t.window_date AND h.ad_product = t.ad_product
          AND h.currency_code = t.currency_code) h ON true
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_campaigns'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_campaigns'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) hw ON true""")
    op.execute(
        """COMMENT ON VIEW reports.account_daily_summaries IS 'What each loaded day of an account adds up to, beside what its hours add up to. One row is a day, ad product and currency of an account; Sponsored Products have one for each loaded day, other ad products for days with any activity.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.account_name IS 'Name of the account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.impressions IS 'impressions of the day.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.clicks IS 'clicks of the day.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.orders IS 'orders of the day.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.account_daily_summaries.sales IS 'sales of the day.'""")
    op.execute("""COMMENT ON COLUMN reports.account_daily_summaries.spend IS 'spend of the day.'""")
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.hourly_impressions IS 'impressions as the hours of the day add up; null where they were not loaded, or are no longer kept.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.hourly_clicks IS 'clicks as the hours of the day add up; null where they were not loaded, or are no longer kept.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.hourly_orders IS 'orders as the hours of the day add up; null where they were not loaded, or are no longer kept.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.hourly_sales IS 'sales as the hours of the day add up; null where they were not loaded, or are no longer kept.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.hourly_spend IS 'spend as the hours of the day add up; null where they were not loaded, or are no longer kept.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day was loaded in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.hourly_as_of IS 'When the hourly report was requested.'"""
    )
    states = (
        op.get_bind()
        .exec_driver_sql("SELECT prosrc FROM pg_proc WHERE proname = 'window_states'")
        .scalar_one()
    )
    states = states.replace("window_states.at", "now()")
    states = states.replace("window_states.late_after", "interval '12 hours'")
    op.execute(DAYS_VIEW.format(states=states))
    op.execute(
        """COMMENT ON VIEW reports.days IS 'Which days of which dataset are loaded. One row is a day of one report of an account; a dataset whose ad products are requested separately has several. Read it beside a sum: a day without as_of is missing in it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.days.account_name IS 'Name of the account.'""")
    op.execute(
        """COMMENT ON COLUMN reports.days.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.days.currency_code IS 'Currency of the account.'""")
    op.execute(
        """COMMENT ON COLUMN reports.days.dataset IS 'Name of the dataset, which is also that of its view.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.report IS 'The ad products of the report: SP+SB+SD.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.state IS 'fresh, missing, due, requested, loading, paused, disabled, late at Amazon, late, suspicious, unconfirmed, needs attention, failed, expired. A day that is not fresh may still have data. It is late when due for longer than 12 hours.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.cause IS 'Code of what is wrong; null where nothing is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.as_of IS 'When the loaded report was requested: what happened later is not in it. Null where the day has no data.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.days.next_at IS 'When the next step is due, if any.'""")
