"""Days without rows that are older than any that Amazon is known to serve: no zeros, unless there was no campaign."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as upsert

from bidbeacon_pipelines.accounts.credential_queries import set_owner
from bidbeacon_pipelines.accounts.queries import get_ads_account_by_id, upsert_ads_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.clock_repair import repair_instants
from bidbeacon_pipelines.contract.tables import ProvenHistory
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS, HOURLY_TARGETS, Dataset
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.materializations.queries import lock_unrecorded_days
from bidbeacon_pipelines.windows.history_queries import judge_account
from bidbeacon_pipelines.windows.rules import failed, next_refresh_at, put_back
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.load_world import DATASET, LoadWorld, Raw, report_row, run
from tests.postgres.test_quarantine_replay import odd, replay
from tests.support.ad_products import SB, SD, SP, SPELLED
from tests.support.checking import assert_has
from tests.support.one_dataset import only_datasets
from tests.support.reading import call, column, tuples, value
from tests.support.rows import add_campaign, change_accounts, change_windows
from tests.support.world import World

TODAY = date(2026, 1, 11)
"""The account's day when the reports of age 0 were requested."""


def ago(days: int) -> date:
    """Return the day so many days before `TODAY`."""
    return TODAY - timedelta(days=days)


def sync(shelf: LoadWorld) -> None:
    """Do what ends a sync of entities."""
    change_accounts(shelf.engine, entities_synced_at=func.now())
    call(shelf.engine, judge_account, shelf.account)


def sync_with_campaign(shelf: LoadWorld, **columns: Any) -> None:
    """Store a campaign of Sponsored Products, unless told otherwise, and end a sync."""
    add_campaign(shelf.engine, shelf.account, **columns)
    sync(shelf)


def prove(shelf: LoadWorld, **columns: Any) -> None:
    """Store up to which age history is proven; by default of the tests' dataset, by this client."""
    usual = {"client_id": "client", "region": "NA", "dataset": DATASET.name, "ad_product": SP}
    day = {"account_key": "US.one", "window_date": ago(41)}
    statement = upsert(ProvenHistory).values(usual | day | columns)
    age = {"age_days": statement.excluded.age_days}
    with shelf.engine.begin() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=[*usual], set_=age))


@pytest.fixture
def synced(shelf: LoadWorld) -> LoadWorld:
    """Return an account with a campaign of Sponsored Products and one of Brands."""
    for product in (SP, SB):
        sync_with_campaign(shelf, ad_product=product)
    return shelf


def rows(*ages: int, product: str = SP) -> list[Raw]:
    """Return a row of an ad product for each day."""
    return [report_row(day=ago(age), **{"adProduct.value": SPELLED[product]}) for age in ages]


def load(
    shelf: LoadWorld,
    ages: Iterable[int],
    found: list[Raw],
    *products: str,
    days_later: int = 0,
    dataset: Dataset = DATASET,
) -> LoadResult:
    """Load a report of days of these ages."""
    days, asked = [ago(age) for age in ages], products or (SP,)
    return shelf.load(found, days=days, ad_products=asked, age=days_later, dataset=dataset)


def not_served(shelf: LoadWorld) -> dict[int, list[str]]:
    """Return the ad products that are not served, by the age of their day."""
    found = "SELECT window_date, not_served FROM report_windows WHERE not_served <> '{}'"
    return {(TODAY - day).days: products for day, products in tuples(shelf.engine, found)}


def window(shelf: LoadWorld, age: int) -> ReportWindow:
    """Return the window of the day of an age."""
    return shelf.window(ago(age))


STATES = """
    SELECT state, as_of, is_final FROM window_states('2026-01-12', '12 hours')
     WHERE window_date = :day"""
"""What analysts read of the windows of a day: state, age of the data, and whether it is final."""


