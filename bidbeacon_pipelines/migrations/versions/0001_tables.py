"""All tables and views of the sessions and the pipelines.

Revision ID: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None

JOB_SESSIONS_VIEW = """
CREATE VIEW job_sessions AS
SELECT h.id,
       h.job_name,
       h.run_id,
       h.step_key,
       h.retry_number,
       h.account_key,
       (SELECT n.label FROM session_subjects n WHERE n.key = h.account_key) AS account_label,
       h.status,
       coalesce(h.outcome, (SELECT CASE WHEN bool_or(s.tone = 'error') THEN 'problems' WHEN bool_or(s.tone = 'warning') THEN 'warnings' ELSE 'ok' END FROM session_actions s
      WHERE s.session_id = h.id AND s.tone IN ('warning', 'error'))) AS outcome,
       h.recovered_by,
       h.started_at,
       h.finished_at,
       coalesce(h.finished_at, now()) - h.started_at AS duration,
       h.error,
       h.input,
       h.labels,
       coalesce(a.actions, '[]'::jsonb) AS actions,
       coalesce(a.action_count, 0) AS action_count,
       h.revision + coalesce(a.action_count, 0) AS revision
  FROM session_headers h
  LEFT JOIN LATERAL (
       SELECT jsonb_agg(
                jsonb_build_object('ord', s.ord, 'type', s.type, 'at', s.at, 'tone', s.tone) || s.payload
                ORDER BY s.ord) AS actions,
              count(*) AS action_count
         FROM session_actions s
        WHERE s.session_id = h.id) a ON true
"""
JOB_SESSION_ACCOUNTS_VIEW = """
CREATE VIEW job_session_accounts AS
SELECT h.id AS session_id,
       k.account_key,
       CASE WHEN k.account_key = h.account_key THEN coalesce(h.outcome, (SELECT CASE WHEN bool_or(s.tone = 'error') THEN 'problems' WHEN bool_or(s.tone = 'warning') THEN 'warnings' ELSE 'ok' END FROM session_actions s
      WHERE s.session_id = h.id AND s.tone IN ('warning', 'error')))
            ELSE (SELECT CASE WHEN bool_or(a.tone = 'error') THEN 'problems' WHEN bool_or(a.tone = 'warning') THEN 'warnings' ELSE 'ok' END
                    FROM session_references t JOIN session_actions a ON a.session_id = t.session_id AND a.ord = t.ord
                   WHERE t.session_id = h.id AND t.account_key = k.account_key) END AS outcome
  FROM session_headers h
 CROSS JOIN LATERAL (
       SELECT h.account_key WHERE h.account_key IS NOT NULL
        UNION
       SELECT t.account_key FROM session_references t WHERE t.session_id = h.id) k
