"""A new grouping of ad products into reports: windows carry over what is known of each day and product."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import RowMapping, func

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.loading.restatements import list_window_loads
from bidbeacon_pipelines.requests.backfill import Progress, WindowNotLoadedError, drive_windows
from bidbeacon_pipelines.windows.contracts import change_contract
from bidbeacon_pipelines.windows.history_queries import judge_account
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.queries import list_unrecorded_days
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionStore, with_job_session
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
from tests.postgres.test_quarantine_replay import odd, quarantine, replay
from tests.support.rows import add_windows, change_accounts, change_windows
from tests.support.world import World

SP, SB, SD = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"
SPELLED = {SP: "Sponsored Products", SB: "Sponsored Brands", SD: "Sponsored Display"}
ALL = (SP, SB, SD)
ROWS = {SP: ("dog shirt", "cat shirt"), SB: ("fish shirt",), SD: ()}
APART, TOGETHER = "SP,SB,SD", None
"""The grouping into three reports, and the registry's, into one."""
Regroup = Callable[[str | None], None]


@pytest.fixture
def regroup(shelf: LoadWorld, context: JobContext) -> Regroup:
    """The function that sets another grouping and makes the windows again, as a refresh does."""

    def set_grouping(grouping: str | None) -> None:
        with with_job_session("test", store=SessionStore(shelf.engine)) as session:
            with shelf.engine.begin() as connection:
                change = ("NA", DAILY_TARGETS.name, "grouping", grouping)
                at = context.now()
                change_contract(connection, session, *change, by="a person", at=at)
            keep_windows(context, session, shelf.account, DAILY_TARGETS)

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


