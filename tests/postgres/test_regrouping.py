"""A new grouping of ad products into reports: windows carry over what is known of each day and product."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import RowMapping, func

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.loading.restatements import list_window_loads
from bidbeacon_pipelines.materializations.queries import lock_unrecorded_days
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from bidbeacon_pipelines.windows.history_queries import judge_account
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.load_world import (
    AS_OF,
    ASKED_AGAIN_AT,
    DAY,
    NEXT_AT,
    LoadWorld,
    Raw,
    report_row,
    run,
)
from tests.postgres.test_proven_history import prove
from tests.postgres.test_quarantine_replay import odd, quarantine, replay
from tests.support.ad_products import SB, SD, SP, SPELLED
from tests.support.checking import assert_has
from tests.support.jobs import load_by_hand, make_windows, set_contract
from tests.support.reading import call, column, tuples, value
from tests.support.rows import add_campaign, add_windows, change_accounts, change_windows
from tests.support.world import World

ALL = (SP, SB, SD)
ROWS = {SP: ("dog shirt", "cat shirt"), SB: ("fish shirt",), SD: ()}
APART, TOGETHER = "SP,SB,SD", None
"""The grouping into three reports, and the registry's, into one."""
Regroup = Callable[[str | None], None]


@pytest.fixture
def regroup(shelf: LoadWorld, context: JobContext) -> Regroup:
    """The function that sets another grouping and makes the windows again, as a refresh does."""
    world = World(shelf.engine, context=context)

    def set_grouping(grouping: str | None) -> None:
        set_contract(world, DAILY_TARGETS, "grouping", grouping)
        make_windows(world, shelf.account)

    set_grouping(TOGETHER)
    return set_grouping


def rows_of(*ad_products: str, without: str = "", **metrics: Any) -> list[Raw]:
    """Return the rows of a report of some ad products, but for one."""
    return [
        report_row(value, **{"adProduct.value": SPELLED[product]}, **metrics)
        for product in ad_products
        for value in ROWS[product]
        if value != without
    ]


def load(
    shelf: LoadWorld, *ad_products: str, age: float = 0, without: str = "", **metrics: Any
) -> LoadResult:
    """Load a report of some ad products."""
    rows = rows_of(*ad_products, without=without, **metrics)
    result = shelf.load(rows, ad_products=ad_products, age=age)
    change_windows(shelf.engine, wanted_by=None, wanted_at=None)
    return result


def windows(shelf: LoadWorld, day: date = DAY) -> dict[str, ReportWindow]:
    """Return the windows of a day, by report."""
    return {window.report: window for window in shelf.windows(day)}


def parts(shelf: LoadWorld) -> list[ReportWindow]:
    """Return the windows of the three reports that a day is split into."""
    found = windows(shelf)
    assert ["SB", "SD", "SP"] == sorted(found)
    return list(found.values())


def row_counts(found: dict[str, ReportWindow]) -> dict[str, int | None]:
    """Return how many rows each window has."""
    return {name: window.row_count for name, window in found.items()}


