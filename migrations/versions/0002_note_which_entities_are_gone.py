"""Note which entities are gone.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
oldest_program = None  # as before: programs that do not know this migration go on


def upgrade() -> None:
    op.execute("""DROP VIEW reports.ad_groups""")
    op.execute("""DROP VIEW reports.ads""")
    op.execute("""DROP VIEW reports.campaigns""")
    op.execute("""DROP VIEW reports.portfolios""")
    op.execute("""DROP VIEW reports.targets""")
    op.add_column(
        "ad_groups",
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
    )
    op.add_column(
        "ad_groups",
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
    )
    op.add_column(
        "ads",
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
    )
    op.add_column(
        "ads",
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
    )
    op.add_column(
        "campaigns",
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
    )
    op.add_column(
        "campaigns",
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
    )
    op.add_column(
        "portfolios",
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
    )
    op.add_column(
        "portfolios",
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
    )
    op.add_column(
        "targets",
        sa.Column(
            "missing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First complete export without it; null while Amazon sends it",
        ),
    )
    op.add_column(
        "targets",
        sa.Column(
            "gone_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Second complete export in a row without it; null while it exists",
        ),
    )
    op.execute("""CREATE VIEW reports.portfolios AS
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
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""")
    op.execute(
        """COMMENT ON VIEW reports.portfolios IS 'A portfolio of campaigns, as Amazon sent it last.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.portfolios.account_name IS 'Name of the account.'""")
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.portfolio_id IS 'Amazon''s id of the portfolio'"""
    )
    op.execute("""COMMENT ON COLUMN reports.portfolios.name IS 'Name at Amazon'""")
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.in_budget IS 'Whether its budget is not used up'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.budget IS 'Budget that its campaigns share, in currency_code'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.currency_code IS 'Currency of the amounts'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.budget_policy IS 'DATE_RANGE, MONTHLY_RECURRING or NO_CAP'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.start_date IS 'First day, on the account''s own calendar'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.end_date IS 'Last day, on the account''s own calendar; null where it has none'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.details IS 'Every field that no column holds, as Amazon sent it'"""
    )
    op.execute("""COMMENT ON COLUMN reports.portfolios.seen_at IS 'When Amazon sent it last'""")
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.missing_since IS 'First complete export without it; null while Amazon sends it'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.portfolios.gone_since IS 'Second complete export in a row without it; null while it exists'"""
    )
    op.execute("""CREATE VIEW reports.campaigns AS
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
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""")
    op.execute(
        """COMMENT ON VIEW reports.campaigns IS 'A campaign of an account, as Amazon sent it last.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.campaigns.account_name IS 'Name of the account.'""")
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.campaign_id IS 'Amazon''s id of the campaign'"""
    )
    op.execute("""COMMENT ON COLUMN reports.campaigns.name IS 'Name at Amazon'""")
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.portfolio_id IS 'Amazon''s id of the portfolio'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.brand_entity_id IS 'The brand of Sponsored Brands'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.targeting IS 'AUTO, MANUAL, or a tactic such as T00020'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.cost_type IS 'CPC or VCPM, where Amazon says so'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.start_date IS 'First day, on the account''s own calendar'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.end_date IS 'Last day, on the account''s own calendar; null where it has none'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.budget IS 'What the advertiser set, in currency_code'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.rule_budget IS 'The budget that a budget rule made of it'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.budget_type IS 'What the budget limits, for example MONETARY'"""
    )
    op.execute("""COMMENT ON COLUMN reports.campaigns.budget_recurrence IS 'DAILY or LIFETIME'""")
    op.execute("""COMMENT ON COLUMN reports.campaigns.currency_code IS 'Currency of the amounts'""")
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.bid_strategy IS 'How Amazon adjusts bids, in its own words'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.placement_bid_adjustments IS 'A list of placements, each with a percentage'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.delivery_reasons IS 'Why it is not delivering: a list'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.created_at IS 'When it was created at Amazon'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.updated_at IS 'When it was last changed at Amazon'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.details IS 'Every field that no column holds, as Amazon sent it'"""
    )
    op.execute("""COMMENT ON COLUMN reports.campaigns.seen_at IS 'When Amazon sent it last'""")
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.missing_since IS 'First complete export without it; null while Amazon sends it'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.campaigns.gone_since IS 'Second complete export in a row without it; null while it exists'"""
    )
    op.execute("""CREATE VIEW reports.ad_groups AS
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
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""")
    op.execute(
        """COMMENT ON VIEW reports.ad_groups IS 'An ad group of a campaign, as Amazon sent it last.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ad_groups.account_name IS 'Name of the account.'""")
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.ad_group_id IS 'Amazon''s id of the ad group'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.campaign_id IS 'Amazon''s id of the campaign'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ad_groups.name IS 'Name at Amazon'""")
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.default_bid IS 'Bid of targets that have none of their own, in currency_code; null in Sponsored Brands'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ad_groups.currency_code IS 'Currency of the amounts'""")
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.creative_type IS 'Kind of creative, where Amazon says so'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.goal IS 'What Sponsored Display optimizes for'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ad_groups.kpi IS 'The measure of that goal'""")
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.delivery_reasons IS 'Why it is not delivering: a list'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.created_at IS 'When it was created at Amazon'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.updated_at IS 'When it was last changed at Amazon'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.details IS 'Every field that no column holds, as Amazon sent it'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ad_groups.seen_at IS 'When Amazon sent it last'""")
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.missing_since IS 'First complete export without it; null while Amazon sends it'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ad_groups.gone_since IS 'Second complete export in a row without it; null while it exists'"""
    )
    op.execute("""CREATE VIEW reports.ads AS
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
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""")
    op.execute("""COMMENT ON VIEW reports.ads IS 'An ad of an ad group, as Amazon sent it last.'""")
    op.execute(
        """COMMENT ON COLUMN reports.ads.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ads.account_name IS 'Name of the account.'""")
    op.execute(
        """COMMENT ON COLUMN reports.ads.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ads.ad_id IS 'Amazon''s id of the ad'""")
    op.execute("""COMMENT ON COLUMN reports.ads.ad_group_id IS 'Amazon''s id of the ad group'""")
    op.execute("""COMMENT ON COLUMN reports.ads.campaign_id IS 'Amazon''s id of the campaign'""")
    op.execute("""COMMENT ON COLUMN reports.ads.name IS 'Name at Amazon'""")
    op.execute(
        """COMMENT ON COLUMN reports.ads.ad_type IS 'PRODUCT_AD, PRODUCT_COLLECTION, VIDEO, IMAGE …'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ads.asins IS 'The products it shows, in Amazon''s order'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ads.skus IS 'The seller''s SKUs of these products'""")
    op.execute(
        """COMMENT ON COLUMN reports.ads.landing_page_type IS 'Kind of page that a click leads to'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ads.landing_page_url IS 'The page that a click leads to'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ads.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ads.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ads.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ads.delivery_reasons IS 'Why it is not delivering: a list'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ads.created_at IS 'When it was created at Amazon'""")
    op.execute(
        """COMMENT ON COLUMN reports.ads.updated_at IS 'When it was last changed at Amazon'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ads.details IS 'Every field that no column holds, as Amazon sent it'"""
    )
    op.execute("""COMMENT ON COLUMN reports.ads.seen_at IS 'When Amazon sent it last'""")
    op.execute(
        """COMMENT ON COLUMN reports.ads.missing_since IS 'First complete export without it; null while Amazon sends it'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.ads.gone_since IS 'Second complete export in a row without it; null while it exists'"""
    )
    op.execute("""CREATE VIEW reports.targets AS
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
  JOIN advertiser_accounts a ON a.account_id = t.account_id AND a.country_code = t.country_code""")
    op.execute(
        """COMMENT ON VIEW reports.targets IS 'A target of an ad group or campaign, as Amazon sent it last.'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.account_key IS 'Key of the account: an ads account in one country.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.targets.account_name IS 'Name of the account.'""")
    op.execute(
        """COMMENT ON COLUMN reports.targets.country_code IS 'Country of the account: two letters, GB for the United Kingdom.'"""
    )
    op.execute("""COMMENT ON COLUMN reports.targets.target_id IS 'Amazon''s id of the target'""")
    op.execute(
        """COMMENT ON COLUMN reports.targets.ad_group_id IS 'Amazon''s id of the ad group'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.campaign_id IS 'Amazon''s id of the campaign'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.negative IS 'Whether it keeps ads from showing'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.target_type IS 'AUTO, KEYWORD, PRODUCT, PRODUCT_CATEGORY, AUDIENCE, THEME …'"""
    )
    op.execute("""COMMENT ON COLUMN reports.targets.target_level IS 'AD_GROUP or CAMPAIGN'""")
    op.execute(
        """COMMENT ON COLUMN reports.targets.match_type IS 'EXACT, PHRASE, PRODUCT_SIMILAR …'"""
    )
    op.execute("""COMMENT ON COLUMN reports.targets.keyword IS 'Text of a keyword'""")
    op.execute("""COMMENT ON COLUMN reports.targets.asin IS 'ASIN of a product'""")
    op.execute(
        """COMMENT ON COLUMN reports.targets.category_id IS 'Amazon''s id of a product category'"""
    )
    op.execute("""COMMENT ON COLUMN reports.targets.category IS 'Name of that category'""")
    op.execute(
        """COMMENT ON COLUMN reports.targets.brand_id IS 'Amazon''s id of the brand that refines a category'"""
    )
    op.execute("""COMMENT ON COLUMN reports.targets.brand IS 'Name of that brand'""")
    op.execute("""COMMENT ON COLUMN reports.targets.audience_id IS 'Amazon''s id of an audience'""")
    op.execute(
        """COMMENT ON COLUMN reports.targets.event IS 'VIEW or PURCHASE, for an audience by what it did'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.lookback_days IS 'Days back that the event of an audience counts'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.expression IS 'A category with its refinements, as reports write it'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.bid IS 'Bid in currency_code; null where the ad group''s default_bid holds'"""
    )
    op.execute("""COMMENT ON COLUMN reports.targets.currency_code IS 'Currency of the amounts'""")
    op.execute(
        """COMMENT ON COLUMN reports.targets.match_digest IS 'Digest of the text by which reports name it; null where they cannot'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.state IS 'ENABLED, PAUSED, ARCHIVED, or another word of Amazon''s'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.ad_product IS 'SPONSORED_PRODUCTS, SPONSORED_BRANDS or SPONSORED_DISPLAY'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.delivery_status IS 'DELIVERING, NOT_DELIVERING or UNAVAILABLE'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.delivery_reasons IS 'Why it is not delivering: a list'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.created_at IS 'When it was created at Amazon'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.updated_at IS 'When it was last changed at Amazon'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.details IS 'Every field that no column holds, as Amazon sent it'"""
    )
    op.execute("""COMMENT ON COLUMN reports.targets.seen_at IS 'When Amazon sent it last'""")
    op.execute(
        """COMMENT ON COLUMN reports.targets.missing_since IS 'First complete export without it; null while Amazon sends it'"""
    )
    op.execute(
        """COMMENT ON COLUMN reports.targets.gone_since IS 'Second complete export in a row without it; null while it exists'"""
    )
