"""The fields a report can be asked for: which need a companion, which exclude each other, and which ad products have them."""

from typing import Any

from bidbeacon_sandbox.config import SandboxConfig
from bidbeacon_sandbox.entities import AdProduct
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
TRAFFIC_METRICS = METRICS[:4]
MONEY_METRICS = frozenset(
    metric for metric in METRICS if metric == "metric.totalCost" or "sales" in metric.lower()
)
AD_FIELDS = (
    "budgetCurrency.value",
    "adProduct.value",
    "advertiserAccount.id",
    "campaign.id",
    "campaign.name",
    "campaign.country",
    "campaign.costType",
    "adGroup.id",
    "adGroup.name",
    "ad.id",
    "advertisedProduct.id",
    "advertisedProduct.sku",
    "advertisedProduct.marketplace",
    "campaignCountry.value",
    "advertisedProductMarketplace.value",
)
OLD_NAMES = frozenset(
    ("campaign.country", "advertisedProduct.marketplace", "placementClassification.value")
)
NEW_NAMES = frozenset(
    ("campaignCountry.value", "advertisedProductMarketplace.value", "placement.value")
)
"""Names of the same fields in two versions of the API; a server knows one or the other."""
ID_FIELDS = ("campaign.id", "adGroup.id", "ad.id")
TIME_FIELDS = ("date.value", "hour.value")
TARGET_FIELDS = ("target.value", "target.matchType")
SPLIT_FIELDS: dict[str, Split] = {
    "searchTerm.value": "search_term",
    "matchedTarget.value": "matched_target",
    "placementClassification.value": "placement",
    "placement.value": "placement",
    "convertedProduct.id": "purchased_product",
    "convertedProductMarketplace.value": "purchased_product",
}
"""The fields that split a day further; a report can be split one way."""
_LEVEL_OF_DETAIL_FIELDS = (*ID_FIELDS, "advertisedProduct.id", "target.value", *SPLIT_FIELDS)
KNOWN_FIELDS = frozenset((*TIME_FIELDS, *METRICS, *AD_FIELDS, *TARGET_FIELDS, *SPLIT_FIELDS))

COMPANIONS = (
    ("hour.value", "date.value"),
    *(
        (field, "campaign.id")
        for field in AD_FIELDS
        if field.startswith("campaign") and field != "campaign.id"
    ),
    ("adGroup.name", "adGroup.id"),
    *(
        (field, "advertisedProduct.id")
        for field in AD_FIELDS
        if field.startswith("advertisedProduct") and field[17:] != ".id"
    ),
    ("target.matchType", "target.value"),
    ("convertedProduct.id", "convertedProductMarketplace.value"),
    *((metric, "budgetCurrency.value") for metric in METRICS if metric in MONEY_METRICS),
)
"""Each field and the one without which it may not be asked for."""
_EXCLUDED: dict[Split, tuple[str, ...]] = {
    "search_term": ("hour.value", "advertisedProduct.id"),
    "matched_target": ("hour.value",),
    "placement": ("hour.value", "adGroup.id", "ad.id", "target.value", "advertisedProduct.id"),
    "purchased_product": ("hour.value", "ad.id", *TRAFFIC_METRICS),
}
"""The fields that each way to split a report excludes."""
_NOT_OFFERED: dict[AdProduct, tuple[str, ...]] = {
    "SPONSORED_PRODUCTS": (),
    "SPONSORED_BRANDS": ("advertisedProduct.id",),
    "SPONSORED_DISPLAY": ("searchTerm.value", "placementClassification.value", "placement.value"),
}
"""The dimensions that an ad product doesn't have."""
_PURCHASED_KEYS: dict[AdProduct, frozenset[str]] = {
    "SPONSORED_PRODUCTS": frozenset(("adGroup.id", *TARGET_FIELDS, "advertisedProduct.id")),
    "SPONSORED_BRANDS": frozenset(),
    "SPONSORED_DISPLAY": frozenset(("adGroup.id",)),
}
"""The key of an ad product's purchased products, beside the campaign and the purchased product."""
_FINER_THAN_CAMPAIGN = ("adGroup.id", "ad.id", "target.value", "advertisedProduct.id")
_LOCATION = "reports[0].query.fields"


