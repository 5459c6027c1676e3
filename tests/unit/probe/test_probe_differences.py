"""Each deviation from the contract is reported, and nothing else is."""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS
from bidbeacon_pipelines.probe.compare import Verdict
from bidbeacon_pipelines.probe.expectations import EXPORT_KINDS, MIXED, REFUSALS, report_checks
from tests.rules import IDS, NEW_FIELD

REPORTS = tuple(check.name for check in report_checks())
FIRST = REPORTS[0]
OF_PRODUCTS = tuple(
    check.name for check in report_checks() if "SPONSORED_PRODUCTS" in check.ad_products
)
WITH_CLICKS = tuple(check.name for check in report_checks() if "metric.clicks" in check.fields)
WITH_COST = tuple(check.name for check in report_checks() if "metric.totalCost" in check.fields)
HOURLY = tuple(check.name for check in report_checks() if "hour.value" in check.fields)
OF_SEVERAL = tuple(check.name for check in report_checks()[:-1] if len(check.ad_products) > 1)
CALLS = ("token", "accounts", "profiles", "newer accounts", "create report", "retrieve report")
CALLS_OF_EXPORTS = ("create export", "get export")
Checks = Collection[tuple[str, str]]


def each(subjects: Collection[str], check: str) -> set[tuple[str, str]]:
    """Return one check of several subjects."""
    return {(subject, check) for subject in subjects}


