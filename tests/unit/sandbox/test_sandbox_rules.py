"""Rules: how they are read and refused, what limits them, that they combine, and what each kind does."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sandbox.rulebook import RuleError, read_rules
from bidbeacon_sandbox.rules import KINDS
from tests.support.rules import IDS, OTHER_SPELLINGS
from tests.unit.sandbox.conftest import STATES, filter_of
from tests.unit.sandbox.test_sandbox_contract import BASIC

BRANDS = ("SPONSORED_BRANDS",)


def test_the_docs_have_each_kind() -> None:
    """A new kind needs its line there, and the list of failures names none that there isn't."""
    docs = PROJECT_ROOT / "docs"
    table = (docs / "reference" / "sandbox.md").read_text().partition("| rule | what happens |")[2]
    listed = re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert list(KINDS) == listed
    failures = (docs / "reference" / "errors.md").read_text()
    named = re.findall(r" \[rule (\w+)[^]]*\]$", failures, re.MULTILINE)
    assert len(named) > 20
    assert set(named) <= set(KINDS)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rule": "anser"}, "rule: there is no 'anser'. The nearest is answer."),
        ({"rule": "answer", "statu": 429}, "answer: there is no 'statu'. The nearest is status."),
        ({"rule": "rows", "change": "vanis"}, "The nearest is vanish."),
        ({"rule": "slow", "call": "create_raport"}, "The nearest is create_report."),
        ({"rule": "report_ends", "status": "FAILLED"}, "The nearest is FAILED."),
        ({"rule": "duplicate", "call": "get_export"}, "expected one of the calls create_report"),
        ({"rule": "rows", "dataset": "target_dayly"}, "The nearest is target_daily;"),
        ({"rule": "slow", "country": "UK"}, "there is no such country. Expected one of: BR, "),
        ({"rule": "history", "days": 9, "products": ["SPONSORED_BRAND"]}, f"is {BRANDS[0]}."),
        ({"rule": "refuse", "fields": ["metric.click"]}, "The nearest is metric.clicks;"),
        ({"rule": "slow", "probability": 2}, "should be less than or equal to 1; got 2"),
        ({"fault": "slow"}, "Unable to extract tag"),
        ("slow", "Input should be a valid dictionary"),
    ],
)
def test_a_wrong_rule_is_refused_with_what_there_is(given: Any, sentence: str) -> None:
    """A misspelt kind, field or word names the nearest right one."""
    with pytest.raises(RuleError) as caught:
        read_rules([{"rule": "cut"}, given])
    assert sentence in str(caught.value)


def test_a_rule_for_nobody_is_refused(caller: Any) -> None:
    """A misspelt account names the nearest right one; so does a client."""
    url = f"{caller.url}/sandbox/rules"
    for given, near in (("Acme Mrech", "is Acme Merch (US, CA)."), ("Acme Merch · DE", "is Acme")):
        answer = caller.http.post(url, json={"rule": "slow", "account": given})
        assert (400, True) == (answer.status_code, f"The nearest {near}" in answer.text)
    answer = caller.http.post(url, json={"rule": "slow", "client": "sandbox-klient"})
    assert (400, True) == (answer.status_code, "The nearest is sandbox-client." in answer.text)
    assert 400 == caller.http.post(url, content="{").status_code


@pytest.mark.parametrize(
    ("name", "strikes"),
    [
        ("amzn1.ads-account.g.1kc1bk217kscqoyqdyq24dt56", True),
        ("1kc1bk217kscqoyqdyq24dt56", True),
        ("US.acme-merch.1kc1bk21", True),
        ("acme-merch.1kc1bk21", True),
        ("Acme Merch · US", True),
        ("acme merch, ca", True),
        ("Acme Merch", True),
        ('Müller & Söhne "Hundeglück" GmbH · DE', False),
        ("DE.muller-sohne-hundegl.td2l34sm", False),
    ],
)
def test_an_account_has_all_names_that_people_type(
    caller: Any, name: str, *, strikes: bool
) -> None:
    """Id, name and key, each also with a country; case, blanks and punctuation do not matter."""
    [given] = caller.http.post(
        f"{caller.url}/sandbox/rules", json={"rule": "answer", "status": 429, "account": name}
    ).json()["rules"]
    assert name == given["rule"]["account"]
    assert strikes == (caller.create().status_code == 429)


