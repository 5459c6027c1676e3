"""The parts of datasets: ad products, and the types of dimensions and metrics. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SPONSORED_PRODUCTS = "SPONSORED_PRODUCTS"
SPONSORED_BRANDS = "SPONSORED_BRANDS"
SPONSORED_DISPLAY = "SPONSORED_DISPLAY"
AD_PRODUCTS = (SPONSORED_PRODUCTS, SPONSORED_BRANDS, SPONSORED_DISPLAY)
"""The names in filters, exports and our tables; report rows have `Sponsored Products` etc."""

SHORT_NAMES = {SPONSORED_PRODUCTS: "SP", SPONSORED_BRANDS: "SB", SPONSORED_DISPLAY: "SD"}
_LONG_NAMES = {short: long for long, short in SHORT_NAMES.items()}


def report_name(ad_products: Iterable[str]) -> str:
    """Return the name of a report of these ad products, such as `SP+SD`."""
    return "+".join(SHORT_NAMES[product] for product in ad_products)


def products_of(report: str) -> tuple[str, ...]:
    """Return the ad products of a report, given its name such as `SP+SD`.

    Raises:
        ValueError: A part of the name is not an ad product, or an ad product occurs twice.
    """
    names = report.split("+")
    if not set(names) <= set(_LONG_NAMES) or len(set(names)) < len(names):
        raise ValueError(f"expected ad products such as SP or SP+SB, got: {report!r}")
    return tuple(_LONG_NAMES[name] for name in names)


def product_name(product: str) -> str:
    """Return an ad product's display name, such as `Sponsored Brands`."""
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
"""Tags for columns to group by, for columns that may be summed, and for all other metrics."""

DimensionKind = Literal["id", "text", "product", "marketplace", "placement"]
MetricKind = Literal["count", "amount"]


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A column that identifies the rows of a dataset, or describes the row's entity.

    Attributes:
        field: Amazon's name of the field.
        column: Our name of the column.
        kind: The type of the values: an `id` of digits; `text`, stored unchanged; the id of a
            `product`; a `marketplace` (`UK` becomes `GB`); a `placement`, whose known values are
            stored in one spelling.
        description: The comment in the database, also used in the data dictionary.
        is_key: Whether the column is part of the key that identifies a row.
        ad_products: The ad products whose rows have the dimension.
        other_names: Amazon's names of the field in other versions of the Ads API.
        v3_names: The field's names in Amazon's list of reporting v3 fields; a test compares them.
        connector_names: Other names of the field in older reports and in connectors.
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
        """The tags that mark the column as one to group by."""
        return DIMENSION_TAGS


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number in each row; null means that Amazon reported no value, 0 is a measured value.

    Attributes:
        field: Amazon's name of the field.
        column: Our name of the column.
        kind: A whole `count`, or an `amount` in the row's currency.
        description: The comment in the database, also used in the data dictionary.
        ad_products: The ad products whose rows have the metric; it is null in all other rows.
        is_additive: Whether values may be summed over rows; shares and ranks may not.
        v3_names: The field's names in Amazon's list of reporting v3 fields; a test compares them.
        connector_names: Other names of the field in older reports and in connectors.
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
        """The tags that show whether the column may be summed over rows."""
        return METRIC_TAGS if self.is_additive else RATIO_TAGS
