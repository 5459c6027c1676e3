"""The metrics of datasets, in groups that datasets combine. Pure."""

from functools import partial

from bidbeacon_pipelines.datasets.fields import (
    AD_PRODUCTS,
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
    Metric,
    MetricKind,
)


def with_windows(name: str) -> tuple[str, ...]:
    """Return a field's two names, with attribution window `7d` and `14d` in place of `{}`."""
    return name.format("7d"), name.format("14d")


_ATTRIBUTED = (
    "attributed to an ad within 7 days of the click for Sponsored Products of sellers, "
    "within 14 days for all others"
)


def _metric(
    kind: MetricKind,
    name: str,
    column: str,
    description: str,
    *ad_products: str,
    v3_names: tuple[str, ...] = (),
    connector_names: tuple[str, ...] = (),
) -> Metric:
    return Metric(
        field=f"metric.{name}",
        column=column,
        kind=kind,
        description=description,
        ad_products=ad_products or AD_PRODUCTS,
        v3_names=v3_names,
        connector_names=connector_names,
    )


_count = partial(_metric, "count")
_amount = partial(_metric, "amount")

TRAFFIC = (
    _count(
        "impressions",
        "impressions",
        "Times the ad was shown.",
        v3_names=("impressions",),
    ),
    _count("clicks", "clicks", "Valid clicks on the ad.", v3_names=("clicks",)),
    _amount(
        "totalCost",
        "spend",
        "Cost of clicks or impressions, in the row's currency.",
        v3_names=("spend",),
        connector_names=("cost",),
    ),
)
CONVERSIONS = (
    _count(
        "purchases",
        "orders",
        f"Orders {_ATTRIBUTED}.",
        v3_names=("purchases", *with_windows("purchases{}"), "orders14d"),
        connector_names=with_windows("attributedConversions{}"),
    ),
    _amount(
        "sales",
        "sales",
        f"Sales {_ATTRIBUTED}, in the row's currency.",
        v3_names=("sales", *with_windows("sales{}")),
        connector_names=with_windows("attributedSales{}"),
    ),
    _count(
        "unitsSold",
        "units",
        f"Units sold, {_ATTRIBUTED}.",
        v3_names=("unitsSold", *with_windows("unitsSold{}")),
        connector_names=(
            *with_windows("unitsSoldClicks{}"),
            *with_windows("attributedUnitsOrdered{}"),
        ),
    ),
)
BASE = (*TRAFFIC, *CONVERSIONS)


def viewable(*ad_products: str) -> tuple[Metric, ...]:
    """Return the metric of viewable impressions, for the given ad products."""
    return (
        _count(
            "viewableImpressions",
            "viewable_impressions",
            "Impressions that met the viewability standard.",
            *ad_products,
            v3_names=("viewableImpressions",),
        ),
    )


def new_to_brand(*ad_products: str) -> tuple[Metric, ...]:
    """Return the metrics of orders by shoppers who are new to the brand."""
    first = "shoppers who had bought nothing of the brand in the 12 months before"
    return (
        _count(
            "newToBrandPurchases",
            "new_to_brand_orders",
            f"Orders of {first}.",
            *ad_products,
            v3_names=("newToBrandPurchases", "newToBrandPurchases14d"),
            connector_names=("newToBrandOrders14d", "attributedOrdersNewToBrand14d"),
        ),
        _amount(
            "newToBrandSales",
            "new_to_brand_sales",
            f"Sales to {first}.",
            *ad_products,
            v3_names=("newToBrandSales", "newToBrandSales14d"),
            connector_names=("attributedSalesNewToBrand14d",),
        ),
        _count(
            "newToBrandUnitsSold",
            "new_to_brand_units",
            f"Units sold to {first}.",
            *ad_products,
            v3_names=("newToBrandUnitsSold", "newToBrandUnitsSold14d"),
            connector_names=("attributedUnitsOrderedNewToBrand14d",),
        ),
    )


PROMOTED = (
    _count(
        "purchasesPromoted",
        "orders_promoted",
        "Orders for the advertised product.",
        SPONSORED_PRODUCTS,
        v3_names=("purchasesPromoted", *with_windows("purchasesSameSku{}")),
        connector_names=with_windows("attributedConversions{}SameSKU"),
    ),
    _amount(
        "salesPromoted",
        "sales_promoted",
        "Sales of the advertised product.",
        SPONSORED_PRODUCTS,
        v3_names=("salesPromoted", *with_windows("salesSameSku{}")),
        connector_names=(
            *with_windows("attributedSalesSameSku{}"),
            *with_windows("attributedSales{}SameSKU"),
        ),
    ),
    _count(
        "unitsSoldPromoted",
        "units_promoted",
        "Units sold of the advertised product.",
        SPONSORED_PRODUCTS,
        v3_names=with_windows("unitsSoldSameSku{}"),
        connector_names=with_windows("attributedUnitsOrdered{}SameSKU"),
    ),
)
HALO_ORDERS = (
    _count(
        "purchasesHalo",
        "orders_halo",
        "Orders for other products of the same brand.",
        SPONSORED_PRODUCTS,
        v3_names=with_windows("purchasesOtherSku{}"),
    ),
)
HALO = (
    _amount(
        "salesHalo",
        "sales_halo",
        "Sales of other products of the same brand.",
        SPONSORED_PRODUCTS,
        v3_names=with_windows("salesOtherSku{}"),
        connector_names=with_windows("attributedSales{}OtherSKU"),
    ),
    _count(
        "unitsSoldHalo",
        "units_halo",
        "Units sold of other products of the same brand.",
        SPONSORED_PRODUCTS,
        v3_names=with_windows("unitsSoldOtherSku{}"),
        connector_names=with_windows("attributedUnitsOrdered{}OtherSKU"),
    ),
)
FROM_CLICKS = (
    _count(
        "purchasesFromClicks",
        "orders_from_clicks",
        "Orders after a click; orders after a view only are not counted.",
        SPONSORED_BRANDS,
        SPONSORED_DISPLAY,
        v3_names=("purchasesClicks", "ordersClicks14d"),
    ),
    _amount(
        "salesFromClicks",
        "sales_from_clicks",
        "Sales after a click; sales after a view only are not counted.",
        SPONSORED_BRANDS,
        SPONSORED_DISPLAY,
        v3_names=("salesClicks", "salesClicks14d"),
    ),
    _count(
        "unitsSoldFromClicks",
        "units_from_clicks",
        "Units sold after a click; units sold after a view only are not counted.",
        SPONSORED_BRANDS,
        SPONSORED_DISPLAY,
        v3_names=("unitsSoldClicks", *with_windows("unitsSoldClicks{}")),
    ),
)
