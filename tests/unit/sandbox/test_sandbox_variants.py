"""Deviations from the contract that a client may have to find."""

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from bidbeacon_sandbox.faults import FaultRule

GERMAN = 1
DAY = date(2026, 1, 10)
FIELDS = [
    *("date.value", "budgetCurrency.value", "adProduct.value", "campaign.id", "campaign.country"),
    *("metric.impressions", "metric.clicks", "metric.totalCost"),
]


@pytest.mark.parametrize(
    ("variant", "field", "values"),
    [
        ("row_country_uk", "campaign.country", {"DE", "UK"}),
        ("row_country_lower_case", "campaign.country", {"de", "gb"}),
        ("row_product_as_filtered", "adProduct.value", {"SPONSORED_PRODUCTS"}),
        ("row_field_missing", "metric.totalCost", {None}),
        ("row_field_renamed", "metric.clicks", {None}),
    ],
)
def test_rows_differ_in_one_field(
    start: Callable[..., Any], variant: str, field: str, values: set[str | None]
) -> None:
    """A variant of rows changes one field in all of them, and no other."""
    honest, odd = start(), start(variants=[variant])
    rows = odd.rows(account=odd.account(GERMAN), fields=FIELDS, start=DAY, end=DAY)
    others = honest.rows(account=honest.account(GERMAN), fields=FIELDS, start=DAY, end=DAY)
    assert values == {row.get(field) for row in rows}
    assert [_without(row, field) for row in others] == [
        _without({name: row[name] for name in FIELDS if name in row}, field) for row in rows
    ]


def test_files_have_the_size_that_is_announced(start: Callable[..., Any]) -> None:
    """Rows are changed before they are written, so that nothing else differs."""
    caller = start(variants=["row_field_extra"])
    [part] = caller.completed(fields=FIELDS)["completedReportParts"]
    assert part["sizeInBytes"] == len(caller.http.get(part["url"]).content)


@pytest.mark.parametrize(
    ("variants", "fields", "status"),
    [
        ([], [*FIELDS, "metric.unheardOf"], 400),
        (["unknown_field_accepted"], [*FIELDS, "metric.unheardOf"], 207),
        (
            ["companionless_accepted"],
            [field for field in FIELDS if field != "budgetCurrency.value"],
            207,
        ),
    ],
)
def test_creates_that_amazon_refuses(
    start: Callable[..., Any], variants: list[str], fields: list[str], status: int
) -> None:
    """A variant makes the sandbox accept what it otherwise refuses."""
    assert status == start(variants=variants).create(fields=fields).status_code


def test_the_newer_list_of_accounts(start: Callable[..., Any]) -> None:
    """It lists the accounts of the region, all of them global, with profile ids as texts."""
    caller = start()
    account = caller.account(GERMAN)
    listed = _query(caller, {}).json()["advertiserAccounts"]
    assert [account.account_id] == [one["advertiserAccountId"] for one in listed]
    assert [str(country.profile_id) for country in account.countries] == [
        each["profileId"] for each in listed[0]["alternateIds"]
    ]
    others = _query(caller, {"isGlobalAccountFilter": {"include": [False]}})
    assert {"advertiserAccounts": []} == others.json()


def test_the_newer_list_has_faults_of_its_own(start: Callable[..., Any]) -> None:
    """A fault may concern this call alone."""
    caller = start()
    caller.state.faults.add(FaultRule(fault="throttle", operation="query_accounts", times=1))
    assert [429, 200] == [_query(caller, {}).status_code for _ in range(2)]


def test_no_request_id(start: Callable[..., Any]) -> None:
    """With the variant no answer has Amazon's request id."""
    assert "x-amz-rid" in start().create().headers
    assert "x-amz-rid" not in start(variants=["no_request_id"]).create().headers


def _query(caller: Any, body: dict[str, Any]) -> httpx.Response:
    url = f"{caller.url}/eu/adsApi/v1/query/advertiserAccounts"
    answer: httpx.Response = caller.http.post(url, json=body, headers=caller.headers)
    return answer


def _without(row: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != field}
