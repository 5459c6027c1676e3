"""Prove history.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
oldest_program = "0002"  # the newest migration that a program has to know


WINDOW_STATES_FUNCTION = """
CREATE FUNCTION window_states(at timestamptz, late_after interval)
RETURNS TABLE (account_id text, country_code text, account_key text, dataset text, report text, window_date date,
               state text, cause jsonb, since timestamptz, next_at timestamptz, as_of timestamptz, is_final boolean,
               status text, request_id bigint, is_suspicious boolean, next_refresh_at timestamptz, wanted_by text,
               last_loaded_at timestamptz, last_requested_at timestamptz, expires_at timestamptz, row_count bigint,
               due_since timestamptz)
LANGUAGE sql STABLE AS $$
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
            WHEN 'due' THEN CASE WHEN d.due_since <= window_states.at THEN d.due_since ELSE w.wanted_at END
            WHEN 'fresh' THEN w.last_loaded_at
            WHEN 'failed' THEN w.cause_since
            WHEN 'suspicious' THEN w.cause_since
            WHEN 'unconfirmed' THEN w.cause_since
            ELSE w.last_requested_at END,
       CASE WHEN s.state IN ('loading', 'requested', 'late at Amazon') THEN r.next_step_at
            WHEN s.state IN ('late', 'due') THEN greatest(window_states.at, CASE WHEN w.wanted_by IS NULL THEN o.next_look_at END)
            WHEN s.state NOT IN ('paused', 'disabled', 'needs attention', 'expired') THEN w.next_refresh_at END,
       CASE WHEN w.not_served_since IS NULL THEN w.data_as_of END,
       w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= window_states.at),
       w.status, w.request_id, w.suspicious_digest IS NOT NULL, w.next_refresh_at, w.wanted_by,
       w.last_loaded_at, w.last_requested_at, w.expires_at, w.row_count, d.due_since
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
                      WHEN r.status = 'in_flight' AND r.late_at <= window_states.at THEN 'late at Amazon'
                      ELSE 'requested' END
            WHEN w.last_loaded_at IS NULL AND w.expires_at <= window_states.at THEN 'expired'
            WHEN w.status = 'not_served' THEN 'not served'
            WHEN w.expires_at <= window_states.at THEN 'fresh'
            WHEN w.status = 'failed' THEN 'failed'
            WHEN w.status = 'unconfirmed' THEN 'unconfirmed'
            WHEN w.suspicious_digest IS NOT NULL THEN 'suspicious'
            WHEN w.next_refresh_at IS NOT NULL AND d.due_since <= window_states.at - window_states.late_after THEN 'late'
            WHEN w.wanted_by IS NOT NULL OR (w.next_refresh_at <= window_states.at OR (w.next_refresh_at > window_states.at + interval '32 days'
            AND w.window_date < CAST(window_states.at AT TIME ZONE 'UTC' AS date)) OR (w.next_refresh_at IS NULL AND w.data_as_of > window_states.at + interval '1 hour')) THEN 'due'
            WHEN w.last_loaded_at IS NULL THEN 'missing'
            ELSE 'fresh' END AS state) s
