"""The sandbox is as Amazon is by default, and where foreign clients met a difference, a rule makes it."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.datasets.registry import ALL_DATASETS
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sandbox.fields import METRICS, RATES, SHARES, applies
from tests.unit.sandbox.conftest import SPONSORED_PRODUCTS, filter_of, report_body

CONTRACT = json.loads((PROJECT_ROOT / "bidbeacon_sandbox" / "datasets.json").read_text())
BASIC = ["date.value", "campaign.id", "metric.clicks"]


@pytest.mark.parametrize("dataset", CONTRACT["datasets"], ids=lambda one: one["name"])
def test_each_report_of_the_contract_is_served(start: Callable[..., Any], dataset: Any) -> None:
    """With its filter, fields and optional metrics; its rows have exactly these fields, and are unique by its key."""
    caller = start(rows_per_day=150)
    fields = [*dataset["fields"], *dataset.get("optionalMetrics", [])]
    rows = caller.rows(fields=fields, filter=dataset["filter"])
    assert rows
    assert {frozenset(fields)} == {frozenset(row) for row in rows}
    keys = [tuple(str(row[key]) for key in dataset["keyDimensions"]) for row in rows]
    if "hour.value" not in fields and "mpressionShare" not in str(fields):
        assert len(set(keys)) == len(keys)
    assert dataset["name"] in next(iter(caller.state.reports)).request.datasets


def number_of(answer: httpx.Response) -> str:
    """Return the number with which the message of a refusal begins."""
    return str(answer.json()["message"].partition(":")[0])


@pytest.mark.parametrize("dataset", ALL_DATASETS, ids=lambda one: one.name)
def test_a_wrong_entry_of_the_registry_would_be_refused(caller: Any, dataset: Any) -> None:
    """Each report of ours is accepted as it is, and not with a field more that the contract doesn't know."""
    for report in dataset.reports:
        row_filter = filter_of(*report.ad_products)
        day = {"start": date(2026, 1, 10), "end": date(2026, 1, 10), "filter": row_filter}
        assert 207 == caller.create(fields=list(report.fields), **day).status_code
        answer = caller.create(fields=[*report.fields, "campaign.color"], **day)
        assert "400005" == number_of(answer)
        caller.state.clock.advance(3600)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (["clicks", *BASIC], "400013"),
        (["metric.color", *BASIC], "400005"),
        (["metric.totalCost", *BASIC], "400006"),
        (["campaign.name", "date.value", "ad.id", "metric.clicks"], "400006"),
        (["target.matchType", *BASIC], "400006"),
        (["convertedProductMarketplace.value", *BASIC], "400004"),
        ([SHARES[0], "adProduct.value", "advertiserAccount.id", "adGroup.id", *BASIC], "400004"),
        (["hour.value", "campaign.id", "adProduct.value"], "400000"),
        (["campaign.id", "metric.clicks"], "400000"),
        (["date.value", "adProduct.value", "metric.clicks"], "400000"),
    ],
    ids=str,
)
def test_fields_are_refused_as_the_contract_says(caller: Any, fields: list[str], code: str) -> None:
    """A plain 400 with a word as code and a message that begins with a number, and no `fieldLocation`."""
    answer = caller.create(fields=fields)
    body = answer.json()
    assert (400, {"code", "message"}, code) == (answer.status_code, set(body), number_of(answer))
    assert "BAD_REQUEST" == body["code"]
    if code == "400004":
        assert "cannot be used along with fields: (" in body["message"]


@pytest.mark.parametrize(
    "fields",
    [
        ["hour.value", "campaign.id", "metric.clicks"],
        ["hour.value", "matchedTarget.value", *BASIC],
        ["searchTerm.value", "advertisedProduct.id", *BASIC],
        ["searchTerm.value", "placementClassification.value", *BASIC],
        [*BASIC, *BASIC],
        ["dateRange.value", "campaign.id", "metric.clicks"],
        ["week.value", "campaign.id", "metric.clicks"],
        ["campaign.currencyCode", "campaign.deliveryStatus", "campaign.budgetType", *BASIC],
        ["portfolio.portfolioId", "portfolio.name", *BASIC],
        ["budgetCurrency.value", "campaign.budgetAmount", *RATES, *BASIC],
        ["metric.addToList", "metric.startsVideoAd", *BASIC],
    ],
    ids=str,
)
def test_what_foreign_clients_ask_for_is_accepted(caller: Any, fields: list[str]) -> None:
    """Fields that the catalogue has, combinations that nobody forbids, and a field listed twice."""
    rows = caller.rows(fields=fields)
    assert rows
    assert set(rows[0]) == set(fields)
    some, every = (
        sum(row["metric.clicks"] for row in of) for of in (rows, caller.rows(fields=BASIC))
    )
    assert some <= every


