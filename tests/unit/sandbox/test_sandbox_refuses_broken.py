"""What Amazon's OpenAPI documents don't allow is refused, not ignored; what they allow is taken."""

from datetime import date
from typing import Any

import pytest

from tests.unit.sandbox.conftest import SPONSORED_PRODUCTS, Caller, report_body

_PORTFOLIOS = "application/vnd.spPortfolio.v3+json"
FIELDS = ["date.value", "campaign.id", "metric.clicks"]
DAY = date(2026, 1, 10)


def portfolios(caller: Caller, body: Any) -> Any:
    """Ask for the portfolios of the first account."""
    headers = {"Content-Type": _PORTFOLIOS, "Accept": _PORTFOLIOS}
    return caller.export("campaigns", "POST", "/portfolios/list", body=body, headers=headers)


def period(start: str, end: str) -> dict[str, Any]:
    """Return the period of a report."""
    return {"datePeriod": {"startDate": start, "endDate": end}}


def asked(caller: Caller, **changes: Any) -> dict[str, Any]:
    """Return the body of a create with other values in its report."""
    body = report_body(caller.account().account_id, FIELDS, DAY, DAY)
    body["reports"][0] |= changes
    return body


BROKEN: dict[str, list[Any]] = {
    "accounts": [
        {"maxResults": 9},
        {"maxResults": True},
        {"isGlobalAccountFilter": [True]},
        {"isGlobalAccountFilter": {"include": []}},
        {"isGlobalAccountFilter": {}},
        {"advertiserAccountIdFilter": {"include": [1]}},
        {"nextToken": f"from-{'9' * 5_000}"},
        {"nextToken": 5},
        {"advertiserAccountIdFilters": {"include": ["amzn1.ads-account.g.unknown"]}},
        {"isGlobalAccountFilter": {"include": [True], "exclude": [False]}},
        "null",
    ],
    "portfolios": [
        {"nameFilter": "q4"},
        {"nameFilter": {"include": []}},
        {"stateFilter": {"include": ["PAUSED"]}},
        {"includeExtendedDataFields": "yes"},
        {"portfolioIdFilter": None},
        {"portfolioIdFilters": {"include": ["1"]}},
        {"nameFilter": {"includes": ["q4"]}},
    ],
    "targets": [
        {"adProductFilter": ["SPONSORED_PRODUCTS"] * 4},
        {"stateFilter": ["ENABLED"] * 4},
        {"negativeFilter": [True] * 3},
        {"targetLevelFilter": ["CAMPAIGN"] * 3},
        {"targetTypeFilter": ["KEYWORD"] * 9},
    ],
}
"""Bodies by what is asked for with them.

Lists of accounts and portfolios: a page of less than ten, a filter that includes nothing, a token
that is no text, a misspelt name. Exports of targets: more values than there are.
"""


@pytest.mark.parametrize(
    ("what", "body"),
    [(what, body) for what, bodies in BROKEN.items() for body in bodies],
    ids=lambda value: str(value)[:40],
)
def test_broken_body_is_refused(caller: Caller, what: str, body: Any) -> None:
    """Otherwise a filter would be ignored, and everything listed."""
    if what == "accounts":
        answer = caller.post("/na/adsApi/v1/query/advertiserAccounts", body)
    elif what == "portfolios":
        answer = portfolios(caller, body)
    else:
        answer = caller.export("targets", "POST", "/targets/export", body=body)
    assert 400 == answer.status_code


def test_accounts_are_found_by_id(caller: Caller) -> None:
    """And none that the filter does not name."""
    ids = [caller.account().account_id, "amzn1.ads-account.g.unknown"]
    body = {"advertiserAccountIdFilter": {"include": ids}}
    answer = caller.post("/na/adsApi/v1/query/advertiserAccounts", body).json()
    assert ids[:1] == [one["advertiserAccountId"] for one in answer["advertiserAccounts"]]


