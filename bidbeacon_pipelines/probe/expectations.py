"""The contract with Amazon as `bidbeacon probe` checks it: what each call answers, what a report has, what is refused.

Datasets come from the registry; everything else is stated here and in `shapes`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, Rejected, TooOld, UnknownField
from bidbeacon_pipelines.amazon_ads.exports import ExportKind
from bidbeacon_pipelines.amazon_ads.reports import Period, ad_product_filter
from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS, SHORT_NAMES
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, DATASETS, Dataset
from bidbeacon_pipelines.probe import shapes
from bidbeacon_pipelines.probe.shapes import Shape
from bidbeacon_pipelines.recordings import Exchange

FIELD_VARIANTS: Mapping[str, str] = {
    field: other for dataset in ALL_DATASETS for field, other in dataset.other_names.items()
}
"""Fields that have another name in another version of the API."""
_FIELD = re.compile(r"[a-z]\w*\.[a-z]\w*")


def find_variants(refusal: str) -> dict[str, str]:
    """Return the other names of the fields that a refusal as unknown names; of all of them where it names no field."""
    named = {ours: other for ours, other in FIELD_VARIANTS.items() if ours in refusal}
    return named if _FIELD.search(refusal) else dict(FIELD_VARIANTS)


EXPORT_KINDS: tuple[ExportKind, ...] = ("campaigns", "adGroups", "ads", "targets")
LONGEST_ANSWER_SECONDS = 30.0
LONGEST_REPORT = timedelta(minutes=20)
REQUEST_ID_HEADERS = ("x-amz-rid", "x-amzn-requestid", "x-amz-request-id")
CREATE_PATH = "/adsApi/v1/create/reports"
RETRIEVE_PATH = "/adsApi/v1/retrieve/reports"
QUERY_PATH = "/adsApi/v1/query/advertiserAccounts"
TOKEN_PATH = "/auth/o2/token"  # noqa: S105 - a path


@dataclass(frozen=True)
class Call:
    """One kind of call and what it answers; `request` is a pattern of its method and its path without the region."""

    name: str
    request: str
    status: int
    shape: Shape

    def covers(self, exchange: Exchange) -> bool:
        """Return whether an exchange is of this kind."""
        return re.fullmatch(self.request, f"{exchange.method} {exchange.endpoint}") is not None


CALLS = (
    Call("token", f"POST {TOKEN_PATH}", 200, shapes.TOKEN),
    Call("accounts", "POST /adsAccounts/list", 200, shapes.ACCOUNTS),
    Call("profiles", "GET /v2/profiles", 200, shapes.PROFILES),
    Call("newer accounts", f"POST {QUERY_PATH}", 200, shapes.ADVERTISER_ACCOUNTS),
    Call("create report", f"POST {CREATE_PATH}", 207, shapes.REPORT_ANSWER),
    Call("retrieve report", f"POST {RETRIEVE_PATH}", 207, shapes.REPORT_ANSWER),
    Call("create export", r"POST /\w+/export", 202, shapes.EXPORT),
    Call("get export", "GET /exports/.+", 200, shapes.EXPORT),
)


@dataclass(frozen=True)
class RequestedReport:
    """A report to ask for."""

    fields: tuple[str, ...]
    row_filter: Mapping[str, Any]
    period: Period

    def with_names(self, names: Mapping[str, str]) -> "RequestedReport":
        """Return the same report with other names of its fields."""
        return replace(self, fields=tuple(names.get(field, field) for field in self.fields))

    def body(self, account_id: str) -> dict[str, Any]:
        """Return the body of the create call."""
        dates = {"startDate": self.period.start.isoformat(), "endDate": self.period.end.isoformat()}
        query = {"fields": list(self.fields), "filter": dict(self.row_filter)}
        report = {"format": "GZIP_JSON", "periods": [{"datePeriod": dates}], "query": query}
        return {
            "accessRequestedAccounts": [{"advertiserAccountId": account_id}],
            "reports": [report],
        }


@dataclass(frozen=True)
class ReportCheck:
    """A report that Amazon should make: of a dataset, or of several ad products at once."""

    name: str
    fields: tuple[str, ...]
    ad_products: tuple[str, ...]

    @property
    def row_shape(self) -> dict[str, Any]:
        """Return the expected shape of a row: a leaf for each field."""
        return {field: shapes.row_leaf(field) for field in self.fields}

    def asked(self, period: Period) -> RequestedReport:
        """Return the report as it is asked for."""
        return RequestedReport(self.fields, ad_product_filter(self.ad_products), period)


_COMMON = (
    *("date.value", "budgetCurrency.value", "adProduct.value", "campaign.id", "campaign.country"),
    *("metric.impressions", "metric.clicks", "metric.totalCost"),
)
MIXED = "mixed ad products"
UNION_CODES = frozenset({"400004", "400006"})
"""The codes with which Amazon refuses the fields of several ad products in one report."""


def report_checks() -> tuple[ReportCheck, ...]:
    """Return each report that the registry's datasets are asked for in, and last one of all ad products."""
    datasets = (check for dataset in DATASETS.values() for check in _checks_of(dataset))
    return (*datasets, ReportCheck(MIXED, _COMMON, AD_PRODUCTS))


