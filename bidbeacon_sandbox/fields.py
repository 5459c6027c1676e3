"""The kinds of reports in `datasets.json` (the contract), and checks of report fields."""

import json
from collections.abc import Collection, Iterator
from importlib.resources import files
from typing import NamedTuple

from bidbeacon_sandbox.entities import AD_PRODUCTS, AD_VALUES, AdProduct
from bidbeacon_sandbox.traffic import Split

_SAME_IN_ALL = {"date.value", "adProduct.value", "budgetCurrency.value", "advertiserAccount.id"}
_SAME_IN_ALL |= {"campaign.country", "campaignCountry.value"}


class Dataset(NamedTuple):
    """One kind of report in `datasets.json`, recognized by the dimensions in `keys`."""

    products: tuple[str, ...]
    keys: frozenset[str]
    fields: frozenset[str]


_CONTRACT = json.loads((files("bidbeacon_sandbox") / "datasets.json").read_text(encoding="utf-8"))
DATASETS: dict[str, Dataset] = {
    one["name"]: Dataset(
        tuple(one["adProducts"]),
        frozenset(one["keyDimensions"]) - _SAME_IN_ALL,
        frozenset((*one["fields"], *one.get("optionalMetrics", ()))),
    )
    for one in _CONTRACT["datasets"]
}
NEW_NAMES: dict[str, str] = {
    old: new[0].split()[0]
    for old, new in _CONTRACT["fieldVariants"].items()
    if "." in new[0].split()[0] and "[?]" not in new[0]
}
"""Newer names of fields, by the older names; a server accepts only one of the two."""
_KEYS = frozenset[str]().union(*(one.keys for one in DATASETS.values()))


def datasets_of(fields: Collection[str], products: Collection[str]) -> tuple[str, ...]:
    """Return the names of datasets in `datasets.json` that match these fields and products."""
    old_names = {new: old for old, new in NEW_NAMES.items()}
    keys = {old_names.get(field, field) for field in fields} & _KEYS
    return tuple(
        name
        for name, one in DATASETS.items()
        if one.keys == keys
        and _has_shares(one.fields) == _has_shares(fields)
        and not set(one.products).isdisjoint(products)
    )


def _has_shares(fields: Collection[str]) -> bool:
    return any("mpressionShare" in field for field in fields)


def metrics_of(product: str) -> frozenset[str]:
    """Return all metrics that the reports of an ad product have."""
    fields = [one.fields for one in DATASETS.values() if product in one.products]
    return frozenset(field for of_one in fields for field in of_one if field.startswith("metric."))


class RequestError(Exception):
    """A v1 report request is refused; `code` is Amazon's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


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
"""The metrics that are made from random numbers; all others are derived from these."""
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
"""The fields that split a day into more rows, with the dimension of each split."""
KNOWN_FIELDS = frozenset((*TIME_FIELDS, *METRICS, *RATES, *SHARES, *AD_VALUES)).union(
    TARGET_FIELDS, SPLIT_FIELDS, *(one.fields for one in DATASETS.values())
)
ALL_METRICS = frozenset(field for field in KNOWN_FIELDS if field.startswith("metric."))
_VIDEO = frozenset(metric for metric in ALL_METRICS if metric.endswith("VideoAd"))
_OF_AD_PRODUCT = {product: metrics_of(product) for product in AD_PRODUCTS}
_NEEDED = {
    "a time dimension": frozenset(TIME_FIELDS),
    "a level-of-detail dimension": frozenset(
        (*ID_FIELDS, "advertisedProduct.id", "target.value", *SPLIT_FIELDS)
    ),
    "a metric": ALL_METRICS,
}
_COMPANIONS = {
    "campaign": ("campaign.id",),
    "campaign.budgetAmount": ("budgetCurrency.value",),
    "adGroup.": ("adGroup.id",),
    "advertisedProduct": ("advertisedProduct.id",),
    "target.": ("target.value",),
    "portfolio.": ("portfolio.portfolioId",),
    "convertedProduct.id": ("convertedProductMarketplace.value",),
    SHARES[0]: ("adProduct.value", "advertiserAccount.id"),
    SHARES[1]: ("adProduct.value", "advertiserAccount.id", "searchTerm.value"),
}
"""Fields that a report must also request, by the prefix of the fields that need them."""
_FINER_THAN_CAMPAIGN = ("adGroup.id", "ad.id", "target.value", "advertisedProduct.id")
_NOT_OF_CAMPAIGN_SHARES = (*_FINER_THAN_CAMPAIGN, "hour.value", "portfolio.portfolioId")
_NOT_OF_TERM_SHARES = (
    *_NOT_OF_CAMPAIGN_SHARES,
    *("campaign.id", "matchedTarget.value", "placementClassification.value", "placement.value"),
)
_NOT_OF_PURCHASED = (
    *METRICS[:4],
    *_VIDEO,
    *RATES,
    *SHARES,
    "metric.brandStorePageViews",
    "metric.kindleEditionNormalizedPagesRead",
    "metric.estimatedKindleEditionNormalizedRoyalties",
    "metric.newToBrandSalesFromClicks",
    "metric.newToBrandUnitsSoldFromClicks",
)
_EXCLUDED: dict[str, Collection[str]] = {
    "convertedProductMarketplace.value": _NOT_OF_PURCHASED,
    SHARES[0]: (*_NOT_OF_CAMPAIGN_SHARES, *SPLIT_FIELDS),
    SHARES[1]: _NOT_OF_TERM_SHARES,
    SHARES[2]: _NOT_OF_TERM_SHARES,
}
"""For each field, the fields that the contract forbids in the same report."""
_OF_SOME_PRODUCTS = ("advertisedProduct.id", "searchTerm.value", "placementClassification.value")
_PURCHASED = {
    one.products[0]: one.keys - {"campaign.id", "convertedProductMarketplace.value"}
    for one in DATASETS.values()
    if "convertedProduct.id" in one.keys
}
"""Key fields of purchased-product reports by ad product, besides campaign and marketplace."""


def is_money(metric: str) -> bool:
    """Return whether a metric is an amount in the row's currency."""
    return metric in {"metric.totalCost", "metric.cpc"} or any(
        word in metric for word in ("sales", "Sales", "Royalties")
    )