DEVIATIONS: dict[str, Any] = {
    "row_field_renamed": {"rule": "rows", "rename": {"metric.clicks": "metric.clickCount"}},
    "row_field_extra": {"rule": "rows", "copy_to": {"metric.clicks": "metric.surprise"}},
    "row_field_missing": {"rule": "rows", "drop": ["metric.totalCost"]},
    "row_country_uk": {"rule": "rows", "words": {"campaign.country": {"GB": "UK"}}},
    "row_country_lower_case": {"rule": "rows", "write": {"campaign.country": "lower"}},
    "row_product_as_filtered": {
        "rule": "rows",
        "words": {"adProduct.value": {"Sponsored Products": "SPONSORED_PRODUCTS"}},
    },
    "row_hour_as_clock": {"rule": "rows", "write": {"hour.value": "clock"}},
    "row_ids_as_floats": {"rule": "rows", "write": {"campaign.id": "float"}},
    "entity_ids_as_numbers": [
        {"rule": "rows", "of": kind, "write": {"campaignId": "number"}} for kind in EXPORT_KINDS
    ],
    "entity_field_extra": [
        {"rule": "rows", "of": kind, "copy_to": {"state": "surprise"}} for kind in EXPORT_KINDS
    ],
    "account_field_missing": {"rule": "answer", "call": "list_accounts", "drop": ["accountName"]},
    "profile_country_gb": {
        "rule": "answer",
        "call": "list_profiles",
        "words": {"countryCode": {"UK": "GB"}},
    },
    "profile_field_renamed": {
        "rule": "answer",
        "call": "list_profiles",
        "rename": {"timezone": "timeZone"},
    },
    "newer_profile_ids_as_numbers": {
        "rule": "answer",
        "call": "query_accounts",
        "write": {"profileId": "number"},
    },
    "newer_account_missing": {
        "rule": "answer",
        "call": "query_accounts",
        "write": {"advertiserAccounts": "without_first"},
    },
    "other_code": {
        "rule": "answer",
        "call": "create_report",
        "words": {"code": {"400005": "400999"}},
    },
    "no_request_id": {"rule": "answer", "request_id": False},
    "filter_without_not_accepted": {"rule": "refuse", "accept": ["filter_without_not"]},
    "unknown_field_accepted": {"rule": "refuse", "accept": ["unknown_field"]},
    "companionless_accepted": {"rule": "refuse", "accept": ["no_companion"]},
}
"""Rules that make Amazon deviate from the contract, by name."""
VARIANTS: Mapping[str, tuple[Checks, str]] = {
    "row_field_renamed": (
        each(WITH_CLICKS, "fields"),
        "missing: metric.clicks; unknown: metric.clickCount",
    ),
    "row_field_extra": (each(WITH_CLICKS, "fields"), "unknown: metric.surprise"),
    "row_field_missing": (each(WITH_COST, "fields"), "missing: metric.totalCost"),
    "row_country_uk": (
        each(REPORTS, "values"),
        "campaign.country: expected a country of the contract, and GB rather than UK, got: 'UK'",
    ),
    "row_country_lower_case": (each(REPORTS, "values"), "got: 'de', 'gb'"),
    "row_product_as_filtered": (each(OF_PRODUCTS, "values"), "got: 'SPONSORED_PRODUCTS'"),
    "row_hour_as_clock": (each(HOURLY, "values"), "hour.value: expected an hour from 0 to 23"),
    "row_ids_as_floats": (
        each(REPORTS, "values"),
        "campaign.id: expected digits as text, or a whole number, got: a number with a point",
    ),
    "entity_ids_as_numbers": (
        each(EXPORT_KINDS, "values"),
        "campaignId: expected digits as text, got: a whole number",
    ),
    "entity_field_extra": (each(EXPORT_KINDS, "fields"), "unknown: surprise"),
    "account_field_missing": ({("accounts", "fields")}, "missing: adsAccounts[].accountName"),
    "profile_country_gb": (
        {("profiles", "values")},
        "countryCode: expected a country of the contract, and UK rather than GB, got: 'GB'",
    ),
    "profile_field_renamed": ({("profiles", "fields")}, "missing: timezone; unknown: timeZone"),
    "newer_profile_ids_as_numbers": ({("newer accounts", "values")}, "expected digits as text"),
    "newer_account_missing": ({("newer accounts", "every account")}, "are not listed"),
    "other_code": ({("refusals", "unknown field")}, "expected the code 400005, got: 400999"),
    "no_request_id": ({("headers", "request id")}, "missing from "),
    "filter_without_not_accepted": ({("refusals", "filter without not")}, "Amazon accepts it"),
    "unknown_field_accepted": ({("refusals", "unknown field")}, "Amazon accepts it"),
    "companionless_accepted": ({("refusals", "field without its companion")}, "Amazon accepts it"),
}
SETTINGS: tuple[tuple[dict[str, Any], Checks, str], ...] = (
    (
        {"rules": [{"rule": "answer", "call": "list_accounts", "bare_list": True}]},
        {("accounts", "fields")},
        "the body: expected an object, got: a list",
    ),
    (
        {"rules": [{"rule": "refuse", "reason": "old_names"}]},
        {("reports", "names of fields")},
        (
            "campaign.country is campaignCountry.value; placementClassification.value is placement.value; "
            "advertisedProduct.marketplace is advertisedProductMarketplace.value"
        ),
    ),
    (
        {"rules": [{"rule": "refuse", "reason": "mixed_products"}]},
        {*each(OF_SEVERAL, "request"), (MIXED, "request together")},
        "refused (400, 400006)",
    ),
    ({"token_seconds": 1200}, {("token", "values")}, "expires_in: expected 3600, got: 1200"),
)
FAULTS: tuple[tuple[dict[str, Any], Checks, str], ...] = (
    (
        {"rule": "answer", "add": NEW_FIELD},
        each((*CALLS, *CALLS_OF_EXPORTS), "fields"),
        "unknown: ",
    ),
    (
        {"rule": "answer", "call": "list_profiles", "add": NEW_FIELD},
        {("profiles", "fields")},
        "unknown: accountInfo.newField, newField",
    ),
    (
        {"rule": "report_ends", "status": "COMPLETED", "word": "THINKING"},
        each(("create report", "retrieve report"), "values"),
        "got: 'THINKING'",
    ),
    (
        {"rule": "rows", "change": "no_country", "country": "GB"},
        {("reports", "countries")},
        "no report has rows of GB",
    ),
    (
        {"rule": "refuse", "reason": "too_old"},
        {*each(REPORTS[:-1], "request"), (MIXED, "request together")},
        "refused (400, 400000)",
    ),
    (
        {"rule": "file", "size_factor": 0.5},
        {("files", "size")},
        "files have another size than announced",
    ),
    (
        {"rule": "refuse", "reason": "no_rights"},
        {("account", "may be reported on")},
        "none of 1 listed accounts that were tried",
    ),
    (
        {"rule": "rows", "change": "wrong_type", "share": 1},
        each(REPORTS, "values"),
        "metric.",
    ),
    (
        {"rule": "rows", "change": "negative_metric", "share": 1},
        each(REPORTS, "values"),
        "got: a negative number",
    ),
)
HARMLESS: tuple[dict[str, Any], ...] = (
    {},
    {"long_ids": True},
    *(
        {"rules": [one]}
        for one in (
            {"rule": "refuse", "as_207": True},
            {"rule": "answer", "status": 429, "call": "create_report", "times": 2},
            {"rule": "answer", "status": 429, "retry_after": 20, "as_date": True, "times": 3},
            {"rule": "token", "call": "retrieve_report", "times": 1},
            {"rule": "answer", "status": 500, "call": "list_profiles", "times": 2},
            {"rule": "parts", "count": 2},
            {"rule": "parts", "single_url": True},
            {"rule": "report_ends", "status": "COMPLETED", "word": "IN_PROGRESS"},
            {"rule": "rows", "write": dict.fromkeys(IDS, "number")},
            {"rule": "rows", "write": dict.fromkeys(IDS, "text")},
            {"rule": "rows", "write": {"metric.*": "null_if_zero"}},
            {"rule": "rows", "change": "unknown_target", "share": 1},
            {"rule": "rows", "change": "null_metric", "share": 1},
        )
    ),
)