def test_an_hour_without_a_date_is_a_timestamp(caller: Any) -> None:
    """Otherwise it is a number, its digits or a timestamp."""
    rows = caller.rows(fields=["hour.value", "campaign.id", "metric.clicks"])
    assert {"2026-01-10T"} == {row["hour.value"][:11] for row in rows}
    rows = caller.rows(fields=["hour.value", *BASIC])
    assert {int, str} == {type(row["hour.value"]) for row in rows}


def test_a_measured_zero_is_zero(caller: Any) -> None:
    """Null is for what an ad product doesn't have; zeros as nulls are a rule."""
    metrics = [*METRICS, "budgetCurrency.value", "date.value", "campaign.id", "ad.id"]
    rows = caller.rows(fields=metrics)
    nulls = {key for row in rows for key, value in row.items() if value is None}
    assert nulls == {metric for metric in METRICS if not applies(metric, "SPONSORED_PRODUCTS")}
    caller.breaks("rows", write={"metric.*": "null_if_zero"})
    assert 0 not in {row["metric.purchases"] for row in caller.rows(fields=metrics)}


def test_ids_are_short_unless_long_ones_are_set(start: Callable[..., Any]) -> None:
    """15 digits, as numbers or text; of up to 19, beyond 2^53, with a setting."""
    for long_ids in (False, True):
        caller = start(long_ids=long_ids)
        ids = [row["campaign.id"] for row in caller.rows(fields=BASIC)]
        assert {int, str} == {type(one) for one in ids}
        assert long_ids == (max(map(int, ids)) > 2**53)
        profiles = caller.http.get(f"{caller.url}/na/v2/profiles", headers=caller.headers).json()
        assert long_ids == (max(profile["profileId"] for profile in profiles) > 2**53)


def test_profile_that_may_only_be_viewed_comes_with_that_access_level(caller: Any) -> None:
    """So is the one in Japan; with it all others come as well."""

    def listed(region: str, **query: str) -> int:
        url = f"{caller.url}/{region}/v2/profiles"
        answer = caller.http.get(url, headers=caller.headers, params=query)
        return len(answer.json()) if answer.is_success else -answer.status_code

    levels: list[dict[str, str]] = [{}, {"accessLevel": "edit"}, {"accessLevel": "view"}]
    assert [0, 0, 1] == [listed("fe", **level) for level in levels]
    assert listed("na") == listed("na", accessLevel="view") > 0
    assert -400 == listed("fe", accessLevel="all")


def test_campaign_vanishes_from_exports_with_what_belongs_to_it(caller: Any) -> None:
    """By a rule for each kind, as long as it is in force."""
    gone = caller.exported("campaigns")[0]["campaignId"]
    kinds = ("campaigns", "adGroups", "ads", "targets")
    before = {kind: len(caller.exported(kind)) for kind in kinds}
    for kind in kinds:
        caller.breaks("rows", of=kind, change="vanish", share=1, where={"campaignId": [gone]})
    for kind in kinds:
        left = caller.exported(kind)
        assert 0 < len(left) < before[kind]
        assert gone not in {one["campaignId"] for one in left}


def test_optimization_is_an_object_unless_a_rule_makes_it_a_list(caller: Any) -> None:
    """So for SP campaigns; `campaignId` stands in all targets unless a rule drops it."""
    assert {dict} == {type(one["optimization"]) for one in caller.exported("campaigns")}
    caller.breaks("rows", of="campaigns", write={"optimization": "list"})
    assert {list} == {type(one["optimization"]) for one in caller.exported("campaigns")}
    body = {"adProductFilter": ["SPONSORED_BRANDS", "SPONSORED_PRODUCTS"]}
    assert all("campaignId" in one for one in caller.exported("targets", body=body))
    of_brands = {"adProduct": ["SPONSORED_BRANDS"]}
    caller.breaks("rows", of="targets", drop=["campaignId"], where=of_brands)
    lacking = [one for one in caller.exported("targets", body=body) if "campaignId" not in one]
    assert {"SPONSORED_BRANDS"} == {one["adProduct"] for one in lacking}


def test_target_of_a_category_has_no_match_type(caller: Any) -> None:
    """As Amazon exports it."""
    targets = caller.exported("targets")
    categories = [one for one in targets if one["targetType"] == "PRODUCT_CATEGORY"]
    assert categories
    assert all("matchType" not in one["targetDetails"] for one in categories)


