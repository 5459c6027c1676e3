"""The declarations that datasets are made of: dimensions, metrics, ad products. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

SPONSORED_PRODUCTS = "SPONSORED_PRODUCTS"
SPONSORED_BRANDS = "SPONSORED_BRANDS"
SPONSORED_DISPLAY = "SPONSORED_DISPLAY"
AD_PRODUCTS = (SPONSORED_PRODUCTS, SPONSORED_BRANDS, SPONSORED_DISPLAY)
"""In the spelling of filters, exports and our tables; rows of reports have `Sponsored Products`."""

SHORT_NAMES = {SPONSORED_PRODUCTS: "SP", SPONSORED_BRANDS: "SB", SPONSORED_DISPLAY: "SD"}
_LONG_NAMES = {short: long for long, short in SHORT_NAMES.items()}


def report_name(ad_products: Iterable[str]) -> str:
    """Return the name of a report of these ad products: `SP+SD`."""
    return "+".join(SHORT_NAMES[product] for product in ad_products)


def products_of(report: str) -> tuple[str, ...]:
    """Return the ad products of a report by its name.

    Raises:
        ValueError: The name has something else, or an ad product twice.
    """
    names = report.split("+")
    if not set(names) <= set(_LONG_NAMES) or len(set(names)) < len(names):
        raise ValueError(f"expected ad products such as SP or SP+SB, got: {report!r}")
    return tuple(_LONG_NAMES[name] for name in names)


def product_name(product: str) -> str:
    """Return an ad product's display name: `Sponsored Brands`."""
    return product.replace("_", " ").title()


DATE_FIELD = "date.value"
HOUR_FIELD = "hour.value"
COUNTRY_FIELD = "campaign.country"
CURRENCY_FIELD = "budgetCurrency.value"
AD_PRODUCT_FIELD = "adProduct.value"

DIMENSION_TAGS = ("dimension",)
METRIC_TAGS = ("metric", "additive")
RATIO_TAGS = ("metric", "not_additive")
"""Uses of a column: rows are grouped by it, its values may be summed over rows, or they may not."""

DimensionKind = Literal["id", "text", "product", "marketplace", "placement"]
MetricKind = Literal["count", "amount"]


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A column that identifies the rows of a dataset, or names them.

    Attributes:
        field: Amazon's name.
        column: Our name.
        kind: The type of its values: an `id` of digits; `text`, unchanged; a `product`'s id; a
            `marketplace`, where `UK` becomes `GB`; a `placement`, in one spelling if known.
        description: The comment in the database, also used in the data dictionary.
        is_key: Whether it identifies rows. If other columns change, the row stays the same.
        ad_products: The ad products with rows that have it.
        other_names: Amazon's names for it in other versions of its API.
        v3_names: Its names in the catalogue of fields of reporting v3; a test compares them.
        connector_names: Its other names in older reports and in connectors.
    """

    field: str
    column: str
    kind: DimensionKind
    description: str
    is_key: bool = True
    ad_products: tuple[str, ...] = AD_PRODUCTS
    other_names: tuple[str, ...] = ()
    v3_names: tuple[str, ...] = ()
    connector_names: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """The uses of its column."""
        return DIMENSION_TAGS


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of a row; null means "no value", 0 was measured.

    Attributes:
        field: Amazon's name.
        column: Our name.
        kind: A whole `count`, or an `amount` in the row's currency.
        description: The comment in the database, also used in the data dictionary.
        ad_products: The ad products with rows that have it; null in all other rows.
        is_additive: Whether it may be summed over rows; shares and ranks may not.
        v3_names: Its names in the catalogue of fields of reporting v3; a test compares them.
        connector_names: Its other names in older reports and in connectors.
    """

    field: str
    column: str
    kind: MetricKind
    description: str
    ad_products: tuple[str, ...] = AD_PRODUCTS
    is_additive: bool = True
    v3_names: tuple[str, ...] = ()
    connector_names: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """The uses of its column."""
        return METRIC_TAGS if self.is_additive else RATIO_TAGS


def with_windows(name: str) -> tuple[str, ...]:
    """Return a name with each attribution window of our columns."""
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
    _count("clicks", "clicks", "Clicks, without invalid ones.", v3_names=("clicks",)),
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
    """Return the metric of viewable impressions."""
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
    """Return the metrics of first orders of the brand in 12 months."""
    first = "of shoppers who had not bought the brand in the 12 months before"
    return (
        _count(
            "newToBrandPurchases",
            "new_to_brand_orders",
            f"Orders {first}.",
            *ad_products,
            v3_names=("newToBrandPurchases", "newToBrandPurchases14d"),
            connector_names=("newToBrandOrders14d", "attributedOrdersNewToBrand14d"),
        ),
        _amount(
            "newToBrandSales",
            "new_to_brand_sales",
            f"Sales {first}.",
            *ad_products,
            v3_names=("newToBrandSales", "newToBrandSales14d"),
            connector_names=("attributedSalesNewToBrand14d",),
        ),
        _count(
            "newToBrandUnitsSold",
            "new_to_brand_units",
            f"Units {first}.",
            *ad_products,
            v3_names=("newToBrandUnitsSold", "newToBrandUnitsSold14d"),
            connector_names=("attributedUnitsOrderedNewToBrand14d",),
        ),
    )


