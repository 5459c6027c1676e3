"""Campaigns that Amazon's reports leave out: finding, days, coverage and explain name them."""

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DATASETS, HOURLY_CAMPAIGNS, get_dataset
from bidbeacon_pipelines.problems.data_findings import left_out_campaigns
from bidbeacon_pipelines.problems.findings import Finding
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.states.coverage import WindowCoverage
from tests.postgres.explaining import explained_json
from tests.support.jobs import make_windows
from tests.support.reading import call, tuples, value
from tests.support.truth import DayRows, catalog_of, columns_of
from tests.support.world import World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)
CAMPAIGNS, PRODUCTS = get_dataset("daily_campaigns"), get_dataset("daily_products")
PAGE = (PROJECT_ROOT / "docs" / "how-to" / "answer-business-questions.md").read_text(
    encoding="utf-8"
)
pytestmark = pytest.mark.parametrize("sandbox", [{"rows_per_day": 400}], indirect=True)


def campaigns_at_amazon(world: World, account: Account) -> list[dict[str, Any]]:
    """Return the enabled Brands campaigns of an account, as exports have them."""
    campaigns = catalog_of(world.sandbox.state, account, "SPONSORED_BRANDS").entities["campaigns"]
    return [one for one in campaigns if one["state"] == "ENABLED"]


def find(world: World) -> list[Finding]:
    """Return the findings on campaigns that reports leave out."""
    return call(world.engine, left_out_campaigns, world.context.settings, world.context.now())


def sync(world: World, *accounts: Account) -> None:
    """Sync entities, all kinds anew."""
    world.advance(hours=7)
    for account in accounts or (world.account(),):
        world.sync_entities(account)


def names_left_out(world: World, account: Account, day: date) -> dict[str, list[str]]:
    """Return what `reports.days` says is left out of a day, by dataset."""
    left_out = """SELECT dataset, left_out FROM reports.days
                   WHERE account_key = :key AND window_date = :day"""
    rows = tuples(world.engine, left_out, key=account.account_key, day=day)
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_finding_names_campaigns_with_their_budgets(world: World) -> None:
    """One finding for all accounts, each with its campaigns; none before the first sync."""
    us, ca = world.account(), world.account("CA")
    world.break_with("old_brands", campaigns=2)
    assert find(world) == []
    sync(world, us)
    [one] = find(world)
    assert ("campaigns-not-reported", 2, (us.label,)) == (one.key, one.count, one.names)
    old = sorted(campaigns_at_amazon(world, us)[:2], key=lambda campaign: str(campaign["name"]))
    assert f"{us.label}: {', '.join(map(told, old))}" == one.effects[1].text
    sync(world, us, ca)
    [both] = find(world)
    number = 2 + len(campaigns_at_amazon(world, ca)[:2])
    assert number == both.count
    assert f"{number} campaigns of 2 accounts left out" == both.effects[0].text
    world.pause(ca)
    assert [one] == find(world)


def told(campaign: dict[str, Any]) -> str:
    """Return how the finding names a campaign."""
    caps = campaign["budgetCaps"]
    budget = caps["budgetValue"]["monetaryBudget"]
    recurrence = caps["recurrenceTimePeriod"].lower()
    amount = f"{budget['amount']:,.2f} {budget['currencyCode']}"
    return f"{campaign['name']} ({recurrence} budget {amount})"


def test_finding_ends_with_the_first_ad_group(world: World) -> None:
    """Nothing is left out of the days any more, either."""
    world.break_with("old_brands")
    sync(world)
    assert find(world)
    world.sandbox.state.rules.clear()
    sync(world)
    assert find(world) == []
    assert world.query("SELECT FROM reports.campaigns WHERE NOT is_reported") == []


def change_at_amazon(world: World, campaign: dict[str, Any], **fields: Any) -> None:
    """Have exports tell other values of a campaign."""
    where = {"campaignId": [campaign["campaignId"]]}
    world.break_with("rows", of="campaigns", add=fields, where=where)


