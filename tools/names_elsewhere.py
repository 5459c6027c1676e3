"""The names of our columns in Amazon's reporting v3, and in connectors. Pure.

A test compares the names of v3 with Amazon's catalogue of fields.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Names(NamedTuple):
    """Names of a column elsewhere.

    Attributes:
        v3: In the catalogue of fields of reporting v3.
        others: In reporting v3 outside of the catalogue, in reporting v2, and in connectors.
    """

    v3: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def _windows(name: str) -> tuple[str, ...]:
    """Return a name with each attribution window of our columns."""
    return name.format("7d"), name.format("14d")


NAMES: Mapping[str, Names] = MappingProxyType(
    {
        "window_date": Names(("date",), ("reportDate",)),
        "currency_code": Names(("campaignBudgetCurrencyCode",), ("currency",)),
        "campaign_id": Names(("campaignId",)),
        "campaign_name": Names(("campaignName",)),
        "cost_type": Names(("costType",)),
        "placement": Names(("placementClassification",)),
        "ad_group_id": Names(("adGroupId",)),
        "ad_id": Names((), ("adId",)),
        "target_value": Names(("targeting",), ("keyword", "keywordText")),
        "match_type": Names(("keywordType", "matchType")),
        "target_id": Names((), ("keywordId", "targetId")),
        "search_term": Names(("searchTerm",), ("query",)),
        "product_id": Names(("advertisedAsin",), ("asin",)),
        "sku": Names(("advertisedSku",)),
        "marketplace": Names(("marketplace",)),
        "purchased_product_id": Names(("purchasedAsin",)),
        "purchased_marketplace": Names(("marketplace",)),
        "impressions": Names(("impressions",)),
        "clicks": Names(("clicks",)),
        "spend": Names(("spend",), ("cost",)),
        "orders": Names(
            ("purchases", *_windows("purchases{}"), "orders14d"),
            _windows("attributedConversions{}"),
        ),
        "sales": Names(("sales", *_windows("sales{}")), _windows("attributedSales{}")),
        "units": Names(
            ("unitsSold", *_windows("unitsSold{}")),
            (*_windows("unitsSoldClicks{}"), *_windows("attributedUnitsOrdered{}")),
        ),
        "viewable_impressions": Names(("viewableImpressions",)),
        "new_to_brand_orders": Names(
            ("newToBrandPurchases", "newToBrandPurchases14d"),
            ("newToBrandOrders14d", "attributedOrdersNewToBrand14d"),
        ),
        "new_to_brand_sales": Names(
            ("newToBrandSales", "newToBrandSales14d"), ("attributedSalesNewToBrand14d",)
        ),
        "new_to_brand_units": Names(
            ("newToBrandUnitsSold", "newToBrandUnitsSold14d"),
            ("attributedUnitsOrderedNewToBrand14d",),
        ),
        "orders_promoted": Names(
            ("purchasesPromoted", *_windows("purchasesSameSku{}")),
            _windows("attributedConversions{}SameSKU"),
        ),
        "sales_promoted": Names(
            ("salesPromoted", *_windows("salesSameSku{}")),
            (*_windows("attributedSalesSameSku{}"), *_windows("attributedSales{}SameSKU")),
        ),
        "units_promoted": Names(
            _windows("unitsSoldSameSku{}"), _windows("attributedUnitsOrdered{}SameSKU")
        ),
        "orders_halo": Names(_windows("purchasesOtherSku{}")),
        "sales_halo": Names(_windows("salesOtherSku{}"), _windows("attributedSales{}OtherSKU")),
        "units_halo": Names(
            _windows("unitsSoldOtherSku{}"), _windows("attributedUnitsOrdered{}OtherSKU")
        ),
        "orders_from_clicks": Names(("purchasesClicks", "ordersClicks14d")),
        "sales_from_clicks": Names(("salesClicks", "salesClicks14d")),
        "units_from_clicks": Names(("unitsSoldClicks", *_windows("unitsSoldClicks{}"))),
        "cpc": Names(("costPerClick",)),
        "ctr": Names(("clickThroughRate",)),
        "acos": Names((), _windows("acosClicks{}")),
        "roas": Names(("roas", *_windows("roas{}")), _windows("roasClicks{}")),
    }
)
"""The names of our columns elsewhere, by column, in the order of the data dictionary."""
