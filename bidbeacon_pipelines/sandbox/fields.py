"""The fields a report can be asked for, which need a companion, and which exclude each other."""

from bidbeacon_pipelines.sandbox.refusals import RequestError

METRICS = (
    "metric.impressions",
    "metric.clicks",
    "metric.purchases",
    "metric.sales",
    "metric.totalCost",
)
AD_FIELDS = (
    "budgetCurrency.value",
    "campaign.id",
    "campaign.name",
    "campaign.country",
    "adGroup.id",
    "adGroup.name",
    "ad.id",
    "advertisedProduct.id",
    "advertisedProduct.marketplace",
)
ID_FIELDS = ("campaign.id", "adGroup.id", "ad.id")
TARGET_FIELDS = ("target.value", "target.matchType")
TERM_FIELDS = ("searchTerm.value", "matchedTarget.value")
KNOWN_FIELDS = frozenset(("date.value", "hour.value", *METRICS, *AD_FIELDS, *TARGET_FIELDS, *TERM_FIELDS))

COMPANIONS = (
    ("hour.value", "date.value"),
    ("campaign.name", "campaign.id"),
    ("campaign.country", "campaign.id"),
    ("adGroup.name", "adGroup.id"),
    ("advertisedProduct.marketplace", "advertisedProduct.id"),
    ("target.matchType", "target.value"),
    ("metric.sales", "budgetCurrency.value"),
    ("metric.totalCost", "budgetCurrency.value"),
    *((metric, "date.value") for metric in METRICS),
)
"""Each field and the one without which it may not be asked for; the sandbox makes no report without a date."""
EXCLUSIONS = (
    ("searchTerm.value", "hour.value"),
    ("searchTerm.value", "advertisedProduct.id"),
    ("searchTerm.value", "matchedTarget.value"),
)
_LOCATION = "reports[0].query.fields"


def check_fields(fields: tuple[str, ...]) -> None:
    """Check a report's fields as Amazon does.

    Raises:
        RequestError: 400005 for an unknown field, 400006 for a missing companion, 400004 for fields that exclude
            each other, 400000 for a query without a metric or with a field twice.
    """
    for field in fields:
        if field not in KNOWN_FIELDS:
            raise RequestError("400005", f"Unknown field: {field}", _LOCATION)
    for field, companion in COMPANIONS:
        if field in fields and companion not in fields:
            raise RequestError("400006", f"Field {field} needs its companion field {companion}", _LOCATION)
    for one, other in EXCLUSIONS:
        if one in fields and other in fields:
            raise RequestError("400004", f"Fields exclude each other: {one}, {other}", _LOCATION)
    if len(set(fields)) != len(fields) or not set(fields) & set(METRICS):
        raise RequestError("400000", "Ask for each field once, and for at least one metric", _LOCATION)
