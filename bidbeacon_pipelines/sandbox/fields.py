"""The fields a report can be asked for, which need a companion, and which exclude each other."""

from typing import Any


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


METRICS = (
    "metric.impressions",
    "metric.clicks",
    "metric.purchases",
    "metric.sales",
    "metric.totalCost",
    "metric.unitsSold",
)
AD_FIELDS = (
    "budgetCurrency.value",
    "adProduct.value",
    "advertiserAccount.id",
    "campaign.id",
    "campaign.name",
    "campaign.country",
    "adGroup.id",
    "adGroup.name",
    "ad.id",
    "advertisedProduct.id",
    "advertisedProduct.marketplace",
    "campaignCountry.value",
    "advertisedProductMarketplace.value",
)
OLD_NAMES = frozenset(("campaign.country", "advertisedProduct.marketplace"))
NEW_NAMES = frozenset(("campaignCountry.value", "advertisedProductMarketplace.value"))
"""Names of the same fields in two versions of the API; a server knows one or the other."""
ID_FIELDS = ("campaign.id", "adGroup.id", "ad.id")
TIME_FIELDS = ("date.value", "hour.value")
LEVEL_OF_DETAIL_FIELDS = (*ID_FIELDS, "advertisedProduct.id", "target.value", "searchTerm.value")
TARGET_FIELDS = ("target.value", "target.matchType")
TERM_FIELDS = ("searchTerm.value", "matchedTarget.value")
KNOWN_FIELDS = frozenset((*TIME_FIELDS, *METRICS, *AD_FIELDS, *TARGET_FIELDS, *TERM_FIELDS))

COMPANIONS = (
    ("hour.value", "date.value"),
    ("campaign.name", "campaign.id"),
    ("campaign.country", "campaign.id"),
    ("adGroup.name", "adGroup.id"),
    ("advertisedProduct.marketplace", "advertisedProduct.id"),
    ("campaignCountry.value", "campaign.id"),
    ("advertisedProductMarketplace.value", "advertisedProduct.id"),
    ("target.matchType", "target.value"),
    ("metric.sales", "budgetCurrency.value"),
    ("metric.totalCost", "budgetCurrency.value"),
)
"""Each field and the one without which it may not be asked for."""
EXCLUSIONS = (
    ("searchTerm.value", "hour.value"),
    ("searchTerm.value", "advertisedProduct.id"),
    ("searchTerm.value", "matchedTarget.value"),
)
_LOCATION = "reports[0].query.fields"


def check_fields(fields: tuple[str, ...], *, renamed: bool = False) -> None:
    """Check a report's fields as Amazon does, whose newer API has renamed some.

    Raises:
        RequestError: 400013 for a name without a dot, 400005 for an unknown field, 400006 for a missing companion,
            400004 for fields that exclude each other, 400000 for a field twice, and for a query without a time
            dimension, a level-of-detail key or a metric.
    """
    _check_names(fields, KNOWN_FIELDS - (OLD_NAMES if renamed else NEW_NAMES))
    for field, companion in COMPANIONS:
        if field in fields and companion not in fields:
            text = f"field {field} cannot be used without also including fields: ({companion})"
            raise _refused("400006", text)
    for one, other in EXCLUSIONS:
        if one in fields and other in fields:
            raise _refused("400004", f"fields {one} and {other} cannot be used together")
    for needed, kind in _NEEDED:
        if not set(fields) & set(needed):
            raise _refused("400000", f"a report needs {kind}")


def _check_names(fields: tuple[str, ...], known: frozenset[str]) -> None:
    for field in fields:
        if "." not in field:
            raise _refused("400013", f"invalid field name: {field}")
        if field not in known:
            raise _refused("400005", f"unknown field: {field}")
    if len(set(fields)) != len(fields):
        raise _refused("400000", "each field may be asked for once")


_NEEDED = (
    (TIME_FIELDS, "a time dimension"),
    (LEVEL_OF_DETAIL_FIELDS, "a level-of-detail dimension"),
    (METRICS, "a metric"),
)


def _refused(code: str, text: str) -> RequestError:
    return RequestError(code, f"{code}: {text}", _LOCATION)