def test_empty_days_older_than_the_oldest_row_of_their_report_are_not_served(
    synced: LoadWorld,
) -> None:
    """Those between days with rows are measured zeros."""
    result = load(synced, range(30, 61), rows(30, 50))
    assert {age: [SP] for age in range(51, 61)} == not_served(synced)
    assert {ago(age) for age in range(51, 61)} == {row["window_date"] for row in result.not_served}
    ended, why = window(synced, 51), {"code": "history-not-proven"}
    assert_has(ended, status="not_served", next_refresh_at=None, cause=why, load_count=1)
    assert ended.data_as_of is not None
    assert ended.not_served_since is not None
    assert ended.not_served_since == ended.cause_since
    assert_has(window(synced, 49), status="loaded", not_served=[], not_served_since=None)
    [proven] = tuples(synced.engine, "SELECT * FROM proven_histories")
    by_client = ("client", "NA", "daily_targets", SP)
    assert (*by_client, 50, synced.account.account_key, ago(50)) == proven[:7]


@pytest.mark.parametrize(
    ("other", "left"),
    [
        pytest.param({}, {}, id="its own"),
        pytest.param({"client_id": "another"}, {40: [SP]}, id="client"),
        pytest.param({"region": "EU"}, {40: [SP]}, id="region"),
        pytest.param({"dataset": "daily_campaigns"}, {40: [SP]}, id="dataset"),
        pytest.param({"ad_product": SB}, {40: [SP]}, id="ad product"),
    ],
)
def test_history_is_proven_by_client_region_dataset_and_ad_product(
    synced: LoadWorld, other: dict[str, str], left: dict[int, list[str]]
) -> None:
    """An age that is proven for another one of these makes no zero of an empty day, unlike its own."""
    load(synced, [39, 40], rows(39))
    assert {40: [SP]} == not_served(synced)
    prove(synced, age_days=41, **other)
    sync(synced)
    assert left == not_served(synced)


@pytest.mark.parametrize("credential", ["default", "another"])
def test_another_client_id_keeps_what_is_proven(synced: LoadWorld, credential: str) -> None:
    """Whether the client is renewed or the account moves to another credential; the greater age counts, and one by a clock ahead does not."""
    load(synced, [40, 41, 50], [*rows(50), *rows(41, product=SB)], SP, SB)
    ahead = func.now() + timedelta(days=365)
    prove(synced, dataset="daily_campaigns", age_days=500, proven_at=ahead)
    prove(synced, client_id="new", age_days=45)
    prove(synced, client_id="new", ad_product=SB, age_days=60)
    account_id = synced.account.account_id
    if credential == "default":
        stored = vars(call(synced.engine, get_ads_account_by_id, account_id))
        values = stored | {"client_id": "new", "trusted": True}
        call(synced.engine, upsert_ads_account, values, now=datetime.now(UTC))
    else:
        call(synced.engine, set_owner, account_id, credential, "new")
    found = """SELECT client_id, dataset, ad_product, age_days FROM proven_histories
                WHERE age_days < 500 ORDER BY 1, 2, 3"""
    ages = [("client", SB, 41), ("client", SP, 50), ("new", SB, 60), ("new", SP, 50)]
    expected = [(of, "daily_targets", product, age) for of, product, age in ages]
    assert expected == tuples(synced.engine, found)
    sync(synced)
    assert {} == not_served(synced)


def test_ad_products_of_a_report_are_judged_one_by_one(synced: LoadWorld) -> None:
    """With rows of one the day is loaded, and names the other; one without campaigns does not count."""
    load(synced, [40, 41], rows(40), SP, SB, SD)
    assert {40: [SB], 41: [SB, SP]} == not_served(synced)
    loaded = window(synced, 40)
    assert_has(loaded, status="loaded", cause=None, not_served_since=None)
    assert loaded.next_refresh_at is not None
    assert "not_served" == window(synced, 41).status
    fresh, ended = ("fresh", loaded.data_as_of, False), ("not served", None, False)
    assert [fresh] == tuples(synced.engine, STATES, day=ago(40))
    assert [ended] == tuples(synced.engine, STATES, day=ago(41))


