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
    """

    field: str
    column: str
    kind: DimensionKind
    description: str
    is_key: bool = True
    ad_products: tuple[str, ...] = AD_PRODUCTS
    other_names: tuple[str, ...] = ()

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
    """

    field: str
    column: str
    kind: MetricKind
    description: str
    ad_products: tuple[str, ...] = AD_PRODUCTS
    is_additive: bool = True

    @property
    def tags(self) -> tuple[str, ...]:
        """The uses of its column."""
        return METRIC_TAGS if self.is_additive else RATIO_TAGS


_ATTRIBUTED = (
    "attributed to an ad within 7 days of the click for Sponsored Products of sellers, "
    "within 14 days for all others"
)


def _metric(
    kind: MetricKind, name: str, column: str, description: str, *ad_products: str
) -> Metric:
    return Metric(
        field=f"metric.{name}",
        column=column,
        kind=kind,
        description=description,
        ad_products=ad_products or AD_PRODUCTS,
    )


_count = partial(_metric, "count")
_amount = partial(_metric, "amount")

TRAFFIC = (
    _count("impressions", "impressions", "Times the ad was shown."),
    _count("clicks", "clicks", "Clicks, without invalid ones."),
    _amount("totalCost", "spend", "Cost of clicks or impressions, in the row's currency."),
)
CONVERSIONS = (
    _count("purchases", "orders", f"Orders {_ATTRIBUTED}."),
    _amount("sales", "sales", f"Sales {_ATTRIBUTED}, in the row's currency."),
    _count("unitsSold", "units", f"Units sold, {_ATTRIBUTED}."),
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
        ),
    )


def new_to_brand(*ad_products: str) -> tuple[Metric, ...]:
    """Return the metrics of first orders of the brand in 12 months."""
    first = "of shoppers who had not bought the brand in the 12 months before"
    return (
        _count("newToBrandPurchases", "new_to_brand_orders", f"Orders {first}.", *ad_products),
        _amount("newToBrandSales", "new_to_brand_sales", f"Sales {first}.", *ad_products),
        _count("newToBrandUnitsSold", "new_to_brand_units", f"Units {first}.", *ad_products),
    )


PROMOTED = (
    _count(
        "purchasesPromoted",
        "orders_promoted",
        "Orders of the advertised product.",
        SPONSORED_PRODUCTS,
    ),
    _amount(
        "salesPromoted", "sales_promoted", "Sales of the advertised product.", SPONSORED_PRODUCTS
    ),
    _count(
        "unitsSoldPromoted",
        "units_promoted",
        "Units of the advertised product.",
        SPONSORED_PRODUCTS,
    ),
)
HALO_ORDERS = (
    _count(
        "purchasesHalo", "orders_halo", "Orders of other products of the brand.", SPONSORED_PRODUCTS
    ),
)
HALO = (
    _amount("salesHalo", "sales_halo", "Sales of other products of the brand.", SPONSORED_PRODUCTS),
    _count(
        "unitsSoldHalo", "units_halo", "Units of other products of the brand.", SPONSORED_PRODUCTS
    ),
)
FROM_CLICKS = (
    _count(
        "purchasesFromClicks",
        "orders_from_clicks",
        "Orders after a click, without those after a view.",
        SPONSORED_BRANDS,
        SPONSORED_DISPLAY,
    ),
    _amount(
        "salesFromClicks",
        "sales_from_clicks",
        "Sales after a click, without those after a view.",
        SPONSORED_BRANDS,
        SPONSORED_DISPLAY,
    ),
    _count(
        "unitsSoldFromClicks",
        "units_from_clicks",
        "Units after a click, without those after a view.",
        SPONSORED_BRANDS,
        SPONSORED_DISPLAY,
    ),
)

CAMPAIGN = Dimension(
    field="campaign.id", column="campaign_id", kind="id", description="Amazon's id of the campaign."
)
CAMPAIGN_NAME = Dimension(
    field="campaign.name",
    column="campaign_name",
    kind="text",
    description="The campaign's name when the report was made.",
    is_key=False,
)
COST_TYPE = Dimension(
    field="campaign.costType",
    column="cost_type",
    kind="text",
    description="What is paid for: CPC (clicks) or VCPM (viewable impressions).",
    is_key=False,
    ad_products=(SPONSORED_BRANDS, SPONSORED_DISPLAY),
)
PLACEMENT = Dimension(
    field="placementClassification.value",
    column="placement",
    kind="placement",
    description="Where the ad was shown: TOP_OF_SEARCH, REST_OF_SEARCH, PRODUCT_PAGE, OFF_AMAZON, "
    "SITE_AMAZON_BUSINESS, or as reported.",
    other_names=("placement.value",),
)
AD_GROUP = Dimension(
    field="adGroup.id", column="ad_group_id", kind="id", description="Amazon's id of the ad group."
)
AD = Dimension(field="ad.id", column="ad_id", kind="id", description="Amazon's id of the ad.")
TARGET_VALUE = Dimension(
    field="target.value",
    column="target_value",
    kind="text",
    description="The target as reported: a keyword, an expression, "
    "the name of an automatic target.",
)
MATCH_TYPE = Dimension(
    field="target.matchType",
    column="match_type",
    kind="text",
    description="How the target is matched, as reported; "
    "null where the product has no match types.",
)
SEARCH_TERM = Dimension(
    field="searchTerm.value",
    column="search_term",
    kind="text",
    description="What the shopper typed, or the ASIN of the page that was seen. "
    "Only terms with a click are reported.",
)
PRODUCT = Dimension(
    field="advertisedProduct.id",
    column="product_id",
    kind="product",
    description="ASIN of the advertised product.",
    ad_products=(SPONSORED_PRODUCTS, SPONSORED_DISPLAY),
)
SKU = Dimension(
    field="advertisedProduct.sku",
    column="sku",
    kind="text",
    description="The seller's SKU of the advertised product.",
    is_key=False,
    ad_products=(SPONSORED_PRODUCTS, SPONSORED_DISPLAY),
)
MARKETPLACE = Dimension(
    field="advertisedProduct.marketplace",
    column="marketplace",
    kind="marketplace",
    description="Marketplace of the advertised product.",
    ad_products=(SPONSORED_PRODUCTS, SPONSORED_DISPLAY),
    other_names=("advertisedProductMarketplace.value",),
)
PURCHASED_PRODUCT = Dimension(
    field="convertedProduct.id",
    column="purchased_product_id",
    kind="product",
    description="ASIN of the product that was bought.",
)
PURCHASED_MARKETPLACE = Dimension(
    field="convertedProductMarketplace.value",
    column="purchased_marketplace",
    kind="marketplace",
    description="Marketplace in which it was bought.",
)

OTHER_COUNTRY_NAMES = ("campaignCountry.value",)