$$
"""

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
       SELECT jsonb_object_keys(w.product_totals) EXCEPT SELECT unnest(w.not_served)) AS p(ad_product)
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
                  AND CASE p.ad_product WHEN 'SPONSORED_PRODUCTS' THEN 'SP' WHEN 'SPONSORED_BRANDS' THEN 'SB' WHEN 'SPONSORED_DISPLAY' THEN 'SD' END = ANY(string_to_array(r.report, '+'))) i
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
    op.create_table(
        "proven_histories",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("ad_product", sa.Text(), nullable=False),
        sa.Column("age_days", sa.BigInteger(), nullable=False),
        sa.Column("account_key", sa.Text(), nullable=False),
        sa.Column("window_date", sa.Date(), nullable=False),
        sa.Column(
            "proven_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("age_days >= 0", name=op.f("ck_proven_histories_age_counted")),
        sa.PrimaryKeyConstraint(
            "client_id", "region", "dataset", "ad_product", name=op.f("pk_proven_histories")
        ),
    )
    op.create_index(
        "ix_report_windows_not_served",
        "report_windows",
        ["account_id", "country_code", "dataset"],
        unique=False,
        postgresql_where=sa.text("not_served <> '{}'"),
    )
    op.drop_index("ix_report_windows_unsettled", "report_windows")
    op.create_index(
        "ix_report_windows_unsettled",
        "report_windows",
        ["account_id", "country_code", "dataset", "status", "cause_key"],
        unique=False,
        postgresql_include=[
            "window_date",
            "expires_at",
            "request_id",
            "cause_since",
            "next_refresh_at",
            "not_served_since",
            "last_loaded_at",
        ],
        postgresql_where=sa.text(
            "status IN ('failed', 'unconfirmed', 'not_served') OR suspicious_digest IS NOT NULL"
        ),
    )
    op.execute("DROP FUNCTION window_states")
    op.execute(WINDOW_STATES_FUNCTION)
    op.execute(WINDOW_RESTATEMENTS_VIEW)
    op.create_check_constraint(
        op.f("ck_report_windows_not_served_once_loaded_is_over"),
        "report_windows",
        "status <> 'not_served' OR last_loaded_at IS NULL OR next_refresh_at IS NULL",
    )
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
       w.is_final
  FROM daily_campaign_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_campaigns'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
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
        """COMMENT ON COLUMN reports.daily_campaigns.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
       w.is_final
  FROM hourly_campaign_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_campaigns'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
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
        """COMMENT ON COLUMN reports.hourly_campaigns.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
       w.is_final
  FROM daily_placement_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_placements'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
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
        """COMMENT ON COLUMN reports.daily_placements.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
       w.is_final
  FROM daily_target_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_targets'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
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
        """COMMENT ON COLUMN reports.daily_targets.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
       w.is_final
  FROM hourly_target_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_targets'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
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
        """COMMENT ON COLUMN reports.hourly_targets.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
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
        """COMMENT ON COLUMN reports.daily_products.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
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
        """COMMENT ON COLUMN reports.hourly_products.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
       w.is_final
  FROM daily_search_term_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_search_terms'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
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
        """COMMENT ON COLUMN reports.daily_search_terms.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
       w.is_final
  FROM daily_purchased_product_performance t
  JOIN advertiser_accounts a ON a.id = t.account
  LEFT JOIN campaigns c ON c.account_id = a.account_id AND c.country_code = a.country_code AND c.campaign_id = t.campaign_id
  LEFT JOIN portfolios f ON f.account_id = a.account_id AND f.country_code = a.country_code AND f.portfolio_id = c.portfolio_id
  LEFT JOIN ad_groups g ON g.account_id = a.account_id AND g.country_code = a.country_code AND g.ad_group_id = t.ad_group_id
  LEFT JOIN target_names n ON n.account = t.account AND n.ad_group_id = t.ad_group_id AND n.match_digest = t.target_match
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_purchased_products'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
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
        """COMMENT ON COLUMN reports.daily_purchased_products.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true""")
    op.execute(
        """COMMENT ON VIEW reports.restatements IS 'How the totals of a day changed from load to load. One row is one load of one ad product of a day of a dataset, in one currency.'"""
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
        """COMMENT ON COLUMN reports.restatements.load_number IS '1 for the first load of the day''s ad product.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.as_of IS 'When this report was requested: what happened later is not in it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.restatements.age_days IS 'How many days old the day was then, on the account''s calendar.'"""
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
               AND w.product_totals ? 'SPONSORED_PRODUCTS'
               AND w.not_served_since IS NULL AND 'SPONSORED_PRODUCTS' <> ALL(w.not_served)) r
     GROUP BY window_date, ad_product, currency_code) t
  LEFT JOIN LATERAL (
       SELECT sum(impressions) AS impressions, sum(clicks) AS clicks, sum(orders) AS orders, sum(sales) AS sales, sum(spend) AS spend FROM hourly_campaign_performance h
        WHERE h.account = a.id AND h.window_date = t.window_date AND h.ad_product = t.ad_product
          AND h.currency_code = t.currency_code) h ON true
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'daily_campaigns'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) w ON true
  LEFT JOIN LATERAL (
       SELECT max(w.data_as_of) AS as_of, coalesce(bool_and(w.next_refresh_at IS NULL OR w.expires_at <= now()), false) AS is_final
         FROM report_windows w
        WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = 'hourly_campaigns'
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product
          AND w.not_served_since IS NULL AND t.ad_product <> ALL(w.not_served)) hw ON true""")
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
        """COMMENT ON COLUMN reports.account_daily_summaries.is_final IS 'Whether the day was loaded for the last time; until then it is provisional.'"""
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
       t.report,
       t.window_date,
       t.state,
       t.cause ->> 'code' AS cause,
       t.as_of,
       t.is_final,
       t.next_at
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
       w.last_loaded_at, w.last_requested_at, w.expires_at, w.row_count, d.due_since
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
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""")
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
        """COMMENT ON COLUMN reports.days.state IS 'fresh, missing, due, requested, loading, not served, paused, disabled, late at Amazon, late, suspicious, unconfirmed, needs attention, failed, expired. A day that is not fresh may still have data. It is late when due for longer than 12 hours.'"""
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
