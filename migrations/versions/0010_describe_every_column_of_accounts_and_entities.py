"""Describe every column of accounts and entities.

Revision ID: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"

COMMENTS = {
    "account_daily_summaries": {
        "account_id": "Amazon's id of the ads account.",
        "country_code": "Country of the account: two letters, GB for the United Kingdom.",
    },
    "ad_groups": {
        "account_id": "Amazon's id of the ads account",
        "country_code": "Country of the account: two letters, GB for the United Kingdom",
        "ad_group_id": "Amazon's id of the ad group",
        "campaign_id": "Amazon's id of the campaign",
        "name": "Name at Amazon",
        "default_bid": "Bid of targets that have none of their own, in currency_code; null in Sponsored Brands",
        "currency_code": "Currency of the amounts",
        "creative_type": "Kind of creative, where Amazon says so",
    },
    "ads": {
        "account_id": "Amazon's id of the ads account",
        "country_code": "Country of the account: two letters, GB for the United Kingdom",
        "ad_id": "Amazon's id of the ad",
        "ad_group_id": "Amazon's id of the ad group",
        "campaign_id": "Amazon's id of the campaign",
        "name": "Name at Amazon",
        "skus": "The seller's SKUs of these products",
        "landing_page_type": "Kind of page that a click leads to",
        "landing_page_url": "The page that a click leads to",
    },
    "advertiser_accounts": {
        "account_id": "Amazon's id of the ads account.",
        "country_code": "Country of the account: two letters, GB for the United Kingdom.",
        "id": "Number by which the rows of reports refer to the account.",
        "account_key": "Key of the account: its country and the key of its ads account.",
        "name": "Name at Amazon.",
        "amazon_status": "Status at Amazon, in its own words.",
        "profile_id": "Amazon's id of the advertising profile of this country.",
        "entity_id": "Amazon's id of the advertiser's entity.",
        "region": "Region of the API: NA, EU or FE.",
        "currency_code": "Currency of the account's amounts.",
        "time_zone": "IANA time zone in which the account's days are counted.",
        "marketplace_id": "Amazon's id of the marketplace.",
        "enabled": "Whether its reports and entities are kept up to date; false where a person has paused it.",
        "paused_by": "Who has paused it.",
        "paused_at": "When it was paused.",
        "first_seen_at": "When Amazon listed it first.",
        "synced_at": "When Amazon listed it last.",
        "entities_synced_at": "When its entities were synced last; null before the first sync.",
        "export_refusals": "How often in a row Amazon has refused an export (401 or 403).",
        "export_refused_at": "When Amazon refused an export last.",
    },
    "campaigns": {
        "account_id": "Amazon's id of the ads account",
        "country_code": "Country of the account: two letters, GB for the United Kingdom",
        "campaign_id": "Amazon's id of the campaign",
        "name": "Name at Amazon",
        "portfolio_id": "Amazon's id of the portfolio",
        "start_date": "First day, on the account's own calendar",
        "end_date": "Last day, on the account's own calendar; null where it has none",
        "budget_type": "What the budget limits, for example MONETARY",
        "currency_code": "Currency of the amounts",
        "bid_strategy": "How Amazon adjusts bids, in its own words",
    },
    "portfolios": {
        "account_id": "Amazon's id of the ads account",
        "country_code": "Country of the account: two letters, GB for the United Kingdom",
        "portfolio_id": "Amazon's id of the portfolio",
        "name": "Name at Amazon",
        "in_budget": "Whether its budget is not used up",
        "budget": "Budget that its campaigns share, in currency_code",
        "currency_code": "Currency of the amounts",
        "start_date": "First day, on the account's own calendar",
        "end_date": "Last day, on the account's own calendar; null where it has none",
    },
    "targets": {
        "account_id": "Amazon's id of the ads account",
        "country_code": "Country of the account: two letters, GB for the United Kingdom",
        "target_id": "Amazon's id of the target",
        "ad_group_id": "Amazon's id of the ad group",
        "campaign_id": "Amazon's id of the campaign",
        "negative": "Whether it keeps ads from showing",
        "keyword": "Text of a keyword",
        "asin": "ASIN of a product",
        "category_id": "Amazon's id of a product category",
        "category": "Name of that category",
        "brand_id": "Amazon's id of the brand that refines a category",
        "brand": "Name of that brand",
        "audience_id": "Amazon's id of an audience",
        "lookback_days": "Days back that the event of an audience counts",
        "bid": "Bid in currency_code; null where the ad group's default_bid holds",
        "currency_code": "Currency of the amounts",
        "match_digest": "Digest of the text by which reports name it; null where they cannot",
    },
}
VIEWS = ("ad_groups", "ads", "campaigns", "portfolios", "targets")
"""Views of schema `reports` with the columns of the table of the same name, but for those of the account."""


def upgrade() -> None:
    for table, comments in COMMENTS.items():
        for column, comment in comments.items():
            literal = "'" + comment.replace("'", "''") + "'"
            op.execute(f"COMMENT ON COLUMN {table}.{column} IS {literal}")
            if table in VIEWS and column not in {"account_id", "country_code"}:
                op.execute(f"COMMENT ON COLUMN reports.{table}.{column} IS {literal}")
