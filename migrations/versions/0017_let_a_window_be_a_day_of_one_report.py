"""Let a window be a day of one report, and keep all that was learned of Amazon in one table.

Windows of datasets with several reports are deleted: the next refresh makes them again, and they
are due.

Revision ID: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
oldest_program = "0017"

_REPORT_OF_DATASET = """
CASE WHEN dataset LIKE 'hourly%' THEN 'SP'
     WHEN dataset IN ('daily_placements', 'daily_search_terms') THEN 'SP+SB'
     ELSE 'SP+SB+SD' END"""
_SEVERAL = "dataset IN ('daily_products', 'daily_purchased_products')"
_REPORT_OF_REQUEST = """
array_to_string(ARRAY(SELECT CASE product WHEN 'SPONSORED_PRODUCTS' THEN 'SP' WHEN 'SPONSORED_BRANDS' THEN 'SB' ELSE 'SD' END
                        FROM unnest(ad_products) AS product), '+')"""
# A request of a report that no window is of any more ends without any.
_RELEASE = """
UPDATE report_windows w
   SET request_id = NULL, status = CASE WHEN w.load_count > 0 THEN 'loaded' ELSE 'missing' END
  FROM report_requests r WHERE r.id = w.request_id AND r.report <> w.report"""
_EXPIRES_AT = """
UPDATE report_windows w
   SET expires_at = CAST(w.window_date + CASE WHEN w.dataset LIKE 'hourly%' THEN interval '14 days' ELSE interval '24 months' END AS timestamp)
                    AT TIME ZONE a.time_zone
  FROM advertiser_accounts a WHERE a.account_id = w.account_id AND a.country_code = w.country_code"""
_PRODUCT_TOTALS = """
UPDATE report_windows
   SET product_totals = (SELECT coalesce(jsonb_object_agg(key, value - 'as_of' - 'request_id' - 'loads'), '{}') FROM jsonb_each(product_totals))
 WHERE product_totals <> '{}'"""
# Not all ad products of a window had come.
_INCOMPLETE = """
UPDATE report_windows SET status = 'missing', next_refresh_at = now(), load_count = 0, recorded_load_count = 0, last_loaded_at = NULL
 WHERE load_count > 0 AND data_as_of IS NULL AND request_id IS NULL"""
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
                  AND r.report = w.report) i
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
    _add_reports()
    _add_expiries()
    op.execute(
        WINDOW_RESTATEMENTS_VIEW.replace("CREATE VIEW", "CREATE OR REPLACE VIEW")
    )  # others depend on it
    op.drop_column("report_requests", "ad_products")
    op.execute(_PRODUCT_TOTALS)
    op.execute(_INCOMPLETE)
    op.drop_constraint("ck_report_windows_products_due_some", "report_windows")
    op.drop_column("report_windows", "products_due")
    op.drop_column("report_windows", "product_states")
    _replace_learned()


def _add_reports() -> None:
    for table in ("report_windows", "dataset_windows"):
        op.add_column(table, sa.Column("report", sa.Text()))
        op.execute(f"DELETE FROM {table} WHERE {_SEVERAL}")
        op.execute(f"UPDATE {table} SET report = {_REPORT_OF_DATASET}")
        op.alter_column(table, "report", nullable=False)
        op.drop_constraint(f"pk_{table}", table)
        key = ["account_id", "country_code", "dataset", "report"]
        op.create_primary_key(
            f"pk_{table}", table, [*key, "window_date"] if table == "report_windows" else key
        )
    op.add_column("report_requests", sa.Column("report", sa.Text()))
    op.execute(f"UPDATE report_requests SET report = {_REPORT_OF_REQUEST}")
    op.alter_column("report_requests", "report", nullable=False)
    op.drop_constraint("ck_report_requests_asks_for_products", "report_requests")
    op.add_column("report_requests", sa.Column("narrows", sa.BigInteger()))
    op.create_foreign_key(
        op.f("fk_report_requests_narrows"),
        "report_requests",
        "report_requests",
        ["narrows"],
        ["id"],
    )
    op.drop_index("ix_report_requests_account", "report_requests")
    op.create_index(
        "ix_report_requests_account",
        "report_requests",
        ["account_id", "dataset", "report", "sent_at"],
    )
    op.execute(_RELEASE)


def _add_expiries() -> None:
    op.add_column("report_windows", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.execute(_EXPIRES_AT)
    op.alter_column("report_windows", "expires_at", nullable=False)


def _replace_learned() -> None:
    for table in ("field_spellings", "split_reports", "product_histories"):
        op.drop_table(table)
    op.drop_column("ads_accounts", "longest_periods")
    op.drop_column("ads_accounts", "split_datasets")
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
            "what ~ '^(grouping|(field|history|period):.+)$'",
            name=op.f("ck_registry_overrides_what_known"),
        ),
        sa.CheckConstraint(
            "what !~ '^(history|period):' OR value ~ '^[1-9][0-9]{0,3}$'",
            name=op.f("ck_registry_overrides_days_counted"),
        ),
        sa.CheckConstraint(
            "what <> 'grouping' OR account_id IS NULL",
            name=op.f("ck_registry_overrides_grouping_of_region"),
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