def sync_one_since_day(world: World) -> tuple[Account, dict[str, Any]]:
    """Sync entities with a campaign that is left out from `DAY` on; return the account and the campaign."""
    account = world.account()
    [campaign, *_] = campaigns_at_amazon(world, account)
    world.break_with("old_brands")
    change_at_amazon(world, campaign, startDate=str(DAY))
    sync(world)
    return account, campaign


def test_finding_starts_with_the_campaign_in_the_calendar_of_its_account(
    world: World,
) -> None:
    """A campaign of tomorrow is not missing yet; at Amazon its day starts at local midnight."""
    account = world.account()
    [campaign, *_] = campaigns_at_amazon(world, account)
    world.break_with("old_brands")
    tomorrow = TODAY + timedelta(days=1)
    change_at_amazon(world, campaign, startDate=str(tomorrow))
    sync(world)
    midnight = datetime.combine(tomorrow, time.min, ZoneInfo(account.time_zone))
    world.jump(midnight - timedelta(minutes=1))
    assert find(world) == []
    world.advance(minutes=2)
    assert 1 == find(world)[0].count


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "PAUSED", "lastUpdatedDateTime": f"{DAY}T12:00:00Z"},
        {"state": "ARCHIVED", "lastUpdatedDateTime": f"{DAY}T12:00:00Z"},
        {"endDate": str(DAY)},
    ],
)
def test_campaign_that_no_longer_runs_has_no_finding(world: World, changes: dict[str, Any]) -> None:
    """Its earlier days stay marked: their sums are still too small."""
    account = world.account()
    [campaign, *_] = campaigns_at_amazon(world, account)
    world.break_with("old_brands")
    change_at_amazon(world, campaign, **changes)
    sync(world)
    assert find(world) == []
    make_windows(world, account, CAMPAIGNS)
    left_out = [names_left_out(world, account, DAY + timedelta(days=n)) for n in (0, 1)]
    assert [[campaign["name"]], []] == [one["daily_campaigns"] for one in left_out]


def test_campaign_that_is_gone_has_no_finding(world: World) -> None:
    """Two exports in a row did not have it; until the first of them its days are marked."""
    account = world.account()
    [campaign, *_] = campaigns_at_amazon(world, account)
    world.break_with("old_brands")
    sync(world)
    make_windows(world, account, CAMPAIGNS)
    world.break_with("rows", of="campaigns", change="vanish", share=1)
    sync(world)
    assert find(world)
    sync(world)
    assert find(world) == []
    world.execute("UPDATE campaigns SET missing_since = '2026-01-12T20:00Z'")
    left_out = [names_left_out(world, account, DAY + timedelta(days=n)) for n in (0, 1)]
    assert [[campaign["name"]], []] == [one["daily_campaigns"] for one in left_out]


def test_campaign_is_not_judged_by_ad_groups_that_were_not_read(world: World) -> None:
    """One of which an ad group could not be read, or that is younger than the export of them."""
    [first, second, *_] = campaigns_at_amazon(world, world.account())
    world.break_with("old_brands")
    change_at_amazon(world, first, creationDateTime="2026-01-20T00:00:00Z")
    of_second = {"campaignId": [second["campaignId"]]}
    world.break_with("rows", of="adGroups", write={"adGroupId": "null"}, where=of_second)
    world.break_with("rows", of="ads", change="vanish", share=1)
    sync(world)
    assert find(world) == []
    world.advance(days=7)
    sync(world)
    assert 1 == find(world)[0].count


def test_days_from_its_start_name_it(world: World) -> None:
    """In datasets with Brands; the day is complete, and lacks what the campaign truly spent."""
    account, campaign = sync_one_since_day(world)
    make_windows(world, account, *DATASETS.values())
    with_brands = {name for name, one in DATASETS.items() if "SPONSORED_BRANDS" in one.ad_products}
    expected = {name: [campaign["name"]] if name in with_brands else [] for name in DATASETS}
    assert expected == names_left_out(world, account, DAY)
    before = names_left_out(world, account, DAY - timedelta(days=1))
    assert before == {name: [] for name in DATASETS}


