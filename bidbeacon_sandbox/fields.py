"""The fields that a report can be asked for: the contract's table, companions, and which exclude each other."""

from collections.abc import Collection, Iterator
from typing import Any

from bidbeacon_sandbox.datasets import DATASETS, NEW_NAMES, metrics_of
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct
from bidbeacon_sandbox.rules import Accepted
from bidbeacon_sandbox.traffic import Split


class RequestError(Exception):
    """A v1 report request that can't be met: Amazon's code, a message, and where in the body it is wrong."""

    def __init__(self, code: str, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.location = location

    def entry(self) -> dict[str, Any]:
        """Return it as an entry of a 207 answer's `errors`."""
        return {"code": self.code, "fieldLocation": self.location, "message": self.message}


_CONVERSIONS = ("purchases", "sales", "unitsSold")
METRICS = (
    "metric.impressions",
    "metric.clicks",
    "metric.totalCost",
    "metric.viewableImpressions",
    *(
        f"metric.{name}{kind}"
        for kind in ("", "Promoted", "Halo", "FromClicks", "FromViews")
        for name in _CONVERSIONS
    ),
    *("metric.newToBrandPurchases", "metric.newToBrandSales", "metric.newToBrandUnitsSold"),
)
"""The metrics that each row has a number of its own for; others are derived from these."""
TRAFFIC_METRICS = METRICS[:4]
RATES = ("metric.ctr", "metric.cpc", "metric.roas")
SHARES = (
    "metric.topOfSearchImpressionShare",
    "metric.impressionShare",
    "metric.impressionShareRank",
)
ID_FIELDS = ("campaign.id", "adGroup.id", "ad.id")
TIME_FIELDS = (
    *("date.value", "hour.value", "week.value", "month.value", "year.value", "dateRange.value"),
)
TARGET_FIELDS = ("target.value", "target.matchType")
SPLIT_FIELDS: dict[str, Split] = {
    "searchTerm.value": "search_term",
    "matchedTarget.value": "matched_target",
    "placementClassification.value": "placement",
    "placement.value": "placement",
    "convertedProduct.id": "purchased_product",
    "convertedProductMarketplace.value": "purchased_product",
}
"""The fields that split a day further."""
AD_FIELDS = (
    *("budgetCurrency.value", "adProduct.value", "advertiserAccount.id"),
    *("campaign.id", "campaign.name", "campaign.country", "campaignCountry.value"),
    *("campaign.costType", "campaign.currencyCode", "campaign.deliveryStatus"),
    *("campaign.budgetAmount", "campaign.budgetType", "portfolio.portfolioId", "portfolio.name"),
    *("adGroup.id", "adGroup.name", "ad.id"),
    *("advertisedProduct.id", "advertisedProduct.sku", "advertisedProduct.marketplace"),
    "advertisedProductMarketplace.value",
)
KNOWN_FIELDS = frozenset((*TIME_FIELDS, *METRICS, *RATES, *SHARES, *AD_FIELDS)).union(
    TARGET_FIELDS, SPLIT_FIELDS, *(one.fields for one in DATASETS.values())
)
ALL_METRICS = frozenset(field for field in KNOWN_FIELDS if field.startswith("metric."))
_VIDEO = frozenset(metric for metric in ALL_METRICS if metric.endswith("VideoAd"))
_OF_AD_PRODUCT = {product: metrics_of(product) for product in AD_PRODUCTS}


def is_money(metric: str) -> bool:
    """Return whether a metric is an amount of the row's currency."""
    return metric in {"metric.totalCost", "metric.cpc"} or any(
        word in metric for word in ("sales", "Sales", "Royalties")
    )


def applies(metric: str, product: AdProduct) -> bool:
    """Return whether an ad product has a metric; the rows of the others have null."""
    if metric == "metric.viewableImpressions" or metric.startswith("metric.newToBrand"):
        return product != "SPONSORED_PRODUCTS"
    if metric in METRICS:
        return product == "SPONSORED_PRODUCTS" or not metric.endswith(("Promoted", "Halo"))
    return metric in RATES or metric in SHARES or metric in _OF_AD_PRODUCT[product]


def _companions(fields: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each field and one without which it may not be asked for."""
    for field in fields:
        entity, _, attribute = field.partition(".")
        if entity in {"campaign", "campaignCountry"} and attribute != "id":
            yield field, "campaign.id"
        if entity.startswith("advertisedProduct") and field != "advertisedProduct.id":
            yield field, "advertisedProduct.id"
        if field in _COMPANIONS:
            yield field, _COMPANIONS[field]
        if is_money(field) or field == "campaign.budgetAmount":
            yield field, "budgetCurrency.value"
        if field in SHARES:
            yield field, "adProduct.value"
            yield field, "advertiserAccount.id"
        if field in SHARES[1:]:
            yield field, "searchTerm.value"


_COMPANIONS = {
    "adGroup.name": "adGroup.id",
    "target.matchType": "target.value",
    "portfolio.name": "portfolio.portfolioId",
    "convertedProduct.id": "convertedProductMarketplace.value",
}
_FINER_THAN_CAMPAIGN = ("adGroup.id", "ad.id", "target.value", "advertisedProduct.id")
_EXCLUDED: dict[str, Collection[str]] = {
    "convertedProductMarketplace.value": (*TRAFFIC_METRICS, *_VIDEO, *RATES),
    "metric.topOfSearchImpressionShare": (
        *_FINER_THAN_CAMPAIGN,
        *SPLIT_FIELDS,
        *("hour.value", "portfolio.portfolioId"),
    ),
    "metric.impressionShare": ("campaign.id",),
    "metric.impressionShareRank": ("campaign.id",),
}
"""What the contract says that a field excludes."""
_NOT_OFFERED: dict[AdProduct, tuple[str, ...]] = {
    product: tuple(
        field
        for field in ("advertisedProduct.id", "searchTerm.value", "placementClassification.value")
        if not any(field in one.keys for one in DATASETS.values() if product in one.products)
    )
    for product in AD_PRODUCTS
}
"""The dimensions that an ad product doesn't have."""
_PURCHASED = {
    one.products[0]: one.keys - {"campaign.id", "convertedProductMarketplace.value"}
    for one in DATASETS.values()
    if "convertedProduct.id" in one.keys
}
"""The key of an ad product's purchased products, beside the campaign and the marketplace."""
_HOURS_OF = frozenset({"SPONSORED_PRODUCTS"})
_LOCATION = "reports[0].query.fields"
_NEEDED = (
    (TIME_FIELDS, "a time dimension"),
    (
        (*ID_FIELDS, "advertisedProduct.id", "target.value", *SPLIT_FIELDS),
        "a level-of-detail dimension",
    ),
    (tuple(ALL_METRICS), "a metric"),
)


def check_fields(
    fields: tuple[str, ...],
    products: tuple[AdProduct, ...] | None,
    *,
    has_new_names: bool = False,
    accepted: Collection[Accepted] = (),
) -> None:
    """Check a report's fields as Amazon does.

    Args:
        fields: What is asked for; a field may be listed twice.
        products: The ad products that the filter names; None where it names none.
        has_new_names: Whether fields have their newer names, and not the older ones.
        accepted: What is accepted against the contract.

    Raises:
        RequestError: 400013 for a name without a dot, 400005 for an unknown field, 400006 for a
            missing companion, 400004 for fields that exclude each other or that an ad product
            doesn't have, 400000 for a query without a time dimension, a level-of-detail key or a
            metric.
    """
    unknown = frozenset(NEW_NAMES if has_new_names else NEW_NAMES.values())
    _check_names(fields, KNOWN_FIELDS.union(NEW_NAMES.values()) - unknown)
    _check_pairs(fields, needs_companions="no_companion" not in accepted)
    for needed, kind in _NEEDED:
        if not set(fields) & set(needed):
            raise refused("400000", f"a report needs {kind}")
    if products is not None:
        _check_products(fields, products, all_hours="hours_of_all_products" in accepted)
    if "convertedProductMarketplace.value" in fields:
        _check_purchased(fields, products or ())


def _check_pairs(fields: tuple[str, ...], *, needs_companions: bool) -> None:
    for field, companion in _companions(fields) if needs_companions else ():
        if companion not in fields:
            raise companionless(field, companion)
    for field in fields:
        for other in _EXCLUDED.get(field, ()):
            if other in fields:
                raise excluded(field, other)


def _check_names(fields: tuple[str, ...], known: frozenset[str]) -> None:
    for field in fields:
        if "." not in field:
            raise refused("400013", f"invalid field name: {field}")
        if field not in known:
            raise unknown_field(field)


def _check_products(
    fields: tuple[str, ...], products: tuple[AdProduct, ...], *, all_hours: bool
) -> None:
    for product in products:
        for field in fields:
            if field in _NOT_OFFERED[product]:
                raise excluded(field, product)
        if "hour.value" in fields and product not in _HOURS_OF:
            finer = [field for field in fields if field in _FINER_THAN_CAMPAIGN]
            if finer or not all_hours:
                raise excluded("hour.value", product)


def _check_purchased(fields: tuple[str, ...], products: tuple[AdProduct, ...]) -> None:
    """Check the key of purchased products: each ad product has exactly its own."""
    if len(products) != 1:
        raise companionless("convertedProduct.id", "a filter on one ad product")
    key = _PURCHASED[products[0]]
    for field in sorted(_PURCHASED["SPONSORED_PRODUCTS"] - key):
        if field in fields:
            raise excluded("convertedProduct.id", field)
    for field in sorted(key - set(fields)):
        raise companionless("convertedProductMarketplace.value", field)


def companionless(field: str, companion: str) -> RequestError:
    """Make the refusal of a field that needs another one."""
    return refused(
        "400006", f"field {field} cannot be used without also including fields: ({companion})"
    )


def excluded(first: str, *others: str) -> RequestError:
    """Make the refusal of fields that can't be used together."""
    return refused(
        "400004", f"field {first} cannot be used along with fields: ({', '.join(others)})"
    )


def unknown_field(field: str) -> RequestError:
    """Make the refusal of a field that there isn't."""
    return refused("400005", f"unknown field: {field}")


def refused(code: str, text: str) -> RequestError:
    """Make the refusal of a report's fields."""
    return RequestError(code, f"{code}: {text}", _LOCATION)