def test_measured_zero_of_one_ad_product_keeps_the_day_loaded(synced: LoadWorld) -> None:
    """Where its history reaches the day, though that of the other one does not."""
    load(synced, [40, 45], rows(45), SP, SB)
    assert {40: [SB], 45: [SB]} == not_served(synced)
    assert {"loaded"} == {window(synced, age).status for age in (40, 45)}


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        pytest.param({}, "not_served", id="paused"),
        pytest.param({"state": "ARCHIVED"}, "not_served", id="archived"),
        pytest.param({"seen_at": datetime(2020, 1, 1, tzinfo=UTC)}, "not_served", id="not sent"),
        pytest.param({"ad_product": None}, "not_served", id="without a product, so of SP"),
        pytest.param({"start_date": ago(40), "end_date": ago(40)}, "not_served", id="that day"),
        pytest.param({"start_date": ago(39)}, "loaded", id="later"),
        pytest.param({"end_date": ago(41)}, "loaded", id="earlier"),
        pytest.param({"is_reported": False}, "loaded", id="not in reports"),
    ],
)
def test_day_without_a_campaign_is_a_measured_zero(
    shelf: LoadWorld, columns: dict[str, Any], status: str
) -> None:
    """A campaign of that day counts whatever its state is, and though Amazon may send it no more; one that reports leave out does not."""
    sync_with_campaign(shelf, **{"state": "PAUSED"} | columns)
    load(shelf, [40], [])
    assert_has(window(shelf, 40), status=status, not_served=[SP] if status != "loaded" else [])


def test_nothing_is_judged_before_entities_are_synced(shelf: LoadWorld) -> None:
    """Then what was loaded before is judged, and once more when the campaigns turn out to be others."""
    add_campaign(shelf.engine, shelf.account)
    load(shelf, [40, 41], rows(40))
    assert {} == not_served(shelf)
    sync(shelf)
    assert {41: [SP]} == not_served(shelf)
    shelf.execute(f"UPDATE campaigns SET start_date = '{ago(40)}'")
    sync(shelf)
    assert ({}, "loaded") == (not_served(shelf), window(shelf, 41).status)


@pytest.mark.parametrize(("dataset", "oldest"), [(DATASET, 30), (HOURLY_TARGETS, 12)])
def test_young_days_are_beyond_doubt(shelf: LoadWorld, dataset: Dataset, oldest: int) -> None:
    """Also while nothing is proven."""
    sync_with_campaign(shelf, state="PAUSED")
    load(shelf, [oldest, oldest + 1], [], dataset=dataset)
    assert {oldest + 1: [SP]} == not_served(shelf)


def test_older_age_makes_measured_zeros_of_days_without_another_request(shelf: LoadWorld) -> None:
    """They are recorded, and due as loaded days of their age are; those that are older still stay."""
    sync_with_campaign(shelf)
    load(shelf, [40, 41, 50], rows(40), SP, SB, SD)
    change_windows(shelf.engine, recorded_load_count=ReportWindow.load_count)
    load(shelf, [45], rows(45), SP, SB, SD)
    assert {50: [SP]} == not_served(shelf)
    again = window(shelf, 41)
    due_at = next_refresh_at(DATASET, ago(41), shelf.account.time_zone, again.data_as_of)
    assert due_at is not None
    assert_has(again, status="loaded", not_served_since=None, cause=None, next_refresh_at=due_at)
    assert [41, 45] == recorded_ages(shelf)
    assert window(shelf, 50).next_refresh_at is None
    assert 2 == value(shelf.engine, "SELECT count(*) FROM report_requests")


def recorded_ages(shelf: LoadWorld) -> list[int]:
    """Return the ages of days that are to be materialized."""
    unrecorded = call(shelf.engine, lock_unrecorded_days)
    return [(TODAY - day.window_date).days for day in unrecorded if day.is_complete]


def test_window_in_use_is_judged_after_the_next_sync(synced: LoadWorld) -> None:
    """A load that proves more waits for no other one."""
    load(synced, [40, 41], rows(40))
    with synced.engine.begin() as connection:
        lock = "SELECT FROM report_windows WHERE window_date = :day FOR UPDATE"
        run(connection, lock, day=ago(41))
        load(synced, [45], rows(45))
        assert {41: [SP]} == not_served(synced)
    sync(synced)
    assert {} == not_served(synced)