@pytest.mark.parametrize("variant", DEVIATIONS)
def test_each_variant_is_found(probed: Callable[..., Any], variant: str) -> None:
    """A variant makes the checks differ that it is about, on an account of DE and GB, and no others."""
    checks, found = VARIANTS[variant]
    _assert_only(probed(account=_german(), rules=DEVIATIONS[variant]), checks, found)


@pytest.mark.parametrize(
    ("settings", "checks", "found"), SETTINGS, ids=["array", "renamed", "mixed", "token"]
)
def test_each_setting_against_the_contract_is_found(
    probed: Callable[..., Any], settings: dict[str, Any], checks: Checks, found: str
) -> None:
    """So does a setting of the sandbox."""
    _assert_only(probed(account=_german(), **settings), checks, found)


@pytest.mark.parametrize(
    ("fault", "checks", "found"), FAULTS, ids=[str(fault) for fault, *_ in FAULTS]
)
def test_each_fault_of_the_contract_is_found(
    probed: Callable[..., Any], fault: dict[str, Any], checks: Checks, found: str
) -> None:
    """So does a fault that breaks the contract."""
    _assert_only(probed(account=_german(), rules=[fault]), checks, found)


def test_rows_that_the_filter_should_keep_out(probed: Callable[..., Any]) -> None:
    """Rows of other ad products differ in every report by day of some ad products, and in nothing else.

    Display has no placements and search terms, and only Sponsored Products has rows by hour.
    """
    run = probed(rules=[{"rule": "rows", "change": "all_products"}])
    of_some = {check.name for check in report_checks() if len(check.ad_products) < len(AD_PRODUCTS)}
    of_some -= {"daily_placements", "daily_search_terms"}
    by_day = {name for name in of_some if not name.startswith("hourly")}
    assert each(by_day, "filter") == set(run.differences)


@pytest.mark.parametrize("settings", HARMLESS, ids=str)
def test_what_the_contract_allows_is_as_expected(
    probed: Callable[..., Any], settings: dict[str, Any]
) -> None:
    """An honest sandbox, and every oddity that the contract mentions, is as expected in all checks."""
    run = probed(**settings)
    assert ({}, {}) == (run.differences, run.of(Verdict.UNCHECKED))


def test_every_difference_says_what_to_do(probed: Callable[..., Any]) -> None:
    """No line that differs leaves a person without the next step."""
    rules = [
        one for some in DEVIATIONS.values() for one in ([some] if isinstance(some, dict) else some)
    ]
    run = probed(rules=[*rules, {"rule": "answer", "call": "list_accounts", "bare_list": True}])
    differing = [one for one in run.findings if one.verdict == Verdict.DIFFERS]
    assert len(differing) > len(REPORTS)
    assert [] == [one for one in differing if not one.to_do]


@pytest.mark.parametrize(
    ("settings", "to_do"),
    [
        ({"rules": [{"rule": "refuse", "reason": "mixed_products"}]}, "Request them apart: "),
        ({"rules": [{"rule": "refuse", "reason": "too_old"}]}, "Attach the recording to an issue"),
    ],
    ids=["mixed", "too old"],
)
def test_a_refused_union_has_advice_of_its_own(
    probed: Callable[..., Any], settings: dict[str, Any], to_do: str
) -> None:
    """Ad products that are refused together may come apart; any other refusal is one for the product too."""
    run = probed(**settings)
    advice = {one.subject: one.to_do for one in run.findings if one.verdict == Verdict.DIFFERS}
    assert {*OF_SEVERAL, MIXED} <= set(advice)
    assert [] == [text for text in advice.values() if not text.startswith(to_do)]


