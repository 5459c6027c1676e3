"""Ad products that Amazon serves for fewer days than it documents: what is learned of them, from what, and for how long."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import SPONSORED_BRANDS
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS
from bidbeacon_pipelines.defs.recording import window_metadata
from bidbeacon_pipelines.problems.doctor import look_into_tables
from bidbeacon_pipelines.problems.explain import explain_window
from bidbeacon_pipelines.problems.health_checks import Level
from bidbeacon_pipelines.windows.coverage import WindowCoverage
from bidbeacon_pipelines.windows.queries import (
    LoadedWindow,
    Window,
    list_loaded_windows,
    list_windows,
)
from bidbeacon_sessions import SessionStore
from tests.one_dataset import only_datasets
from tests.postgres.job_world import BenchWorld

SB = SPONSORED_BRANDS
TODAY = date(2026, 1, 15)
ABOUT_A_FIELD = "A metric of these adds up days older than its lookback window allows"
"""A refusal that sounds as if it was about the age of days."""


@pytest.fixture(autouse=True)
def _one_dataset() -> Iterator[None]:
    with only_datasets(DAILY_PRODUCTS.name):
        yield


@pytest.mark.parametrize("sandbox", [{"brands_history_days": 60}], indirect=True)
def test_ad_product_with_a_short_history_is_asked_for_as_far_back_as_it_is_served(
    world: BenchWorld,
) -> None:
    """The boundary is found to the day, older windows say that they lack the ad product, and nobody asks for them again."""
    account = world.account()
    world.sync_entities(account)
    world.plan(account)
    keep_days(world, TODAY - timedelta(days=100), TODAY - timedelta(days=1))
    load_all_that_is_due(world, account)
    assert [] == learned(world), "a refusal alone is only a suspicion"
    assert "loaded" == world.window(account, TODAY - timedelta(days=31), DAILY_PRODUCTS).status
    world.advance(days=1)
    load_all_that_is_due(world, account)
    [history] = world.query("SELECT ad_product, served_days, refused_days FROM product_histories")
    assert (SB, 60, 61) == tuple(history.values())
    old, young = (
        world.window(account, TODAY - timedelta(days=n), DAILY_PRODUCTS) for n in (60, 59)
    )
    assert ("loaded", "loaded") == (old.status, young.status)
    assert ("not_served", "loaded") == tuple((one.states or {})[SB].status for one in (old, young))
    before = len(reports(world))
    world.plan(account)
    world.step()
    assert before == len(reports(world))
    sentence = "without Sponsored Brands, which Amazon does not serve so far back"
    assert sentence in explained(world, account, old.window_date)
    assert sentence not in explained(world, account, young.window_date)
    told = WindowCoverage(SessionStore(world.engine), clock=world.context.now).read_coverage(
        DAILY_PRODUCTS.name, 2, young.window_date
    )
    assert "pf" == next(
        one["cells"] for one in told["accounts"] if one["key"] == account.account_key
    )
    [loaded, _] = list_loaded_windows_of(world, account, old.window_date, young.window_date)
    assert sentence == window_metadata(loaded)["not_served"].value
    assert {"Sponsored Brands"} == {
        one["ad_product"] for one in world.actions("product-history-learned")
    }


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 12}], indirect=True)
def test_account_that_is_refused_everything_learns_no_history_and_loses_no_window(
    world: BenchWorld,
) -> None:
    """Whatever the words: its days fail with the reason, are asked for every day, and come when Amazon accepts them."""
    account = world.account()
    world.sync_entities(account)
    world.plan(account)
    keep_days(world, TODAY - timedelta(days=60), TODAY - timedelta(days=1))
    world.break_with(
        "partial_failure", operation="create_report", code="400000", reason=ABOUT_A_FIELD
    )
    for _ in range(3):
        load_all_that_is_due(world, account)
        failed = windows(world, account)
        assert {"failed"} == {one.status for one in failed}
        assert all(ABOUT_A_FIELD in (one.failure_reason or "") for one in failed)
        world.advance(days=1)
    world.sandbox.state.faults.clear()
    load_all_that_is_due(world, account)
    assert [] == learned(world)
    states = [
        state.status for one in windows(world, account) for state in (one.states or {}).values()
    ]
    assert {"loaded"} == set(states)
    assert {"loaded"} == {one.status for one in windows(world, account)}


@pytest.mark.parametrize(
    "sandbox",
    [{}, {"brands_history_days": 60}],
    indirect=True,
    ids=["all is served", "still short"],
)
def test_what_was_learned_is_tried_again_after_a_week(
    world: BenchWorld, request: pytest.FixtureRequest
) -> None:
    """It is dropped where it no longer holds, and the windows come back; otherwise it holds for another week."""
    is_over = "all is served" in request.node.name
    account, old = world.account(), TODAY - timedelta(days=90)
    world.sync_entities(account)
    world.execute(
        "INSERT INTO product_histories VALUES ('NA', :dataset, :sb, 60, 61, :at)",
        dataset=DAILY_PRODUCTS.name,
        sb=SB,
        at=world.context.now(),
    )
    world.plan(account)
    keep_days(world, TODAY - timedelta(days=100), TODAY - timedelta(days=1))
    load_all_that_is_due(world, account)
    assert "not_served" == of_brands(world, account, old)
    world.advance(days=6)
    load_all_that_is_due(world, account)
    assert "not_served" == of_brands(world, account, old)
    for _ in range(3):
        world.advance(days=1)
        load_all_that_is_due(world, account)
    assert [] == learned(world) if is_over else [(SB, 60, 61)] == learned(world)
    assert ("loaded" if is_over else "not_served") == of_brands(world, account, old)
    assert [] == [one for one in windows(world, account) if one.status != "loaded"]


def test_doctor_lists_what_was_learned(world: BenchWorld) -> None:
    """With the days, since when, and when older days are tried again."""
    world.execute(
        "INSERT INTO product_histories VALUES ('NA', :dataset, :sb, 60, 61, :at)",
        dataset=DAILY_PRODUCTS.name,
        sb=SB,
        at=world.context.now(),
    )
    with world.engine.begin() as connection:
        checks = look_into_tables(connection, world.context.settings, world.context.now())
        [check] = [one for one in checks if one.name == "histories"]
    line = (
        "NA daily_products: Sponsored Brands for 60 days, learned 2026-01-15; "
        "older days are tried again from 2026-01-22 on"
    )
    assert ((line,), Level.OK) == (check.details, check.level)


def keep_days(world: BenchWorld, first: date, last: date) -> None:
    """Leave only these days to fall due."""
    world.execute("DELETE FROM report_requests; UPDATE ads_accounts SET planned_at = NULL")
    statement = "DELETE FROM report_windows WHERE NOT window_date BETWEEN :first AND :last"
    world.execute(statement, first=first, last=last)


def reports(world: BenchWorld) -> list[list[str]]:
    """Return the ad products of each report that was asked for, in order."""
    rows = world.query("SELECT ad_products FROM report_requests WHERE attempts > 0 ORDER BY id")
    return [row["ad_products"] for row in rows]


def windows(world: BenchWorld, account: Account) -> list[Window]:
    """Return the windows of two months before today."""
    days = [TODAY - timedelta(days=n) for n in range(1, 61)]
    with world.engine.begin() as connection:
        return list_windows(connection, account, DAILY_PRODUCTS.name, days)


def of_brands(world: BenchWorld, account: Account, day: date) -> str:
    """Return the status of Sponsored Brands on a day."""
    return (world.window(account, day, DAILY_PRODUCTS).states or {})[SB].status


def learned(world: BenchWorld) -> list[tuple[str, int, int]]:
    """Return the ad products whose history was learned, with the days that were served and refused."""
    rows = world.query("SELECT ad_product, served_days, refused_days FROM product_histories")
    return [tuple(row.values()) for row in rows]


def load_all_that_is_due(world: BenchWorld, account: Account) -> None:
    """Go on until no window is due and no report is open."""
    for _ in range(150):
        world.plan(account)
        world.step()
        world.advance(minutes=5)
        [count] = world.query(
            "SELECT count(*) AS due FROM report_windows JOIN advertiser_accounts USING (account_id, country_code)"
            " WHERE account_key = :key AND (request_id IS NOT NULL OR next_refresh_at <= :now)",
            key=account.account_key,
            now=world.context.now(),
        )
        if not count["due"]:
            return
    raise AssertionError(f"still due: {count}, asked: {reports(world)}")


def explained(world: BenchWorld, account: Account, day: date) -> str:
    """Return what `explain` says of a day."""
    settings, now = world.context.settings, world.context.now()
    with SessionStore(world.engine).snapshot() as connection:
        told = explain_window(
            connection, settings, account.account_key, DAILY_PRODUCTS.name, day, now=now
        )
    return told.verdict.sentence


def list_loaded_windows_of(world: BenchWorld, account: Account, *days: date) -> list[LoadedWindow]:
    """Return the last loads of some days."""
    with world.engine.begin() as connection:
        return list_loaded_windows(connection, account, DAILY_PRODUCTS.name, days)
