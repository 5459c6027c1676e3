"""The true rows of an account's day, without the effects of rules, to compare tables with."""

import json
from datetime import date, datetime
from typing import Any, Literal

from bidbeacon_sandbox.entities import Catalog
from bidbeacon_sandbox.fields import METRICS, is_money
from bidbeacon_sandbox.rows import RowWriter
from bidbeacon_sandbox.traffic import age_of

Grain = Literal[
    "campaign",
    "placement",
    "target",
    "product",
    "search_term",
    "matched_target",
    "purchased_product",
]
_PRODUCT = (
    "campaign.id",
    "adGroup.id",
    "ad.id",
    "advertisedProduct.id",
    "advertisedProduct.sku",
    "advertisedProduct.marketplace",
)
_TARGET = (*_PRODUCT, "target.id", "target.value", "target.matchType")
FIELDS: dict[Grain, tuple[str, ...]] = {
    "campaign": ("campaign.id",),
    "placement": ("campaign.id", "placementClassification.value"),
    "target": _TARGET,
    "product": _PRODUCT,
    "search_term": (*_TARGET, "searchTerm.value"),
    "matched_target": (*_TARGET, "matchedTarget.value"),
    "purchased_product": (
        *_TARGET,
        "convertedProduct.id",
        "convertedProductMarketplace.value",
    ),
}
"""The fields that identify the rows of each grain."""
NAMES = {
    "campaign.id": "campaignId",
    "adGroup.id": "adGroupId",
    "ad.id": "adId",
    "advertisedProduct.id": "advertisedProductId",
    "advertisedProduct.sku": "advertisedProductSku",
    "advertisedProduct.marketplace": "advertisedProductMarketplace",
    "target.id": "targetId",
    "target.value": "targetValue",
    "target.matchType": "targetMatchType",
    "searchTerm.value": "searchTerm",
    "matchedTarget.value": "matchedTarget",
    "placementClassification.value": "placement",
    "convertedProduct.id": "convertedProductId",
    "convertedProductMarketplace.value": "convertedProductMarketplace",
    "hour.value": "hour",
} | {metric: metric.removeprefix("metric.") for metric in METRICS}
"""The names that fields of reports have in true rows."""
UNRESOLVABLE = frozenset({None, "THEME"})
"""Match types for which a row does not identify its target."""


def day_truth(
    catalog: Catalog, day: date, now: datetime, *, grain: Grain = "target", hourly: bool = False
) -> list[dict[str, Any]]:
    """Return the true rows of an account-local day as JSON data, amounts as decimal texts.

    `targetId` is the true target; `unresolvable` marks a row that does not identify it. A metric
    is None where the ad product doesn't have it.
    """
    fields = {*FIELDS[grain], *METRICS, "hour.value" if hourly else "date.value"}
    writer = RowWriter(catalog, fields, varies=False)
    texts = writer.rows([(day, age_of(catalog, day, now))], (day, day))
    return [_row(json.loads(text, parse_float=str)) for text in texts]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = dict.fromkeys(NAMES.values())
    for field, value in row.items():
        is_amount = is_money(field) and value is not None
        named[NAMES.get(field, field)] = str(value) if is_amount else value
    return named | {"unresolvable": named["targetMatchType"] in UNRESOLVABLE}