def applies(metric: str, product: AdProduct) -> bool:
    """Return whether an ad product has a metric; the rows of the others have null."""
    if metric == "metric.viewableImpressions" or metric.startswith("metric.newToBrand"):
        return product != "SPONSORED_PRODUCTS"
    return product == "SPONSORED_PRODUCTS" or not metric.endswith(("Promoted", "Halo"))


def check_fields(
    fields: tuple[str, ...], products: tuple[AdProduct, ...] | None, config: SandboxConfig
) -> None:
    """Check a report's fields as Amazon does.

    Args:
        fields: What is asked for.
        products: The ad products that the filter names; None where it names none.
        config: Whether fields are renamed, ad products may be mixed, and Brands and Display have
            hours.

    Raises:
        RequestError: 400013 for a name without a dot, 400005 for an unknown field, 400006 for a
            missing companion,
            400004 for fields that exclude each other or that an ad product doesn't have, 400000 for
            a field twice, and for a query without a time dimension, a level-of-detail key or a
            metric.
    """
    _check_names(fields, KNOWN_FIELDS - (OLD_NAMES if config.renamed_fields else NEW_NAMES))
    for field, companion in COMPANIONS:
        if field in fields and companion not in fields:
            raise _companionless(field, companion)
    _check_splits(fields)
    for needed, kind in _NEEDED:
        if not set(fields) & set(needed):
            raise _refused("400000", f"a report needs {kind}")
    if products is not None:
        _check_products(fields, products, config)
    if "convertedProductMarketplace.value" in fields:
        _check_purchased(fields, products or ())


def _check_names(fields: tuple[str, ...], known: frozenset[str]) -> None:
    for field in fields:
        if "." not in field:
            raise _refused("400013", f"invalid field name: {field}")
        if field not in known:
            raise _refused("400005", f"unknown field: {field}")
    if len(set(fields)) != len(fields):
        raise _refused("400000", "each field may be asked for once")


def _check_splits(fields: tuple[str, ...]) -> None:
    splits = {field: SPLIT_FIELDS[field] for field in fields if field in SPLIT_FIELDS}
    for field, split in splits.items():
        for other in fields:
            if splits.get(other, split) != split or other in _EXCLUDED[split]:
                raise _excluded(field, other)


def _check_products(
    fields: tuple[str, ...], products: tuple[AdProduct, ...], config: SandboxConfig
) -> None:
    if len(products) > 1 and config.refuse_mixed_products:
        raise _companionless("adProduct.value", "a filter on one ad product")
    for product in products:
        for field in fields:
            if field in _NOT_OFFERED[product]:
                raise _excluded(field, product)
        if "hour.value" in fields and product != "SPONSORED_PRODUCTS":
            finer = [field for field in fields if field in _FINER_THAN_CAMPAIGN]
            if finer or not config.hourly_brands_and_display:
                raise _excluded("hour.value", product)


def _check_purchased(fields: tuple[str, ...], products: tuple[AdProduct, ...]) -> None:
    """Check the key of purchased products: each ad product has exactly its own."""
    if len(products) != 1:
        raise _companionless("convertedProduct.id", "a filter on one ad product")
    key = _PURCHASED_KEYS[products[0]] | {"convertedProduct.id"}
    for field in _PURCHASED_KEYS["SPONSORED_PRODUCTS"] - key:
        if field in fields:
            raise _excluded("convertedProduct.id", field)
    for field in sorted(key - set(fields)):
        raise _companionless("convertedProductMarketplace.value", field)


_NEEDED = (
    (TIME_FIELDS, "a time dimension"),
    (_LEVEL_OF_DETAIL_FIELDS, "a level-of-detail dimension"),
    (METRICS, "a metric"),
)


def _companionless(field: str, companion: str) -> RequestError:
    return _refused(
        "400006", f"field {field} cannot be used without also including fields: ({companion})"
    )


def _excluded(first: str, second: str) -> RequestError:
    return _refused("400004", f"fields {first} and {second} cannot be used together")


def _refused(code: str, text: str) -> RequestError:
    return RequestError(code, f"{code}: {text}", _LOCATION)