@pytest.mark.parametrize("dataset", ALL_DATASETS, ids=lambda one: one.name)
def test_a_dataset_has_the_name_that_the_product_gives_it(caller: Any, dataset: Dataset) -> None:
    """A rule with this name strikes each of its reports."""
    caller.breaks("answer", "create_report", status=429, dataset=dataset.name)
    for report in dataset.reports:
        only = filter_of(*report.ad_products)
        assert 429 == caller.create(fields=list(report.fields), filter=only).status_code


def test_rules_are_listed_counted_and_removed(caller: Any) -> None:
    """`GET` has each rule as it was given, with how often it matched and struck."""
    url, given = f"{caller.url}/sandbox/rules", {"rule": "slow", "seconds": 0.0, "times": 1}
    caller.http.post(url, json=[given])
    for _ in range(2):
        caller.create()
    [shown] = caller.http.get(url).json()["rules"]
    assert (given, 1, False) == (shown["rule"], shown["struck"], shown["on"])
    assert 204 == caller.http.delete(url).status_code
    assert [] == caller.http.get(url).json()["rules"]


@pytest.mark.parametrize(
    ("limits", "statuses"),
    [
        ({}, [429, 429]),
        ({"times": 1}, [429, 207]),
        ({"region": "EU"}, [207, 207]),
        ({"region": "NA"}, [429, 429]),
        ({"client": "another"}, [207, 207]),
        ({"country": "DE"}, [207, 207]),
        ({"country": "CA"}, [429, 429]),
        ({"dataset": "sp_campaign_daily"}, [429, 207]),
        ({"dataset": "ad_daily"}, [207, 207]),
        ({"call": "retrieve_report"}, [207, 207]),
        ({"probability": 0}, [207, 207]),
    ],
    ids=str,
)
def test_a_rule_strikes_within_its_limits(
    caller: Any, limits: dict[str, Any], statuses: list[int]
) -> None:
    """By client, region, country, dataset, call and count: a report of campaigns, then one of targets, both of US and CA."""
    caller.breaks("answer", status=429, **limits)
    fields = ["date.value", "campaign.id", "metric.clicks"]
    of_targets = [*fields, "adGroup.id", "target.value", "target.matchType"]
    assert statuses == [caller.create(fields=one).status_code for one in (fields, of_targets)]


def test_a_rule_ends_by_the_sandboxs_clock(caller: Any) -> None:
    """Ten minutes of 429, and it is over."""
    caller.breaks("answer", "create_report", status=429, for_seconds=600)
    statuses = []
    for _ in range(3):
        statuses.append(caller.create().status_code)
        caller.state.clock.advance(300)
    assert [429, 429, 207] == statuses


def test_the_same_calls_fail_the_same_way(start: Callable[..., Any]) -> None:
    """A probability strikes by the seed and the number of the call."""

    def outcomes() -> list[int]:
        caller = start(max_reports_in_flight=50)
        caller.breaks("answer", "create_report", status=503, probability=0.5)
        return [caller.create().status_code for _ in range(20)]

    first = outcomes()
    assert first == outcomes()
    assert {207, 503} == set(first)


def test_rules_combine(caller: Any) -> None:
    """A report that is slow to come, in three parts, one of them gone, of rows that are restated and lose a field."""
    caller.breaks("report_ends", status="COMPLETED", seconds=7200, word="THINKING")
    caller.breaks("parts", count=3)
    caller.breaks("parts", missing=-1)
    caller.breaks("rows", change="restate", share=1)
    caller.breaks("rows", drop=["metric.sales"])
    report_id = caller.create_id()
    caller.state.clock.advance(7199)
    assert "THINKING" == caller.report(report_id)["status"]
    caller.state.clock.advance(1)
    parts = caller.report(report_id)["completedReportParts"]
    statuses = [caller.http.get(part["url"]).status_code for part in parts]
    assert [200, 200, 404] == statuses
    rows = caller.rows_of({"completedReportParts": parts[:2]})
    assert rows
    assert all("metric.sales" not in row for row in rows)


@pytest.mark.parametrize(
    ("fields", "status", "header"),
    [
        ({"status": 429, "retry_after": 30}, 429, "30"),
        ({"status": 429}, 429, None),
        ({"html": True}, 503, None),
        ({"status": 403}, 403, None),
    ],
)
def test_answer(caller: Any, fields: dict[str, Any], status: int, header: str | None) -> None:
    """A status, with Retry-After if asked for; HTML as a gateway's. Tokens are spared by refusals."""
    caller.breaks("answer", **fields)
    answer = caller.create()
    assert (status, header) == (answer.status_code, answer.headers.get("retry-after"))
    assert answer.text.startswith("<html>") == ("html" in fields)
    assert caller.ask_token().status_code == (503 if "html" in fields else 200)


