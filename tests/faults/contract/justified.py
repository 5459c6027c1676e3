"""Where the sandbox decides otherwise than Amazon's documents, and why.

The documents know no ids, and no rules between fields; docs/explanation/testing.md does. A few
things are refused since the sandbox does not play them.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from schemathesis import Case
from schemathesis.core import NotSet

from bidbeacon_sandbox.accounts import MARKETS
from bidbeacon_sandbox.fields import ALL_METRICS, DATASETS, KNOWN_FIELDS, NEW_NAMES, TIME_FIELDS
from bidbeacon_sandbox.report_request import LONGEST_DAYS
from tests.contract.catalogue import Catalogue
from tests.faults.contract.described_call import DescribedCall
from tests.faults.contract.real_values import OLDEST, TODAY, Known

Reasons = Iterator[tuple[str, str]]
_FILTER_FIELDS = {"adProduct.value", "campaign.id", "campaign.country", "campaignCountry.value"}
_FILTER_PRODUCTS = {
    *("SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"),
    *("SPONSORED_TELEVISION", "AMAZON_DSP"),
}
_CURRENCIES = {market.currency for market in MARKETS.values()}
_CONDITION = ("field", "comparisonOperator", "not", "values")
_PLAYED = KNOWN_FIELDS | set(NEW_NAMES.values())
_NEEDED = ALL_METRICS, {*TIME_FIELDS}, {"campaign.id"}
_BY_PRODUCT = {
    *("hour.value", "searchTerm.value", "advertisedProduct.id", "placementClassification.value"),
    *("convertedProduct.id", "convertedProductMarketplace.value"),
}
"""Fields that not every ad product has."""


def justified_refusals(call: DescribedCall, case: Case[Any], known: Known) -> dict[str, str]:
    """Return the codes or statuses that a conforming request may be refused with, and why."""
    return dict(_REASONS[call.name](call, case, known))


def is_accepted_anyway(call: DescribedCall, case: Case[Any]) -> bool:
    """Return whether a request that does not conform may be accepted: a whole number as `100.0`."""
    match case.body:
        case {"maxResults": float(size), **others} if size % 1 == 0:
            return call.allows_body(others | {"maxResults": int(size)})
    return False


def _of_page(call: DescribedCall, case: Case[Any], known: Known) -> Reasons:
    body = _body(case)
    if body.get("nextToken", "from-0") != "from-0":
        yield "400", "a token that no answer carried"
    if body.get("maxResults", 1) % 1:
        yield "400", "a page of half an account"


def _of_query(call: DescribedCall, case: Case[Any], known: Known) -> Reasons:
    yield from _of_page(call, case, known)
    if call.unknown_names(case.body):
        yield "400", "a name that the document doesn't know may be a misspelt filter"


def _of_profiles(call: DescribedCall, case: Case[Any], known: Known) -> Reasons:
    yield from ()


def _of_export(call: DescribedCall, case: Case[Any], known: Known) -> Reasons:
    if call.unknown_names(case.body):
        yield "400", "a filter that the document doesn't know may be misspelt"


def _of_get_export(call: DescribedCall, case: Case[Any], known: Known) -> Reasons:
    if case.path_parameters["exportId"] != known.export_id:
        yield "404", "an unknown export"


def _of_report_id(call: DescribedCall, case: Case[Any], known: Known) -> Reasons:
    match _body(case):
        case {"reportIds": [report_id]}:
            if known.state.reports.find(report_id) is None:
                yield "NOT_FOUND", "an unknown report"
        case _:
            yield "400000", "exactly one report id is required, though the document doesn't say so"


def _of_create(call: DescribedCall, case: Case[Any], known: Known) -> Reasons:
    match _body(case):
        case {
            "accessRequestedAccounts": [{"advertiserAccountId": str(account), **others}],
            "reports": [report],
        }:
            yield from _of_report(report, known)
            if "managerAccountId" in others:
                yield "400000", "managers are not played"
            if known.state.world.accounts.find(account) is None:
                yield "403", "an unknown ads account"
        case _:
            yield "400000", "one advertiser account and one report; others are not played"


def _of_report(report: Mapping[str, Any], known: Known) -> Reasons:
    fields, row_filter = report["query"]["fields"], report["query"].get("filter")
    if not report["format"].endswith("GZIP_JSON"):
        yield "400000", "CSV is not played"
    if report.get("currencyOfView", "USD") not in _CURRENCIES:
        yield "400000", "currencies of no marketplace are not played"
    yield from _of_filter(row_filter)
    if not _is_of_contract(fields, row_filter):
        yield from _of_fields(fields, known.catalogue)
    [period] = report["periods"]
    yield from _of_period(fields, period["datePeriod"])


def _of_filter(row_filter: Mapping[str, Any] | None) -> Reasons:
    if any(len(part) > 1 for part in _parts(row_filter or {})):
        yield "400000", "a name beside `on` or `and`, such as `or`, may be misspelt"
    for one in _conditions(row_filter or {}):
        if len(one) > len(_CONDITION):
            yield "400000", "an unknown name in a condition"
        if one["field"] not in _FILTER_FIELDS:
            yield "400005", "few fields can be filtered by"
        if one["comparisonOperator"] == "EQUALS" and len(one["values"]) > 1:
            yield "400000", "EQUALS takes one value"
        if one["field"] == "adProduct.value" and not set(one["values"]) <= _FILTER_PRODUCTS:
            yield "400000", "an unknown ad product"


def _of_fields(fields: list[str], catalogue: Catalogue) -> Reasons:
    """Return what Amazon's catalogue or the contract has against fields that are no report of ours."""
    unknown = [field for field in fields if field not in catalogue.fields]
    if any("." not in field for field in fields):
        yield "400013", "a name without a dot"
    if unknown or not set(fields) <= _PLAYED:
        yield "400005", "a field that the catalogue doesn't have, or that is not played"
    if any(kind.isdisjoint(fields) for kind in _NEEDED):
        yield "400000", "a report needs a time dimension, a level of detail and a metric"
    if unknown:
        return
    lacking = (catalogue.companions(field) - {*fields} for field in fields)
    if any(lacking) or "convertedProduct.id" in fields:
        yield "400006", "a companion is missing"
    clashing = (catalogue.excluded(field) & {*fields} for field in fields)
    if any(clashing) or _BY_PRODUCT & {*fields}:
        yield "400004", "fields exclude each other, or an ad product of the filter lacks one"