def test_each_part_of_a_split_report_knows_what_the_whole_did(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """Age, next refresh, number of loads and request are the old window's; totals are those of the ad product."""
    load(shelf, *ALL)
    load(shelf, *ALL, age=1)
    [old] = shelf.windows()
    regroup(APART)
    new = windows(shelf)
    for window in new.values():
        assert_has(
            window,
            status="loaded",
            cause=None,
            data_as_of=AS_OF + timedelta(days=1),
            next_refresh_at=NEXT_AT,
            load_count=2,
            last_loaded_at=old.last_loaded_at,
            loaded_by_request=old.loaded_by_request,
        )
    assert {"SP": 2, "SB": 1, "SD": 0} == row_counts(new)
    assert old.spend == sum(one.spend or 0 for one in new.values())
    assert [[SP], [SB], [SD]] == [list(new[name].product_totals) for name in ("SP", "SB", "SD")]


def test_joined_report_knows_what_its_parts_did(shelf: LoadWorld, regroup: Regroup) -> None:
    """Age and next refresh are the lowest of the old windows, the number of loads the highest, totals those of all."""
    regroup(APART)
    load(shelf, SD, age=3)
    load(shelf, SB)
    load(shelf, SB, age=1)
    load(shelf, SP, age=2)
    change_windows(shelf.engine, ReportWindow.report == "SD", next_refresh_at=None)
    change_windows(shelf.engine, recorded_load_count=ReportWindow.load_count)
    old = windows(shelf)
    regroup(TOGETHER)
    window = shelf.window()
    assert_has(
        window,
        report="SP+SB+SD",
        status="loaded",
        data_as_of=AS_OF + timedelta(days=1),
        next_refresh_at=NEXT_AT,
        load_count=2,
        recorded_load_count=2,
        loaded_by_request=old["SB"].loaded_by_request,
        last_loaded_at=old["SP"].last_loaded_at,
        row_count=3,
        spend=sum(one.spend or 0 for one in old.values()),
    )
    assert set(ALL) == set(window.product_totals)
    merged = load(shelf, *ALL, age=4, clicks=9)
    assert ([DAY], 3) == (merged.loaded, merged.merge.restated)


def test_window_is_missing_where_a_product_was_never_loaded(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """It is due as a new one; a product that the ads account has no campaigns of is not waited for."""
    regroup(APART)
    load(shelf, SP)
    load(shelf, SB)
    regroup("SP+SB,SD")
    statuses = {name: window.status for name, window in windows(shelf).items()}
    assert {"SP+SB": "loaded", "SD": "missing"} == statuses
    regroup(TOGETHER)
    window = shelf.window()
    assert ("missing", 0, {}) == (window.status, window.load_count, window.product_totals)
    assert window.next_refresh_at is not None
    assert window.next_refresh_at < AS_OF
    assert [DAY] == load(shelf, *ALL, age=1).loaded


def test_product_without_campaigns_is_not_waited_for(shelf: LoadWorld, regroup: Regroup) -> None:
    """Its windows were deleted, so no window ever knew it."""
    regroup("SP+SD,SB")
    load(shelf, SP, SD)
    add_campaign(shelf.engine, shelf.account)
    change_accounts(shelf.engine, entities_synced_at=func.now())
    regroup(TOGETHER)
    window = shelf.window()
    assert ("loaded", {SP, SD}) == (window.status, set(window.product_totals))


def test_two_groupings_in_a_row_and_back_change_nothing(shelf: LoadWorld, regroup: Regroup) -> None:
    """The window is the one that there was, with all of its columns."""
    bad = report_row("bird shirt", clicks="many")
    shelf.load([*rows_of(*ALL), bad], ad_products=ALL, bad_row_share=0.5)
    change_windows(
        shelf.engine,
        ReportWindow.load_count > 0,
        recorded_load_count=ReportWindow.load_count,
        recorded_run_id=func.gen_random_uuid(),
        unresolved_count=7,
    )
    old = shelf.window()
    assert 1 == old.quarantined_count
    for grouping in (APART, "SP,SB+SD", TOGETHER):
        regroup(grouping)
    assert {} == shelf.window().changes_from(old)
    made = tuples(shelf.engine, "SELECT report, windows FROM dataset_windows")
    assert [("SP+SB+SD", value(shelf.engine, "SELECT count(*) FROM report_windows"))] == made


def test_what_was_recorded_stays_recorded(shelf: LoadWorld, regroup: Regroup) -> None:
    """Also of a day that is not complete, before and after."""
    regroup(APART)
    load(shelf, SP)
    change_windows(shelf.engine, recorded_load_count=ReportWindow.load_count)
    regroup("SP,SB+SD")
    assert [] == call(shelf.engine, lock_unrecorded_days)
    load(shelf, SB, SD, age=1)
    regroup("SP+SB,SD")
    [day] = call(shelf.engine, lock_unrecorded_days)
    assert (True, {"SP+SB": 1, "SD": 1}) == (day.is_complete, day.new_loads)


DECIDED = {"decision": "keep", "decided_by": "maria", "decided_at": AS_OF}
FINAL = {"next_refresh_at": None, "cause": {"code": "other"}, "cause_since": AS_OF}
NOT_SERVED = {
    "status": "not_served",
    "next_refresh_at": NEXT_AT,
    "cause": {"code": "not-served"},
    "not_served_since": AS_OF,
    "refused_alone_at": AS_OF,
}


@pytest.mark.parametrize(
    ("is_loaded", "columns"),
    [
        pytest.param(True, FINAL | DECIDED, id="given up with its data, and decided upon"),
        pytest.param(False, NOT_SERVED, id="not served, and asked for again after four weeks"),
    ],
)
def test_parts_of_a_split_window_are_as_it_was(
    shelf: LoadWorld, regroup: Regroup, columns: dict[str, Any], *, is_loaded: bool
) -> None:
    """A new grouping requests the day no earlier, and keeps the cause and what was decided."""
    if is_loaded:
        load(shelf, *ALL)
    change_windows(shelf.engine, ReportWindow.window_date == DAY, **columns)
    regroup(APART)
    for window in parts(shelf):
        assert_has(window, **columns)


def test_failed_report_is_asked_for_at_once_in_its_new_grouping(
    shelf: LoadWorld, regroup: Regroup, context: JobContext
) -> None:
    """The cause of the failure is dropped; the day stays wanted by the same person, and claimed by the same session."""
    load(shelf, *ALL)
    now = context.now()
    due_at = now + timedelta(days=9)
    later = {"status": "failed", "cause": {"code": "other"}, "next_refresh_at": due_at}
    wanted = {"wanted_by": "maria", "wanted_at": AS_OF, "claimed_by": uuid4()}
    change_windows(shelf.engine, ReportWindow.window_date == DAY, **later, **wanted)
    regroup(APART)
    for window in parts(shelf):
        assert_has(window, status="loaded", cause=None, next_refresh_at=now, **wanted)


def test_suspicious_report_is_confirmed_anew(shelf: LoadWorld, regroup: Regroup) -> None:
    """Its rows stay, and it is asked for again when that was planned."""
    load(shelf, *ALL)
    assert [DAY] == list(load(shelf, *ALL, age=1, without="fish shirt").suspicious)
    regroup(APART)
    forgotten = {"cause": None, "suspicious_count": 0, "next_refresh_at": ASKED_AGAIN_AT}
    for window in parts(shelf):
        assert_has(window, status="loaded", **forgotten)
    assert [DAY] == list(load(shelf, SB, age=2, without="fish shirt").suspicious)
    confirmed = load(shelf, SB, age=3, without="fish shirt")
    assert ([DAY], 1) == (confirmed.loaded, confirmed.merge.vanished)


def test_days_that_amazon_serves_no_longer_stay(shelf: LoadWorld, regroup: Regroup) -> None:
    """Loaded days keep their data, and days that were never loaded stay expired."""
    loaded, never_loaded = date(2020, 1, 1), date(2020, 1, 2)
    expires_at = datetime(2022, 1, 1, tzinfo=UTC)
    over: dict[str, Any] = {"expires_at": expires_at, "next_refresh_at": None}
    load(shelf, *ALL)
    change_windows(shelf.engine, ReportWindow.load_count > 0, window_date=loaded, **over)
    add_windows(shelf.engine, shelf.account, [never_loaded], status="expired", **over)
    regroup(APART)
    for day, status in ((loaded, "loaded"), (never_loaded, "expired")):
        found = [(one.status, one.next_refresh_at) for one in shelf.windows(day)]
        assert [(status, None)] * 3 == found


def test_bad_rows_wait_for_the_next_report_of_their_product(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """A load of another product of the old report leaves them; once they are understood, they go into their own window."""
    bird, cow = rows_of(SB)[0] | {"campaign.id": 8}, rows_of(SP)[0] | {"campaign.id": 9}
    shelf.load([*rows_of(*ALL), odd(bird), odd(cow)], ad_products=ALL, bad_row_share=0.5)
    regroup(APART)
    load(shelf, SP, age=1)
    assert 2 == len(quarantine(shelf))
    [action] = replay(shelf)
    assert (1, 0) == (action.rows, action.left)
    new = windows(shelf)
    assert {"SP": 2, "SB": 2, "SD": 0} == row_counts(new)
    assert 2 == new["SB"].product_totals[SB]["rows"]
    assert "9" not in column(shelf.engine, f"SELECT campaign_id FROM {DAILY_TARGETS.name}")
    fixed = shelf.load([*rows_of(SB), bird], ad_products=(SB,), age=2)
    assert ([DAY], 0, 0) == (fixed.loaded, fixed.merge.restated, fixed.merge.vanished)
    assert [] == quarantine(shelf)


def test_replay_after_a_new_grouping_is_recorded_as_a_change(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """It restates the report that the window holds, as without a new grouping."""
    load(shelf, *ALL)
    bird = rows_of(SB)[0] | {"campaign.id": 8}
    shelf.load([*rows_of(*ALL), odd(bird)], ad_products=ALL, age=1, bad_row_share=0.5)
    regroup(APART)
    replay(shelf)
    assert ["appeared"] == column(shelf.engine, "SELECT change FROM restatements")


def test_day_that_is_in_use_is_regrouped_the_next_time(
    shelf: LoadWorld, regroup: Regroup, context: JobContext
) -> None:
    """For instance one of which a window is taken into a request right now: nobody waits, and no window is lost."""
    load(shelf, *ALL)
    with shelf.engine.begin() as connection:
        run(connection, "SELECT FROM report_windows WHERE window_date = :day FOR UPDATE", day=DAY)
        regroup(APART)
        assert ["SP+SB+SD"] == list(windows(shelf))
        assert ["SB", "SD", "SP"] == list(windows(shelf, DAY - timedelta(days=1)))
    make_windows(World(shelf.engine, context=context), shelf.account)
    assert {"loaded"} == {window.status for window in windows(shelf).values()}
    assert ["SB", "SD", "SP"] == list(windows(shelf))


def set_apart(world: World, account: Account) -> None:
    """Have ad products come in reports of their own, and make the windows again."""
    set_contract(world, DAILY_TARGETS, "grouping", APART)
    make_windows(world, account)


MADE_THROUGH = """
    SELECT through_date FROM dataset_windows
     WHERE dataset = 'daily_targets' AND report = 'SP+SB+SD' AND country_code = 'US'"""
"""Up to which day the windows of the old report exist; those of an earlier day than today are made again."""


def test_day_in_a_request_is_regrouped_when_that_has_ended(world: World) -> None:
    """Until then its window waits for the report in flight, which loads it; it is not asked for again after that."""
    world.shorten_history(10)
    account, day, today = world.account(), date(2026, 1, 12), date(2026, 1, 15)
    world.sync_entities(account)
    world.ask(account, day)
    set_apart(world, account)
    assert_has(world.window(account, day), report="SP+SB+SD", status="requested")
    assert today == value(world.engine, MADE_THROUGH)
    world.advance(minutes=2)
    world.step()
    assert today > value(world.engine, MADE_THROUGH)
    old = world.window(account, day)
    world.plan(account)
    kept = {"data_as_of": old.data_as_of, "next_refresh_at": old.next_refresh_at}
    for window in world.windows(account, day):
        assert_has(window, status="loaded", **kept)
    assert old.row_count == world.sums(account, day).row_count
    assert 3 == len(world.windows(account, day))


def test_history_of_a_day_goes_on_over_a_new_grouping(world: World) -> None:
    """Loads keep their numbers; a load after it that changes nothing confirms the last ones."""
    account, day = world.account(), date(2026, 1, 12)
    world.sync_entities(account)
    for days in (0, 4):
        world.advance(days=days)
        world.load(account, day)

    def history() -> list[RowMapping]:
        return call(world.engine, list_window_loads, account, DAILY_TARGETS.name, day)

    before = history()
    assert [1, 2] == [one["load_number"] for one in before if one["ad_product"] == SP]
    set_apart(world, account)
    assert before == history()
    world.advance(days=14)
    world.load(account, day)
    for old, new in zip(before, history(), strict=True):
        assert old["load_number"] == new["load_number"]
        is_last = old["confirmed_as_of"] == before[-1]["confirmed_as_of"]
        assert is_last == (new["confirmed_as_of"] > old["confirmed_as_of"])


def test_history_of_a_day_goes_on_where_its_reports_are_joined(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """Also where the joined window counts as never loaded, since one of its ad products was not."""
    regroup(APART)
    load(shelf, SP)
    load(shelf, SP, age=1, clicks=9)
    regroup(TOGETHER)
    load(shelf, *ALL, age=2, clicks=11)
    loads = """SELECT load_number, clicks_before, clicks FROM window_restatements
                WHERE ad_product = :product ORDER BY load_number"""
    expected = [(1, None, 10), (2, 10, 18), (3, 18, 22)]
    assert expected == tuples(shelf.engine, loads, product=SP)


def test_load_by_hand_that_failed_is_not_taken_for_loaded(world: World) -> None:
    """Also if its day is regrouped before the load ends, and has the number of earlier loads."""
    account, day = world.account(), date(2026, 1, 12)
    older = day - timedelta(days=200)
    world.load(account, day)
    world.break_with("refuse", "create_report", times=1, code="400013", message="No", as_207=True)
    changes = iter([set_apart])

    def change_once(_: str) -> None:
        for change in changes:
            change(world, account)

    with pytest.raises(WindowNotLoadedError) as failed:
        load_by_hand(world, account, day, older, on_progress=change_once)
    assert ([day], [older]) == (list(failed.value.causes), failed.value.loaded)


@pytest.fixture
def past_history(shelf: LoadWorld) -> LoadWorld:
    """Return an account with campaigns of Sponsored Products and Brands, whose day is older than is proven of any."""
    for product in (SP, SB):
        add_campaign(shelf.engine, shelf.account, ad_product=product, state="PAUSED")
    change_accounts(shelf.engine, entities_synced_at=func.now())
    return shelf


OLD = DAY - timedelta(days=50)


def load_old(shelf: LoadWorld, *ad_products: str, empty: bool = False) -> None:
    """Load a report of the old day."""
    found = [] if empty else [row | {"date.value": str(OLD)} for row in rows_of(*ad_products)]
    shelf.load(found, ad_products=ad_products, days=[OLD])
    change_windows(shelf.engine, wanted_by=None, wanted_at=None)


def of_old(shelf: LoadWorld) -> dict[str, tuple[str, list[str], bool]]:
    """Return status, ad products that are not served and whether there is data, of the old day's windows, by report."""
    found = windows(shelf, OLD)
    return {
        name: (one.status, one.not_served, one.not_served_since is None)
        for name, one in found.items()
    }


def test_joined_window_names_what_is_not_served(past_history: LoadWorld, regroup: Regroup) -> None:
    """It is loaded with what is, and is not requested again; split again it is as before."""
    regroup(APART)
    load_old(past_history, SP)
    load_old(past_history, SB, empty=True)
    before = of_old(past_history)
    assert {"SP": ("loaded", [], True), "SB": ("not_served", [SB], False)} == before
    old = windows(past_history, OLD)
    regroup(TOGETHER)
    assert {"SP+SB+SD": ("loaded", [SB], True)} == of_old(past_history)
    joined = past_history.window(OLD)
    assert (None, old["SP"].next_refresh_at) == (joined.cause, joined.next_refresh_at)
    regroup(APART)
    assert before == of_old(past_history)
    assert old["SB"].cause == windows(past_history, OLD)["SB"].cause


def test_day_of_which_nothing_is_served_stays_so_in_each_grouping(
    past_history: LoadWorld, regroup: Regroup
) -> None:
    """Also since when."""
    together = {"SP+SB+SD": ("not_served", [SB, SP], False)}
    apart = {"SP": ("not_served", [SP], False), "SB": ("not_served", [SB], False)}
    load_old(past_history, *ALL, empty=True)
    since = past_history.window(OLD).not_served_since
    assert together == of_old(past_history)
    regroup(APART)
    assert apart == of_old(past_history)
    assert_has(windows(past_history, OLD)["SP"], not_served_since=since, next_refresh_at=None)
    regroup(TOGETHER)
    assert together == of_old(past_history)


def test_joined_window_names_what_amazon_has_refused_for_good(
    past_history: LoadWorld, regroup: Regroup
) -> None:
    """It is no measured zero whatever is proven later; split again it is as before, and a report with its rows clears it."""
    regroup(APART)
    load_old(past_history, SP)
    load_old(past_history, SD, empty=True)
    refused = {"status": "not_served", "cause": {"code": "not-served"}, "next_refresh_at": None}
    is_it = ReportWindow.report == "SB", ReportWindow.window_date == OLD
    change_windows(past_history.engine, *is_it, not_served_since=AS_OF, **refused)
    regroup(TOGETHER)
    joined = {"SP+SB+SD": ("loaded", [SB], True)}
    assert joined == of_old(past_history)
    assert {SP, SD} == set(past_history.window(OLD).product_totals)
    prove(past_history, ad_product=SB, age_days=400)
    call(past_history.engine, judge_account, past_history.account)
    assert joined == of_old(past_history)
    regroup(APART)
    assert_has(windows(past_history, OLD)["SB"], last_loaded_at=None, **refused)
    regroup(TOGETHER)
    load_old(past_history, *ALL)
    assert {"SP+SB+SD": ("loaded", [], True)} == of_old(past_history)


def test_joined_window_that_was_never_loaded_restates_the_rows_that_are_there(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """Rows that two reports in a row do not have are removed, as of any young day, and every one is in the restatements."""
    regroup(APART)
    load(shelf, SP)
    load(shelf, SD)
    regroup(TOGETHER)
    assert "missing" == shelf.window().status
    assert [DAY] == list(shelf.load([], ad_products=ALL, age=1).suspicious)
    assert_has(shelf.window(), status="missing", suspicious_count=1)
    assert [DAY] == shelf.load([], ad_products=ALL, age=2).loaded
    assert ["vanished"] * 2 == column(shelf.engine, "SELECT change FROM restatements")


def test_bad_rows_of_joined_reports_stay_until_their_day_is_loaded(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """A report that is suspicious replaces none of them, whichever report they came in."""
    regroup(APART)
    load(shelf, SP)
    bird = odd(rows_of(SB)[0] | {"campaign.id": 8})
    shelf.load([*rows_of(SB), bird], ad_products=(SB,), age=1, bad_row_share=0.5)
    load(shelf, SD, age=1)
    regroup(TOGETHER)
    assert [] == shelf.load([], ad_products=ALL, age=2).loaded
    assert 1 == len(quarantine(shelf))
    assert [DAY] == load(shelf, *ALL, age=3).loaded
    assert [] == quarantine(shelf)
