"""Name references and fulfilled promises by these words.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"

JOB_SESSION_ACCOUNTS_VIEW = """
CREATE VIEW job_session_accounts AS
SELECT session_id, account_key, outcome FROM session_account_outcomes
 UNION ALL
SELECT h.id, r.account_key, CASE WHEN bool_or(r.tone = 'error') THEN 'problems' WHEN bool_or(r.tone = 'warning') THEN 'warnings' ELSE 'ok' END
  FROM session_headers h
 CROSS JOIN LATERAL (
       SELECT t.account_key, a.tone
         FROM session_references t JOIN session_actions a ON a.session_id = t.session_id AND a.ord = t.ord
        WHERE t.session_id = h.id
        UNION ALL
       SELECT h.account_key, s.tone
         FROM session_actions s WHERE s.session_id = h.id AND s.tone IN ('warning', 'error') AND h.account_key IS NOT NULL
        UNION ALL
       SELECT h.account_key, 'neutral' WHERE h.account_key IS NOT NULL) r
 WHERE h.status = 'running'
 GROUP BY h.id, r.account_key
"""
JOB_PROMISES_VIEW = """
CREATE VIEW job_promises AS
SELECT p.key,
       p.session_id,
       p.ord,
       a.type AS promised_with,
       p.promised_at,
       p.deadline_at,
       CASE WHEN p.fulfilled_by IS NOT NULL THEN 'fulfilled' WHEN p.deadline_at < now() THEN 'lost' ELSE 'open' END AS status,
       p.fulfilled_by,
       p.fulfilled_ord,
       k.type AS fulfilled_with,
       p.fulfilled_at
  FROM session_promises p
  JOIN session_actions a ON a.session_id = p.session_id AND a.ord = p.ord
  LEFT JOIN session_actions k ON k.session_id = p.fulfilled_by AND k.ord = p.fulfilled_ord
"""
WINDOW_RESTATEMENTS_VIEW = """
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
 CROSS JOIN LATERAL jsonb_each(w.product_totals) AS p(ad_product, totals)
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
         FROM (SELECT CAST(p.totals ->> 'as_of' AS timestamptz) AS data_as_of
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
                  AND p.ad_product = ANY(r.ad_products)) i
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

# Constraints first: the index of a primary key is renamed with it.
_RENAME_PARTS = """
DO $$
DECLARE part record;
BEGIN
    FOR part IN SELECT conname AS name FROM pg_constraint WHERE conrelid = 'session_references'::regclass LOOP
        EXECUTE format('ALTER TABLE session_references RENAME CONSTRAINT %I TO %I', part.name, replace(part.name, 'touches', 'references'));
    END LOOP;
    FOR part IN SELECT indexrelid::regclass::text AS name FROM pg_index
                 WHERE indrelid = 'session_references'::regclass AND indexrelid::regclass::text LIKE '%touches%' LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', part.name, replace(part.name, 'touches', 'references'));
    END LOOP;
END $$"""


def upgrade() -> None:
    op.execute("DROP VIEW job_session_accounts")
    op.execute("DROP VIEW job_promises")
    op.rename_table("session_touches", "session_references")
    op.execute("ALTER SEQUENCE session_touches_id_seq RENAME TO session_references_id_seq")
    op.execute(_RENAME_PARTS)
    for name in ("by", "ord", "at"):
        op.alter_column("session_promises", f"kept_{name}", new_column_name=f"fulfilled_{name}")
    op.execute(
        "ALTER TABLE session_promises RENAME CONSTRAINT ck_session_promises_kept_whole TO ck_session_promises_fulfilled_whole"
    )
    op.execute(JOB_SESSION_ACCOUNTS_VIEW)
    op.execute(JOB_PROMISES_VIEW)
    op.execute(
        WINDOW_RESTATEMENTS_VIEW.replace("CREATE VIEW", "CREATE OR REPLACE VIEW")
    )  # others depend on it