"""
PERFORMANCE_ROWS_VIEW = """
CREATE OR REPLACE VIEW performance_rows AS
SELECT 'daily_campaigns' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_campaign_performance
 UNION ALL SELECT 'hourly_campaigns' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM hourly_campaign_performance
 UNION ALL SELECT 'daily_placements' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_placement_performance
 UNION ALL SELECT 'daily_targets' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_target_performance
 UNION ALL SELECT 'hourly_targets' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM hourly_target_performance
 UNION ALL SELECT 'daily_products' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_product_performance
 UNION ALL SELECT 'hourly_products' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM hourly_product_performance
 UNION ALL SELECT 'daily_search_terms' AS dataset, account, window_date, ad_product, currency_code, impressions, clicks, orders, sales, spend FROM daily_search_term_performance
 UNION ALL SELECT 'daily_purchased_products' AS dataset, account, window_date, ad_product, currency_code, CAST(NULL AS bigint) AS impressions, CAST(NULL AS bigint) AS clicks, orders, sales, CAST(NULL AS numeric) AS spend FROM daily_purchased_product_performance
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
 CROSS JOIN LATERAL (
       SELECT jsonb_object_keys(w.product_totals) EXCEPT SELECT unnest(w.not_served)) AS p(ad_product)
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
WINDOW_STATES_FUNCTION = """
CREATE FUNCTION window_states(at timestamptz, late_after interval)
RETURNS TABLE (account_id text, country_code text, account_key text, dataset text, report text, window_date date,
               state text, cause jsonb, since timestamptz, next_at timestamptz, as_of timestamptz, is_final boolean,
               status text, request_id bigint, is_suspicious boolean, next_refresh_at timestamptz, wanted_by text,
               last_loaded_at timestamptz, last_requested_at timestamptz, expires_at timestamptz, row_count bigint,
               due_since timestamptz, data_as_of timestamptz, not_served_since timestamptz, not_served text[])
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
IS_DELIVERABLE_FUNCTION = """
CREATE FUNCTION is_deliverable(c campaigns) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
SELECT c.state = 'ENABLED' AND c.gone_since IS NULL
$$"""
REPORT_VIEWS = (
    """CREATE SCHEMA IF NOT EXISTS reports""",
    """CREATE VIEW reports.daily_campaigns AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.daily_campaigns IS 'Daily performance by campaign. One row is one campaign, day, ad product and currency of an account.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.daily_campaigns.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.campaign_id IS 'Amazon''s id of the campaign.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.campaign_name IS 'Name of the campaign today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.portfolio_name IS 'Name of that portfolio today.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.cost_type IS 'What is paid for: CPC (clicks) or VCPM (viewable impressions).'""",
    """COMMENT ON COLUMN reports.daily_campaigns.impressions IS 'Times the ad was shown.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.clicks IS 'Clicks, without invalid ones.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.spend IS 'Cost of clicks or impressions, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.viewable_impressions IS 'Impressions that met the viewability standard.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.new_to_brand_orders IS 'Orders of shoppers who had not bought the brand in the 12 months before.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.new_to_brand_sales IS 'Sales of shoppers who had not bought the brand in the 12 months before.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.new_to_brand_units IS 'Units of shoppers who had not bought the brand in the 12 months before.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.orders_promoted IS 'Orders of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.sales_promoted IS 'Sales of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.units_promoted IS 'Units of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.sales_halo IS 'Sales of other products of the brand.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.units_halo IS 'Units of other products of the brand.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.daily_campaigns.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.hourly_campaigns AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.hourly_campaigns IS 'Hourly performance by campaign. One row is one campaign, hour, ad product and currency of an account.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.hour_at IS 'When the hour began.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.local_hour IS 'Hour of the account''s own clock at which it began: 0 to 23.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.campaign_id IS 'Amazon''s id of the campaign.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.campaign_name IS 'Name of the campaign today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.portfolio_name IS 'Name of that portfolio today.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.impressions IS 'Times the ad was shown.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.clicks IS 'Clicks, without invalid ones.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.spend IS 'Cost of clicks or impressions, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.hourly_campaigns.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.daily_placements AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.daily_placements IS 'Daily performance by placement. One row is one placement, day, ad product and currency of an account.'""",
    """COMMENT ON COLUMN reports.daily_placements.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.daily_placements.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.daily_placements.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.daily_placements.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.daily_placements.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.daily_placements.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.daily_placements.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.daily_placements.campaign_id IS 'Amazon''s id of the campaign.'""",
    """COMMENT ON COLUMN reports.daily_placements.campaign_name IS 'Name of the campaign today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_placements.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'""",
    """COMMENT ON COLUMN reports.daily_placements.portfolio_name IS 'Name of that portfolio today.'""",
    """COMMENT ON COLUMN reports.daily_placements.placement IS 'Where the ad was shown: TOP_OF_SEARCH, REST_OF_SEARCH, PRODUCT_PAGE, OFF_AMAZON, SITE_AMAZON_BUSINESS, or as reported.'""",
    """COMMENT ON COLUMN reports.daily_placements.placement_reported IS 'As Amazon wrote it.'""",
    """COMMENT ON COLUMN reports.daily_placements.impressions IS 'Times the ad was shown.'""",
    """COMMENT ON COLUMN reports.daily_placements.clicks IS 'Clicks, without invalid ones.'""",
    """COMMENT ON COLUMN reports.daily_placements.spend IS 'Cost of clicks or impressions, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_placements.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_placements.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_placements.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_placements.viewable_impressions IS 'Impressions that met the viewability standard.'""",
    """COMMENT ON COLUMN reports.daily_placements.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_placements.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_placements.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_placements.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_placements.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.daily_placements.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.daily_placements.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.daily_targets AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.daily_targets IS 'Daily performance by target. One row is one target, day, ad product and currency of an account.'""",
    """COMMENT ON COLUMN reports.daily_targets.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.daily_targets.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.daily_targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.daily_targets.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.daily_targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.daily_targets.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.daily_targets.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.daily_targets.campaign_id IS 'Amazon''s id of the campaign.'""",
    """COMMENT ON COLUMN reports.daily_targets.campaign_name IS 'Name of the campaign today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_targets.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'""",
    """COMMENT ON COLUMN reports.daily_targets.portfolio_name IS 'Name of that portfolio today.'""",
    """COMMENT ON COLUMN reports.daily_targets.ad_group_id IS 'Amazon''s id of the ad group.'""",
    """COMMENT ON COLUMN reports.daily_targets.ad_group_name IS 'Name of the ad group today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_targets.target_value IS 'The target as reported: a keyword, an expression, the name of an automatic target.'""",
    """COMMENT ON COLUMN reports.daily_targets.match_type IS 'How the target is matched, as reported; null where the product has no match types.'""",
    """COMMENT ON COLUMN reports.daily_targets.target_id IS 'The target that the row names; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_targets.impressions IS 'Times the ad was shown.'""",
    """COMMENT ON COLUMN reports.daily_targets.clicks IS 'Clicks, without invalid ones.'""",
    """COMMENT ON COLUMN reports.daily_targets.spend IS 'Cost of clicks or impressions, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_targets.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_targets.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_targets.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_targets.orders_promoted IS 'Orders of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_targets.sales_promoted IS 'Sales of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_targets.units_promoted IS 'Units of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_targets.sales_halo IS 'Sales of other products of the brand.'""",
    """COMMENT ON COLUMN reports.daily_targets.units_halo IS 'Units of other products of the brand.'""",
    """COMMENT ON COLUMN reports.daily_targets.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_targets.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_targets.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_targets.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_targets.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.daily_targets.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.daily_targets.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.hourly_targets AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.hourly_targets IS 'Hourly performance by target. One row is one target, hour, ad product and currency of an account.'""",
    """COMMENT ON COLUMN reports.hourly_targets.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.hourly_targets.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.hourly_targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.hourly_targets.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.hourly_targets.hour_at IS 'When the hour began.'""",
    """COMMENT ON COLUMN reports.hourly_targets.local_hour IS 'Hour of the account''s own clock at which it began: 0 to 23.'""",
    """COMMENT ON COLUMN reports.hourly_targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.hourly_targets.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.hourly_targets.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.hourly_targets.campaign_id IS 'Amazon''s id of the campaign.'""",
    """COMMENT ON COLUMN reports.hourly_targets.campaign_name IS 'Name of the campaign today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.hourly_targets.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'""",
    """COMMENT ON COLUMN reports.hourly_targets.portfolio_name IS 'Name of that portfolio today.'""",
    """COMMENT ON COLUMN reports.hourly_targets.ad_group_id IS 'Amazon''s id of the ad group.'""",
    """COMMENT ON COLUMN reports.hourly_targets.ad_group_name IS 'Name of the ad group today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.hourly_targets.target_value IS 'The target as reported: a keyword, an expression, the name of an automatic target.'""",
    """COMMENT ON COLUMN reports.hourly_targets.match_type IS 'How the target is matched, as reported; null where the product has no match types.'""",
    """COMMENT ON COLUMN reports.hourly_targets.target_id IS 'The target that the row names; null until an export has it.'""",
    """COMMENT ON COLUMN reports.hourly_targets.impressions IS 'Times the ad was shown.'""",
    """COMMENT ON COLUMN reports.hourly_targets.clicks IS 'Clicks, without invalid ones.'""",
    """COMMENT ON COLUMN reports.hourly_targets.spend IS 'Cost of clicks or impressions, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.hourly_targets.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.hourly_targets.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.hourly_targets.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.hourly_targets.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_targets.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_targets.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_targets.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_targets.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.hourly_targets.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.hourly_targets.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.daily_products AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.daily_products IS 'Daily performance by advertised product. One row is one product, day, ad product and currency of an account.'""",
    """COMMENT ON COLUMN reports.daily_products.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.daily_products.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.daily_products.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.daily_products.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.daily_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.daily_products.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.daily_products.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.daily_products.campaign_id IS 'Amazon''s id of the campaign.'""",
    """COMMENT ON COLUMN reports.daily_products.campaign_name IS 'Name of the campaign today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_products.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'""",
    """COMMENT ON COLUMN reports.daily_products.portfolio_name IS 'Name of that portfolio today.'""",
    """COMMENT ON COLUMN reports.daily_products.ad_group_id IS 'Amazon''s id of the ad group.'""",
    """COMMENT ON COLUMN reports.daily_products.ad_group_name IS 'Name of the ad group today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_products.ad_id IS 'Amazon''s id of the ad.'""",
    """COMMENT ON COLUMN reports.daily_products.product_id IS 'ASIN of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_products.sku IS 'The seller''s SKU of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_products.marketplace IS 'Marketplace of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_products.impressions IS 'Times the ad was shown.'""",
    """COMMENT ON COLUMN reports.daily_products.clicks IS 'Clicks, without invalid ones.'""",
    """COMMENT ON COLUMN reports.daily_products.spend IS 'Cost of clicks or impressions, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_products.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_products.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_products.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_products.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_products.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.daily_products.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.daily_products.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.hourly_products AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.hourly_products IS 'Hourly performance by advertised product. One row is one product, hour, ad product and currency of an account.'""",
    """COMMENT ON COLUMN reports.hourly_products.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.hourly_products.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.hourly_products.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.hourly_products.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.hourly_products.hour_at IS 'When the hour began.'""",
    """COMMENT ON COLUMN reports.hourly_products.local_hour IS 'Hour of the account''s own clock at which it began: 0 to 23.'""",
    """COMMENT ON COLUMN reports.hourly_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.hourly_products.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.hourly_products.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.hourly_products.campaign_id IS 'Amazon''s id of the campaign.'""",
    """COMMENT ON COLUMN reports.hourly_products.campaign_name IS 'Name of the campaign today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.hourly_products.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'""",
    """COMMENT ON COLUMN reports.hourly_products.portfolio_name IS 'Name of that portfolio today.'""",
    """COMMENT ON COLUMN reports.hourly_products.ad_group_id IS 'Amazon''s id of the ad group.'""",
    """COMMENT ON COLUMN reports.hourly_products.ad_group_name IS 'Name of the ad group today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.hourly_products.ad_id IS 'Amazon''s id of the ad.'""",
    """COMMENT ON COLUMN reports.hourly_products.product_id IS 'ASIN of the advertised product.'""",
    """COMMENT ON COLUMN reports.hourly_products.marketplace IS 'Marketplace of the advertised product.'""",
    """COMMENT ON COLUMN reports.hourly_products.impressions IS 'Times the ad was shown.'""",
    """COMMENT ON COLUMN reports.hourly_products.clicks IS 'Clicks, without invalid ones.'""",
    """COMMENT ON COLUMN reports.hourly_products.spend IS 'Cost of clicks or impressions, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.hourly_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.hourly_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.hourly_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.hourly_products.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_products.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_products.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_products.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.hourly_products.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.hourly_products.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.hourly_products.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.daily_search_terms AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.daily_search_terms IS 'Daily performance by search term. One row is one target and search term, day, ad product and currency of an account.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.daily_search_terms.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.campaign_id IS 'Amazon''s id of the campaign.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.campaign_name IS 'Name of the campaign today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.portfolio_name IS 'Name of that portfolio today.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.ad_group_id IS 'Amazon''s id of the ad group.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.ad_group_name IS 'Name of the ad group today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.target_value IS 'The target as reported: a keyword, an expression, the name of an automatic target.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.match_type IS 'How the target is matched, as reported; null where the product has no match types.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.search_term IS 'What the shopper typed, or the ASIN of the page that was seen. Only terms with a click are reported.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.target_id IS 'The target that the row names; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.impressions IS 'Times the ad was shown.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.clicks IS 'Clicks, without invalid ones.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.spend IS 'Cost of clicks or impressions, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.cpc IS 'Cost per click: spend / clicks of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.ctr IS 'Click-through rate: clicks / impressions of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.daily_search_terms.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.daily_purchased_products AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.daily_purchased_products IS 'Daily conversions by purchased product. One row is one purchased product, day, ad product and currency of an account.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.campaign_id IS 'Amazon''s id of the campaign.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.campaign_name IS 'Name of the campaign today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.portfolio_id IS 'Portfolio that the campaign is in today; null where it is in none.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.portfolio_name IS 'Name of that portfolio today.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.ad_group_id IS 'Amazon''s id of the ad group.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.ad_group_name IS 'Name of the ad group today; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.target_value IS 'The target as reported: a keyword, an expression, the name of an automatic target.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.match_type IS 'How the target is matched, as reported; null where the product has no match types.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.product_id IS 'ASIN of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.sku IS 'The seller''s SKU of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.purchased_product_id IS 'ASIN of the product that was bought.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.purchased_marketplace IS 'Marketplace in which it was bought.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.target_id IS 'The target that the row names; null until an export has it.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.orders IS 'Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.sales IS 'Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row''s currency.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.units IS 'Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.orders_promoted IS 'Orders of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.sales_promoted IS 'Sales of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.units_promoted IS 'Units of the advertised product.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.orders_halo IS 'Orders of other products of the brand.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.sales_halo IS 'Sales of other products of the brand.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.units_halo IS 'Units of other products of the brand.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.orders_from_clicks IS 'Orders after a click, without those after a view.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.sales_from_clicks IS 'Sales after a click, without those after a view.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.units_from_clicks IS 'Units after a click, without those after a view.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.new_to_brand_orders IS 'Orders of shoppers who had not bought the brand in the 12 months before.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.new_to_brand_sales IS 'Sales of shoppers who had not bought the brand in the 12 months before.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.new_to_brand_units IS 'Units of shoppers who had not bought the brand in the 12 months before.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.daily_purchased_products.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.portfolios AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.portfolio_id,
       t.name,
       t.in_budget,
       t.budget,
       t.currency_code,
       t.budget_policy,
       t.start_date,
       t.end_date,
       t.state,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM portfolios t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""",
    """COMMENT ON VIEW reports.portfolios IS 'A portfolio of campaigns, as Amazon sent it last.'""",
    """COMMENT ON COLUMN reports.portfolios.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.portfolios.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.portfolios.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.portfolios.portfolio_id IS 'Amazon''s id of the portfolio'""",
    """COMMENT ON COLUMN reports.portfolios.name IS 'Name at Amazon'""",
    """COMMENT ON COLUMN reports.portfolios.in_budget IS 'Whether its budget is not used up'""",
    """COMMENT ON COLUMN reports.portfolios.budget IS 'Budget that its campaigns share, in currency_code'""",
    """COMMENT ON COLUMN reports.portfolios.currency_code IS 'Currency of the amounts'""",
    """COMMENT ON COLUMN reports.portfolios.budget_policy IS 'DATE_RANGE, MONTHLY_RECURRING or NO_CAP'""",
    """COMMENT ON COLUMN reports.portfolios.start_date IS 'First day, on the account''s own calendar'""",
    """COMMENT ON COLUMN reports.portfolios.end_date IS 'Last day, on the account''s own calendar; null where it has none'""",
    """COMMENT ON COLUMN reports.portfolios.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'""",
    """COMMENT ON COLUMN reports.portfolios.details IS 'Every field that no column holds, as Amazon sent it'""",
    """COMMENT ON COLUMN reports.portfolios.seen_at IS 'When Amazon sent it last'""",
    """COMMENT ON COLUMN reports.portfolios.missing_since IS 'First complete export without it; null while Amazon sends it'""",
    """COMMENT ON COLUMN reports.portfolios.gone_since IS 'Second complete export in a row without it; null while it exists'""",
    """CREATE VIEW reports.campaigns AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.campaign_id,
       t.name,
       t.portfolio_id,
       t.brand_entity_id,
       t.targeting,
       t.cost_type,
       t.start_date,
       t.end_date,
       t.budget,
       t.rule_budget,
       t.budget_type,
       t.budget_recurrence,
       t.currency_code,
       t.bid_strategy,
       t.placement_bid_adjustments,
       t.is_reported,
       t.state,
       t.ad_product,
       t.delivery_status,
       t.delivery_reasons,
       t.created_at,
       t.updated_at,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM campaigns t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""",
    """COMMENT ON VIEW reports.campaigns IS 'A campaign of an account, as Amazon sent it last.'""",
    """COMMENT ON COLUMN reports.campaigns.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.campaigns.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.campaigns.campaign_id IS 'Amazon''s id of the campaign'""",
    """COMMENT ON COLUMN reports.campaigns.name IS 'Name at Amazon'""",
    """COMMENT ON COLUMN reports.campaigns.portfolio_id IS 'Amazon''s id of the portfolio'""",
    """COMMENT ON COLUMN reports.campaigns.brand_entity_id IS 'The brand of Sponsored Brands'""",
    """COMMENT ON COLUMN reports.campaigns.targeting IS 'AUTO, MANUAL, or a tactic such as T00020'""",
    """COMMENT ON COLUMN reports.campaigns.cost_type IS 'CPC or VCPM, where Amazon says so'""",
    """COMMENT ON COLUMN reports.campaigns.start_date IS 'First day, on the account''s own calendar'""",
    """COMMENT ON COLUMN reports.campaigns.end_date IS 'Last day, on the account''s own calendar; null where it has none'""",
    """COMMENT ON COLUMN reports.campaigns.budget IS 'What the advertiser set, in currency_code'""",
    """COMMENT ON COLUMN reports.campaigns.rule_budget IS 'The budget that a budget rule made of it'""",
    """COMMENT ON COLUMN reports.campaigns.budget_type IS 'What the budget limits, for example MONETARY'""",
    """COMMENT ON COLUMN reports.campaigns.budget_recurrence IS 'DAILY or LIFETIME'""",
    """COMMENT ON COLUMN reports.campaigns.currency_code IS 'Currency of the amounts'""",
    """COMMENT ON COLUMN reports.campaigns.bid_strategy IS 'How Amazon adjusts bids, in its own words'""",
    """COMMENT ON COLUMN reports.campaigns.placement_bid_adjustments IS 'A list of placements, each with a percentage'""",
    """COMMENT ON COLUMN reports.campaigns.is_reported IS 'Whether Amazon reports its numbers: false for one of Sponsored Brands without ad groups'""",
    """COMMENT ON COLUMN reports.campaigns.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'""",
    """COMMENT ON COLUMN reports.campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY'""",
    """COMMENT ON COLUMN reports.campaigns.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE'""",
    """COMMENT ON COLUMN reports.campaigns.delivery_reasons IS 'Why it is not delivering: a list'""",
    """COMMENT ON COLUMN reports.campaigns.created_at IS 'When it was created at Amazon'""",
    """COMMENT ON COLUMN reports.campaigns.updated_at IS 'When it was last changed at Amazon'""",
    """COMMENT ON COLUMN reports.campaigns.details IS 'Every field that no column holds, as Amazon sent it'""",
    """COMMENT ON COLUMN reports.campaigns.seen_at IS 'When Amazon sent it last'""",
    """COMMENT ON COLUMN reports.campaigns.missing_since IS 'First complete export without it; null while Amazon sends it'""",
    """COMMENT ON COLUMN reports.campaigns.gone_since IS 'Second complete export in a row without it; null while it exists'""",
    """CREATE VIEW reports.ad_groups AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.ad_group_id,
       t.campaign_id,
       t.name,
       t.default_bid,
       t.currency_code,
       t.creative_type,
       t.goal,
       t.kpi,
       t.state,
       t.ad_product,
       t.delivery_status,
       t.delivery_reasons,
       t.created_at,
       t.updated_at,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM ad_groups t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""",
    """COMMENT ON VIEW reports.ad_groups IS 'An ad group of a campaign, as Amazon sent it last.'""",
    """COMMENT ON COLUMN reports.ad_groups.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.ad_groups.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.ad_groups.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.ad_groups.ad_group_id IS 'Amazon''s id of the ad group'""",
    """COMMENT ON COLUMN reports.ad_groups.campaign_id IS 'Amazon''s id of the campaign'""",
    """COMMENT ON COLUMN reports.ad_groups.name IS 'Name at Amazon'""",
    """COMMENT ON COLUMN reports.ad_groups.default_bid IS 'Bid of targets that have none of their own, in currency_code; null in Sponsored Brands'""",
    """COMMENT ON COLUMN reports.ad_groups.currency_code IS 'Currency of the amounts'""",
    """COMMENT ON COLUMN reports.ad_groups.creative_type IS 'Kind of creative, where Amazon says so'""",
    """COMMENT ON COLUMN reports.ad_groups.goal IS 'What Sponsored Display optimizes for'""",
    """COMMENT ON COLUMN reports.ad_groups.kpi IS 'The measure of that goal'""",
    """COMMENT ON COLUMN reports.ad_groups.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'""",
    """COMMENT ON COLUMN reports.ad_groups.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY'""",
    """COMMENT ON COLUMN reports.ad_groups.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE'""",
    """COMMENT ON COLUMN reports.ad_groups.delivery_reasons IS 'Why it is not delivering: a list'""",
    """COMMENT ON COLUMN reports.ad_groups.created_at IS 'When it was created at Amazon'""",
    """COMMENT ON COLUMN reports.ad_groups.updated_at IS 'When it was last changed at Amazon'""",
    """COMMENT ON COLUMN reports.ad_groups.details IS 'Every field that no column holds, as Amazon sent it'""",
    """COMMENT ON COLUMN reports.ad_groups.seen_at IS 'When Amazon sent it last'""",
    """COMMENT ON COLUMN reports.ad_groups.missing_since IS 'First complete export without it; null while Amazon sends it'""",
    """COMMENT ON COLUMN reports.ad_groups.gone_since IS 'Second complete export in a row without it; null while it exists'""",
    """CREATE VIEW reports.ads AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.ad_id,
       t.ad_group_id,
       t.campaign_id,
       t.name,
       t.ad_type,
       t.asins,
       t.skus,
       t.landing_page_type,
       t.landing_page_url,
       t.state,
       t.ad_product,
       t.delivery_status,
       t.delivery_reasons,
       t.created_at,
       t.updated_at,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM ads t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""",
    """COMMENT ON VIEW reports.ads IS 'An ad of an ad group, as Amazon sent it last.'""",
    """COMMENT ON COLUMN reports.ads.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.ads.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.ads.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.ads.ad_id IS 'Amazon''s id of the ad'""",
    """COMMENT ON COLUMN reports.ads.ad_group_id IS 'Amazon''s id of the ad group'""",
    """COMMENT ON COLUMN reports.ads.campaign_id IS 'Amazon''s id of the campaign'""",
    """COMMENT ON COLUMN reports.ads.name IS 'Name at Amazon'""",
    """COMMENT ON COLUMN reports.ads.ad_type IS 'PRODUCT_AD, PRODUCT_COLLECTION, VIDEO, IMAGE …'""",
    """COMMENT ON COLUMN reports.ads.asins IS 'The products it shows, in Amazon''s order'""",
    """COMMENT ON COLUMN reports.ads.skus IS 'The seller''s SKUs of these products'""",
    """COMMENT ON COLUMN reports.ads.landing_page_type IS 'Kind of page that a click leads to'""",
    """COMMENT ON COLUMN reports.ads.landing_page_url IS 'The page that a click leads to'""",
    """COMMENT ON COLUMN reports.ads.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'""",
    """COMMENT ON COLUMN reports.ads.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY'""",
    """COMMENT ON COLUMN reports.ads.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE'""",
    """COMMENT ON COLUMN reports.ads.delivery_reasons IS 'Why it is not delivering: a list'""",
    """COMMENT ON COLUMN reports.ads.created_at IS 'When it was created at Amazon'""",
    """COMMENT ON COLUMN reports.ads.updated_at IS 'When it was last changed at Amazon'""",
    """COMMENT ON COLUMN reports.ads.details IS 'Every field that no column holds, as Amazon sent it'""",
    """COMMENT ON COLUMN reports.ads.seen_at IS 'When Amazon sent it last'""",
    """COMMENT ON COLUMN reports.ads.missing_since IS 'First complete export without it; null while Amazon sends it'""",
    """COMMENT ON COLUMN reports.ads.gone_since IS 'Second complete export in a row without it; null while it exists'""",
    """CREATE VIEW reports.targets AS
SELECT a.account_key,
       a.name AS account_name,
       a.country_code,
       t.target_id,
       t.ad_group_id,
       t.campaign_id,
       t.negative,
       t.target_type,
       t.target_level,
       t.match_type,
       t.keyword,
       t.asin,
       t.category_id,
       t.category,
       t.brand_id,
       t.brand,
       t.audience_id,
       t.event,
       t.lookback_days,
       t.expression,
       t.bid,
       t.currency_code,
       t.match_digest,
       t.state,
       t.ad_product,
       t.delivery_status,
       t.delivery_reasons,
       t.created_at,
       t.updated_at,
       t.details,
       t.seen_at,
       t.missing_since,
       t.gone_since
  FROM targets t
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""",
    """COMMENT ON VIEW reports.targets IS 'A target of an ad group or campaign, as Amazon sent it last.'""",
    """COMMENT ON COLUMN reports.targets.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.targets.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.targets.target_id IS 'Amazon''s id of the target'""",
    """COMMENT ON COLUMN reports.targets.ad_group_id IS 'Amazon''s id of the ad group'""",
    """COMMENT ON COLUMN reports.targets.campaign_id IS 'Amazon''s id of the campaign'""",
    """COMMENT ON COLUMN reports.targets.negative IS 'Whether it keeps ads from showing'""",
    """COMMENT ON COLUMN reports.targets.target_type IS 'AUTO, KEYWORD, PRODUCT, PRODUCT_CATEGORY, AUDIENCE, THEME …'""",
    """COMMENT ON COLUMN reports.targets.target_level IS 'AD_GROUP or CAMPAIGN'""",
    """COMMENT ON COLUMN reports.targets.match_type IS 'EXACT, PHRASE, PRODUCT_SIMILAR …'""",
    """COMMENT ON COLUMN reports.targets.keyword IS 'Text of a keyword'""",
    """COMMENT ON COLUMN reports.targets.asin IS 'ASIN of a product'""",
    """COMMENT ON COLUMN reports.targets.category_id IS 'Amazon''s id of a product category'""",
    """COMMENT ON COLUMN reports.targets.category IS 'Name of that category'""",
    """COMMENT ON COLUMN reports.targets.brand_id IS 'Amazon''s id of the brand that refines a category'""",
    """COMMENT ON COLUMN reports.targets.brand IS 'Name of that brand'""",
    """COMMENT ON COLUMN reports.targets.audience_id IS 'Amazon''s id of an audience'""",
    """COMMENT ON COLUMN reports.targets.event IS 'VIEW or PURCHASE, for an audience by what it did'""",
    """COMMENT ON COLUMN reports.targets.lookback_days IS 'Days back that the event of an audience counts'""",
    """COMMENT ON COLUMN reports.targets.expression IS 'A category with its refinements, as reports write it'""",
    """COMMENT ON COLUMN reports.targets.bid IS 'Bid in currency_code; null where the ad group''s default_bid holds'""",
    """COMMENT ON COLUMN reports.targets.currency_code IS 'Currency of the amounts'""",
    """COMMENT ON COLUMN reports.targets.match_digest IS 'Digest of the text by which reports name it; null where they cannot'""",
    """COMMENT ON COLUMN reports.targets.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'""",
    """COMMENT ON COLUMN reports.targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY'""",
    """COMMENT ON COLUMN reports.targets.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE'""",
    """COMMENT ON COLUMN reports.targets.delivery_reasons IS 'Why it is not delivering: a list'""",
    """COMMENT ON COLUMN reports.targets.created_at IS 'When it was created at Amazon'""",
    """COMMENT ON COLUMN reports.targets.updated_at IS 'When it was last changed at Amazon'""",
    """COMMENT ON COLUMN reports.targets.details IS 'Every field that no column holds, as Amazon sent it'""",
    """COMMENT ON COLUMN reports.targets.seen_at IS 'When Amazon sent it last'""",
    """COMMENT ON COLUMN reports.targets.missing_since IS 'First complete export without it; null while Amazon sends it'""",
    """COMMENT ON COLUMN reports.targets.gone_since IS 'Second complete export in a row without it; null while it exists'""",
    """CREATE VIEW reports.restatements AS
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
          AND w.window_date = t.window_date) w ON true""",
    """COMMENT ON VIEW reports.restatements IS 'How the totals of a day changed from load to load. One row is one load that changed the totals of one ad product of a day of a dataset in one currency, or its first load. Days whose restatements are deleted have none.'""",
    """COMMENT ON COLUMN reports.restatements.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.restatements.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.restatements.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.restatements.dataset IS 'Name of the dataset, which is also that of its view.'""",
    """COMMENT ON COLUMN reports.restatements.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.restatements.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.restatements.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.restatements.load_number IS '1 for the first load; loads that changed nothing have no number.'""",
    """COMMENT ON COLUMN reports.restatements.as_of IS 'When this report was requested: what happened later is not in it.'""",
    """COMMENT ON COLUMN reports.restatements.age_days IS 'How many days old the day was then, on the account''s calendar.'""",
    """COMMENT ON COLUMN reports.restatements.confirmed_as_of IS 'When the newest report that states these totals was requested.'""",
    """COMMENT ON COLUMN reports.restatements.impressions_before IS 'impressions of the day before this load; null for the first.'""",
    """COMMENT ON COLUMN reports.restatements.impressions IS 'impressions of the day after this load.'""",
    """COMMENT ON COLUMN reports.restatements.clicks_before IS 'clicks of the day before this load; null for the first.'""",
    """COMMENT ON COLUMN reports.restatements.clicks IS 'clicks of the day after this load.'""",
    """COMMENT ON COLUMN reports.restatements.orders_before IS 'orders of the day before this load; null for the first.'""",
    """COMMENT ON COLUMN reports.restatements.orders IS 'orders of the day after this load.'""",
    """COMMENT ON COLUMN reports.restatements.sales_before IS 'sales of the day before this load; null for the first.'""",
    """COMMENT ON COLUMN reports.restatements.sales IS 'sales of the day after this load.'""",
    """COMMENT ON COLUMN reports.restatements.spend_before IS 'spend of the day before this load; null for the first.'""",
    """COMMENT ON COLUMN reports.restatements.spend IS 'spend of the day after this load.'""",
    """COMMENT ON COLUMN reports.restatements.rows_changed IS 'Rows whose metrics this load changed.'""",
    """COMMENT ON COLUMN reports.restatements.rows_appeared IS 'Rows that this load added.'""",
    """COMMENT ON COLUMN reports.restatements.rows_vanished IS 'Rows that this load removed.'""",
    """COMMENT ON COLUMN reports.restatements.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.restatements.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """CREATE VIEW reports.account_daily_summaries AS
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
          AND w.window_date = t.window_date) hw ON true""",
    """COMMENT ON VIEW reports.account_daily_summaries IS 'What each loaded day of an account adds up to, beside what its hours add up to. One row is a day, ad product and currency of an account; Sponsored Products have one for each loaded day, other ad products for days with any activity.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS, …'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.attribution_days IS 'Days after the click (or view) in which an order counts: 7 for Sponsored Products of sellers, 14 for those of vendors and for all other ad products; null where Amazon does not say which of the two the account is.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.currency_code IS 'Currency of the amounts.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.impressions IS 'impressions of the day.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.clicks IS 'clicks of the day.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.orders IS 'orders of the day.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.sales IS 'sales of the day.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.spend IS 'spend of the day.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.acos IS 'Advertising cost of sales: spend / sales of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.roas IS 'Return on ad spend: sales / spend of this row. Over several rows divide the sums.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.hourly_impressions IS 'impressions as the hours of the day add up; null where they were not loaded, or are no longer kept.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.hourly_clicks IS 'clicks as the hours of the day add up; null where they were not loaded, or are no longer kept.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.hourly_orders IS 'orders as the hours of the day add up; null where they were not loaded, or are no longer kept.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.hourly_sales IS 'sales as the hours of the day add up; null where they were not loaded, or are no longer kept.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.hourly_spend IS 'spend as the hours of the day add up; null where they were not loaded, or are no longer kept.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.as_of IS 'When the report of the row''s day was requested: what happened later is not in it. Null where the day has to be loaded again, in another grouping of ad products.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """COMMENT ON COLUMN reports.account_daily_summaries.hourly_as_of IS 'When the hourly report was requested.'""",
    """CREATE VIEW reports.days AS
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
           is_deliverable(c) AS is_deliverable, c.budget, c.budget_recurrence, c.currency_code,
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
 GROUP BY a.account_id, a.country_code, t.dataset, t.window_date""",
    """COMMENT ON VIEW reports.days IS 'Which days of which dataset are loaded. One row is a day of a dataset of an account, so a join by account, dataset and day multiplies no rows. Read it beside a sum, which lacks the days that are not complete, wholly or in part.'""",
    """COMMENT ON COLUMN reports.days.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.days.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.days.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.days.currency_code IS 'Currency of the account.'""",
    """COMMENT ON COLUMN reports.days.dataset IS 'Name of the dataset, which is also that of its view.'""",
    """COMMENT ON COLUMN reports.days.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.days.state IS 'The worst of its reports: fresh, missing, due, requested, loading, not served, paused, disabled, late at Amazon, late, suspicious, unconfirmed, needs attention, failed, expired. A day that is not fresh may still have data. It is late when due for longer than 12 hours.'""",
    """COMMENT ON COLUMN reports.days.cause IS 'Code of what is wrong with that report; null where nothing is.'""",
    """COMMENT ON COLUMN reports.days.as_of IS 'When the oldest of the loaded reports was requested. Null where none is loaded.'""",
    """COMMENT ON COLUMN reports.days.is_final IS 'Whether every report of the day that Amazon serves was loaded for the last time; until then the day is provisional.'""",
    """COMMENT ON COLUMN reports.days.is_complete IS 'Whether every report of the day that Amazon serves is loaded. Where it is false, sums of the day are too small. True says nothing of `not_served` and `left_out` of `reports.days`.'""",
    """COMMENT ON COLUMN reports.days.next_at IS 'When the next step of a report is due, if any.'""",
    """COMMENT ON COLUMN reports.days.not_served IS 'Ad products that Amazon does not serve for this day. They have no rows, which does not mean zero.'""",
    """COMMENT ON COLUMN reports.days.left_out IS 'Names of Sponsored Brands campaigns that may have run on this day and that Amazon leaves out of its reports, since they have no ad groups. The day counts as complete without them.'""",
    """CREATE VIEW reports.report_days AS
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
       t.next_at,
       array_remove(ARRAY[CASE WHEN ('SPONSORED_PRODUCTS' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SP' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_PRODUCTS' END,
         CASE WHEN ('SPONSORED_BRANDS' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SB' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_BRANDS' END,
         CASE WHEN ('SPONSORED_DISPLAY' = ANY(t.not_served)
              OR t.not_served_since IS NOT NULL AND t.last_loaded_at IS NULL
                 AND 'SD' = ANY(string_to_array(t.report, '+'))) THEN 'SPONSORED_DISPLAY' END], NULL) AS not_served,
       CASE WHEN ('SB' = ANY(string_to_array(t.report, '+')))
            THEN ARRAY(SELECT c.name FROM (
    SELECT c.campaign_id, coalesce(c.name, c.campaign_id) AS name,
           is_deliverable(c) AS is_deliverable, c.budget, c.budget_recurrence, c.currency_code,
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
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""",
    """COMMENT ON VIEW reports.report_days IS 'Which reports of a day are loaded. One row is a day of one report of an account; a dataset whose ad products are requested separately has several. Join sums with `reports.days`, which has one row a day.'""",
    """COMMENT ON COLUMN reports.report_days.account_key IS 'Key of the account: an ads account in one country.'""",
    """COMMENT ON COLUMN reports.report_days.account_name IS 'Name of the account.'""",
    """COMMENT ON COLUMN reports.report_days.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'""",
    """COMMENT ON COLUMN reports.report_days.currency_code IS 'Currency of the account.'""",
    """COMMENT ON COLUMN reports.report_days.dataset IS 'Name of the dataset, which is also that of its view.'""",
    """COMMENT ON COLUMN reports.report_days.report IS 'The ad products of the report: SP+SB+SD.'""",
    """COMMENT ON COLUMN reports.report_days.window_date IS 'Day of the account''s own calendar.'""",
    """COMMENT ON COLUMN reports.report_days.state IS 'fresh, missing, due, requested, loading, not served, paused, disabled, late at Amazon, late, suspicious, unconfirmed, needs attention, failed, expired. A day that is not fresh may still have data. It is late when due for longer than 12 hours.'""",
    """COMMENT ON COLUMN reports.report_days.cause IS 'Code of what is wrong; null where nothing is.'""",
    """COMMENT ON COLUMN reports.report_days.as_of IS 'When the loaded report was requested: what happened later is not in it. Null where the report has no data.'""",
    """COMMENT ON COLUMN reports.report_days.is_final IS 'Whether the report was loaded for the last time; until then it is provisional.'""",
    """COMMENT ON COLUMN reports.report_days.next_at IS 'When the next step is due, if any.'""",
    """COMMENT ON COLUMN reports.report_days.not_served IS 'Ad products of the report that Amazon does not serve for this day. They have no rows, which does not mean zero.'""",
    """COMMENT ON COLUMN reports.report_days.left_out IS 'Names of Sponsored Brands campaigns that may have run on this day and that Amazon leaves out of its reports, since they have no ad groups. The day counts as complete without them.'""",
)


