"""The entities of an account's country as the export files write them."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from bidbeacon_pipelines.sandbox.entities import Ad, AdGroup, Campaign, Catalog, State, Target
from bidbeacon_pipelines.sandbox.rows import to_json
from bidbeacon_pipelines.sandbox.seeded import seed_number

ExportKind = Literal["campaigns", "adGroups", "ads", "targets"]
EXPORT_KINDS: tuple[ExportKind, ...] = ("campaigns", "adGroups", "ads", "targets")
AD_PRODUCT = "SPONSORED_PRODUCTS"
_TIMES = {"creationDateTime": "2023-01-15T18:00:00Z", "lastUpdatedDateTime": "2025-01-10T10:00:00Z"}


def media_type(kind: ExportKind) -> str:
    """Return the media type that a kind's calls must name in Content-Type and Accept."""
    return f"application/vnd.{kind.lower()}export.v1+json"


def export_rows(catalog: Catalog, kind: ExportKind, states: frozenset[State], today: date) -> Iterator[str]:
    """Return an export's entities as JSON texts; `today` is the account-local day on which it is made."""
    if kind == "campaigns":
        entities = (_campaign(item, catalog) for item in catalog.campaigns if item.state in states)
    elif kind == "adGroups":
        entities = (_ad_group(item, catalog) for item in catalog.ad_groups if item.state in states)
    elif kind == "ads":
        entities = (_ad(item) for item in catalog.ads if item.state in states)
    else:
        targets = catalog.exported_targets(today)
        entities = (_target(item, catalog) for item in targets if item.state in states)
    return map(to_json, entities)


def _life(state: State) -> dict[str, Any]:
    delivery = "DELIVERING" if state == "ENABLED" else "NOT_DELIVERING"
    return {"adProduct": AD_PRODUCT, "state": state, "deliveryStatus": delivery, **_TIMES}


def _campaign(campaign: Campaign, catalog: Catalog) -> dict[str, Any]:
    budget = {"currencyCode": catalog.market.currency, "amount": campaign.daily_budget}
    return {
        "campaignId": campaign.campaign_id,
        "name": campaign.name,
        "startDate": campaign.start_date.isoformat(),
        "deliveryReasons": [],
        "tags": [],
        "optimization": {
            "bidStrategy": "SALES_DOWN_ONLY",
            "placementBidAdjustments": [{"placement": "TOP_OF_SEARCH", "percentage": 20}],
        },
        "budgetCaps": {
            "recurrenceTimePeriod": "DAILY",
            "budgetType": "MONETARY",
            "budgetValue": {"monetaryBudget": budget},
        },
        "targetingSettings": "AUTO" if campaign.automatic else "MANUAL",
        **_life(campaign.state),
    }


def _ad_group(group: AdGroup, catalog: Catalog) -> dict[str, Any]:
    return {
        "adGroupId": group.ad_group_id,
        "campaignId": group.campaign.campaign_id,
        "name": group.name,
        "bid": {"defaultBid": group.default_bid, "currencyCode": catalog.market.currency},
        **_life(group.state),
    }


def _ad(ad: Ad) -> dict[str, Any]:
    return {
        "adId": ad.ad_id,
        "adGroupId": ad.ad_group.ad_group_id,
        "campaignId": ad.ad_group.campaign.campaign_id,
        "adType": "PRODUCT_AD",
        "creative": {"products": [{"productIdType": "ASIN", "productId": ad.asin}]},
        **_life(ad.state),
    }


def _target(target: Target, catalog: Catalog) -> dict[str, Any]:
    group = {} if target.ad_group is None else {"adGroupId": target.ad_group.ad_group_id}
    bid = {} if target.bid is None else {"bid": _bid(target.target_id, target.bid, catalog.market.currency)}
    return {
        "targetId": target.target_id,
        **group,
        "campaignId": target.campaign.campaign_id,
        "negative": target.negative,
        **bid,
        "targetDetails": _details(target),
        "targetType": target.target_type,
        "targetLevel": "CAMPAIGN" if target.ad_group is None else "AD_GROUP",
        **_life(target.state),
    }


def _bid(target_id: str, bid: Decimal, currency: str) -> Decimal | dict[str, Any]:
    """Write a bid in one of its two forms, always the same for a target."""
    return bid if seed_number(target_id) % 2 else {"currencyCode": currency, "bid": bid}


def _details(target: Target) -> dict[str, Any]:
    if target.target_type == "KEYWORD":
        return {"matchType": target.match_type, "keyword": target.text}
    if target.target_type == "PRODUCT":
        return {"matchType": target.match_type, "asin": target.text}
    if target.target_type == "AUTO":
        return {"matchType": target.match_type}
    number = str(seed_number("category", target.text) % 10**10)
    brand = {
        "productBrand": str(seed_number("brand", target.brand) % 10**8),
        "productBrandResolved": target.brand,
    }
    category = {"productCategoryId": number, "productCategoryResolved": target.text}
    return category | (brand if target.brand else {})