def test_answer_edits(caller: Any) -> None:
    """Fields of an answer are dropped, added, and its values written otherwise."""
    caller.breaks("answer", "list_profiles", drop=["timezone"], add={"new": 1})
    caller.breaks("answer", "list_profiles", write={"profileId": "text"})
    caller.breaks("answer", "list_accounts", drop=["accountName"])
    answer = caller.http.get(f"{caller.url}/na/v2/profiles", headers=caller.headers)
    profile = answer.json()[0]
    assert (None, 1) == (profile.get("timezone"), profile["new"])
    assert isinstance(profile["profileId"], str)
    [first, *_] = caller.post("/na/adsAccounts/list").json()["adsAccounts"]
    assert "accountName" not in first


def test_answers_name_the_rules_that_bend_them(caller: Any) -> None:
    """None as a rule, and none where a rule leaves the answer as Amazon's documents have it."""
    caller.breaks("slow", seconds=0)
    assert "" == caller.create().headers["x-sandbox-bent-by"]
    caller.breaks("report_ends", word="QUEUED")
    caller.breaks("answer", "retrieve_report", add={"new": 1})
    report_id = caller.create_id(start=date(2026, 1, 9), end=date(2026, 1, 9))
    assert "answer, report_ends" == caller.retrieve(report_id).headers["x-sandbox-bent-by"]


def test_rule_that_changed_the_checks_does_not_bend_the_report(caller: Any) -> None:
    """The refusal would have been a 207; the report that was created is as Amazon has it."""
    caller.breaks("refuse", fields=["metric.clicks", "hour.value"], as_207=True)
    created = caller.create()
    assert "refuse" == created.headers["x-sandbox-bent-by"]
    report_id = created.json()["success"][0]["report"]["reportId"]
    assert "" == caller.retrieve(report_id).headers["x-sandbox-bent-by"]


@pytest.mark.parametrize(
    ("call", "keys"),
    [
        ("adsApi/v1/retrieve/reports", {"code", "message"}),
        ("adsApi/v1/query/advertiserAccounts", {"code", "message"}),
        ("portfolios/list", {"code", "message"}),
        ("ads/export", {"message"}),
        ("adsAccounts/list", {"errors"}),
    ],
)
def test_refusals_have_the_form_of_their_call(caller: Any, call: str, keys: set[str]) -> None:
    """Each part of the API has its own."""
    caller.token = "dead"
    answer = caller.post(f"/na/{call}", {})
    assert (401, keys) == (answer.status_code, set(answer.json()))


def test_token(caller: Any) -> None:
    """A token dies for good, and a revoked refresh token gets none."""
    caller.breaks("token", times=1)
    assert [401, 401] == [caller.create().status_code for _ in range(2)]
    caller.token = caller.new_token()
    assert 207 == caller.create().status_code
    caller.breaks("token", what="revoked")
    assert "invalid_grant" == caller.ask_token().json()["error"]


def test_a_revocation_ends_access_tokens_if_it_says_so(caller: Any) -> None:
    """Those of the revoked refresh token only, and for good."""
    caller.breaks("token", what="revoked")
    assert 207 == caller.create().status_code
    caller.breaks("token", what="revoked", ends_cached=True, refresh_token="Atzr|another")
    assert 207 == caller.create().status_code
    caller.breaks("token", what="revoked", ends_cached=True)
    assert 401 == caller.create().status_code
    assert "invalid_grant" == caller.ask_token().json()["error"]
    caller.state.rules.clear()
    assert 401 == caller.create().status_code


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"reason": "no_rights"}, 403, "FORBIDDEN"),
        ({"reason": "wrong_region"}, 400, "400000:"),
        ({"reason": "too_old"}, 400, "400000:"),
        ({"reason": "too_large", "days": 0}, 413, "CONTENT_TOO_LARGE"),
        ({"reason": "old_names"}, 400, "400005:"),
        ({"code": "400013", "message": "No"}, 400, "400013"),
        ({"fields": ["metric.clicks"]}, 400, "400005:"),
        ({"fields": ["metric.clicks", "ad.id"]}, 400, "400004:"),
        ({"fields": ["metric.clicks", "hour.value"]}, 207, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("as_207", [False, True])
def test_refuse(
    caller: Any, fields: dict[str, Any], status: int, code: str | None, *, as_207: bool
) -> None:
    """A reason has its status and code, plain or inside a 207, where a number is a code; elsewhere it begins the message."""
    caller.breaks("refuse", **fields)
    caller.breaks("refuse", as_207=as_207)
    answer = caller.create()
    if as_207 and fields.get("reason") != "wrong_region":
        assert 207 == answer.status_code
        errors = answer.json()["error"] or [{"errors": [{"code": None}]}]
        assert (code and code.rstrip(":")) == errors[0]["errors"][0]["code"]
    else:
        assert status == answer.status_code
        told = answer.json().get("message", ""), answer.json().get("code")
        assert told[0].startswith(code) if code and ":" in code else code == told[1]


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"days": 4}, 400),
        ({"days": 5}, 207),
        ({"days": 4, "empty": True}, 207),
        ({"days": 4, "products": BRANDS}, 207),
        ({"days": 4, "dataset": "campaign_hourly"}, 207),
        ({"days": 4, "region": "EU"}, 207),
        ({"days": 4, "region": "NA"}, 400),
    ],
    ids=str,
)
def test_history_is_refused(caller: Any, limits: dict[str, Any], status: int) -> None:
    """Of a region, a report and its ad products; a report of 10 January is of five days ago."""
    caller.breaks("history", **limits)
    assert status == caller.create().status_code


