"""Name targets in a table that views join, instead of their ids in rows; drop the foreign keys of datasets' tables.

Views are replaced, which leaves what roles may read as it is.

Revision ID: 0025
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
oldest_program = "0025"  # the newest migration that a program has to know
NAME_TARGETS = """
    INSERT INTO target_names (account, ad_group_id, match_digest, target_id)
    SELECT DISTINCT ON (a.id, t.ad_group_id, t.match_digest) a.id, t.ad_group_id, t.match_digest, t.target_id
      FROM targets t JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE NOT t.negative AND t.match_digest IS NOT NULL AND t.ad_group_id IS NOT NULL
     ORDER BY a.id, t.ad_group_id, t.match_digest,
              CASE t.state WHEN 'ENABLED' THEN 0 WHEN 'PAUSED' THEN 1 ELSE 2 END, length(t.target_id), t.target_id"""


def upgrade() -> None:
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
    op.execute(NAME_TARGETS)
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
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
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
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
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
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
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
          AND w.window_date = t.window_date AND w.product_totals ? t.ad_product) w ON true""")
    op.execute(
        """COMMENT ON COLUMN reports.daily_targets.target_id IS 'The target that the row names; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.hourly_targets.target_id IS 'The target that the row names; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_search_terms.target_id IS 'The target that the row names; null until an export has it.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.daily_purchased_products.target_id IS 'The target that the row names; null until an export has it.'"""
    )
    op.drop_constraint(
        op.f("fk_daily_campaign_performance_account"),
        "daily_campaign_performance",
        type_="foreignkey",
    )
    op.drop_constraint(
        op.f("fk_daily_placement_performance_account"),
        "daily_placement_performance",
        type_="foreignkey",
    )
    op.drop_constraint(
        op.f("fk_daily_product_performance_account"),
        "daily_product_performance",
        type_="foreignkey",
    )
    op.drop_index(
        op.f("ix_daily_purchased_product_performance_unresolved"),
        table_name="daily_purchased_product_performance",
        postgresql_where="((target_id IS NULL) AND (target_match IS NOT NULL))",
    )
    op.drop_constraint(
        op.f("fk_daily_purchased_product_performance_account"),
        "daily_purchased_product_performance",
        type_="foreignkey",
    )
    op.drop_column("daily_purchased_product_performance", "target_id")
    op.drop_index(
        op.f("ix_daily_search_term_performance_unresolved"),
        table_name="daily_search_term_performance",
        postgresql_where="((target_id IS NULL) AND (target_match IS NOT NULL))",
    )
    op.drop_constraint(
        op.f("fk_daily_search_term_performance_account"),
        "daily_search_term_performance",
        type_="foreignkey",
    )
    op.drop_column("daily_search_term_performance", "target_id")
    op.drop_index(
        op.f("ix_daily_target_performance_unresolved"),
        table_name="daily_target_performance",
        postgresql_where="((target_id IS NULL) AND (target_match IS NOT NULL))",
    )
    op.drop_constraint(
        op.f("fk_daily_target_performance_account"), "daily_target_performance", type_="foreignkey"
    )
    op.drop_column("daily_target_performance", "target_id")
    op.drop_constraint(
        op.f("fk_hourly_campaign_performance_account"),
        "hourly_campaign_performance",
        type_="foreignkey",
    )
    op.drop_constraint(
        op.f("fk_hourly_product_performance_account"),
        "hourly_product_performance",
        type_="foreignkey",
    )
    op.drop_index(
        op.f("ix_hourly_target_performance_unresolved"),
        table_name="hourly_target_performance",
        postgresql_where="((target_id IS NULL) AND (target_match IS NOT NULL))",
    )
    op.drop_constraint(
        op.f("fk_hourly_target_performance_account"),
        "hourly_target_performance",
        type_="foreignkey",
    )
    op.drop_column("hourly_target_performance", "target_id")
    op.drop_index(
        op.f("ix_targets_match"),
        table_name="targets",
        postgresql_where="((NOT negative) AND (match_digest IS NOT NULL))",
    )