class ServerType(UserDefinedType[str]):
    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


def upgrade() -> None:
    _create_session_tables()
    _create_pipeline_tables()
    op.execute("INSERT INTO session_change_cursor DEFAULT VALUES")
    op.execute("INSERT INTO installation (oldest_program) VALUES ('0001')")
    op.execute(JOB_SESSIONS_VIEW)
    op.execute(JOB_SESSION_ACCOUNTS_VIEW)
    op.execute(PERFORMANCE_ROWS_VIEW)
    op.execute(WINDOW_RESTATEMENTS_VIEW)
    op.execute(WINDOW_STATES_FUNCTION)
    op.execute(IS_DELIVERABLE_FUNCTION)
    for statement in REPORT_VIEWS:
        op.execute(statement)


def _create_session_tables() -> None:
    op.create_table(
        "session_change_cursor",
        sa.Column("id", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("epoch", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "published_snapshot",
            ServerType("pg_snapshot"),
            server_default=sa.text("pg_current_snapshot()"),
            nullable=False,
        ),
        sa.Column("system_identifier", sa.BigInteger(), nullable=True),
        sa.Column(
            "stepped_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("id", name=op.f("ck_session_change_cursor_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_change_cursor")),
    )
    op.create_table(
        "session_changes",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ord", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_session_changes")),
    )
    op.create_table(
        "session_headers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("step_key", sa.Text(), nullable=True),
        sa.Column("retry_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("account_key", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="running", nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("recovered_by", sa.Uuid(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "input", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column(
            "labels", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column(
            "changed_xid",
            ServerType("xid8"),
            server_default=sa.text("pg_current_xact_id()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(status = 'running') = (finished_at IS NULL)",
            name=op.f("ck_session_headers_ended_has_end"),
        ),
        sa.CheckConstraint(
            "(status = 'running') = (outcome IS NULL)",
            name=op.f("ck_session_headers_ended_has_outcome"),
        ),
        sa.CheckConstraint("job_name <> ''", name=op.f("ck_session_headers_job_named")),
        sa.CheckConstraint(
            "outcome IN ('ok', 'warnings', 'problems')",
            name=op.f("ck_session_headers_outcome_known"),
        ),
        sa.CheckConstraint(
            "recovered_by IS NULL OR status IN ('failed', 'crashed')",
            name=op.f("ck_session_headers_recovered_had_failed"),
        ),
        sa.CheckConstraint(
            "status IN ('running', 'succeeded', 'failed', 'cancelled', 'crashed')",
            name=op.f("ck_session_headers_status_known"),
        ),
        sa.CheckConstraint(
            "finished_at >= started_at", name=op.f("ck_session_headers_ends_after_start")
        ),
        sa.CheckConstraint("retry_number >= 0", name=op.f("ck_session_headers_retry_counted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_headers")),
    )
    op.create_index(
        op.f("ix_session_headers_account_key_started_at_id"),
        "session_headers",
        ["account_key", "started_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_headers_changed_xid"), "session_headers", ["changed_xid"], unique=False
    )
    op.create_index(
        op.f("ix_session_headers_job_name_account_key_started_at_id"),
        "session_headers",
        ["job_name", "account_key", "started_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_headers_job_name_started_at"),
        "session_headers",
        ["job_name", "started_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_headers_outcome_started_at"),
        "session_headers",
        ["outcome", "started_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_headers_run_id"),
        "session_headers",
        ["run_id"],
        unique=False,
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )
    op.create_index(
        "ix_session_headers_running",
        "session_headers",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        op.f("ix_session_headers_started_at_id"),
        "session_headers",
        ["started_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_headers_status_started_at"),
        "session_headers",
        ["status", "started_at"],
        unique=False,
    )
    op.create_index(
        "uq_session_headers_attempt",
        "session_headers",
        ["run_id", "step_key", "retry_number"],
        unique=True,
        postgresql_where=sa.text("run_id IS NOT NULL AND step_key IS NOT NULL"),
    )
    op.create_table(
        "session_subjects",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_session_subjects")),
    )
    op.create_table(
        "session_actions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ord", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("tone", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "changed_xid",
            ServerType("xid8"),
            server_default=sa.text("pg_current_xact_id()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "jsonb_typeof(payload) = 'object'", name=op.f("ck_session_actions_payload_is_object")
        ),
        sa.CheckConstraint(
            "tone IN ('neutral', 'progress', 'success', 'warning', 'error')",
            name=op.f("ck_session_actions_tone_known"),
        ),
        sa.CheckConstraint("ord > 0", name=op.f("ck_session_actions_ord_counted")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session_headers.id"],
            name=op.f("fk_session_actions_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "ord", name=op.f("pk_session_actions")),
    )
    op.create_index(
        op.f("ix_session_actions_changed_xid"), "session_actions", ["changed_xid"], unique=False
    )
    op.create_index(
        "ix_session_actions_troubles",
        "session_actions",
        ["session_id", "ord"],
        unique=False,
        postgresql_where=sa.text("tone IN ('warning', 'error')"),
    )
    op.create_index(
        op.f("ix_session_actions_type_at"), "session_actions", ["type", "at"], unique=False
    )
    op.create_index(
        "ix_session_actions_words",
        "session_actions",
        [
            sa.literal_column(
                "(to_tsvector('simple', type) || jsonb_to_tsvector('simple', payload, '[\"string\"]'))"
            )
        ],
        unique=False,
        postgresql_using="gin",
    )
    op.create_table(
        "session_leases",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session_headers.id"],
            name=op.f("fk_session_leases_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_leases")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        op.f("ix_session_leases_expires_at"), "session_leases", ["expires_at"], unique=False
    )
    op.create_table(
        "session_references",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ord", sa.BigInteger(), nullable=False),
        sa.Column("account_key", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=True),
        sa.Column("window_key", sa.Text(), nullable=True),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id", "ord"],
            ["session_actions.session_id", "session_actions.ord"],
            name=op.f("fk_session_references_session_id_ord"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_references")),
    )
    op.create_index(
        op.f("ix_session_references_account_key_dataset_window_key"),
        "session_references",
        ["account_key", "dataset", "window_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_references_account_key_started_at_session_id"),
        "session_references",
        ["account_key", "started_at", "session_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_references_session_id_ord"),
        "session_references",
        ["session_id", "ord"],
        unique=False,
    )
    op.create_index(
        op.f("ix_session_references_window_key_started_at_session_id"),
        "session_references",
        ["window_key", "started_at", "session_id"],
        unique=False,
        postgresql_where=sa.text("window_key IS NOT NULL"),
    )


def _create_pipeline_tables() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("access_token", sa.Text(), nullable=False),
        sa.Column("renew_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("credential", name=op.f("pk_access_tokens")),
    )
    op.create_table(
        "ads_accounts",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ads_account_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), server_default="default", nullable=False),
        sa.Column("credential_by", sa.Text(), nullable=True),
        sa.Column(
            "listed_by", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column(
            "needs_attention",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.Column("needs_attention_for", sa.Text(), nullable=True),
        sa.Column("needs_attention_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusals", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refresh_every", sa.Interval(), nullable=True),
        sa.Column("refresh_cron", sa.Text(), nullable=True),
        sa.Column("next_look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cadence_by", sa.Text(), nullable=True),
        sa.Column("cadence_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "ads_account_key ~ '^[a-z0-9-]*[.]?[A-Za-z0-9_-]+$'",
            name=op.f("ck_ads_accounts_key_is_plain"),
        ),
        sa.CheckConstraint(
            "alias = btrim(alias) AND char_length(alias) BETWEEN 1 AND 80 AND alias !~ '[\\x01-\\x1f\\x7f]'",
            name=op.f("ck_ads_accounts_alias_is_plain"),
        ),
        sa.CheckConstraint(
            "jsonb_typeof(needs_attention) = 'object'",
            name=op.f("ck_ads_accounts_needs_attention_is_a_cause"),
        ),
        sa.CheckConstraint(
            "needs_attention_for IN ('account', 'credentials')",
            name=op.f("ck_ads_accounts_needs_attention_for_known"),
        ),
        sa.CheckConstraint(
            "refresh_cron ~ '^[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}$'",
            name=op.f("ck_ads_accounts_refresh_cron_has_five"),
        ),
        sa.CheckConstraint(
            "refresh_every BETWEEN '5 minutes' AND '31 days'",
            name=op.f("ck_ads_accounts_refresh_every_in_reach"),
        ),
        sa.CheckConstraint(
            "region IN ('NA', 'EU', 'FE')", name=op.f("ck_ads_accounts_region_known")
        ),
        sa.CheckConstraint(
            "(needs_attention IS NULL) = (needs_attention_for IS NULL)",
            name=op.f("ck_ads_accounts_needs_attention_for_something"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(refresh_every, refresh_cron) <= 1",
            name=op.f("ck_ads_accounts_one_cadence"),
        ),
        sa.CheckConstraint("refusals >= 0", name=op.f("ck_ads_accounts_refusals_counted")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_ads_accounts")),
        sa.UniqueConstraint("ads_account_key", name=op.f("uq_ads_accounts_ads_account_key")),
    )
    op.create_table(
        "alert_receivers",
        sa.Column("receiver", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("receiver >= 1", name=op.f("ck_alert_receivers_receiver_counted")),
        sa.PrimaryKeyConstraint("receiver", name=op.f("pk_alert_receivers")),
    )
    op.create_table(
        "api_calls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("credential", sa.Text(), server_default="default", nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=True),
        sa.Column("country_code", sa.Text(), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("duration", sa.Interval(), nullable=False),
        sa.Column("queued", sa.Interval(), nullable=False),
        sa.Column("waited", sa.Interval(), nullable=False),
        sa.Column("retry_count", sa.SmallInteger(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "duration >= '0' AND queued >= '0' AND waited >= '0'",
            name=op.f("ck_api_calls_times_positive"),
        ),
        sa.CheckConstraint("region IN ('NA', 'EU', 'FE')", name=op.f("ck_api_calls_region_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_calls")),
    )
    op.create_index("ix_api_calls_account", "api_calls", ["account_id", "called_at"], unique=False)
    op.create_index(op.f("ix_api_calls_called_at"), "api_calls", ["called_at"], unique=False)
    op.create_table(
        "daily_campaign_performance",
        sa.Column(
            "account",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="advertiser_accounts.id.",
        ),
        sa.Column(
            "window_date",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="Day of the account's own calendar.",
        ),
        sa.Column(
            "row_key",
            sa.LargeBinary(),
            autoincrement=False,
            nullable=False,
            comment="Digest of currency, ad product and dimensions.",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=False,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
        ),
        sa.Column("currency_code", sa.Text(), nullable=False, comment="Currency of the amounts."),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign.",
        ),
        sa.Column(
            "campaign_name",
            sa.Text(),
            nullable=True,
            comment="The campaign's name when the report was made.",
        ),
        sa.Column(
            "cost_type",
            sa.Text(),
            nullable=True,
            comment="What is paid for: CPC (clicks) or VCPM (viewable impressions).",
        ),
        sa.Column("impressions", sa.BigInteger(), nullable=True, comment="Times the ad was shown."),
        sa.Column(
            "clicks", sa.BigInteger(), nullable=True, comment="Clicks, without invalid ones."
        ),
        sa.Column(
            "spend",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Cost of clicks or impressions, in the row's currency.",
        ),
        sa.Column(
            "orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row's currency.",
        ),
        sa.Column(
            "units",
            sa.BigInteger(),
            nullable=True,
            comment="Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "viewable_impressions",
            sa.BigInteger(),
            nullable=True,
            comment="Impressions that met the viewability standard.",
        ),
        sa.Column(
            "new_to_brand_orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders of shoppers who had not bought the brand in the 12 months before.",
        ),
        sa.Column(
            "new_to_brand_sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales of shoppers who had not bought the brand in the 12 months before.",
        ),
        sa.Column(
            "new_to_brand_units",
            sa.BigInteger(),
            nullable=True,
            comment="Units of shoppers who had not bought the brand in the 12 months before.",
        ),
        sa.Column(
            "orders_promoted",
            sa.BigInteger(),
            nullable=True,
            comment="Orders of the advertised product.",
        ),
        sa.Column(
            "sales_promoted",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales of the advertised product.",
        ),
        sa.Column(
            "units_promoted",
            sa.BigInteger(),
            nullable=True,
            comment="Units of the advertised product.",
        ),
        sa.Column(
            "sales_halo",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales of other products of the brand.",
        ),
        sa.Column(
            "units_halo",
            sa.BigInteger(),
            nullable=True,
            comment="Units of other products of the brand.",
        ),
        sa.Column(
            "request_id",
            sa.BigInteger(),
            nullable=False,
            comment="report_requests.id that wrote the row.",
        ),
        sa.CheckConstraint(
            "least(impressions, clicks, orders, units, viewable_impressions, new_to_brand_orders, new_to_brand_units, orders_promoted, units_promoted, units_halo) >= 0",
            name=op.f("ck_daily_campaign_performance_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "least(spend, sales, new_to_brand_sales, sales_promoted, sales_halo) >= 0 AND greatest(spend, sales, new_to_brand_sales, sales_promoted, sales_halo) < 1e14",
            name=op.f("ck_daily_campaign_performance_amounts_in_range"),
        ),
        sa.CheckConstraint(
            "octet_length(row_key) = 16", name=op.f("ck_daily_campaign_performance_key_is_a_digest")
        ),
        sa.PrimaryKeyConstraint(
            "account", "window_date", "row_key", name=op.f("pk_daily_campaign_performance")
        ),
        comment="Daily performance by campaign, as Amazon reported it last.",
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "daily_placement_performance",
        sa.Column(
            "account",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="advertiser_accounts.id.",
        ),
        sa.Column(
            "window_date",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="Day of the account's own calendar.",
        ),
        sa.Column(
            "row_key",
            sa.LargeBinary(),
            autoincrement=False,
            nullable=False,
            comment="Digest of currency, ad product and dimensions.",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=False,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
        ),
        sa.Column("currency_code", sa.Text(), nullable=False, comment="Currency of the amounts."),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign.",
        ),
        sa.Column(
            "placement",
            sa.Text(),
            nullable=True,
            comment="Where the ad was shown: TOP_OF_SEARCH, REST_OF_SEARCH, PRODUCT_PAGE, OFF_AMAZON, SITE_AMAZON_BUSINESS, or as reported.",
        ),
        sa.Column("placement_reported", sa.Text(), nullable=True, comment="As Amazon wrote it."),
        sa.Column("impressions", sa.BigInteger(), nullable=True, comment="Times the ad was shown."),
        sa.Column(
            "clicks", sa.BigInteger(), nullable=True, comment="Clicks, without invalid ones."
        ),
        sa.Column(
            "spend",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Cost of clicks or impressions, in the row's currency.",
        ),
        sa.Column(
            "orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row's currency.",
        ),
        sa.Column(
            "units",
            sa.BigInteger(),
            nullable=True,
            comment="Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "viewable_impressions",
            sa.BigInteger(),
            nullable=True,
            comment="Impressions that met the viewability standard.",
        ),
        sa.Column(
            "request_id",
            sa.BigInteger(),
            nullable=False,
            comment="report_requests.id that wrote the row.",
        ),
        sa.CheckConstraint(
            "least(impressions, clicks, orders, units, viewable_impressions) >= 0",
            name=op.f("ck_daily_placement_performance_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14",
            name=op.f("ck_daily_placement_performance_amounts_in_range"),
        ),
        sa.CheckConstraint(
            "octet_length(row_key) = 16",
            name=op.f("ck_daily_placement_performance_key_is_a_digest"),
        ),
        sa.PrimaryKeyConstraint(
            "account", "window_date", "row_key", name=op.f("pk_daily_placement_performance")
        ),
        comment="Daily performance by placement, as Amazon reported it last.",
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "daily_product_performance",
        sa.Column(
            "account",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="advertiser_accounts.id.",
        ),
        sa.Column(
            "window_date",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="Day of the account's own calendar.",
        ),
        sa.Column(
            "row_key",
            sa.LargeBinary(),
            autoincrement=False,
            nullable=False,
            comment="Digest of currency, ad product and dimensions.",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=False,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
        ),
        sa.Column("currency_code", sa.Text(), nullable=False, comment="Currency of the amounts."),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign.",
        ),
        sa.Column(
            "ad_group_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the ad group.",
        ),
        sa.Column("ad_id", sa.Text(collation="C"), nullable=True, comment="Amazon's id of the ad."),
        sa.Column(
            "product_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="ASIN of the advertised product.",
        ),
        sa.Column(
            "sku", sa.Text(), nullable=True, comment="The seller's SKU of the advertised product."
        ),
        sa.Column(
            "marketplace",
            sa.Text(),
            nullable=True,
            comment="Marketplace of the advertised product.",
        ),
        sa.Column("impressions", sa.BigInteger(), nullable=True, comment="Times the ad was shown."),
        sa.Column(
            "clicks", sa.BigInteger(), nullable=True, comment="Clicks, without invalid ones."
        ),
        sa.Column(
            "spend",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Cost of clicks or impressions, in the row's currency.",
        ),
        sa.Column(
            "orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row's currency.",
        ),
        sa.Column(
            "units",
            sa.BigInteger(),
            nullable=True,
            comment="Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "request_id",
            sa.BigInteger(),
            nullable=False,
            comment="report_requests.id that wrote the row.",
        ),
        sa.CheckConstraint(
            "least(impressions, clicks, orders, units) >= 0",
            name=op.f("ck_daily_product_performance_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14",
            name=op.f("ck_daily_product_performance_amounts_in_range"),
        ),
        sa.CheckConstraint(
            "octet_length(row_key) = 16", name=op.f("ck_daily_product_performance_key_is_a_digest")
        ),
        sa.PrimaryKeyConstraint(
            "account", "window_date", "row_key", name=op.f("pk_daily_product_performance")
        ),
        comment="Daily performance by advertised product, as Amazon reported it last.",
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "daily_purchased_product_performance",
        sa.Column(
            "account",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="advertiser_accounts.id.",
        ),
        sa.Column(
            "window_date",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="Day of the account's own calendar.",
        ),
        sa.Column(
            "row_key",
            sa.LargeBinary(),
            autoincrement=False,
            nullable=False,
            comment="Digest of currency, ad product and dimensions.",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=False,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
        ),
        sa.Column("currency_code", sa.Text(), nullable=False, comment="Currency of the amounts."),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign.",
        ),
        sa.Column(
            "ad_group_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the ad group.",
        ),
        sa.Column(
            "target_value",
            sa.Text(),
            nullable=True,
            comment="The target as reported: a keyword, an expression, the name of an automatic target.",
        ),
        sa.Column(
            "match_type",
            sa.Text(),
            nullable=True,
            comment="How the target is matched, as reported; null where the product has no match types.",
        ),
        sa.Column(
            "product_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="ASIN of the advertised product.",
        ),
        sa.Column(
            "sku", sa.Text(), nullable=True, comment="The seller's SKU of the advertised product."
        ),
        sa.Column(
            "purchased_product_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="ASIN of the product that was bought.",
        ),
        sa.Column(
            "purchased_marketplace",
            sa.Text(),
            nullable=True,
            comment="Marketplace in which it was bought.",
        ),
        sa.Column(
            "target_match",
            sa.LargeBinary(),
            nullable=True,
            comment="Digest of what names the target; null where nothing does.",
        ),
        sa.Column(
            "orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row's currency.",
        ),
        sa.Column(
            "units",
            sa.BigInteger(),
            nullable=True,
            comment="Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "orders_promoted",
            sa.BigInteger(),
            nullable=True,
            comment="Orders of the advertised product.",
        ),
        sa.Column(
            "sales_promoted",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales of the advertised product.",
        ),
        sa.Column(
            "units_promoted",
            sa.BigInteger(),
            nullable=True,
            comment="Units of the advertised product.",
        ),
        sa.Column(
            "orders_halo",
            sa.BigInteger(),
            nullable=True,
            comment="Orders of other products of the brand.",
        ),
        sa.Column(
            "sales_halo",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales of other products of the brand.",
        ),
        sa.Column(
            "units_halo",
            sa.BigInteger(),
            nullable=True,
            comment="Units of other products of the brand.",
        ),
        sa.Column(
            "orders_from_clicks",
            sa.BigInteger(),
            nullable=True,
            comment="Orders after a click, without those after a view.",
        ),
        sa.Column(
            "sales_from_clicks",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales after a click, without those after a view.",
        ),
        sa.Column(
            "units_from_clicks",
            sa.BigInteger(),
            nullable=True,
            comment="Units after a click, without those after a view.",
        ),
        sa.Column(
            "new_to_brand_orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders of shoppers who had not bought the brand in the 12 months before.",
        ),
        sa.Column(
            "new_to_brand_sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales of shoppers who had not bought the brand in the 12 months before.",
        ),
        sa.Column(
            "new_to_brand_units",
            sa.BigInteger(),
            nullable=True,
            comment="Units of shoppers who had not bought the brand in the 12 months before.",
        ),
        sa.Column(
            "request_id",
            sa.BigInteger(),
            nullable=False,
            comment="report_requests.id that wrote the row.",
        ),
        sa.CheckConstraint(
            "least(orders, units, orders_promoted, units_promoted, orders_halo, units_halo, orders_from_clicks, units_from_clicks, new_to_brand_orders, new_to_brand_units) >= 0",
            name=op.f("ck_daily_purchased_product_performance_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "least(sales, sales_promoted, sales_halo, sales_from_clicks, new_to_brand_sales) >= 0 AND greatest(sales, sales_promoted, sales_halo, sales_from_clicks, new_to_brand_sales) < 1e14",
            name=op.f("ck_daily_purchased_product_performance_amounts_in_range"),
        ),
        sa.CheckConstraint(
            "octet_length(row_key) = 16",
            name=op.f("ck_daily_purchased_product_performance_key_is_a_digest"),
        ),
        sa.PrimaryKeyConstraint(
            "account", "window_date", "row_key", name=op.f("pk_daily_purchased_product_performance")
        ),
        comment="Daily conversions by purchased product, as Amazon reported it last.",
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "daily_search_term_performance",
        sa.Column(
            "account",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="advertiser_accounts.id.",
        ),
        sa.Column(
            "window_date",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="Day of the account's own calendar.",
        ),
        sa.Column(
            "row_key",
            sa.LargeBinary(),
            autoincrement=False,
            nullable=False,
            comment="Digest of currency, ad product and dimensions.",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=False,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
        ),
        sa.Column("currency_code", sa.Text(), nullable=False, comment="Currency of the amounts."),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign.",
        ),
        sa.Column(
            "ad_group_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the ad group.",
        ),
        sa.Column(
            "target_value",
            sa.Text(),
            nullable=True,
            comment="The target as reported: a keyword, an expression, the name of an automatic target.",
        ),
        sa.Column(
            "match_type",
            sa.Text(),
            nullable=True,
            comment="How the target is matched, as reported; null where the product has no match types.",
        ),
        sa.Column(
            "search_term",
            sa.Text(),
            nullable=True,
            comment="What the shopper typed, or the ASIN of the page that was seen. Only terms with a click are reported.",
        ),
        sa.Column(
            "target_match",
            sa.LargeBinary(),
            nullable=True,
            comment="Digest of what names the target; null where nothing does.",
        ),
        sa.Column("impressions", sa.BigInteger(), nullable=True, comment="Times the ad was shown."),
        sa.Column(
            "clicks", sa.BigInteger(), nullable=True, comment="Clicks, without invalid ones."
        ),
        sa.Column(
            "spend",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Cost of clicks or impressions, in the row's currency.",
        ),
        sa.Column(
            "orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row's currency.",
        ),
        sa.Column(
            "units",
            sa.BigInteger(),
            nullable=True,
            comment="Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "request_id",
            sa.BigInteger(),
            nullable=False,
            comment="report_requests.id that wrote the row.",
        ),
        sa.CheckConstraint(
            "least(impressions, clicks, orders, units) >= 0",
            name=op.f("ck_daily_search_term_performance_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14",
            name=op.f("ck_daily_search_term_performance_amounts_in_range"),
        ),
        sa.CheckConstraint(
            "octet_length(row_key) = 16",
            name=op.f("ck_daily_search_term_performance_key_is_a_digest"),
        ),
        sa.PrimaryKeyConstraint(
            "account", "window_date", "row_key", name=op.f("pk_daily_search_term_performance")
        ),
        comment="Daily performance by search term, as Amazon reported it last.",
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "daily_target_performance",
        sa.Column(
            "account",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="advertiser_accounts.id.",
        ),
        sa.Column(
            "window_date",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="Day of the account's own calendar.",
        ),
        sa.Column(
            "row_key",
            sa.LargeBinary(),
            autoincrement=False,
            nullable=False,
            comment="Digest of currency, ad product and dimensions.",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=False,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
        ),
        sa.Column("currency_code", sa.Text(), nullable=False, comment="Currency of the amounts."),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign.",
        ),
        sa.Column(
            "ad_group_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the ad group.",
        ),
        sa.Column(
            "target_value",
            sa.Text(),
            nullable=True,
            comment="The target as reported: a keyword, an expression, the name of an automatic target.",
        ),
        sa.Column(
            "match_type",
            sa.Text(),
            nullable=True,
            comment="How the target is matched, as reported; null where the product has no match types.",
        ),
        sa.Column(
            "target_match",
            sa.LargeBinary(),
            nullable=True,
            comment="Digest of what names the target; null where nothing does.",
        ),
        sa.Column("impressions", sa.BigInteger(), nullable=True, comment="Times the ad was shown."),
        sa.Column(
            "clicks", sa.BigInteger(), nullable=True, comment="Clicks, without invalid ones."
        ),
        sa.Column(
            "spend",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Cost of clicks or impressions, in the row's currency.",
        ),
        sa.Column(
            "orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row's currency.",
        ),
        sa.Column(
            "units",
            sa.BigInteger(),
            nullable=True,
            comment="Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "orders_promoted",
            sa.BigInteger(),
            nullable=True,
            comment="Orders of the advertised product.",
        ),
        sa.Column(
            "sales_promoted",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales of the advertised product.",
        ),
        sa.Column(
            "units_promoted",
            sa.BigInteger(),
            nullable=True,
            comment="Units of the advertised product.",
        ),
        sa.Column(
            "sales_halo",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales of other products of the brand.",
        ),
        sa.Column(
            "units_halo",
            sa.BigInteger(),
            nullable=True,
            comment="Units of other products of the brand.",
        ),
        sa.Column(
            "request_id",
            sa.BigInteger(),
            nullable=False,
            comment="report_requests.id that wrote the row.",
        ),
        sa.CheckConstraint(
            "least(impressions, clicks, orders, units, orders_promoted, units_promoted, units_halo) >= 0",
            name=op.f("ck_daily_target_performance_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "least(spend, sales, sales_promoted, sales_halo) >= 0 AND greatest(spend, sales, sales_promoted, sales_halo) < 1e14",
            name=op.f("ck_daily_target_performance_amounts_in_range"),
        ),
        sa.CheckConstraint(
            "octet_length(row_key) = 16", name=op.f("ck_daily_target_performance_key_is_a_digest")
        ),
        sa.PrimaryKeyConstraint(
            "account", "window_date", "row_key", name=op.f("pk_daily_target_performance")
        ),
        comment="Daily performance by target, as Amazon reported it last.",
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "findings",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "finding", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "acknowledged",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.Column(
            "told",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.CheckConstraint("gone_at >= began_at", name=op.f("ck_findings_ends_after_start")),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 100", name=op.f("ck_findings_key_is_short")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_findings")),
    )
    op.create_table(
        "hourly_campaign_performance",
        sa.Column(
            "account",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="advertiser_accounts.id.",
        ),
        sa.Column(
            "window_date",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="Day of the account's own calendar.",
        ),
        sa.Column(
            "hour_at",
            sa.DateTime(timezone=True),
            autoincrement=False,
            nullable=False,
            comment="When the hour began.",
        ),
        sa.Column(
            "row_key",
            sa.LargeBinary(),
            autoincrement=False,
            nullable=False,
            comment="Digest of currency, ad product and dimensions.",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=False,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
        ),
        sa.Column("currency_code", sa.Text(), nullable=False, comment="Currency of the amounts."),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign.",
        ),
        sa.Column("impressions", sa.BigInteger(), nullable=True, comment="Times the ad was shown."),
        sa.Column(
            "clicks", sa.BigInteger(), nullable=True, comment="Clicks, without invalid ones."
        ),
        sa.Column(
            "spend",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Cost of clicks or impressions, in the row's currency.",
        ),
        sa.Column(
            "orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row's currency.",
        ),
        sa.Column(
            "units",
            sa.BigInteger(),
            nullable=True,
            comment="Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "request_id",
            sa.BigInteger(),
            nullable=False,
            comment="report_requests.id that wrote the row.",
        ),
        sa.CheckConstraint(
            "extract(epoch FROM hour_at) % 900 = 0",
            name=op.f("ck_hourly_campaign_performance_hour_begins"),
        ),
        sa.CheckConstraint(
            "least(impressions, clicks, orders, units) >= 0",
            name=op.f("ck_hourly_campaign_performance_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14",
            name=op.f("ck_hourly_campaign_performance_amounts_in_range"),
        ),
        sa.CheckConstraint(
            "octet_length(row_key) = 16",
            name=op.f("ck_hourly_campaign_performance_key_is_a_digest"),
        ),
        sa.PrimaryKeyConstraint(
            "account",
            "window_date",
            "hour_at",
            "row_key",
            name=op.f("pk_hourly_campaign_performance"),
        ),
        comment="Hourly performance by campaign, as Amazon reported it last.",
        postgresql_partition_by="RANGE (window_date)",
    )
    op.create_table(
        "hourly_product_performance",
        sa.Column(
            "account",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="advertiser_accounts.id.",
        ),
        sa.Column(
            "window_date",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="Day of the account's own calendar.",
        ),
        sa.Column(
            "hour_at",
            sa.DateTime(timezone=True),
            autoincrement=False,
            nullable=False,
            comment="When the hour began.",
        ),
        sa.Column(
            "row_key",
            sa.LargeBinary(),
            autoincrement=False,
            nullable=False,
            comment="Digest of currency, ad product and dimensions.",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=False,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
        ),
        sa.Column("currency_code", sa.Text(), nullable=False, comment="Currency of the amounts."),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign.",
        ),
        sa.Column(
            "ad_group_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the ad group.",
        ),
        sa.Column("ad_id", sa.Text(collation="C"), nullable=True, comment="Amazon's id of the ad."),
        sa.Column(
            "product_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="ASIN of the advertised product.",
        ),
        sa.Column(
            "marketplace",
            sa.Text(),
            nullable=True,
            comment="Marketplace of the advertised product.",
        ),
        sa.Column("impressions", sa.BigInteger(), nullable=True, comment="Times the ad was shown."),
        sa.Column(
            "clicks", sa.BigInteger(), nullable=True, comment="Clicks, without invalid ones."
        ),
        sa.Column(
            "spend",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Cost of clicks or impressions, in the row's currency.",
        ),
        sa.Column(
            "orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row's currency.",
        ),
        sa.Column(
            "units",
            sa.BigInteger(),
            nullable=True,
            comment="Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "request_id",
            sa.BigInteger(),
            nullable=False,
            comment="report_requests.id that wrote the row.",
        ),
        sa.CheckConstraint(
            "extract(epoch FROM hour_at) % 900 = 0",
            name=op.f("ck_hourly_product_performance_hour_begins"),
        ),
        sa.CheckConstraint(
            "least(impressions, clicks, orders, units) >= 0",
            name=op.f("ck_hourly_product_performance_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14",
            name=op.f("ck_hourly_product_performance_amounts_in_range"),
        ),
        sa.CheckConstraint(
            "octet_length(row_key) = 16", name=op.f("ck_hourly_product_performance_key_is_a_digest")
        ),
        sa.PrimaryKeyConstraint(
            "account",
            "window_date",
            "hour_at",
            "row_key",
            name=op.f("pk_hourly_product_performance"),
        ),
        comment="Hourly performance by advertised product, as Amazon reported it last.",
        postgresql_partition_by="RANGE (window_date)",
    )
    op.create_table(
        "hourly_target_performance",
        sa.Column(
            "account",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="advertiser_accounts.id.",
        ),
        sa.Column(
            "window_date",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="Day of the account's own calendar.",
        ),
        sa.Column(
            "hour_at",
            sa.DateTime(timezone=True),
            autoincrement=False,
            nullable=False,
            comment="When the hour began.",
        ),
        sa.Column(
            "row_key",
            sa.LargeBinary(),
            autoincrement=False,
            nullable=False,
            comment="Digest of currency, ad product and dimensions.",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=False,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS, …",
        ),
        sa.Column("currency_code", sa.Text(), nullable=False, comment="Currency of the amounts."),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign.",
        ),
        sa.Column(
            "ad_group_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the ad group.",
        ),
        sa.Column(
            "target_value",
            sa.Text(),
            nullable=True,
            comment="The target as reported: a keyword, an expression, the name of an automatic target.",
        ),
        sa.Column(
            "match_type",
            sa.Text(),
            nullable=True,
            comment="How the target is matched, as reported; null where the product has no match types.",
        ),
        sa.Column(
            "target_match",
            sa.LargeBinary(),
            nullable=True,
            comment="Digest of what names the target; null where nothing does.",
        ),
        sa.Column("impressions", sa.BigInteger(), nullable=True, comment="Times the ad was shown."),
        sa.Column(
            "clicks", sa.BigInteger(), nullable=True, comment="Clicks, without invalid ones."
        ),
        sa.Column(
            "spend",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Cost of clicks or impressions, in the row's currency.",
        ),
        sa.Column(
            "orders",
            sa.BigInteger(),
            nullable=True,
            comment="Orders attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "sales",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Sales attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others, in the row's currency.",
        ),
        sa.Column(
            "units",
            sa.BigInteger(),
            nullable=True,
            comment="Units sold, attributed to an ad within 7 days of the click for Sponsored Products of sellers, within 14 days for all others.",
        ),
        sa.Column(
            "request_id",
            sa.BigInteger(),
            nullable=False,
            comment="report_requests.id that wrote the row.",
        ),
        sa.CheckConstraint(
            "extract(epoch FROM hour_at) % 900 = 0",
            name=op.f("ck_hourly_target_performance_hour_begins"),
        ),
        sa.CheckConstraint(
            "least(impressions, clicks, orders, units) >= 0",
            name=op.f("ck_hourly_target_performance_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "least(spend, sales) >= 0 AND greatest(spend, sales) < 1e14",
            name=op.f("ck_hourly_target_performance_amounts_in_range"),
        ),
        sa.CheckConstraint(
            "octet_length(row_key) = 16", name=op.f("ck_hourly_target_performance_key_is_a_digest")
        ),
        sa.PrimaryKeyConstraint(
            "account",
            "window_date",
            "hour_at",
            "row_key",
            name=op.f("pk_hourly_target_performance"),
        ),
        comment="Hourly performance by target, as Amazon reported it last.",
        postgresql_partition_by="RANGE (window_date)",
    )
    op.create_table(
        "installation",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("mode", sa.Text(), nullable=True),
        sa.Column("oldest_program", sa.Text(), nullable=False),
        sa.Column("restatements_from", sa.Date(), nullable=True),
        sa.CheckConstraint("mode IN ('sandbox', 'real')", name=op.f("ck_installation_mode_known")),
        sa.CheckConstraint("only_row", name=op.f("ck_installation_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_installation")),
    )
    op.create_table(
        "processes",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clock_ahead_by", sa.Interval(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("kind", "host", "pid", name=op.f("pk_processes")),
    )
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
    op.create_table(
        "rate_limits",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("call_class", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), server_default="", nullable=False),
        sa.Column("next_start_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "call_class IN ('create', 'retrieve', 'exports', 'download', 'token', 'other')",
            name=op.f("ck_rate_limits_call_class_known"),
        ),
        sa.CheckConstraint(
            "region IN ('NA', 'EU', 'FE')", name=op.f("ck_rate_limits_region_known")
        ),
        sa.PrimaryKeyConstraint(
            "client_id", "region", "call_class", "account_id", name=op.f("pk_rate_limits")
        ),
    )
    op.create_table(
        "report_gates",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("in_flight_limit", sa.Double(), nullable=False),
        sa.Column("pace", sa.Interval(), nullable=False),
        sa.Column("next_create_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refusals", sa.BigInteger(), nullable=False),
        sa.Column("refused_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("closed_for", sa.Interval(), server_default="0", nullable=False),
        sa.Column("last_refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "pace > '0' AND refusals >= 0", name=op.f("ck_report_gates_pace_positive")
        ),
        sa.CheckConstraint(
            "region IN ('NA', 'EU', 'FE')", name=op.f("ck_report_gates_region_known")
        ),
        sa.CheckConstraint("in_flight_limit >= 1", name=op.f("ck_report_gates_limit_lets_one_in")),
        sa.PrimaryKeyConstraint("client_id", "region", name=op.f("pk_report_gates")),
    )
    op.create_table(
        "simulated_time",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("ahead_by", sa.Interval(), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_simulated_time_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_simulated_time")),
    )
    op.create_table(
        "unwritable_folders",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("host", "folder", name=op.f("pk_unwritable_folders")),
    )
    op.create_table(
        "advertiser_accounts",
        sa.Column(
            "account_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the ads account.",
        ),
        sa.Column(
            "country_code",
            sa.Text(),
            nullable=False,
            comment="Country of the account: two letters, GB for the United Kingdom.",
        ),
        sa.Column(
            "id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number by which the rows of reports refer to the account.",
        ),
        sa.Column(
            "account_key",
            sa.Text(),
            nullable=False,
            comment="Key of the account: its country and the key of its ads account.",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Name at Amazon."),
        sa.Column(
            "amazon_status",
            sa.Text(),
            nullable=False,
            comment="Status at Amazon, in its own words.",
        ),
        sa.Column(
            "profile_id",
            sa.Text(),
            nullable=True,
            comment="Amazon's id of the advertising profile of this country.",
        ),
        sa.Column(
            "entity_id", sa.Text(), nullable=True, comment="Amazon's id of the advertiser's entity."
        ),
        sa.Column("region", sa.Text(), nullable=False, comment="Region of the API: NA, EU or FE."),
        sa.Column(
            "currency_code", sa.Text(), nullable=False, comment="Currency of the account's amounts."
        ),
        sa.Column(
            "time_zone",
            sa.Text(),
            nullable=False,
            comment="IANA time zone in which the account's days are counted.",
        ),
        sa.Column(
            "marketplace_id", sa.Text(), nullable=True, comment="Amazon's id of the marketplace."
        ),
        sa.Column(
            "account_type",
            sa.Text(),
            nullable=True,
            comment="seller, vendor or agency; decides how long sales of Sponsored Products are attributed.",
        ),
        sa.Column(
            "paused",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether a person has paused it: its reports and entities are not kept up to date.",
        ),
        sa.Column("paused_by", sa.Text(), nullable=True, comment="Who has paused it."),
        sa.Column(
            "paused_at", sa.DateTime(timezone=True), nullable=True, comment="When it was paused."
        ),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When Amazon listed it first.",
        ),
        sa.Column(
            "synced_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When Amazon listed it last.",
        ),
        sa.Column(
            "entities_synced_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its entities were synced last; null before the first sync.",
        ),
        sa.Column(
            "entities_wanted_by",
            sa.Text(),
            nullable=True,
            comment="Who asked for a sync of its entities that has not ended.",
        ),
        sa.Column(
            "entities_wanted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When that sync was asked for.",
        ),
        sa.Column(
            "export_refusals",
            sa.SmallInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="How often in a row Amazon has refused an export (401 or 403).",
        ),
        sa.Column(
            "export_refused_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When Amazon refused an export last.",
        ),
        sa.CheckConstraint(
            "account_key ~ '^[A-Za-z0-9._-]+$'", name=op.f("ck_advertiser_accounts_key_is_plain")
        ),
        sa.CheckConstraint(
            "country_code ~ '^[A-Z]{2}$' AND country_code <> 'UK'",
            name=op.f("ck_advertiser_accounts_country_is_iso"),
        ),
        sa.CheckConstraint(
            "currency_code ~ '^[A-Z]{3}$'", name=op.f("ck_advertiser_accounts_currency_is_iso")
        ),
        sa.CheckConstraint(
            "region IN ('NA', 'EU', 'FE')", name=op.f("ck_advertiser_accounts_region_known")
        ),
        sa.CheckConstraint(
            "(entities_wanted_by IS NULL) = (entities_wanted_at IS NULL)",
            name=op.f("ck_advertiser_accounts_entities_wanted_since"),
        ),
        sa.CheckConstraint(
            "(paused_by IS NULL) = (paused_at IS NULL)",
            name=op.f("ck_advertiser_accounts_paused_by_somebody"),
        ),
        sa.CheckConstraint(
            "paused OR paused_by IS NULL", name=op.f("ck_advertiser_accounts_paused_while_paused")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["ads_accounts.account_id"],
            name=op.f("fk_advertiser_accounts_account_id"),
        ),
        sa.PrimaryKeyConstraint("account_id", "country_code", name=op.f("pk_advertiser_accounts")),
        sa.UniqueConstraint("account_key", name=op.f("uq_advertiser_accounts_account_key")),
        sa.UniqueConstraint("id", name=op.f("uq_advertiser_accounts_id")),
    )
    op.create_table(
        "registry_overrides",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column(
            "set_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "region IN ('NA', 'EU', 'FE')", name=op.f("ck_registry_overrides_region_known")
        ),
        sa.CheckConstraint(
            "what !~ '^(history|period):' OR value ~ '^[1-9][0-9]{0,3}$'",
            name=op.f("ck_registry_overrides_days_counted"),
        ),
        sa.CheckConstraint(
            "what <> 'grouping' OR account_id IS NULL",
            name=op.f("ck_registry_overrides_grouping_of_region"),
        ),
        sa.CheckConstraint(
            "what ~ '^(grouping|(field|history|period):.+)$'",
            name=op.f("ck_registry_overrides_what_known"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["ads_accounts.account_id"],
            name=op.f("fk_registry_overrides_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_overrides")),
    )
    op.create_index(
        "uq_registry_overrides",
        "registry_overrides",
        ["region", "dataset", "account_id", "what"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "report_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), server_default="planned", nullable=False),
        sa.Column("by_hand", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("passed_over", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("report_id", sa.Text(), nullable=True),
        sa.Column("amazon_status", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("polls", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("loads", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("late_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_step_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure_kind", sa.Text(), nullable=True),
        sa.Column(
            "cause", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("part_count", sa.BigInteger(), nullable=True),
        sa.Column("byte_count", sa.BigInteger(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("locked_by", sa.Uuid(), nullable=True),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("narrows", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(status IN ('loaded', 'failed')) = (finished_at IS NOT NULL)",
            name=op.f("ck_report_requests_ended_has_end"),
        ),
        sa.CheckConstraint(
            "jsonb_typeof(cause) = 'object'", name=op.f("ck_report_requests_cause_is_an_object")
        ),
        sa.CheckConstraint(
            "status IN ('planned', 'sent', 'in_flight', 'completed', 'loaded', 'failed')",
            name=op.f("ck_report_requests_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('in_flight', 'completed') OR report_id IS NOT NULL",
            name=op.f("ck_report_requests_in_flight_has_report"),
        ),
        sa.CheckConstraint(
            "start_date <= end_date", name=op.f("ck_report_requests_range_in_order")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ads_accounts.account_id"], name=op.f("fk_report_requests_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["narrows"], ["report_requests.id"], name=op.f("fk_report_requests_narrows")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_requests")),
    )
    op.create_index(
        "ix_report_requests_account",
        "report_requests",
        ["account_id", "dataset", "report", "sent_at"],
        unique=False,
    )
    op.create_index(
        "ix_report_requests_narrows",
        "report_requests",
        ["narrows"],
        unique=False,
        postgresql_where=sa.text("narrows IS NOT NULL"),
    )
    op.create_index(
        "ix_report_requests_open",
        "report_requests",
        ["next_step_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('planned', 'sent', 'in_flight', 'completed')"),
    )
    op.create_table(
        "ad_groups",
        sa.Column(
            "account_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the ads account",
        ),
        sa.Column(
            "country_code",
            sa.Text(),
            nullable=False,
            comment="Country of the account: two letters, GB for the United Kingdom",
        ),
        sa.Column(
            "ad_group_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the ad group",
        ),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the campaign",
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Name at Amazon"),
        sa.Column(
            "default_bid",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Bid of targets that have none of their own, in currency_code; null in Sponsored Brands",
        ),
        sa.Column("currency_code", sa.Text(), nullable=True, comment="Currency of the amounts"),
        sa.Column(
            "creative_type",
            sa.Text(),
            nullable=True,
            comment="Kind of creative, where Amazon says so",
        ),
        sa.Column("goal", sa.Text(), nullable=True, comment="What Sponsored Display optimizes for"),
        sa.Column("kpi", sa.Text(), nullable=True, comment="The measure of that goal"),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="ENABLED, PAUSED, ARCHIVED, or another word of Amazon's",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=True,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY",
        ),
        sa.Column(
            "delivery_status",
            sa.Text(),
            nullable=True,
            comment="DELIVERING, NOT_DELIVERING or UNAVAILABLE",
        ),
        sa.Column(
            "delivery_reasons",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="Why it is not delivering: a list",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was created at Amazon",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was last changed at Amazon",
        ),
        sa.Column(
            "details",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Every field that no column holds, as Amazon sent it",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When Amazon sent it last",
        ),
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_ad_groups_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "country_code", "ad_group_id", name=op.f("pk_ad_groups")
        ),
        comment="An ad group of a campaign, as Amazon sent it last",
    )
    op.create_table(
        "ads",
        sa.Column(
            "account_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the ads account",
        ),
        sa.Column(
            "country_code",
            sa.Text(),
            nullable=False,
            comment="Country of the account: two letters, GB for the United Kingdom",
        ),
        sa.Column("ad_id", sa.Text(collation="C"), nullable=False, comment="Amazon's id of the ad"),
        sa.Column(
            "ad_group_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the ad group",
        ),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign",
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Name at Amazon"),
        sa.Column(
            "ad_type",
            sa.Text(),
            nullable=True,
            comment="PRODUCT_AD, PRODUCT_COLLECTION, VIDEO, IMAGE …",
        ),
        sa.Column(
            "asins",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="The products it shows, in Amazon's order",
        ),
        sa.Column(
            "skus",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="The seller's SKUs of these products",
        ),
        sa.Column(
            "landing_page_type",
            sa.Text(),
            nullable=True,
            comment="Kind of page that a click leads to",
        ),
        sa.Column(
            "landing_page_url", sa.Text(), nullable=True, comment="The page that a click leads to"
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="ENABLED, PAUSED, ARCHIVED, or another word of Amazon's",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=True,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY",
        ),
        sa.Column(
            "delivery_status",
            sa.Text(),
            nullable=True,
            comment="DELIVERING, NOT_DELIVERING or UNAVAILABLE",
        ),
        sa.Column(
            "delivery_reasons",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="Why it is not delivering: a list",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was created at Amazon",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was last changed at Amazon",
        ),
        sa.Column(
            "details",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Every field that no column holds, as Amazon sent it",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When Amazon sent it last",
        ),
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_ads_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("account_id", "country_code", "ad_id", name=op.f("pk_ads")),
        comment="An ad of an ad group, as Amazon sent it last",
    )
    op.create_table(
        "campaigns",
        sa.Column(
            "account_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the ads account",
        ),
        sa.Column(
            "country_code",
            sa.Text(),
            nullable=False,
            comment="Country of the account: two letters, GB for the United Kingdom",
        ),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the campaign",
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Name at Amazon"),
        sa.Column(
            "portfolio_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the portfolio",
        ),
        sa.Column(
            "brand_entity_id", sa.Text(), nullable=True, comment="The brand of Sponsored Brands"
        ),
        sa.Column(
            "targeting",
            sa.Text(),
            nullable=True,
            comment="AUTO, MANUAL, or a tactic such as T00020",
        ),
        sa.Column(
            "cost_type", sa.Text(), nullable=True, comment="CPC or VCPM, where Amazon says so"
        ),
        sa.Column(
            "start_date",
            sa.Date(),
            nullable=True,
            comment="First day, on the account's own calendar",
        ),
        sa.Column(
            "end_date",
            sa.Date(),
            nullable=True,
            comment="Last day, on the account's own calendar; null where it has none",
        ),
        sa.Column(
            "budget",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="What the advertiser set, in currency_code",
        ),
        sa.Column(
            "rule_budget",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="The budget that a budget rule made of it",
        ),
        sa.Column(
            "budget_type",
            sa.Text(),
            nullable=True,
            comment="What the budget limits, for example MONETARY",
        ),
        sa.Column("budget_recurrence", sa.Text(), nullable=True, comment="DAILY or LIFETIME"),
        sa.Column("currency_code", sa.Text(), nullable=True, comment="Currency of the amounts"),
        sa.Column(
            "bid_strategy",
            sa.Text(),
            nullable=True,
            comment="How Amazon adjusts bids, in its own words",
        ),
        sa.Column(
            "placement_bid_adjustments",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="A list of placements, each with a percentage",
        ),
        sa.Column(
            "is_reported",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Whether Amazon reports its numbers: false for one of Sponsored Brands without ad groups",
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="ENABLED, PAUSED, ARCHIVED, or another word of Amazon's",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=True,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY",
        ),
        sa.Column(
            "delivery_status",
            sa.Text(),
            nullable=True,
            comment="DELIVERING, NOT_DELIVERING or UNAVAILABLE",
        ),
        sa.Column(
            "delivery_reasons",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="Why it is not delivering: a list",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was created at Amazon",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was last changed at Amazon",
        ),
        sa.Column(
            "details",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Every field that no column holds, as Amazon sent it",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When Amazon sent it last",
        ),
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_campaigns_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "country_code", "campaign_id", name=op.f("pk_campaigns")
        ),
        comment="A campaign of an account, as Amazon sent it last",
    )
    op.create_index(
        "ix_campaigns_not_reported",
        "campaigns",
        ["account_id", "country_code"],
        unique=False,
        postgresql_where=sa.text("NOT is_reported"),
    )
    op.create_index(
        "ix_campaigns_started",
        "campaigns",
        [
            "account_id",
            "country_code",
            sa.literal_column("coalesce(ad_product, 'SPONSORED_PRODUCTS')"),
            sa.literal_column("coalesce(start_date, '-infinity')"),
        ],
        unique=False,
    )
    op.create_table(
        "dataset_windows",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("through_date", sa.Date(), nullable=False),
        sa.Column("windows", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_dataset_windows_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "country_code", "dataset", "report", name=op.f("pk_dataset_windows")
        ),
    )
    op.create_table(
        "entity_exports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("export_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="in_flight", nullable=False),
        sa.Column(
            "cause", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('campaigns', 'adGroups', 'ads', 'targets')",
            name=op.f("ck_entity_exports_kind_known"),
        ),
        sa.CheckConstraint(
            "status IN ('in_flight', 'loaded', 'failed')",
            name=op.f("ck_entity_exports_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_entity_exports_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entity_exports")),
    )
    op.create_index(
        "uq_entity_exports_in_flight",
        "entity_exports",
        ["account_id", "country_code", "kind"],
        unique=True,
        postgresql_where=sa.text("status = 'in_flight'"),
    )
    op.create_table(
        "entity_problems",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=True),
        sa.Column("set_aside", sa.Boolean(), nullable=False),
        sa.Column(
            "cause", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column(
            "noticed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('campaigns', 'adGroups', 'ads', 'targets', 'portfolios')",
            name=op.f("ck_entity_problems_kind_known"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_entity_problems_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entity_problems")),
    )
    op.create_index(
        "ix_entity_problems_account",
        "entity_problems",
        ["account_id", "country_code", "kind"],
        unique=False,
    )
    op.create_table(
        "portfolios",
        sa.Column(
            "account_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the ads account",
        ),
        sa.Column(
            "country_code",
            sa.Text(),
            nullable=False,
            comment="Country of the account: two letters, GB for the United Kingdom",
        ),
        sa.Column(
            "portfolio_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the portfolio",
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Name at Amazon"),
        sa.Column(
            "in_budget", sa.Boolean(), nullable=True, comment="Whether its budget is not used up"
        ),
        sa.Column(
            "budget",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Budget that its campaigns share, in currency_code",
        ),
        sa.Column("currency_code", sa.Text(), nullable=True, comment="Currency of the amounts"),
        sa.Column(
            "budget_policy",
            sa.Text(),
            nullable=True,
            comment="DATE_RANGE, MONTHLY_RECURRING or NO_CAP",
        ),
        sa.Column(
            "start_date",
            sa.Date(),
            nullable=True,
            comment="First day, on the account's own calendar",
        ),
        sa.Column(
            "end_date",
            sa.Date(),
            nullable=True,
            comment="Last day, on the account's own calendar; null where it has none",
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="ENABLED, PAUSED, ARCHIVED, or another word of Amazon's",
        ),
        sa.Column(
            "details",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Every field that no column holds, as Amazon sent it",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When Amazon sent it last",
        ),
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_portfolios_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "country_code", "portfolio_id", name=op.f("pk_portfolios")
        ),
        comment="A portfolio of campaigns, as Amazon sent it last",
    )
    op.create_table(
        "quarantined_rows",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("window_date", sa.Date(), nullable=True),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column(
            "cause", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column(
            "quarantined_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_quarantined_rows_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_rows")),
    )
    op.create_index(
        "ix_quarantined_rows_window",
        "quarantined_rows",
        ["account_id", "country_code", "dataset", "window_date"],
        unique=False,
    )
    op.create_table(
        "report_loads",
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("rows_loaded", sa.BigInteger(), nullable=False),
        sa.Column("rows_summed", sa.BigInteger(), nullable=False),
        sa.Column("rows_quarantined", sa.BigInteger(), nullable=False),
        sa.Column("rows_withheld", sa.BigInteger(), nullable=False),
        sa.Column("rows_not_waited_for", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "least(rows_loaded, rows_summed, rows_quarantined, rows_withheld, rows_not_waited_for) >= 0",
            name=op.f("ck_report_loads_counts_not_negative"),
        ),
        sa.CheckConstraint(
            "rows_read = rows_loaded + rows_summed + rows_quarantined + rows_withheld + rows_not_waited_for",
            name=op.f("ck_report_loads_every_row_is_counted"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_report_loads_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint(
            "request_id", "account_id", "country_code", name=op.f("pk_report_loads")
        ),
    )
    op.create_table(
        "report_windows",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("window_date", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), server_default="missing", nullable=False),
        sa.Column("next_refresh_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=True),
        sa.Column("last_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_loaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_data_as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("load_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("recorded_load_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("recorded_run_id", sa.Uuid(), nullable=True),
        sa.Column("loaded_by_request", sa.BigInteger(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("quarantined_count", sa.BigInteger(), nullable=True),
        sa.Column("unresolved_count", sa.BigInteger(), nullable=True),
        sa.Column("spend", sa.Numeric(precision=38, scale=6), nullable=True),
        sa.Column("sales", sa.Numeric(precision=38, scale=6), nullable=True),
        sa.Column(
            "product_totals",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "cause", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("cause_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("suspicious_digest", sa.Text(), nullable=True),
        sa.Column("suspicious_rows", sa.BigInteger(), nullable=True),
        sa.Column("suspicious_spend", sa.Numeric(precision=38, scale=6), nullable=True),
        sa.Column("suspicious_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_request_id", sa.BigInteger(), nullable=True),
        sa.Column("wanted_by", sa.Text(), nullable=True),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_alone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_served_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "not_served", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "cause_key",
            sa.Uuid(),
            sa.Computed("CAST(md5(CAST(cause - 'detail' AS text)) AS uuid)", persisted=True),
            nullable=True,
        ),
        sa.CheckConstraint(
            "(status = 'requested') = (request_id IS NOT NULL)",
            name=op.f("ck_report_windows_requested_has_request"),
        ),
        sa.CheckConstraint(
            "decision IN ('accept', 'keep')", name=op.f("ck_report_windows_decision_known")
        ),
        sa.CheckConstraint(
            "jsonb_typeof(cause) = 'object'", name=op.f("ck_report_windows_cause_is_an_object")
        ),
        sa.CheckConstraint(
            "status <> 'expired' OR next_refresh_at IS NULL",
            name=op.f("ck_report_windows_expired_is_over"),
        ),
        sa.CheckConstraint(
            "status <> 'loaded' OR last_loaded_at IS NOT NULL",
            name=op.f("ck_report_windows_loaded_has_load"),
        ),
        sa.CheckConstraint(
            "status <> 'not_served' OR last_loaded_at IS NULL OR next_refresh_at IS NULL",
            name=op.f("ck_report_windows_not_served_once_loaded_is_over"),
        ),
        sa.CheckConstraint(
            "status <> 'not_served' OR not_served_since IS NOT NULL",
            name=op.f("ck_report_windows_not_served_has_since"),
        ),
        sa.CheckConstraint(
            "status IN ('missing', 'requested', 'unconfirmed', 'loaded', 'failed', 'expired', 'not_served')",
            name=op.f("ck_report_windows_status_known"),
        ),
        sa.CheckConstraint(
            "(wanted_by IS NULL) = (wanted_at IS NULL)", name=op.f("ck_report_windows_wanted_since")
        ),
        sa.CheckConstraint(
            "num_nulls(decision, decided_by, decided_at) IN (0, 3)",
            name=op.f("ck_report_windows_decided_by_somebody"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_report_windows_account_id_country_code"),
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["report_requests.id"], name=op.f("fk_report_windows_request_id")
        ),
        sa.PrimaryKeyConstraint(
            "account_id",
            "country_code",
            "dataset",
            "report",
            "window_date",
            name=op.f("pk_report_windows"),
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_report_windows_asked",
        "report_windows",
        ["account_id", "country_code"],
        unique=False,
        postgresql_where=sa.text("request_id IS NOT NULL OR wanted_by IS NOT NULL"),
    )
    op.create_index(
        "ix_report_windows_due",
        "report_windows",
        ["account_id", "country_code", "next_refresh_at"],
        unique=False,
        postgresql_where=sa.text("next_refresh_at IS NOT NULL AND request_id IS NULL"),
    )
    op.create_index(
        "ix_report_windows_final",
        "report_windows",
        ["data_as_of"],
        unique=False,
        postgresql_where=sa.text("next_refresh_at IS NULL AND data_as_of IS NOT NULL"),
    )
    op.create_index(
        "ix_report_windows_missing",
        "report_windows",
        ["account_id", "country_code", "dataset"],
        unique=False,
        postgresql_where=sa.text("status = 'missing'"),
    )
    op.create_index(
        "ix_report_windows_never_loaded",
        "report_windows",
        ["account_id", "country_code", "dataset", "expires_at"],
        unique=False,
        postgresql_where=sa.text("last_loaded_at IS NULL AND request_id IS NULL"),
    )
    op.create_index(
        "ix_report_windows_not_served",
        "report_windows",
        ["account_id", "country_code", "dataset", "not_served", "window_date"],
        unique=False,
        postgresql_include=["expires_at", "not_served_since", "last_loaded_at"],
        postgresql_where=sa.text("not_served <> '{}'"),
    )
    op.create_index(
        "ix_report_windows_quarantined",
        "report_windows",
        ["account_id", "country_code", "dataset"],
        unique=False,
        postgresql_where=sa.text("quarantined_count > 0"),
    )
    op.create_index(
        "ix_report_windows_refused_alone",
        "report_windows",
        ["account_id", "country_code", "dataset", "report"],
        unique=False,
        postgresql_where=sa.text("refused_alone_at IS NOT NULL"),
    )
    op.create_index(
        "ix_report_windows_request",
        "report_windows",
        ["request_id"],
        unique=False,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index(
        "ix_report_windows_unrecorded",
        "report_windows",
        ["account_id", "country_code", "dataset", sa.literal_column("window_date DESC")],
        unique=False,
        postgresql_where=sa.text("recorded_load_count < load_count"),
    )
    op.create_index(
        "ix_report_windows_unresolved",
        "report_windows",
        ["account_id", "country_code", "data_as_of"],
        unique=False,
        postgresql_where=sa.text("unresolved_count > 0"),
    )
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
    op.create_table(
        "restatements",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("window_date", sa.Date(), nullable=False),
        sa.Column("hour_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("row_key", sa.LargeBinary(), nullable=False),
        sa.Column(
            "dimensions", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("currency_code", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column(
            "old_values", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column(
            "new_values", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("old_data_as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("new_data_as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "restated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(change = 'appeared') = (old_values IS NULL)",
            name=op.f("ck_restatements_old_values_fit"),
        ),
        sa.CheckConstraint(
            "(change = 'vanished') = (new_values IS NULL)",
            name=op.f("ck_restatements_new_values_fit"),
        ),
        sa.CheckConstraint(
            "change IN ('appeared', 'changed', 'vanished')",
            name=op.f("ck_restatements_change_known"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_restatements_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restatements")),
    )
    op.create_index(
        "ix_restatements_day",
        "restatements",
        ["window_date"],
        unique=False,
        postgresql_using="brin",
    )
    op.create_index(
        "ix_restatements_window",
        "restatements",
        ["account_id", "country_code", "dataset", "window_date"],
        unique=False,
    )
    op.create_table(
        "row_removals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("days", sa.ARRAY(sa.Date()), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("spend", sa.Numeric(precision=38, scale=6), nullable=False),
        sa.Column("currency_code", sa.Text(), nullable=False),
        sa.Column(
            "removed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)",
            name=op.f("ck_row_removals_acknowledged_by_somebody"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_row_removals_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_row_removals")),
    )
    op.create_index(
        "ix_row_removals_open",
        "row_removals",
        ["removed_at"],
        unique=False,
        postgresql_where=sa.text("acknowledged_at IS NULL"),
    )
    op.create_table(
        "target_names",
        sa.Column("account", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ad_group_id", sa.Text(collation="C"), nullable=False),
        sa.Column("match_digest", sa.LargeBinary(), nullable=False),
        sa.Column("target_id", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["advertiser_accounts.id"], name=op.f("fk_target_names_account")
        ),
        sa.PrimaryKeyConstraint(
            "account", "ad_group_id", "match_digest", name=op.f("pk_target_names")
        ),
    )
    op.create_table(
        "targets",
        sa.Column(
            "account_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Amazon's id of the ads account",
        ),
        sa.Column(
            "country_code",
            sa.Text(),
            nullable=False,
            comment="Country of the account: two letters, GB for the United Kingdom",
        ),
        sa.Column(
            "target_id", sa.Text(collation="C"), nullable=False, comment="Amazon's id of the target"
        ),
        sa.Column(
            "ad_group_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the ad group",
        ),
        sa.Column(
            "campaign_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="Amazon's id of the campaign",
        ),
        sa.Column(
            "negative", sa.Boolean(), nullable=False, comment="Whether it keeps ads from showing"
        ),
        sa.Column(
            "target_type",
            sa.Text(),
            nullable=True,
            comment="AUTO, KEYWORD, PRODUCT, PRODUCT_CATEGORY, AUDIENCE, THEME …",
        ),
        sa.Column("target_level", sa.Text(), nullable=True, comment="AD_GROUP or CAMPAIGN"),
        sa.Column(
            "match_type", sa.Text(), nullable=True, comment="EXACT, PHRASE, PRODUCT_SIMILAR …"
        ),
        sa.Column("keyword", sa.Text(), nullable=True, comment="Text of a keyword"),
        sa.Column("asin", sa.Text(), nullable=True, comment="ASIN of a product"),
        sa.Column(
            "category_id", sa.Text(), nullable=True, comment="Amazon's id of a product category"
        ),
        sa.Column("category", sa.Text(), nullable=True, comment="Name of that category"),
        sa.Column(
            "brand_id",
            sa.Text(),
            nullable=True,
            comment="Amazon's id of the brand that refines a category",
        ),
        sa.Column("brand", sa.Text(), nullable=True, comment="Name of that brand"),
        sa.Column("audience_id", sa.Text(), nullable=True, comment="Amazon's id of an audience"),
        sa.Column(
            "event",
            sa.Text(),
            nullable=True,
            comment="VIEW or PURCHASE, for an audience by what it did",
        ),
        sa.Column(
            "lookback_days",
            sa.BigInteger(),
            nullable=True,
            comment="Days back that the event of an audience counts",
        ),
        sa.Column(
            "expression",
            sa.Text(),
            nullable=True,
            comment="A category with its refinements, as reports write it",
        ),
        sa.Column(
            "bid",
            sa.Numeric(precision=20, scale=6),
            nullable=True,
            comment="Bid in currency_code; null where the ad group's default_bid holds",
        ),
        sa.Column("currency_code", sa.Text(), nullable=True, comment="Currency of the amounts"),
        sa.Column(
            "match_digest",
            sa.LargeBinary(),
            nullable=True,
            comment="Digest of the text by which reports name it; null where they cannot",
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="ENABLED, PAUSED, ARCHIVED, or another word of Amazon's",
        ),
        sa.Column(
            "ad_product",
            sa.Text(),
            nullable=True,
            comment="SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY",
        ),
        sa.Column(
            "delivery_status",
            sa.Text(),
            nullable=True,
            comment="DELIVERING, NOT_DELIVERING or UNAVAILABLE",
        ),
        sa.Column(
            "delivery_reasons",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="Why it is not delivering: a list",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was created at Amazon",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was last changed at Amazon",
        ),
        sa.Column(
            "details",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Every field that no column holds, as Amazon sent it",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When Amazon sent it last",
        ),
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
        sa.CheckConstraint(
            "num_nonnulls(ad_group_id, campaign_id) > 0", name=op.f("ck_targets_belongs_somewhere")
        ),
        sa.CheckConstraint(
            "octet_length(match_digest) = 16", name=op.f("ck_targets_digest_of_16_bytes")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "country_code"],
            ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
            name=op.f("fk_targets_account_id_country_code"),
        ),
        sa.PrimaryKeyConstraint("account_id", "country_code", "target_id", name=op.f("pk_targets")),
        comment="A target of an ad group or campaign, as Amazon sent it last",
    )