def test_history_of_one_product_is_missing_in_a_report_of_several(caller: Any) -> None:
    """The others have their rows, and neither is refused."""
    caller.breaks("history", days=4, products=BRANDS)
    days = rows_by_day(caller, "Sponsored Brands"), rows_by_day(caller, "Sponsored Products")
    assert [["2026-01-11", "2026-01-12"], ["2026-01-10", "2026-01-11", "2026-01-12"]] == [*days]


def test_history_may_end_as_an_empty_success(caller: Any) -> None:
    """Older days have no rows, however old they are; nothing is refused."""
    caller.breaks("history", days=4, empty=True)
    assert ["2026-01-11", "2026-01-12"] == rows_by_day(caller, "Sponsored Products")
    assert [] == caller.rows(start=date(2019, 1, 1), end=date(2019, 3, 1))


def test_history_may_be_longer_but_not_of_hours(caller: Any) -> None:
    """Where several rules strike, the shortest history counts."""
    two_years_ago = date(2024, 1, 16)
    assert 400 == caller.create(start=two_years_ago, end=two_years_ago).status_code
    caller.breaks("history", days=730)
    assert caller.rows(start=two_years_ago, end=two_years_ago)
    hours = ["hour.value", *BASIC]
    assert 400 == caller.create(fields=hours, start=date(2025, 12, 31)).status_code
    caller.breaks("history", days=500)
    assert 400 == caller.create(start=two_years_ago, end=two_years_ago).status_code


def rows_by_day(caller: Any, product: str) -> list[str]:
    """Return the days that have rows of an ad product in a report of three days and of all ad products."""
    fields = [*BASIC, "adProduct.value"]
    rows = caller.rows(end=date(2026, 1, 12), fields=fields, filter=None)
    return sorted({row["date.value"] for row in rows if row["adProduct.value"] == product})


def test_report_and_export_ends(caller: Any) -> None:
    """FAILED has a reason, CANCELLED none; PENDING never ends; small reports are spared if a size is given."""
    for fields, end, reason in (
        ({}, "FAILED", "Report generation failed"),
        ({"status": "CANCELLED"}, "CANCELLED", None),
        ({"reason": "Out of ink"}, "FAILED", "Out of ink"),
        ({"status": "PENDING"}, "PENDING", None),
        ({"longer_than_days": 60}, "COMPLETED", None),
    ):
        caller.breaks("report_ends", times=1, **fields)
        done = caller.completed()
        assert (end, reason) == (done["status"], done.get("failureReason"))
    caller.breaks("export_ends", code="TIMED_OUT")
    created = caller.export("ads", "POST", "/ads/export").json()
    caller.state.clock.advance(60)
    done = caller.export("ads", "GET", f"/exports/{created['exportId']}").json()
    assert ("FAILED", "TIMED_OUT") == (done["status"], done["error"]["errorCode"])