def test_age_that_a_clock_ahead_has_proven_does_not_count(synced: LoadWorld) -> None:
    """The repair counts it anew from the day that proved it."""
    load(synced, [40], rows(40))
    synced.execute("""
        UPDATE proven_histories SET age_days = 500, proven_at = now() + interval '1 year'""")
    noon = datetime.combine(TODAY, time(12), UTC)
    assert repair_instants(synced.engine, noon, noon)
    assert 40 == value(synced.engine, "SELECT age_days FROM proven_histories")
    load(synced, [41, 45], rows(41))
    assert {45: [SP]} == not_served(synced)
    assert 41 == value(synced.engine, "SELECT age_days FROM proven_histories")


def test_day_with_quarantined_rows_is_judged_again_once_they_are_understood(
    synced: LoadWorld,
) -> None:
    """Until then a product without good rows is not served, whichever product the others are of."""
    brand = odd(rows(41, product=SB)[0])
    days = [ago(40), ago(41), ago(42)]
    synced.load([*rows(40, 41), brand], days=days, ad_products=(SP, SB), bad_row_share=0.5)
    assert {40: [SB], 41: [SB], 42: [SB, SP]} == not_served(synced)
    replay(synced)
    assert {42: [SB, SP]} == not_served(synced)
    found = "SELECT ad_product, age_days FROM proven_histories ORDER BY age_days, 1"
    assert [(SB, 41), (SP, 41)] == tuples(synced.engine, found)


def test_loaded_again_with_rows_it_is_a_day_like_others(synced: LoadWorld) -> None:
    """So it is when a person loads it by hand; without rows it stays as it is, since when it is so too."""
    load(synced, [40, 41], rows(40))
    since = window(synced, 41).not_served_since
    load(synced, [41], [])
    assert_has(window(synced, 41), status="not_served", not_served_since=since, load_count=2)
    load(synced, [41], rows(41))
    assert {} == not_served(synced)
    loaded = window(synced, 41)
    assert_has(loaded, status="loaded", not_served_since=None, cause=None)
    assert loaded.next_refresh_at is not None


def test_refused_report_of_a_day_that_is_not_served_makes_no_zero_of_it(synced: LoadWorld) -> None:
    """It stays not served, and is not due again."""
    load(synced, [40, 41], rows(40))
    before = window(synced, 41)
    result = load(synced, [41], [odd(rows(41)[0])])
    assert [ago(41)] == list(result.refused)
    after = window(synced, 41)
    for name in ("status", "not_served", "not_served_since", "cause", "next_refresh_at"):
        assert getattr(before, name) == getattr(after, name)
    assert [("not served", None, False)] == tuples(synced.engine, STATES, day=ago(41))


def test_request_that_ends_without_a_report_makes_no_zero_of_it() -> None:
    """Whether it failed, or the account was stopped; a day that Amazon has refused is due again."""
    at, why = datetime(2026, 1, 12, tzinfo=UTC), {"code": "history-not-proven"}
    refused = ReportWindow(status="requested", not_served_since=at, cause=why)
    loaded = refused.with_changes(data_as_of=at)
    for end, due_at in (
        (failed(loaded, {"code": "other"}, at), None),
        (put_back(loaded, at), None),
        (put_back(refused, at), at),
    ):
        assert_has(end, status="not_served", next_refresh_at=due_at, cause=why)


def test_partition_of_a_day_that_is_not_served_is_not_materialized(synced: LoadWorld) -> None:
    """With a report of the day that is loaded it is, also if that was recorded as incomplete before."""
    load(synced, [40, 41], rows(40, product=SB), SB)
    assert [40] == recorded_ages(synced)
    load(synced, [41], rows(41), SP)
    assert [40, 41] == recorded_ages(synced)
    load(synced, [50], rows(50), SP)
    change_windows(
        synced.engine, recorded_load_count=ReportWindow.load_count, wanted_by=None, wanted_at=None
    )
    load(synced, [40, 50], rows(40, product=SB), SB)
    assert [40, 50] == recorded_ages(synced)
    unrecorded = call(synced.engine, lock_unrecorded_days)
    [day] = [one for one in unrecorded if one.window_date == ago(50)]
    assert_has(day, load_count=1, row_count=1, new_loads={"SP": 1})