PROMOTED = (
    _count(
        "purchasesPromoted",
        "orders_promoted",
        "Orders of the advertised product.",
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
        "Units of the advertised product.",
        SPONSORED_PRODUCTS,
        v3_names=with_windows("unitsSoldSameSku{}"),
        connector_names=with_windows("attributedUnitsOrdered{}SameSKU"),
    ),
)
HALO_ORDERS = (
    _count(
        "purchasesHalo",
        "orders_halo",
        "Orders of other products of the brand.",
        SPONSORED_PRODUCTS,
        v3_names=with_windows("purchasesOtherSku{}"),
    ),
)
HALO = (
    _amount(
        "salesHalo",
        "sales_halo",
        "Sales of other products of the brand.",
        SPONSORED_PRODUCTS,
        v3_names=with_windows("salesOtherSku{}"),
        connector_names=with_windows("attributedSales{}OtherSKU"),
    ),
    _count(
        "unitsSoldHalo",
        "units_halo",
        "Units of other products of the brand.",
        SPONSORED_PRODUCTS,
        v3_names=with_windows("unitsSoldOtherSku{}"),
        connector_names=with_windows("attributedUnitsOrdered{}OtherSKU"),
    ),
)
FROM_CLICKS = (
    _count(
        "purchasesFromClicks",
        "orders_from_clicks",
        "Orders after a click, without those after a view.",
        SPONSORED_BRANDS,
        SPONSORED_DISPLAY,
        v3_names=("purchasesClicks", "ordersClicks14d"),
    ),
    _amount(
        "salesFromClicks",
        "sales_from_clicks",
        "Sales after a click, without those after a view.",
        SPONSORED_BRANDS,
        SPONSORED_DISPLAY,
        v3_names=("salesClicks", "salesClicks14d"),
    ),
    _count(
        "unitsSoldFromClicks",
        "units_from_clicks",
        "Units after a click, without those after a view.",
        SPONSORED_BRANDS,
        SPONSORED_DISPLAY,
        v3_names=("unitsSoldClicks", *with_windows("unitsSoldClicks{}")),
    ),
)

CAMPAIGN = Dimension(
    field="campaign.id",
    column="campaign_id",
    kind="id",
    description="Amazon's id of the campaign.",
    v3_names=("campaignId",),
)
CAMPAIGN_NAME = Dimension(
    field="campaign.name",
    column="campaign_name",
    kind="text",
    description="The campaign's name when the report was made.",
    is_key=False,
    v3_names=("campaignName",),
)
COST_TYPE = Dimension(
    field="campaign.costType",
    column="cost_type",
    kind="text",
    description="What is paid for: CPC (clicks) or VCPM (viewable impressions).",
    is_key=False,
    ad_products=(SPONSORED_BRANDS, SPONSORED_DISPLAY),
    v3_names=("costType",),
)
PLACEMENT = Dimension(
    field="placementClassification.value",
    column="placement",
    kind="placement",
    description="Where the ad was shown: TOP_OF_SEARCH, REST_OF_SEARCH, PRODUCT_PAGE, OFF_AMAZON, "
    "SITE_AMAZON_BUSINESS, or as reported.",
    other_names=("placement.value",),
    v3_names=("placementClassification",),
)
AD_GROUP = Dimension(
    field="adGroup.id",
    column="ad_group_id",
    kind="id",
    description="Amazon's id of the ad group.",
    v3_names=("adGroupId",),
)
AD = Dimension(
    field="ad.id",
    column="ad_id",
    kind="id",
    description="Amazon's id of the ad.",
    connector_names=("adId",),
)
TARGET_VALUE = Dimension(
    field="target.value",
    column="target_value",
    kind="text",
    description="The target as reported: a keyword, an expression, "
    "the name of an automatic target.",
    v3_names=("targeting",),
    connector_names=("keyword", "keywordText"),
)
MATCH_TYPE = Dimension(
    field="target.matchType",
    column="match_type",
    kind="text",
    description="How the target is matched, as reported; "
    "null where the product has no match types.",
    v3_names=("keywordType", "matchType"),
)
SEARCH_TERM = Dimension(
    field="searchTerm.value",
    column="search_term",
    kind="text",
    description="What the shopper typed, or the ASIN of the page that was seen. "
    "Only terms with a click are reported.",
    v3_names=("searchTerm",),
    connector_names=("query",),
)
PRODUCT = Dimension(
    field="advertisedProduct.id",
    column="product_id",
    kind="product",
    description="ASIN of the advertised product.",
    ad_products=(SPONSORED_PRODUCTS, SPONSORED_DISPLAY),
    v3_names=("advertisedAsin",),
    connector_names=("asin",),
)
SKU = Dimension(
    field="advertisedProduct.sku",
    column="sku",
    kind="text",
    description="The seller's SKU of the advertised product.",
    is_key=False,
    ad_products=(SPONSORED_PRODUCTS, SPONSORED_DISPLAY),
    v3_names=("advertisedSku",),
)
MARKETPLACE = Dimension(
    field="advertisedProduct.marketplace",
    column="marketplace",
    kind="marketplace",
    description="Marketplace of the advertised product.",
    ad_products=(SPONSORED_PRODUCTS, SPONSORED_DISPLAY),
    other_names=("advertisedProductMarketplace.value",),
    v3_names=("marketplace",),
)
PURCHASED_PRODUCT = Dimension(
    field="convertedProduct.id",
    column="purchased_product_id",
    kind="product",
    description="ASIN of the product that was bought.",
    v3_names=("purchasedAsin",),
)
PURCHASED_MARKETPLACE = Dimension(
    field="convertedProductMarketplace.value",
    column="purchased_marketplace",
    kind="marketplace",
    description="Marketplace in which it was bought.",
    v3_names=("marketplace",),
)

OTHER_COUNTRY_NAMES = ("campaignCountry.value",)