def test_each_part_of_a_split_report_knows_what_the_whole_did(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """Age, next refresh, number of loads and request are the old window's; totals are those of the ad product."""
    load(shelf, *ALL)
    load(shelf, *ALL, age=1)
    [old] = shelf.windows()
    regroup(APART)
    new = windows(shelf)
    assert ["SB", "SD", "SP"] == sorted(new)
    for window in new.values():
        assert ("loaded", None) == (window.status, window.cause)
        assert (AS_OF + timedelta(days=1), NEXT_AT) == (window.data_as_of, window.next_refresh_at)
        assert (2, old.last_loaded_at) == (window.load_count, window.last_loaded_at)
        assert old.loaded_by_request == window.loaded_by_request
    assert {"SP": 2, "SB": 1, "SD": 0} == {name: one.row_count for name, one in new.items()}
    assert old.spend == sum(one.spend or 0 for one in new.values())
    assert [[SP], [SB], [SD]] == [list(new[name].product_totals) for name in ("SP", "SB", "SD")]


def test_vanished_row_after_a_new_grouping_is_suspicious(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """The report of the other days is loaded; a second report that says the same is believed, and the change recorded."""
    load(shelf, *ALL)
    regroup(APART)
    first = load(shelf, SB, age=1, without="fish shirt")
    assert [DAY] == list(first.suspicious)
    second = load(shelf, SB, age=2, without="fish shirt")
    assert ([DAY], 1) == (second.loaded, second.merge.vanished)


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
    assert ("SP+SB+SD", "loaded") == (window.report, window.status)
    assert (AS_OF + timedelta(days=1), NEXT_AT) == (window.data_as_of, window.next_refresh_at)
    assert (2, 2) == (window.load_count, window.recorded_load_count)
    assert old["SB"].loaded_by_request == window.loaded_by_request
    assert old["SP"].last_loaded_at == window.last_loaded_at
    assert (3, set(ALL)) == (window.row_count, set(window.product_totals))
    assert old["SP"].spend + old["SB"].spend == window.spend  # type: ignore[operator]
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
    assert {"SP+SB": "loaded", "SD": "missing"} == {
        name: window.status for name, window in windows(shelf).items()
    }
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
    shelf.execute(
        "INSERT INTO campaigns (account_id, country_code, campaign_id, state, ad_product, seen_at)"
        f" SELECT account_id, country_code, '1', 'ENABLED', '{SP}', now() FROM advertiser_accounts"
    )
    change_accounts(shelf.engine, entities_synced_at=func.now())
    regroup(TOGETHER)
    window = shelf.window()
    assert ("loaded", {SP, SD}) == (window.status, set(window.product_totals))


def test_first_load_of_rows_that_are_there_may_be_suspicious(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """The missing window stays missing until a second report confirms the first."""
    regroup(APART)
    load(shelf, SB)
    regroup(TOGETHER)
    assert [DAY] == list(load(shelf, *ALL, age=1, without="fish shirt").suspicious)
    window = shelf.window()
    assert ("missing", 1) == (window.status, window.suspicious_count)
    assert [DAY] == load(shelf, *ALL, age=2, without="fish shirt").loaded
    assert 2 == len(shelf.rows())


def test_two_groupings_in_a_row_and_back_change_nothing(shelf: LoadWorld, regroup: Regroup) -> None:
    """The window is the one that there was, with all of its columns."""
    shelf.load(
        [*rows_of(*ALL), report_row("bird shirt", clicks="many")],
        ad_products=ALL,
        bad_row_share=0.5,
    )
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
    [made] = shelf.query("SELECT report, windows FROM dataset_windows")
    [there] = shelf.query("SELECT count(*) AS windows FROM report_windows")
    assert {"report": "SP+SB+SD", **there} == made


def test_what_was_recorded_stays_recorded(shelf: LoadWorld, regroup: Regroup) -> None:
    """Also of a day that is not complete, before and after."""
    regroup(APART)
    load(shelf, SP)
    change_windows(shelf.engine, recorded_load_count=ReportWindow.load_count)
    regroup("SP,SB+SD")
    with shelf.engine.begin() as connection:
        assert [] == list_unrecorded_days(connection)
    load(shelf, SB, SD, age=1)
    regroup("SP+SB,SD")
    with shelf.engine.begin() as connection:
        [day] = list_unrecorded_days(connection)
    assert (True, {"SP+SB": 1, "SD": 1}) == (day.is_complete, day.new_loads)


def test_failed_report_is_asked_for_at_once_in_its_new_grouping(
    shelf: LoadWorld, regroup: Regroup, context: JobContext
) -> None:
    """The cause of the failure is dropped; the day stays wanted by the same person."""
    load(shelf, *ALL)
    change_windows(
        shelf.engine,
        ReportWindow.load_count > 0,
        status="failed",
        cause={"code": "other"},
        wanted_by="maria",
        wanted_at=func.now(),
        next_refresh_at=datetime(2026, 2, 1, tzinfo=UTC),
    )
    regroup(APART)
    for window in shelf.windows():
        assert ("loaded", None, "maria") == (window.status, window.cause, window.wanted_by)
        assert context.now() == window.next_refresh_at


def test_suspicious_report_is_confirmed_anew(shelf: LoadWorld, regroup: Regroup) -> None:
    """Its rows stay, and it is asked for again when that was planned."""
    load(shelf, *ALL)
    assert [DAY] == list(load(shelf, *ALL, age=1, without="fish shirt").suspicious)
    regroup(APART)
    for window in shelf.windows():
        assert ("loaded", None, 0) == (window.status, window.cause, window.suspicious_count)
        assert ASKED_AGAIN_AT == window.next_refresh_at
    assert [DAY] == list(load(shelf, SB, age=2, without="fish shirt").suspicious)
    assert [DAY] == load(shelf, SB, age=3, without="fish shirt").loaded


def test_days_that_amazon_serves_no_longer_stay(shelf: LoadWorld, regroup: Regroup) -> None:
    """Loaded days keep their data, and days that were never loaded stay expired."""
    old_days = (date(2020, 1, 1), date(2020, 1, 2))
    load(shelf, *ALL)
    change_windows(
        shelf.engine,
        ReportWindow.load_count > 0,
        window_date=old_days[0],
        expires_at=datetime(2022, 1, 1, tzinfo=UTC),
        next_refresh_at=None,
    )
    for window in shelf.windows(old_days[0]):
        of = {"report": window.report, "expires_at": window.expires_at, "status": "expired"}
        add_windows(shelf.engine, shelf.account, [old_days[1]], window.dataset, **of)
    regroup(APART)
    for day, status in zip(old_days, ("loaded", "expired"), strict=True):
        assert [(status, None)] * 3 == [
            (one.status, one.next_refresh_at) for one in shelf.windows(day)
        ]


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
    assert {"SP": 2, "SB": 2, "SD": 0} == {name: one.row_count for name, one in new.items()}
    assert 2 == new["SB"].product_totals[SB]["rows"]
    assert "9" not in {row["campaign_id"] for row in shelf.rows("campaign_id")}
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
    assert ["appeared"] == [one["change"] for one in shelf.query("SELECT change FROM restatements")]


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
    with with_job_session("test", store=SessionStore(shelf.engine)) as session:
        keep_windows(context, session, shelf.account, DAILY_TARGETS)
    assert {"loaded"} == {window.status for window in windows(shelf).values()}
    assert ["SB", "SD", "SP"] == list(windows(shelf))


def set_apart(world: World, account: Account) -> None:
    """Have ad products come in reports of their own, and make the windows again."""
    with world.session() as session:
        with world.engine.begin() as connection:
            change = ("NA", DAILY_TARGETS.name, "grouping", APART)
            change_contract(connection, session, *change, by="a person", at=world.context.now())
        keep_windows(world.context, session, account, DAILY_TARGETS)


def made_through(world: World) -> date:
    """Return up to which day the windows of the old report exist; those of an earlier day than today are made again."""
    [row] = world.query(
        "SELECT through_date FROM dataset_windows WHERE dataset = :dataset AND report = 'SP+SB+SD' AND country_code = 'US'",
        dataset=DAILY_TARGETS.name,
    )
    found: date = row["through_date"]
    return found


def test_day_in_a_request_is_regrouped_when_that_has_ended(world: World) -> None:
    """Until then its window waits for the report in flight, which loads it; it is not asked for again after that."""
    world.shorten_history(10)
    account, day = world.account(), date(2026, 1, 12)
    world.sync_entities(account)
    world.ask(account, day)
    set_apart(world, account)
    assert [("SP+SB+SD", "requested")] == [
        (one.report, one.status) for one in world.windows(account, day)
    ]
    assert date(2026, 1, 15) == made_through(world)
    world.advance(minutes=2)
    world.step()
    assert date(2026, 1, 15) > made_through(world)
    [old] = world.windows(account, day)
    world.plan(account)
    for window in world.windows(account, day):
        assert ("loaded", old.data_as_of, old.next_refresh_at) == (
            window.status,
            window.data_as_of,
            window.next_refresh_at,
        )
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
        with world.engine.begin() as connection:
            return list_window_loads(connection, account, DAILY_TARGETS.name, day)

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
    loads = shelf.query("SELECT * FROM window_restatements ORDER BY ad_product, load_number")
    assert [(1, None, 10), (2, 10, 18), (3, 18, 22)] == [
        (one["load_number"], one["clicks_before"], one["clicks"])
        for one in loads
        if one["ad_product"] == SP
    ]


def test_load_by_hand_that_failed_is_not_taken_for_loaded(world: World) -> None:
    """Also if its day is regrouped before the load ends, and has the number of earlier loads."""
    account, day = world.account(), date(2026, 1, 12)
    older = day - timedelta(days=200)
    world.load(account, day)
    world.break_with("refuse", "create_report", times=1, code="400013", message="No", as_207=True)
    changes = iter([lambda: set_apart(world, account)])

    def go_on(_: Progress) -> None:
        next(changes, lambda: None)()
        world.advance(minutes=3)

    with (
        world.session("load-windows") as session,
        pytest.raises(WindowNotLoadedError) as failed,
    ):
        of = (world.context, session, account, DAILY_TARGETS, [day, older])
        drive_windows(*of, by="maria", on_progress=go_on)
    assert ([day], [older]) == (list(failed.value.causes), failed.value.loaded)


def test_day_that_is_not_served_stays_so(shelf: LoadWorld, regroup: Regroup) -> None:
    """It is not requested again for a new grouping, but after four weeks, and explains itself as before."""
    change_windows(
        shelf.engine,
        status="not_served",
        next_refresh_at=NEXT_AT,
        cause={"code": "not-served"},
        not_served_since=AS_OF,
        refused_alone_at=AS_OF,
    )
    regroup(APART)
    for window in windows(shelf).values():
        assert ("not_served", NEXT_AT) == (window.status, window.next_refresh_at)
        assert (AS_OF, AS_OF) == (window.not_served_since, window.refused_alone_at)
        assert {"code": "not-served"} == window.cause


@pytest.fixture
def past_history(shelf: LoadWorld) -> LoadWorld:
    """Return an account with campaigns of Sponsored Products and Brands, whose day is older than is proven of any."""
    for product in (SP, SB):
        shelf.execute(f"""
            INSERT INTO campaigns (account_id, country_code, campaign_id, state, ad_product, seen_at)
            SELECT account_id, country_code, '{product}', 'PAUSED', '{product}', now() FROM advertiser_accounts""")
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
    assert (None, NEXT_AT) == (joined.cause, joined.next_refresh_at)
    regroup(APART)
    assert before == of_old(past_history)
    assert old["SB"].cause == windows(past_history, OLD)["SB"].cause


def test_day_of_which_nothing_is_served_stays_so_in_each_grouping(
    past_history: LoadWorld, regroup: Regroup
) -> None:
    """Also since when."""
    load_old(past_history, *ALL, empty=True)
    since = past_history.window(OLD).not_served_since
    assert {"SP+SB+SD": ("not_served", [SB, SP], False)} == of_old(past_history)
    regroup(APART)
    assert {"SP": ("not_served", [SP], False), "SB": ("not_served", [SB], False)} == of_old(
        past_history
    )
    assert since == windows(past_history, OLD)["SP"].not_served_since
    assert windows(past_history, OLD)["SP"].next_refresh_at is None
    regroup(TOGETHER)
    assert {"SP+SB+SD": ("not_served", [SB, SP], False)} == of_old(past_history)


def test_joined_window_names_what_amazon_has_refused_for_good(
    past_history: LoadWorld, regroup: Regroup
) -> None:
    """It is no measured zero whatever is proven later; split again it is as before, and a report with its rows clears it."""
    regroup(APART)
    load_old(past_history, SP)
    load_old(past_history, SD, empty=True)
    change_windows(
        past_history.engine,
        ReportWindow.report == "SB",
        ReportWindow.window_date == OLD,
        status="not_served",
        cause={"code": "not-served"},
        next_refresh_at=None,
        not_served_since=AS_OF,
    )
    regroup(TOGETHER)
    joined = past_history.window(OLD)
    assert ({"SP+SB+SD": ("loaded", [SB], True)}, {SP, SD}) == (
        of_old(past_history),
        set(joined.product_totals),
    )
    past_history.execute(
        "INSERT INTO proven_histories (client_id, region, dataset, ad_product, age_days, account_key, window_date)"
        f" VALUES ('test', 'NA', 'daily_targets', '{SB}', 400, 'US.one', '{OLD}')"
    )
    with past_history.engine.begin() as connection:
        judge_account(connection, past_history.account)
    assert {"SP+SB+SD": ("loaded", [SB], True)} == of_old(past_history)
    regroup(APART)
    split = windows(past_history, OLD)["SB"]
    assert ("not_served", None, None, {"code": "not-served"}) == (
        split.status,
        split.last_loaded_at,
        split.next_refresh_at,
        split.cause,
    )
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
    assert [] == shelf.load([], ad_products=ALL, age=1).loaded
    assert [DAY] == shelf.load([], ad_products=ALL, age=2).loaded
    removed = shelf.query("SELECT change FROM restatements")
    assert ["vanished", "vanished"] == [row["change"] for row in removed]


def test_day_that_was_given_up_with_its_data_stays_final(
    shelf: LoadWorld, regroup: Regroup
) -> None:
    """Its last refresh failed for a week: a new grouping does not request it again, and keeps the cause and what was decided."""
    load(shelf, *ALL)
    change_windows(
        shelf.engine,
        ReportWindow.window_date == DAY,
        next_refresh_at=None,
        cause={"code": "other"},
        cause_since=AS_OF,
        decision="keep",
        decided_by="maria",
        decided_at=AS_OF,
    )
    regroup(APART)
    for window in windows(shelf).values():
        assert (None, {"code": "other"}, AS_OF) == (
            window.next_refresh_at,
            window.cause,
            window.cause_since,
        )
        assert ("keep", "maria", AS_OF) == (window.decision, window.decided_by, window.decided_at)


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