@pytest.mark.parametrize(
    ("query", "status", "count"),
    [
        ("apiProgram=report&validPaymentMethodFilter=true&profileTypeFilter=seller", 200, 3),
        ("profileTypeFilter=vendor", 200, 0),
        ("validPaymentMethodFilter=false", 200, 0),
        ("apiProgram=reports", 400, 0),
        ("profileTypeFilter=", 400, 0),
        ("accessLevel=all&accessLevel=view", 400, 0),
    ],
)
def test_profiles_are_filtered(caller: Caller, query: str, status: int, count: int) -> None:
    """By known words only."""
    answer = caller.http.get(f"{caller.url}/na/v2/profiles?{query}", headers=caller.headers)
    assert status == answer.status_code
    if status == 200:
        assert count == len([one for one in answer.json() if one["countryCode"] in {"US", "CA"}])


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"nameFilter": {"include": ["q4"]}}, 1),
        ({"nameFilter": {"include": ["q4"], "queryTermMatchType": "EXACT_MATCH"}}, 0),
        ({"portfolioIdFilter": {"include": ["1"]}}, 0),
        ({"portfolioIdFilter": {}}, 4),
        ({"nextToken": "from-2"}, 2),
    ],
    ids=str,
)
def test_portfolios_are_filtered(caller: Caller, body: Any, count: int) -> None:
    """By id and name; a token is no filter."""
    assert count == len(portfolios(caller, body).json()["portfolios"])


def test_portfolios_are_filtered_by_state(caller: Caller) -> None:
    """There is one state to filter by."""
    body = {"stateFilter": {"include": ["ENABLED"]}, "includeExtendedDataFields": True}
    assert {"ENABLED"} == {one["state"] for one in portfolios(caller, body).json()["portfolios"]}


def test_list_needs_neither_body_nor_content_type(caller: Caller) -> None:
    """Its body is optional."""
    scope = {"Amazon-Advertising-API-Scope": caller.profile}
    headers = caller.headers | scope | {"Accept": _PORTFOLIOS}
    assert 200 == caller.http.post(f"{caller.url}/na/portfolios/list", headers=headers).status_code


def test_export_needs_a_body(caller: Caller) -> None:
    """An empty one is not `{}`."""
    headers = dict.fromkeys(("Content-Type", "Accept"), "application/vnd.adsexport.v1+json")
    headers["Amazon-Advertising-API-Scope"] = caller.profile
    assert 400 == caller.post("/na/ads/export", **headers).status_code


BOTH = {"and": {"filters": [SPONSORED_PRODUCTS]}, "or": {}}


@pytest.mark.parametrize(
    ("changes", "access", "reason"),
    [
        ({"periods": [period("20260110", "2026-01-10")]}, {}, ""),
        ({"periods": [period("2026-01-10", "2026-W02-6")]}, {}, ""),
        ({"currencyOfView": "dollars"}, {}, "currencyOfView "),
        ({"currencyOfView": ["USD"]}, {}, "currencyOfView "),
        ({"currencyOfView": "XXX"}, {}, "currencyOfView must be one of "),
        ({"query": {"fields": FIELDS, "filter": None}}, {}, "filter is null"),
        ({"query": {"fields": FIELDS, "filter": BOTH}}, {}, ""),
        ({}, {"managerAccountId": "amzn1.manager"}, "managerAccountId "),
        ({}, {"managerAccountId": "1", "advertiserAccountId": []}, "expected one account"),
    ],
    ids=str,
)
def test_broken_report_is_refused(
    caller: Caller, changes: Any, access: dict[str, Any], reason: str
) -> None:
    """Dates with dashes, a currency's code, a filter of one shape, and an advertiser or a manager, not both."""
    body = asked(caller, **changes)
    body["accessRequestedAccounts"][0] |= access
    answer = caller.create(body=body)
    assert 400 == answer.status_code
    assert answer.json()["message"].startswith(f"400000: {reason}")


def test_report_with_a_currency_is_accepted(caller: Caller) -> None:
    """The currency of its view."""
    assert 207 == caller.create(body=asked(caller, currencyOfView="USD")).status_code