def _checks_of(dataset: Dataset) -> Iterator[ReportCheck]:
    """Yield one check for each report that a dataset is asked for in; each is named, so that a difference says which one it is."""
    for report in dataset.reports:
        products = (
            [SHORT_NAMES[product] for product in report.ad_products]
            if len(dataset.reports) > 1
            else []
        )
        yield ReportCheck(" ".join([dataset.name, *products]), report.fields, report.ad_products)


@dataclass(frozen=True)
class Refusal:
    """A report that Amazon should refuse.

    Attributes:
        change: Makes the report of one that would be accepted.
        codes: The codes it may be refused with; empty for any.
        reads_as: The class of error that the client makes of the refusal.
    """

    name: str
    change: Callable[[RequestedReport], RequestedReport]
    codes: tuple[str, ...]
    reads_as: type[AdsApiError] = Rejected


def _with_fields(
    *more: str, without: Iterable[str] = ()
) -> Callable[[RequestedReport], RequestedReport]:
    return lambda asked: replace(
        asked, fields=tuple(field for field in (*asked.fields, *more) if field not in set(without))
    )


def _with_filter(row_filter: Mapping[str, Any]) -> Callable[[RequestedReport], RequestedReport]:
    return lambda asked: replace(asked, row_filter=row_filter)


def _moved(days: int, length: int = 1) -> Callable[[RequestedReport], RequestedReport]:
    def change(asked: RequestedReport) -> RequestedReport:
        start = asked.period.start - timedelta(days=days)
        return replace(asked, period=Period(start=start, end=start + timedelta(days=length - 1)))

    return change


_PRODUCT = ad_product_filter(AD_PRODUCTS[:1])
_WITHOUT_NOT = {"on": {key: value for key, value in _PRODUCT["on"].items() if key != "not"}}

REFUSALS = (
    Refusal("filter without not", _with_filter(_WITHOUT_NOT), ("400000",)),
    Refusal("filter with or", _with_filter({"or": {"filters": [_PRODUCT]}}), ("400000",)),
    Refusal(
        "filter in the spelling of rows",
        _with_filter(ad_product_filter(["Sponsored Products"])),
        ("400000",),
    ),
    Refusal("unknown field", _with_fields("metric.unheardOf"), ("400005",), UnknownField),
    Refusal("field without a dot", _with_fields("impressions"), ("400013",)),
    Refusal(
        "field without its companion", _with_fields(without=("budgetCurrency.value",)), ("400006",)
    ),
    Refusal(
        "fields that exclude each other",
        _with_fields("convertedProduct.id", "convertedProductMarketplace.value"),
        ("400004",),
    ),
    Refusal("period too long", _moved(120, length=121), ()),
    Refusal("period too old", _moved(800), (), TooOld),
)


def base_report(period: Period) -> RequestedReport:
    """Return the report that each refusal changes in one point; Amazon would accept it."""
    return RequestedReport(_COMMON, _PRODUCT, period)


_ISSUE = "Attach the recording to an issue"
_ADVICE: Mapping[str, str] = {
    "status": f"{_ISSUE}: the product may take this answer for an error.",
    "fields": "A new field is ignored; without one that is missing or renamed a row or answer can't be read. "
    f"{_ISSUE}.",
    "values": f"Rows with such values may be quarantined. {_ISSUE}.",
    "request": f"{_ISSUE}: the product would be refused in the same way.",
    "request together": "Request them apart: `bidbeacon contract set REGION DATASET grouping SP,SB,SD`.",
    "filter": f"Rows of other ad products are counted and not loaded. {_ISSUE}.",
    "names of fields": "Nothing: the other name is asked for and read as well.",
    "may be reported on": "Grant the authorizing user the right to view campaigns and to edit reports.",
    "countries": f"If the country has campaigns that deliver: {_ISSUE.lower()}, since its days would stay unconfirmed.",
    "answers": f"If it happens again: {_ISSUE.lower()}.",
    "reports": "Nothing: reports are looked at until they are complete.",
}


def advice(check: str) -> str:
    """Return what to do where a check differs."""
    return _ADVICE.get(check, f"{_ISSUE}: the product relies on it.")
