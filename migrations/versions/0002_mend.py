"""Mend.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
oldest_program = None  # as before: programs that do not know this migration go on


def upgrade() -> None:
    op.execute("""DROP VIEW reports.account_daily_summaries""")
    op.execute("""DROP VIEW reports.daily_campaigns""")
    op.execute("""DROP VIEW reports.daily_placements""")
    op.execute("""DROP VIEW reports.daily_products""")
    op.execute("""DROP VIEW reports.daily_purchased_products""")
    op.execute("""DROP VIEW reports.daily_search_terms""")
    op.execute("""DROP VIEW reports.daily_targets""")
    op.execute("""DROP VIEW reports.days""")
    op.execute("""DROP VIEW reports.hourly_campaigns""")
    op.execute("""DROP VIEW reports.hourly_products""")
    op.execute("""DROP VIEW reports.hourly_targets""")
    op.execute("""DROP VIEW reports.restatements""")
    op.execute("""CREATE VIEW reports.daily_campaigns AS
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
       w.is_final,
       w.is_complete
  FROM daily_campaign_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_campaigns'
          AND w.window_date = t.window_date) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.daily_campaigns IS 'Daily performance by campaign. One row is one campaign, day, ad product and currency of an account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.account_name IS 'Name of the account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.campaign_id IS 'Amazon''s id of the campaign.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.campaign_name IS 'Name of the campaign today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.portfolio_name IS 'Name of that portfolio today.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.cost_type IS 'What is paid for: CPC (clicks) or VCPM (viewable impressions).'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.impressions IS 'Times the ad was shown.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.clicks IS 'Clicks, without invalid ones.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.spend IS 'Cost of clicks or impressions, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.viewable_impressions IS 'Impressions that met the viewability standard.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.new_to_brand_orders IS 'Orders of shoppers who had not bought the brand in the 12 months before.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.new_to_brand_sales IS 'Sales of shoppers who had not bought the brand in the 12 months before.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.new_to_brand_units IS 'Units of shoppers who had not bought the brand in the 12 months before.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.orders_promoted IS 'Orders of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.sales_promoted IS 'Sales of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.units_promoted IS 'Units of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.sales_halo IS 'Sales of other products of the brand.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.units_halo IS 'Units of other products of the brand.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_campaigns.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute("""CREATE VIEW reports.hourly_campaigns AS
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
       w.is_final,
       w.is_complete
  FROM hourly_campaign_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_campaigns'
          AND w.window_date = t.window_date) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.hourly_campaigns IS 'Hourly performance by campaign. One row is one campaign, hour, ad product and currency of an account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.account_name IS 'Name of the account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.hourly_campaigns.hour_at IS 'When the hour began.'""")
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.local_hour IS 'Hour of the account''s own clock at which it began: 0 to 23.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.campaign_id IS 'Amazon''s id of the campaign.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.campaign_name IS 'Name of the campaign today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.portfolio_name IS 'Name of that portfolio today.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.impressions IS 'Times the ad was shown.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.clicks IS 'Clicks, without invalid ones.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.spend IS 'Cost of clicks or impressions, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_campaigns.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute("""CREATE VIEW reports.daily_placements AS
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
       w.is_final,
       w.is_complete
  FROM daily_placement_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_placements'
          AND w.window_date = t.window_date) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.daily_placements IS 'Daily performance by placement. One row is one placement, day, ad product and currency of an account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.account_name IS 'Name of the account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.campaign_id IS 'Amazon''s id of the campaign.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.campaign_name IS 'Name of the campaign today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.portfolio_name IS 'Name of that portfolio today.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.placement IS 'Where the ad was shown: TOP_OF_SEARCH, REST_OF_SEARCH, PRODUCT_PAGE, OFF_AMAZON, SITE_AMAZON_BUSINESS, or as reported.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.placement_reported IS 'As Amazon wrote it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.impressions IS 'Times the ad was shown.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.clicks IS 'Clicks, without invalid ones.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.spend IS 'Cost of clicks or impressions, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.viewable_impressions IS 'Impressions that met the viewability standard.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_placements.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute("""CREATE VIEW reports.daily_targets AS
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
       n.target_id,
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
       w.is_final,
       w.is_complete
  FROM daily_target_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_targets'
          AND w.window_date = t.window_date) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.daily_targets IS 'Daily performance by target. One row is one target, day, ad product and currency of an account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.daily_targets.account_name IS 'Name of the account.'""")
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.campaign_id IS 'Amazon''s id of the campaign.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.campaign_name IS 'Name of the campaign today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.portfolio_name IS 'Name of that portfolio today.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.ad_group_id IS 'Amazon''s id of the ad group.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.ad_group_name IS 'Name of the ad group today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.target_value IS 'The target as reported: a keyword, an expression, the name of an automatic target.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.match_type IS 'How the target is matched, as reported; null where the product has no match types.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.target_id IS 'The target that the row names; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.impressions IS 'Times the ad was shown.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.clicks IS 'Clicks, without invalid ones.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.spend IS 'Cost of clicks or impressions, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.orders_promoted IS 'Orders of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.sales_promoted IS 'Sales of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.units_promoted IS 'Units of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.sales_halo IS 'Sales of other products of the brand.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.units_halo IS 'Units of other products of the brand.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute("""CREATE VIEW reports.hourly_targets AS
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
       n.target_id,
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
       w.is_final,
       w.is_complete
  FROM hourly_target_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_targets'
          AND w.window_date = t.window_date) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.hourly_targets IS 'Hourly performance by target. One row is one target, hour, ad product and currency of an account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.account_name IS 'Name of the account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.hourly_targets.hour_at IS 'When the hour began.'""")
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.local_hour IS 'Hour of the account''s own clock at which it began: 0 to 23.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.campaign_id IS 'Amazon''s id of the campaign.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.campaign_name IS 'Name of the campaign today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.portfolio_name IS 'Name of that portfolio today.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.ad_group_id IS 'Amazon''s id of the ad group.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.ad_group_name IS 'Name of the ad group today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.target_value IS 'The target as reported: a keyword, an expression, the name of an automatic target.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.match_type IS 'How the target is matched, as reported; null where the product has no match types.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.target_id IS 'The target that the row names; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.impressions IS 'Times the ad was shown.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.clicks IS 'Clicks, without invalid ones.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.spend IS 'Cost of clicks or impressions, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute("""CREATE VIEW reports.daily_products AS
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
       w.is_final,
       w.is_complete
  FROM daily_product_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_products'
          AND w.window_date = t.window_date) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.daily_products IS 'Daily performance by advertised product. One row is one product, day, ad product and currency of an account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.account_name IS 'Name of the account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.campaign_id IS 'Amazon''s id of the campaign.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.campaign_name IS 'Name of the campaign today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.portfolio_name IS 'Name of that portfolio today.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.ad_group_id IS 'Amazon''s id of the ad group.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.ad_group_name IS 'Name of the ad group today; null until an export has it.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.daily_products.ad_id IS 'Amazon''s id of the ad.'""")
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.product_id IS 'ASIN of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.sku IS 'The seller''s SKU of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.marketplace IS 'Marketplace of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.impressions IS 'Times the ad was shown.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.clicks IS 'Clicks, without invalid ones.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.spend IS 'Cost of clicks or impressions, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_products.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute("""CREATE VIEW reports.hourly_products AS
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
       w.is_final,
       w.is_complete
  FROM hourly_product_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_products'
          AND w.window_date = t.window_date) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.hourly_products IS 'Hourly performance by advertised product. One row is one product, hour, ad product and currency of an account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.account_name IS 'Name of the account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.hourly_products.hour_at IS 'When the hour began.'""")
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.local_hour IS 'Hour of the account''s own clock at which it began: 0 to 23.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.campaign_id IS 'Amazon''s id of the campaign.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.campaign_name IS 'Name of the campaign today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.portfolio_name IS 'Name of that portfolio today.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.ad_group_id IS 'Amazon''s id of the ad group.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.ad_group_name IS 'Name of the ad group today; null until an export has it.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.hourly_products.ad_id IS 'Amazon''s id of the ad.'""")
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.product_id IS 'ASIN of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.marketplace IS 'Marketplace of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.impressions IS 'Times the ad was shown.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.clicks IS 'Clicks, without invalid ones.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.spend IS 'Cost of clicks or impressions, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_products.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute("""CREATE VIEW reports.daily_search_terms AS
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
       n.target_id,
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
       w.is_final,
       w.is_complete
  FROM daily_search_term_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_search_terms'
          AND w.window_date = t.window_date) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.daily_search_terms IS 'Daily performance by search term. One row is one target and search term, day, ad product and currency of an account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.account_name IS 'Name of the account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.campaign_id IS 'Amazon''s id of the campaign.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.campaign_name IS 'Name of the campaign today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.portfolio_name IS 'Name of that portfolio today.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.ad_group_id IS 'Amazon''s id of the ad group.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.ad_group_name IS 'Name of the ad group today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.target_value IS 'The target as reported: a keyword, an expression, the name of an automatic target.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.match_type IS 'How the target is matched, as reported; null where the product has no match types.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.search_term IS 'What the shopper typed, or the ASIN of the page that was seen. Only terms with a click are reported.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.target_id IS 'The target that the row names; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.impressions IS 'Times the ad was shown.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.clicks IS 'Clicks, without invalid ones.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.spend IS 'Cost of clicks or impressions, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute("""CREATE VIEW reports.daily_purchased_products AS
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
       n.target_id,
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
       w.is_final,
       w.is_complete
  FROM daily_purchased_product_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_purchased_products'
          AND w.window_date = t.window_date) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.daily_purchased_products IS 'Daily conversions by purchased product. One row is one purchased product, day, ad product and currency of an account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.account_name IS 'Name of the account.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.currency_code IS 'Currency of the amounts.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.campaign_id IS 'Amazon''s id of the campaign.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.campaign_name IS 'Name of the campaign today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.portfolio_name IS 'Name of that portfolio today.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.ad_group_id IS 'Amazon''s id of the ad group.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.ad_group_name IS 'Name of the ad group today; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.target_value IS 'The target as reported: a keyword, an expression, the name of an automatic target.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.match_type IS 'How the target is matched, as reported; null where the product has no match types.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.product_id IS 'ASIN of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.sku IS 'The seller''s SKU of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.purchased_product_id IS 'ASIN of the product that was bought.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.purchased_marketplace IS 'Marketplace in which it was bought.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.target_id IS 'The target that the row names; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.orders_promoted IS 'Orders of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.sales_promoted IS 'Sales of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.units_promoted IS 'Units of the advertised product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.orders_halo IS 'Orders of other products of the brand.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.sales_halo IS 'Sales of other products of the brand.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.units_halo IS 'Units of other products of the brand.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.orders_from_clicks IS 'Orders after a click, without those after a view.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.sales_from_clicks IS 'Sales after a click, without those after a view.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.units_from_clicks IS 'Units after a click, without those after a view.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.new_to_brand_orders IS 'Orders of shoppers who had not bought the brand in the 12 months before.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.new_to_brand_sales IS 'Sales of shoppers who had not bought the brand in the 12 months before.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.new_to_brand_units IS 'Units of shoppers who had not bought the brand in the 12 months before.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
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
       w.is_final,
       w.is_complete
  FROM window_restatements t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = t.dataset
          AND w.window_date = t.window_date) w ON true""")
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
        """COMMENT ON COLUMN reports.restatements.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
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
       w.is_complete,
       hw.as_of AS hourly_as_of
  FROM advertiser_accounts a
 CROSS JOIN LATERAL (
    SELECT window_date, ad_product, currency_code, sum(impressions) AS impressions, sum(clicks) AS clicks, sum(orders) AS orders, sum(sales) AS sales, sum(spend) AS spend
      FROM (SELECT window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_campaign_performance WHERE account = a.id
             UNION ALL
            SELECT w.window_date, 'SPONSORED_PRODUCTS', a.currency_code, 0, 0, 0, 0.000000, 0.000000 FROM report_windows w
             WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_campaigns'
               AND w.product_totals ? 'SPONSORED_PRODUCTS'
               AND w.not_served_since IS NULL AND 'SPONSORED_PRODUCTS' <> ALL(w.not_served)) r
     GROUP BY window_date, ad_product, currency_code) t
  LEFT JOIN LATERAL (
       SELECT sum(impressions) AS impressions, sum(clicks) AS clicks, sum(orders) AS orders, sum(sales) AS sales, sum(spend) AS spend FROM hourly_campaign_performance h
        WHERE h.account = a.id AND h.window_date = t.window_date AND h.ad_product = t.ad_product
          AND h.currency_code = t.currency_code) h ON true
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_campaigns'
          AND w.window_date = t.window_date) w ON true
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) FILTER (WHERE w.product_totals ? t.ad_product
                                          AND w.not_served_since IS NULL) AS as_of,
              coalesce(bool_and(w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now())) FILTER (WHERE w.not_served_since IS NULL), false) AS is_final,
              coalesce(bool_and(w.data_as_of IS NOT NULL) FILTER (WHERE w.not_served_since IS NULL), false) AS is_complete
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_campaigns'
          AND w.window_date = t.window_date) hw ON true""")
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
        """COMMENT ON COLUMN reports.account_daily_summaries.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.account_daily_summaries.hourly_as_of IS 'When the hourly report was requested.'"""
    )
    op.execute("""CREATE VIEW reports.days AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       a.currency_code,
       t.dataset,
       t.window_date,
       (array_agg(t.state ORDER BY array_position(ARRAY['fresh', 'missing', 'due', 'requested', 'loading', 'not served', 'paused', 'disabled', 'late at Amazon', 'late', 'suspicious', 'unconfirmed', 'needs attention', 'failed', 'expired'], t.state) DESC, t.report))[1] AS state,
       (array_agg(t.cause ->> 'code' ORDER BY array_position(ARRAY['fresh', 'missing', 'due', 'requested', 'loading', 'not served', 'paused', 'disabled', 'late at Amazon', 'late', 'suspicious', 'unconfirmed', 'needs attention', 'failed', 'expired'], t.state) DESC, t.report))[1] AS cause,
       min(t.as_of) AS as_of,
       coalesce(bool_and(t.is_final) FILTER (WHERE t.not_served_since IS NULL), false) AS is_final,
       coalesce(bool_and(t.as_of IS NOT NULL) FILTER (WHERE t.not_served_since IS NULL), false) AS is_complete,
       min(t.next_at) AS next_at,
       array_remove(ARRAY[CASE WHEN bool_or('SPONSORED_PRODUCTS' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SP' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_PRODUCTS' END,
         CASE WHEN bool_or('SPONSORED_BRANDS' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SB' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_BRANDS' END,
         CASE WHEN bool_or('SPONSORED_DISPLAY' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SD' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_DISPLAY' END], NULL) AS not_served,
       CASE WHEN bool_or('SB' = ANY(string_to_array(t.report, '+')))
            THEN ARRAY(SELECT c.name FROM (
    SELECT c.campaign_id, coalesce(c.name, c.campaign_id) AS name,
           c.state = 'ENABLED' AND c.gone_since IS NULL AS is_deliverable, c.budget, c.budget_recurrence, c.currency_code,
           c.start_date AS first_date,
           least(c.end_date,
                 CAST((CASE WHEN c.state <> 'ENABLED' THEN coalesce(c.updated_at, c.seen_at)
                            WHEN c.gone_since IS NOT NULL THEN c.missing_since END)
                      AT TIME ZONE a.time_zone AS date)) AS last_date
      FROM campaigns c
     WHERE c.account_id = a.account_id AND c.country_code = a.country_code AND NOT c.is_reported) c
         WHERE (t.window_date >= c.first_date) IS NOT FALSE AND (t.window_date <= c.last_date) IS NOT FALSE ORDER BY c.name, c.campaign_id) ELSE '{}' END AS left_out
  FROM (
SELECT w.account_id, w.country_code, a.account_key, w.dataset, w.report, w.window_date,
       s.state,
       CASE s.state
            WHEN 'paused' THEN jsonb_build_object('code', 'account-paused', 'detail', jsonb_strip_nulls(jsonb_build_object('by', a.paused_by, 'account', a.account_key)))
            WHEN 'disabled' THEN jsonb_build_object('code', 'account-disabled')
            WHEN 'needs attention' THEN o.needs_attention
            WHEN 'expired' THEN jsonb_build_object('code', 'expired')
            WHEN 'late at Amazon' THEN jsonb_build_object('code', 'late-at-amazon')
            WHEN 'late' THEN jsonb_build_object('code', 'overdue')
            ELSE CASE WHEN w.request_id IS NULL THEN w.cause ELSE r.cause END END,
       CASE s.state
            WHEN 'late at Amazon' THEN r.late_at
            WHEN 'paused' THEN a.paused_at
            WHEN 'needs attention' THEN o.needs_attention_since
            WHEN 'expired' THEN w.expires_at
            WHEN 'not served' THEN w.not_served_since
            WHEN 'late' THEN d.due_since
            WHEN 'due' THEN CASE WHEN d.due_since <= now() THEN d.due_since ELSE w.wanted_at END
            WHEN 'fresh' THEN w.last_loaded_at
            WHEN 'failed' THEN w.cause_since
            WHEN 'suspicious' THEN w.cause_since
            WHEN 'unconfirmed' THEN w.cause_since
            ELSE w.last_requested_at END,
       CASE WHEN s.state IN ('loading', 'requested', 'late at Amazon') THEN r.next_step_at
            WHEN s.state IN ('late', 'due') THEN greatest(now(), CASE WHEN w.wanted_by IS NULL THEN o.next_look_at END)
            WHEN s.state NOT IN ('paused', 'disabled', 'needs attention', 'expired') THEN w.next_refresh_at END,
       CASE WHEN w.not_served_since IS NULL THEN w.data_as_of END,
       w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= now()),
       w.status, w.request_id, w.suspicious_digest IS NOT NULL, w.next_refresh_at, w.wanted_by,
       w.last_loaded_at, w.last_requested_at, w.expires_at, w.row_count, d.due_since,
       w.data_as_of, w.not_served_since, w.not_served
  FROM report_windows w
  JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
  JOIN ads_accounts o ON o.account_id = w.account_id
  LEFT JOIN report_requests r ON r.id = w.request_id
 CROSS JOIN LATERAL (SELECT greatest(w.next_refresh_at, a.first_seen_at, o.next_look_at) AS due_since) d
 CROSS JOIN LATERAL (SELECT
       CASE WHEN a.paused THEN 'paused'
            WHEN a.amazon_status = 'DISABLED' THEN 'disabled'
            WHEN o.needs_attention IS NOT NULL THEN 'needs attention'
            WHEN w.request_id IS NOT NULL
            THEN CASE WHEN r.status = 'completed' THEN 'loading'
                      WHEN r.status = 'in_flight' AND r.late_at <= now() THEN 'late at Amazon'
                      ELSE 'requested' END
            WHEN w.last_loaded_at IS NULL AND w.expires_at <= now() THEN 'expired'
            WHEN w.status = 'not_served' THEN 'not served'
            WHEN w.expires_at <= now() THEN 'fresh'
            WHEN w.status = 'failed' THEN 'failed'
            WHEN w.status = 'unconfirmed' THEN 'unconfirmed'
            WHEN w.suspicious_digest IS NOT NULL THEN 'suspicious'
            WHEN w.next_refresh_at IS NOT NULL AND d.due_since <= now() - interval '12 hours' THEN 'late'
            WHEN w.wanted_by IS NOT NULL OR (w.next_refresh_at <= now() OR (w.next_refresh_at > now() + interval '32 days'
            AND w.window_date < CAST(now() AT TIME ZONE 'UTC' AS date)) OR (w.next_refresh_at IS NULL AND w.data_as_of > now() + interval '1 hour')) THEN 'due'
            WHEN w.last_loaded_at IS NULL THEN 'missing'
            ELSE 'fresh' END AS state) s
) t(account_id, country_code, account_key, dataset, report, window_date, state, cause, since, next_at, as_of, is_final)
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code
 GROUP BY a.account_id, a.country_code, t.dataset, t.window_date""")
    op.execute(
        """COMMENT ON VIEW reports.days IS 'Which days of which dataset are loaded. One row is a day of a dataset of an account, so a join by account, dataset and day multiplies no rows. Read it beside a sum, which lacks the days that are not complete, wholly or in part.'"""
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
        """COMMENT ON COLUMN reports.days.window_date IS 'Day of the account''s own calendar.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.state IS 'The worst of its reports: fresh, missing, due, requested, loading, not served, paused, disabled, late at Amazon, late, suspicious, unconfirmed, needs attention, failed, expired. A day that is not fresh may still have data. It is late when due for longer than 12 hours.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.cause IS 'Code of what is wrong with that report; null where nothing is.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.as_of IS 'When the oldest of the loaded reports was requested. Null where none is loaded.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.next_at IS 'When the next step of a report is due, if any.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.not_served IS 'Ad products that Amazon does not serve for this day. They have no rows, which does not mean zero.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.days.left_out IS 'Names of Sponsored Brands campaigns that may have run on this day and that Amazon leaves out of its reports, since they have no ad groups. The day counts as complete without them.'"""
    )