def _of_period(fields: list[str], period: Mapping[str, str]) -> Reasons:
    start, end = (date.fromisoformat(period[name]) for name in ("startDate", "endDate"))
    is_hourly = "hour.value" in fields
    if not 0 <= (end - start).days < LONGEST_DAYS["hourly" if is_hourly else "daily"]:
        yield "400000", "a period that ends before it starts, or is too long"
    if start < (TODAY - timedelta(days=14) if is_hourly else OLDEST):
        yield "400000", "a period that begins before Amazon's history"


def _parts(row_filter: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a filter and all that are nested in it."""
    yield row_filter
    for one in row_filter.get("and", {}).get("filters", ()):
        yield from _parts(one)


def _conditions(row_filter: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (part["on"] for part in _parts(row_filter) if "on" in part)


def _is_of_contract(fields: list[str], row_filter: Any) -> bool:
    """Return whether a query is a report of the contract, filtered by one of its ad products."""
    match row_filter:
        case {"on": {"field": "adProduct.value", "values": [product], "not": False}}:
            of_product = (one for one in DATASETS.values() if product in one.products)
            return any(set(fields) == one.fields for one in of_product)
    return False


def _body(case: Case[Any]) -> Any:
    return {} if isinstance(case.body, NotSet) else case.body


_REASONS: Mapping[str, Callable[[DescribedCall, Case[Any], Known], Reasons]] = {
    "list_accounts": _of_page,
    "list_profiles": _of_profiles,
    "query_accounts": _of_query,
    "create_report": _of_create,
    "retrieve_report": _of_report_id,
    "delete_report": _of_report_id,
    "list_portfolios": _of_query,
    "export_campaigns": _of_export,
    "export_ad_groups": _of_export,
    "export_ads": _of_export,
    "export_targets": _of_export,
    "get_export": _of_get_export,
}
