"""Reports that Amazon finds too large: their days are asked for in shorter periods, and what worked is remembered."""

from datetime import date, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.queries import list_countries
from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.contract.rules import LEARNED
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS
from bidbeacon_pipelines.retention import LEARNED_FOR, delete_old_records
from bidbeacon_pipelines.windows.contract_changes import change_contract
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.checking import assert_has
from tests.support.jobs import finish_requests, load_by_hand, make_windows
from tests.support.reading import call, column, tuples
from tests.support.rows import change_windows
from tests.support.world import DATASET, World

TODAY = date(2026, 1, 15)
DAYS = [TODAY - timedelta(days=age) for age in range(1, 9)]


def lengths_of_loaded_reports(world: World) -> list[int]:
    """Return how many days each loaded report of the dataset had, in the order in which they were asked for."""
    days = """SELECT end_date - start_date + 1 FROM report_requests
               WHERE status = 'loaded' AND dataset = :dataset ORDER BY id"""
    return column(world.engine, days, dataset=DATASET.name)


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "refuse", "reason": "too_large", "days": 3},
        {"kind": "report_ends", "longer_than_days": 3},
    ],
    ids=["at once", "later"],
)
def test_report_that_is_too_large_is_split(world: World, broken: dict[str, Any]) -> None:
    """Eight days of which three at a time may be asked for are halved twice, and loaded; the next ones are not too large."""
    account = world.account()
    world.break_with(**broken)
    load_by_hand(world, account, *DAYS)
    assert [2, 2, 2, 2] == lengths_of_loaded_reports(world)
    learned = tuples(world.engine, "SELECT subject, value, set_by FROM registry_overrides")
    assert [("period:SP+SB+SD", "2", "learned")] == learned
    refused = len(world.actions("report-split"))
    assert refused > 0
    load_by_hand(world, account, *(day - timedelta(days=8) for day in DAYS))
    assert [2] * 8 == lengths_of_loaded_reports(world)
    assert refused == len(world.actions("report-split"))


@pytest.mark.datasets(DATASET.name)
def test_a_split_asks_only_for_days_that_are_due(world: World) -> None:
    """Of eight days only the first and the last are due: after the split each is asked for alone, and those between stay as they were."""
    account = world.account()
    for one in call(world.engine, list_countries, account.account_id):
        make_windows(world, one)
    load_by_hand(world, account, *DAYS)
    change_windows(world.engine, next_refresh_at=None)
    change_windows(
        world.engine,
        ReportWindow.dataset == DATASET.name,
        ReportWindow.window_date.in_([DAYS[0], DAYS[-1]]),
        next_refresh_at=world.context.now(),
    )
    world.break_with("refuse", reason="too_large", days=3)
    for _ in range(2):
        world.plan(account)
        finish_requests(world)
    assert [8, 1, 1] == lengths_of_loaded_reports(world)
    for day in DAYS[1:-1]:
        assert_has(world.window(account, day), status="loaded", load_count=1, cause=None)


def test_one_day_that_is_too_large_fails(world: World) -> None:
    """A day can't be split: its window fails with Amazon's reason, and with the command that requests its ad products apart."""
    account = world.account()
    world.break_with("report_ends", reason="The requested report is too large")
    world.load(account, DAYS[0])
    window = world.window(account, DAYS[0])
    assert ("failed", "report-too-large") == (window.status, (window.cause or {})["code"])
    command = "`bidbeacon contract set NA daily_targets grouping SP,SB,SD`"
    assert command in explain(window.cause).advice
    assert [] == world.actions("report-split")
    assert [] == world.query("SELECT FROM registry_overrides")


@pytest.mark.parametrize("learned_value", ["60", None])
def test_override_of_a_person_stays(world: World, learned_value: str | None) -> None:
    """A learned value neither replaces nor deletes it, and it is not forgotten after some weeks."""
    of = ("NA", DAILY_PRODUCTS.name, "period:SB")
    now = world.context.now()
    with world.session() as session, world.engine.begin() as connection:
        assert change_contract(connection, session, *of, "90", by="maria", at=now)
        assert not change_contract(connection, session, *of, learned_value, by=LEARNED, at=now)
    later = now + LEARNED_FOR + timedelta(days=1)
    with world.session() as session:
        delete_old_records(world.engine, session, world.context.settings, later)
    stored = tuples(world.engine, "SELECT subject, value, set_by FROM registry_overrides")
    assert [("period:SB", "90", "maria")] == stored
    assert ["90"] == [one["value"] for one in world.actions("registry-overridden")]
