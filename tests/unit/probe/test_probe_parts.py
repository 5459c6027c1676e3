"""The pure parts of the probe: strict answers, shapes without values, and the search for limits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.probe.answers import find_call, list_differences
from bidbeacon_pipelines.probe.comparisons import Shape, add_to, as_json
from bidbeacon_pipelines.probe.probe import find_longest, search_history

ACCOUNT: dict[str, Any] = {
    "adsAccountId": "amzn1.ads-account.g.1",
    "accountName": "Acme",
    "status": "CREATED",
    "countryCodes": ["US"],
    "alternateIds": [{"countryCode": "US", "profileId": 1}],
    "errors": {"CA": [{"errorCode": "NOT_REGISTERED", "errorId": 404}]},
}
PROFILE: dict[str, Any] = {
    "profileId": 1,
    "countryCode": "UK",
    "currencyCode": "GBP",
    "timezone": "Europe/London",
    "accountInfo": {"id": "E1", "name": "Acme", "type": "seller", "marketplaceStringId": None},
}
FROZEN = "[].status: expected 'CREATED', 'PARTIALLY_CREATED', 'PENDING' or 'DISABLED', got 'FROZEN'"
DONE = "status: expected 'IN_PROGRESS', 'PROCESSING', 'COMPLETED' or 'FAILED', got 'DONE'"
REPORT: dict[str, Any] = {
    "reportId": "r",
    "status": "COMPLETED",
    "format": "GZIP_JSON",
    "periods": [{"datePeriod": {"startDate": "2026-01-01", "endDate": "2026-01-02"}}],
    "query": {"fields": ["metric.clicks"]},
    "linkedAccounts": [{"advertiserAccountId": "x"}],
    "completedReportParts": [{"url": "https://x", "sizeInBytes": 1, "urlExpirationDateTime": 1}],
    "completedDateTime": None,
}
EXPORT = {"exportId": "e", "status": "PROCESSING", "createdAt": "2026-01-15T12:00:00Z"}


def differences(name: str, body: Any) -> list[str]:
    """Return the differences of a call's answer."""
    return list_differences(name, body)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("accounts", {"adsAccounts": [ACCOUNT], "nextToken": None}),
        ("accounts", [{"adsAccount": ACCOUNT}]),
        ("profiles", [PROFILE]),
        ("create export", EXPORT),
        ("retrieve report", {"success": [{"index": 0, "report": REPORT}], "error": None}),
    ],
)
def test_answers_of_the_contract_do_not_differ(name: str, body: Any) -> None:
    """Neither do the two shapes in which accounts come."""
    assert [] == differences(name, body)


@pytest.mark.parametrize(
    ("name", "body", "found"),
    [
        ("profiles", [PROFILE | {"surprise": "Acme"}], "[].surprise: unknown"),
        ("profiles", [PROFILE | {"timezone": "Mars"}], "[].timezone: expected an IANA time zone"),
        ("profiles", [PROFILE | {"currencyCode": ["Acme"]}], "[].currencyCode: expected a valid"),
        ("profiles", [{"profileId": 1}], "[].accountInfo: missing"),
        ("profiles", {"Acme": 1}, "the answer: expected a valid"),
        ("accounts", {"adsAccounts": [ACCOUNT | {"status": "FROZEN"}]}, f"adsAccounts.{FROZEN}"),
        ("profiles", [PROFILE | {"Acme Shop": 1}], "[].…: unknown"),
        ("create report", {"success": []}, "success.[].report: missing"),
        ("get export", EXPORT | {"status": "DONE"}, DONE),
    ],
)
def test_difference_is_named_without_the_value(name: str, body: Any, found: str) -> None:
    """Only words of a vocabulary are shown as they came."""
    every = differences(name, body)
    assert any(one.startswith(found) for one in every), every
    assert "Acme" not in " ".join(every)


def test_calls_are_known_by_their_paths_and_downloads_are_none() -> None:
    """On Amazon's hosts and below the sandbox's regions."""
    paths = ("/adsApi/v1/create/reports", "/eu/exports/e-1", "/downloads/reports/r/0.json.gz")
    assert ["create report", "get export", None] == [*map(find_call, paths)]


def test_shape_has_places_and_kinds_and_no_value() -> None:
    """Keys that may be values are left out; kinds of several objects are joined."""
    shape: Shape = {}
    for value in (
        [{"metric.clicks": 4, "name": "Acme", "by": {"amzn1.x.12345": []}}],
        [{"metric.clicks": None, "name": ""}],
    ):
        add_to(shape, value)
    assert {
        "[].by.…": "empty list",
        "[].metric.clicks": "null | whole number",
        "[].name": "empty text | text",
    } == as_json(shape)


@given(limit=st.integers(2, 729))
def test_history_is_found_to_the_day(limit: int) -> None:
    """With at most sixteen questions; published histories take two or three."""
    asked: list[int] = []

    def is_given(days: int) -> bool:
        asked.append(days)
        return days <= limit

    assert limit == search_history(is_given, given=2, refused=730)
    assert len(asked) <= (3 if limit == 456 else 16)


@pytest.mark.parametrize(("limit", "found"), [(60, 60), (59, 30), (1, 1), (0, None)])
def test_longest_period_is_found_by_halving(limit: int, found: int | None) -> None:
    """None where not even a day is given."""
    assert found == find_longest(lambda days: days <= limit, longest=120)
