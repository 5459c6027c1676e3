"""What datasets are made of: ad products, and the types of dimensions and metrics. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
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
OTHER_COUNTRY_NAMES = ("campaignCountry.value",)
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