def applies(metric: str, product: AdProduct) -> bool:
    """Return whether an ad product has a metric; if not, the metric is null in its rows."""
    if metric == "metric.viewableImpressions" or metric.startswith("metric.newToBrand"):
        return product != "SPONSORED_PRODUCTS"
    if metric in METRICS:
        return product == "SPONSORED_PRODUCTS" or not metric.endswith(("Promoted", "Halo"))
    return metric in RATES or metric in SHARES or metric in _OF_AD_PRODUCT[product]


def has_hours(fields: Collection[str], product: AdProduct) -> bool:
    """Return False if the fields require hourly reports that the ad product does not have.

    Only Sponsored Products has hourly reports on a finer level than campaigns. Without
    `hour.value` in the fields, the result is always True.
    """
    is_finer = not set(_FINER_THAN_CAMPAIGN).isdisjoint(fields)
    return "hour.value" not in fields or product == "SPONSORED_PRODUCTS" or not is_finer


def check_fields(
    fields: tuple[str, ...], products: tuple[AdProduct, ...], *, has_new_names: bool
) -> None:
    """Check a report's fields as Amazon does; raise `RequestError` if they are invalid.

    Args:
        fields: The requested fields.
        products: The ad products that the request's filter contains.
        has_new_names: Whether only the newer names of fields are valid, not the older names.
    """
    unknown = frozenset(NEW_NAMES if has_new_names else NEW_NAMES.values())
    _check_names(fields, KNOWN_FIELDS.union(NEW_NAMES.values()) - unknown)
    _check_pairs(fields)
    for kind, some in _NEEDED.items():
        if some.isdisjoint(fields):
            raise RequestError("400000", f"400000: a report needs {kind}")
    for product in products:
        _check_product(fields, product)
    if "convertedProductMarketplace.value" in fields:
        _check_purchased(fields, products)


def _check_names(fields: tuple[str, ...], known: frozenset[str]) -> None:
    for field in fields:
        if "." not in field:
            raise RequestError("400013", f"400013: invalid field name: {field}")
        if field not in known:
            raise unknown_field(field)


def _check_pairs(fields: tuple[str, ...]) -> None:
    for field, companion in _companions(fields):
        if companion not in fields:
            raise companionless(field, companion)
    for field in fields:
        for other in _EXCLUDED.get(field, ()):
            if other in fields:
                raise excluded(field, other)


def _companions(fields: Collection[str]) -> Iterator[tuple[str, str]]:
    for field in fields:
        for beginning, companions in _COMPANIONS.items():
            if field.startswith(beginning):
                yield from ((field, companion) for companion in companions if companion != field)
        if is_money(field):
            yield field, "budgetCurrency.value"


def _check_product(fields: tuple[str, ...], product: AdProduct) -> None:
    for field in fields:
        of_product = (one.keys for one in DATASETS.values() if product in one.products)
        if field in _OF_SOME_PRODUCTS and not any(field in keys for keys in of_product):
            raise excluded(field, product)
    if not has_hours(fields, product):
        raise excluded("hour.value", product)


def _check_purchased(fields: tuple[str, ...], products: tuple[AdProduct, ...]) -> None:
    if len(products) != 1:
        raise companionless("convertedProduct.id", "a filter on one ad product")
    key = _PURCHASED[products[0]]
    for field in sorted(_PURCHASED["SPONSORED_PRODUCTS"] - key):
        if field in fields:
            raise excluded("convertedProduct.id", field)
    for field in sorted(key - set(fields)):
        raise companionless("convertedProductMarketplace.value", field)


def companionless(field: str, companion: str) -> RequestError:
    """Return the error for a field that requires another field."""
    text = f"field {field} cannot be used without also including fields: ({companion})"
    return RequestError("400006", f"400006: {text}")


def excluded(first: str, *others: str) -> RequestError:
    """Return the error for fields that can't be used together."""
    text = f"field {first} cannot be used along with fields: ({', '.join(others)})"
    return RequestError("400004", f"400004: {text}")


def unknown_field(field: str) -> RequestError:
    """Return the error for an unknown field."""
    return RequestError("400005", f"400005: unknown field: {field}")