def test_rows(caller: Any) -> None:
    """Rows vanish, appear, are of other products and regions, and have ids in one form; the edits of exports are theirs alone."""
    usual = caller.rows()
    caller.breaks("rows", times=1, change="vanish", share=1)
    assert [] == caller.rows()
    caller.breaks("rows", times=1, change="appear", share=0.2)
    assert len(caller.rows()) > len(usual)
    caller.breaks("rows", times=1, change="all_products")
    assert 3 == len({row["adProduct.value"] for row in caller.rows()})
    caller.breaks("rows", times=1, change="foreign", share=1)
    assert {"US", "CA", "AU"} == {row["campaign.country"] for row in caller.rows()}
    caller.breaks("rows", times=1, change="no_country", country="US")
    assert {"CA"} == {row["campaign.country"] for row in caller.rows()}
    caller.breaks("rows", times=1, words=OTHER_SPELLINGS, write=dict.fromkeys(IDS, "number"))
    rows = caller.rows()
    assert {"SPONSORED_PRODUCTS"} == {row["adProduct.value"] for row in rows}
    assert {int} == {type(row["campaign.id"]) for row in rows}
    caller.breaks("rows", of="ads", where={"state": ["PAUSED"]}, drop=["campaignId"])
    ads = caller.exported("ads")
    assert all(("campaignId" in ad) == (ad["state"] != "PAUSED") for ad in ads)
    assert all("campaignId" in group for group in caller.exported("adGroups"))


def test_old_brands(caller: Any) -> None:
    """Enabled campaigns of Brands lose ad groups and rows; other countries keep theirs."""
    brands = {"body": {"adProductFilter": ["SPONSORED_BRANDS"], "stateFilter": STATES}}
    unfiltered = {"filter": None}
    campaigns, usual = caller.exported("campaigns", **brands), caller.rows(**unfiltered)
    old = [one["campaignId"] for one in campaigns if one["state"] == "ENABLED"][:2]
    caller.breaks("old_brands", campaigns=2, country="US")
    assert campaigns == caller.exported("campaigns", **brands)
    assert not {*old} & {one["campaignId"] for one in caller.exported("adGroups", **brands)}
    for kind in ("ads", "targets"):
        of_campaign = [one for one in caller.exported(kind, **brands) if one["campaignId"] in old]
        assert of_campaign
        assert all("adGroupId" not in one for one in of_campaign)
    american = [row for row in usual if row["campaign.country"] == "US"]
    left_out = [row for row in american if str(row["campaign.id"]) in old]
    assert {"Sponsored Brands"} == {row["adProduct.value"] for row in left_out}
    assert len(usual) - len(left_out) == len(caller.rows(**unfiltered))


def test_files_and_urls(caller: Any) -> None:
    """Half a file, another size than announced, a redirect; urls that have expired, and that are not signed anew."""
    done = caller.completed()
    report_id, whole = done["reportId"], done["completedReportParts"][0]
    for fields, status, share in (
        ({"keep": 0.5}, 200, 0.5),
        ({"redirect": ""}, 302, 0),
        ({"bytes_per_second": 10**7}, 200, 1),
    ):
        caller.breaks("file", times=1, **fields)
        answer = caller.http.get(whole["url"])
        assert status == answer.status_code
        assert int(whole["sizeInBytes"] * share) == len(answer.content)
    caller.breaks("file", times=1, size_factor=1)
    sizes = [caller.report(report_id)["completedReportParts"][0]["sizeInBytes"] for _ in range(2)]
    assert [whole["sizeInBytes"] + 1, whole["sizeInBytes"]] == sizes
    caller.breaks("urls", times=1, expired=True)
    expired = caller.report(report_id)["completedReportParts"][0]["url"]
    assert 403 == caller.http.get(expired).status_code
    caller.breaks("urls", same=True)
    assert whole["url"] == caller.report(report_id)["completedReportParts"][0]["url"]
    caller.breaks("parts", single_url=True)
    assert caller.completed()["url"]


def test_throttled_creates(start: Callable[..., Any]) -> None:
    """One report of a client at a time; a 429 that was accepted; a duplicate that names the running one."""
    caller = start(max_reports_in_flight=9)
    caller.breaks("accepted_429", times=1)
    assert 429 == caller.create().status_code
    assert 1 == len(caller.state.reports)
    caller.breaks("duplicate", times=1)
    answer = caller.create()
    [running] = caller.state.reports
    assert 425 == answer.status_code
    assert f"The Request is a duplicate of : {running.id}" == answer.json()["detail"]
    caller.breaks("one_at_a_time")
    later = {"start": date(2026, 1, 9), "end": date(2026, 1, 9)}
    assert 429 == caller.create(**later).status_code
    caller.state.clock.advance(3600)
    assert 207 == caller.create(**later).status_code