@pytest.mark.parametrize("body", [None, {}, {"maxResults": 100.0}, {"maxResults": 10}])
def test_accounts_are_listed_for_any_body(caller: Any, body: Any) -> None:
    """Plain JSON or nothing, a number with a point."""
    answer = caller.post("/eu/adsAccounts/list", body)
    assert (200, 1) == (answer.status_code, len(answer.json()["adsAccounts"]))
    listed = caller.post("/na/adsApi/v1/query/advertiserAccounts", body)
    [first, *_] = listed.json()["advertiserAccounts"]
    assert "Approved" == first["status"]["statusMessage"]
    assert 1 == len(first["businessDetails"])
    assert "nextToken" not in listed.json()


def test_headers_of_other_clients_are_accepted(caller: Any) -> None:
    """A scope header and a vendor's media type on reports."""
    headers = {"Amazon-Advertising-API-Scope": caller.profile, "Amazon-Ads-AccountId": "x"}
    media = {"Content-Type": "application/vnd.adsapireporting.v1+json"}
    assert 207 == caller.create(headers=headers | media).status_code
    assert 415 == caller.create(headers={"Content-Type": "text/plain"}).status_code


def test_a_report_is_deleted(caller: Any) -> None:
    """And is not found afterwards, in Amazon's word for it."""
    report_id = caller.create_id()
    path, body = "/na/adsApi/v1/delete/reports", {"reportIds": [report_id]}
    answer = caller.post(path, body)
    assert report_id == answer.json()["success"][0]["report"]["reportId"]
    missing = caller.post(path, body).json()["error"][0]["errors"][0]
    assert "NOT_FOUND" == missing["code"]


def test_hours_of_brands_and_display_are_those_of_campaigns(caller: Any) -> None:
    """What is refused when filtered is not in an unfiltered report either."""
    fields, brands = ["hour.value", "adProduct.value", *BASIC], filter_of("SPONSORED_BRANDS")
    assert caller.rows(fields=fields, filter=brands)
    assert 3 == len({row["adProduct.value"] for row in caller.rows(fields=fields, filter=None)})
    finer = [*fields, "adGroup.id"]
    assert 400 == caller.create(fields=finer, filter=brands).status_code
    assert 1 == len({row["adProduct.value"] for row in caller.rows(fields=finer, filter=None)})


@pytest.mark.parametrize(
    ("days_ago", "days", "hourly", "status"),
    [
        (457, 1, False, 207),
        (458, 1, False, 400),
        (130, 120, False, 207),
        (130, 121, False, 400),
        (14, 1, True, 207),
        (15, 1, True, 400),
        (14, 15, True, 400),
    ],
)
def test_history_and_longest_period(
    caller: Any, days_ago: int, days: int, status: int, *, hourly: bool
) -> None:
    """15 months and 120 days, 14 days for hours; older and longer is a 400."""
    start = date(2026, 1, 15) - timedelta(days=days_ago)
    fields = [*BASIC, "hour.value"] if hourly else BASIC
    answer = caller.create(fields=fields, start=start, end=start + timedelta(days=days - 1))
    assert status == answer.status_code


@pytest.mark.parametrize(
    "row_filter",
    [
        {"on": {k: v for k, v in SPONSORED_PRODUCTS["on"].items() if k != "not"}},
        {"or": {"filters": [filter_of("SPONSORED_PRODUCTS")]}},
        filter_of("Sponsored Products"),
        {"on": {"field": "ad.id", "comparisonOperator": "IN", "not": False, "values": ["1"]}},
    ],
    ids=["without not", "or", "spelling of rows", "field"],
)
def test_filters_are_refused(caller: Any, row_filter: dict[str, Any]) -> None:
    """`not` is required, there is no `or`, ad products are spelled as in filters, few fields can be filtered by."""
    assert 400 == caller.create(filter=row_filter).status_code


def test_a_report_has_one_account_one_report_and_one_period(caller: Any) -> None:
    """Anything else is `400000`."""
    day = date(2026, 1, 10)
    for key in ("accessRequestedAccounts", "reports"):
        body = report_body(caller.account().account_id, BASIC, day, day)
        body[key] = body[key] * 2
        assert "400000" == number_of(caller.create(body=body))
    assert 403 == caller.create(account=caller.account(3)).status_code  # a disabled one
    assert 400 == caller.create(account=caller.account(1), region="na").status_code


def test_shares_are_of_their_own_report(caller: Any) -> None:
    """They need the account, and exclude the campaign or what is finer than it."""
    of_campaign = ["adProduct.value", "advertiserAccount.id", SHARES[0]]
    assert caller.rows(fields=["date.value", "campaign.id", *of_campaign])
    of_term = ["date.value", "adProduct.value", "advertiserAccount.id", "searchTerm.value"]
    assert caller.rows(fields=[*of_term, *SHARES[1:]])
    assert 400 == caller.create(fields=[*of_term, *SHARES[1:], "campaign.id"]).status_code