def test_query_of_the_document_names_it_with_its_days(world: World) -> None:
    """As it stands in docs/how-to/answer-business-questions.md, but for the day that is today."""
    query = re.search(r"```sql\n(select [^`]+unnest\(left_out\)[^`]+)```", PAGE)
    assert query is not None
    account, campaign = sync_one_since_day(world)
    make_windows(world, account, CAMPAIGNS)
    answer = tuples(world.engine, query[1].replace("current_date", f"DATE '{TODAY}'"))
    assert [(account.account_key, campaign["name"], DAY, TODAY)] == answer


def test_day_that_lacks_it_is_complete(world: World) -> None:
    """Its sums lack what the campaign truly spent."""
    account, campaign = sync_one_since_day(world)
    world.load(account, DAY, dataset=CAMPAIGNS)
    chosen = {"key": account.account_key, "day": DAY}
    days = """SELECT is_complete, left_out, as_of FROM reports.days
               WHERE dataset = 'daily_campaigns' AND account_key = :key AND window_date = :day"""
    [(is_complete, left_out, as_of)] = tuples(world.engine, days, **chosen)
    assert (True, [campaign["name"]]) == (is_complete, left_out)
    spend = """SELECT sum(spend) FROM reports.daily_campaigns
                WHERE account_key = :key AND window_date = :day AND ad_product = 'SPONSORED_BRANDS'"""
    shown = value(world.engine, spend, **chosen)
    true = true_spend(world, account, DAY, as_of)
    assert (shown or 0) == sum(true.values()) - true[campaign["campaignId"]]
    assert true[campaign["campaignId"]] > 0


def true_spend(world: World, account: Account, day: date, at: Any) -> dict[str, Decimal]:
    """Return what each Brands campaign spent on a day, as Amazon knows it."""
    day_rows = DayRows(world.engine, world.sandbox.state, account, CAMPAIGNS, day)
    campaign = columns_of(CAMPAIGNS).index("campaign_id")
    return {
        key[campaign]: day_rows.total({key: values}, "spend")
        for key, values in day_rows.true(at, ["SPONSORED_BRANDS"]).items()
    }


def test_coverage_and_explain_name_it(world: World) -> None:
    """Coverage has the campaign with its days; explain has it on these days only."""
    account, campaign = sync_one_since_day(world)
    expected = [{"campaign": campaign["name"], "from": str(DAY), "to": None}]
    assert expected == coverage_of(world, account, "daily_campaigns", TODAY)
    assert [] == coverage_of(world, account, "daily_campaigns", DAY - timedelta(days=1))
    assert [] == coverage_of(world, account, "hourly_campaigns", TODAY)
    before = DAY - timedelta(days=1)
    for day, dataset, names in (
        (DAY, CAMPAIGNS, [campaign["name"]]),
        (before, CAMPAIGNS, []),
        (DAY, HOURLY_CAMPAIGNS, []),
    ):
        assert names == explained_json(world, account, day, dataset)["left_out"]


def coverage_of(world: World, account: Account, dataset: str, to: date) -> Sequence[Any]:
    """Return what coverage says is left out of an account's days."""
    coverage = WindowCoverage(world.sessions, clock=world.context.now)
    accounts = coverage.read_coverage(dataset, 5, to)["accounts"]
    [found] = [one["left_out"] for one in accounts if one["key"] == account.account_key]
    return list(found)


def test_empty_report_is_no_surprise_where_all_campaigns_are_left_out(world: World) -> None:
    """It is loaded at once; that of the other ad products has to be confirmed."""
    world.break_with("old_brands", campaigns=1_000)
    sync(world)
    world.break_with("rows", "create_report", change="vanish", share=1)
    world.load(world.account(), DAY, dataset=PRODUCTS)
    windows = world.windows(world.account(), DAY, dataset=PRODUCTS)
    assert {"SB": "loaded", "SP+SD": "unconfirmed"} == {one.report: one.status for one in windows}
