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


def asked(caller: Caller, **changes: Any) -> dict[str, Any]:
    """Return the body of a create with other values in its report."""
    body = report_body(caller.account().account_id, FIELDS, DAY, DAY)
    body["reports"][0] |= changes
    return body


@pytest.mark.parametrize(
    "body",
    [
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
        None,
    ],
    ids=lambda body: str(body)[:40],
)
def test_broken_query_for_accounts_is_refused(caller: Caller, body: Any) -> None:
    """A page of less than ten, a filter that includes nothing, a token that is no text, a misspelt name."""
    content = "null" if body is None else body
    answer = caller.post("/na/adsApi/v1/query/advertiserAccounts", content)
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
    ("body", "names"),
    [
        ({"nameFilter": {"include": ["q4"]}}, 1),
        ({"nameFilter": {"include": ["q4"], "queryTermMatchType": "EXACT_MATCH"}}, 0),
        ({"portfolioIdFilter": {"include": ["1"]}}, 0),
        ({"portfolioIdFilter": {}}, 4),
    ],
    ids=str,
)
def test_portfolios_are_filtered(caller: Caller, body: Any, names: int) -> None:
    """By id and name."""
    assert names == len(portfolios(caller, body).json()["portfolios"])


def test_portfolios_are_filtered_by_state(caller: Caller) -> None:
    """There is one state to filter by."""
    body = {"stateFilter": {"include": ["ENABLED"]}, "includeExtendedDataFields": True}
    assert {"ENABLED"} == {one["state"] for one in portfolios(caller, body).json()["portfolios"]}


@pytest.mark.parametrize(
    "body",
    [
        {"nameFilter": "q4"},
        {"nameFilter": {"include": []}},
        {"stateFilter": {"include": ["PAUSED"]}},
        {"includeExtendedDataFields": "yes"},
        {"portfolioIdFilter": None},
        {"portfolioIdFilters": {"include": ["1"]}},
        {"nameFilter": {"includes": ["q4"]}},
    ],
    ids=str,
)
def test_broken_filter_of_portfolios_is_refused(caller: Caller, body: Any) -> None:
    """Otherwise it would be ignored, and all portfolios listed."""
    assert 400 == portfolios(caller, body).status_code


def test_portfolios_come_from_a_token_on(caller: Caller) -> None:
    """A token is no filter."""
    assert 2 == len(portfolios(caller, {"nextToken": "from-2"}).json()["portfolios"])


def test_list_needs_neither_body_nor_content_type(caller: Caller) -> None:
    """Its body is optional."""
    headers = caller.headers | {
        "Accept": _PORTFOLIOS,
        "Amazon-Advertising-API-Scope": str(caller.account().countries[0].profile_id),
    }
    assert 200 == caller.http.post(f"{caller.url}/na/portfolios/list", headers=headers).status_code


@pytest.mark.parametrize(
    "body",
    [
        {"adProductFilter": ["SPONSORED_PRODUCTS"] * 4},
        {"stateFilter": ["ENABLED"] * 4},
        {"negativeFilter": [True] * 3},
        {"targetLevelFilter": ["CAMPAIGN"] * 3},
        {"targetTypeFilter": ["KEYWORD"] * 9},
    ],
    ids=str,
)
def test_filter_with_more_than_all_values_is_refused(caller: Caller, body: Any) -> None:
    """Exports of targets have them all."""
    assert 400 == caller.export("targets", "POST", "/targets/export", body=body).status_code


def test_export_needs_a_body(caller: Caller) -> None:
    """An empty one is not `{}`."""
    headers = {"Content-Type": "application/vnd.adsexport.v1+json"}
    headers["Accept"] = headers["Content-Type"]
    headers["Amazon-Advertising-API-Scope"] = str(caller.account().countries[0].profile_id)
    assert 400 == caller.post("/na/ads/export", **headers).status_code


@pytest.mark.parametrize(
    "changes",
    [
        {"periods": [{"datePeriod": {"startDate": "20260110", "endDate": "2026-01-10"}}]},
        {"periods": [{"datePeriod": {"startDate": "2026-01-10", "endDate": "2026-W02-6"}}]},
        {"currencyOfView": "dollars"},
        {"currencyOfView": ["USD"]},
        {"query": {"fields": FIELDS, "filter": None}},
        {
            "query": {
                "fields": FIELDS,
                "filter": {"and": {"filters": [SPONSORED_PRODUCTS]}, "or": {}},
            }
        },
    ],
    ids=str,
)
def test_broken_report_is_refused(caller: Caller, changes: Any) -> None:
    """Dates with dashes, a currency's code, a filter of one shape, and none that is null."""
    answer = caller.create(body=asked(caller, **changes))
    assert 400 == answer.status_code
    assert "400000" in answer.text


@pytest.mark.parametrize(
    ("changes", "access", "reason"),
    [
        ({"currencyOfView": "XXX"}, {}, "currencyOfView must be one of "),
        ({"query": {"fields": FIELDS, "filter": None}}, {}, "filter is null"),
        ({}, {"managerAccountId": "amzn1.manager"}, "managerAccountId "),
    ],
    ids=["currency", "filter", "manager"],
)
def test_refused_report_names_its_reason(
    caller: Caller, changes: Any, access: dict[str, str], reason: str
) -> None:
    """Its account, report and period are right."""
    body = asked(caller, **changes)
    body["accessRequestedAccounts"][0] |= access
    assert caller.create(body=body).json()["message"].startswith(f"400000: {reason}")


def test_account_is_an_advertiser_or_a_manager(caller: Caller) -> None:
    """Not both, not even where only one of them could be one."""
    body = asked(caller, currencyOfView="USD")
    assert 207 == caller.create(body=body).status_code
    [account] = body["accessRequestedAccounts"]
    account["managerAccountId"] = "amzn1.manager"
    assert 400 == caller.create(body=body).status_code
    account["advertiserAccountId"] = []
    assert 400 == caller.create(body=body).status_code