def test_zero_that_was_measured_early_stays_one(synced: LoadWorld) -> None:
    """A report of the same day a month later confirms it, also where history is proven for less."""
    load(synced, [28, 29], rows(28))
    load(synced, [28, 29], rows(28), days_later=30)
    load(synced, [29], [], days_later=31)
    sync(synced)
    assert ({}, "loaded") == (not_served(synced), window(synced, 29).status)


def test_rows_of_a_day_past_the_proven_history_are_kept(synced: LoadWorld) -> None:
    """A later report without them may only be one that Amazon serves no longer: a person decides, no second report does."""
    load(synced, [40], rows(40))
    for later in (3, 4):
        result = load(synced, [40], [], days_later=later)
        assert [ago(40)] == list(result.suspicious)
        kept = window(synced, 40)
        assert_has(kept, row_count=1, next_refresh_at=None)
        assert "final-rows-lost" == (kept.cause or {}).get("code")
    load(synced, [44, 40], rows(44), days_later=5)
    assert 1 == window(synced, 40).row_count


def test_rows_of_a_day_within_the_proven_history_are_removed_after_a_second_report(
    synced: LoadWorld,
) -> None:
    """As those of young days."""
    load(synced, [40], rows(40))
    load(synced, [60], rows(60))
    assert [ago(40)] == list(load(synced, [40], [], days_later=3).suspicious)
    assert [ago(40)] == load(synced, [40], [], days_later=4).loaded
    assert_has(window(synced, 40), row_count=0, status="loaded")


def from_empty_history(days: int) -> dict[str, object]:
    """Return the sandbox's settings for an Amazon that answers days older than so many as empty success."""
    rule = {"rule": "history", "days": days, "empty": True}
    return {"rows_per_day": 12, "rules": [rule]}


@pytest.fixture
def account(world: World) -> Account:
    """Return an account with campaigns."""
    found = world.account()
    world.sync_entities(found)
    return found


NOW_DAY = date(2026, 1, 15)


def days_of(*ages: int) -> list[date]:
    """Return the account's days so many days before the sandbox's."""
    return [NOW_DAY - timedelta(days=age) for age in ages]


@pytest.mark.parametrize("sandbox", [from_empty_history(100)], indirect=True)
def test_empty_success_is_no_zero_in_any_view(world: World, account: Account) -> None:
    """Analysts see days with rows, and those that are not served in `reports.days` only."""
    world.load(account, *days_of(*range(95, 111)), dataset=DAILY_CAMPAIGNS)
    ended = days_of(*range(110, 100, -1))
    summed = "SELECT DISTINCT window_date FROM reports.{} ORDER BY 1"
    for view in ("account_daily_summaries", "daily_campaigns", "restatements"):
        found = column(world.engine, summed.format(view))
        assert days_of(*range(100, 94, -1)) == found
    told = """SELECT DISTINCT window_date, cause, as_of, is_final, next_at FROM reports.report_days
               WHERE state = 'not served' ORDER BY 1"""
    why = ("history-not-proven", None, False, None)
    assert [(day, *why) for day in ended] == tuples(world.engine, told)
    recorded = [action["windows"] for action in world.actions("windows-not-served")]
    assert [str(day) for day in ended] in [sorted(days) for days in recorded]


@pytest.mark.parametrize("sandbox", [from_empty_history(100)], indirect=True)
def test_wholly_empty_report_is_confirmed_by_a_second_one_first(
    world: World, account: Account
) -> None:
    """Then its days are not served, and no report of the days around them takes them along."""
    world.shorten_history(130)
    days = days_of(*range(110, 115))
    expected = [("unconfirmed", []), ("not_served", [SB, SD, SP])]
    for state in expected:
        world.load(account, *days)
        found = [(one.status, one.not_served) for one in world.windows(account, *days)]
        assert [state] * 5 == found
        world.advance(minutes=20)
    around = days_of(109, 115)
    with only_datasets(DATASET.name):
        while any(one.load_count == 0 for one in world.windows(account, *around)):
            world.refresh(account)
            world.advance(minutes=20)
    assert {1} == {one.load_count for one in world.windows(account, *days)}