@pytest.mark.parametrize(
    ("fault", "checks", "reason"),
    [
        (
            {"rule": "report_ends", "times": 1},
            {(FIRST, "fields, values")},
            "the report ended FAILED, INTERNAL_ERROR",
        ),
        (
            {"rule": "report_ends", "status": "PENDING", "times": 1},
            {(FIRST, "fields, values")},
            "not ready after 30 min",
        ),
        (
            {"rule": "export_ends", "times": 1},
            {("campaigns", "fields, values")},
            "the export ended FAILED, INTERNAL_ERROR",
        ),
        (
            {"rule": "file", "keep": 0.5, "times": 1},
            {(FIRST, "fields, values")},
            "broken file",
        ),
    ],
    ids=["failed report", "pending report", "failed export", "broken file"],
)
def test_what_does_not_come_could_not_be_checked(
    probed: Callable[..., Any], fault: dict[str, Any], checks: Checks, reason: str
) -> None:
    """A report or export that Amazon fails leaves its own lines unchecked, with the reason, and no difference."""
    run = probed(rules=[fault])
    assert {} == run.differences
    assert dict.fromkeys(checks, reason) == run.of(Verdict.UNCHECKED)


def test_creates_that_stay_throttled_are_given_up(probed: Callable[..., Any]) -> None:
    """After two waits no further report is asked for: three calls in all, each wait is announced, and nothing differs."""
    run = probed(rules=[{"rule": "answer", "status": 429, "call": "create_report"}])
    creates = [one for one in run.exchanges if one.endpoint.endswith("/create/reports")]
    assert ([429] * 3, {}) == ([one.status for one in creates], run.differences)
    assert ["30", "60"] == [text.split()[-2] for text in run.said if "throttles reports" in text]
    unchecked = run.of(Verdict.UNCHECKED)
    assert {unchecked["refusals", refusal.name] for refusal in REFUSALS} == {
        "Amazon throttles reports (429)"
    }


def test_an_account_without_rights_is_passed_over(probed: Callable[..., Any]) -> None:
    """The first account that may be reported on is taken, and the table says that another may not be."""
    run = probed(rules=[{"rule": "refuse", "reason": "no_rights", "account": _us_account()}])
    assert ({}, {}) == (run.differences, run.of(Verdict.UNCHECKED))
    assert "but not 1 of the listed" == run.of(Verdict.EXPECTED)["account", "may be reported on"]


def test_without_rights_no_further_report_is_asked_for(probed: Callable[..., Any]) -> None:
    """Each listed account that is not disabled is tried once; entities are exported all the same."""
    run = probed(rules=[{"rule": "refuse", "reason": "no_rights"}])
    assert 3 == len(run.handle.state.ledger.calls("create_report"))
    assert {(FIRST, "request"), ("refusals", "unknown field")} <= set(run.of(Verdict.UNCHECKED))
    assert ("campaigns", "fields") in run.of(Verdict.EXPECTED)


def test_day_by_default_is_two_days_ago(probed: Callable[..., Any]) -> None:
    """By the clock of the first answer, and not by that of this machine."""
    run = probed(day=None, rules=[{"rule": "refuse", "reason": "no_rights"}])
    today = parsedate_to_datetime(run.exchanges[0].headers["date"]).date()
    [create, *_] = [one for one in run.exchanges if one.endpoint.endswith("/create/reports")]
    day = (today - timedelta(days=2)).isoformat()
    [report] = create.request["reports"]
    assert [{"datePeriod": {"startDate": day, "endDate": day}}] == report["periods"]


def test_few_calls(probed: Callable[..., Any]) -> None:
    """One create a report of each dataset, one of all ad products and one a refusal; one export a kind of entity."""
    ledger = probed().handle.state.ledger
    assert len(REPORTS) + len(REFUSALS) == len(ledger.calls("create_report"))
    assert len(EXPORT_KINDS) == len(ledger.calls("create_export"))


def _assert_only(run: Any, checks: Checks, found: str) -> None:
    assert set(checks) == set(run.differences)
    assert [] == [text for text in run.differences.values() if found not in text]


def _german() -> str:
    return _accounts()[1]


def _us_account() -> str:
    return _accounts()[0]


def _accounts() -> list[str]:
    from bidbeacon_sandbox.accounts import make_accounts

    return [one.account_id for one in make_accounts(1, 4, 40).accounts]
