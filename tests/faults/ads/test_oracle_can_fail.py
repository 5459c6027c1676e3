"""Whatever is changed in the tables by hand is found by the oracle, and days without data are found too."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.datasets import registry as datasets
from bidbeacon_sandbox.rules import Limits
from bidbeacon_sandbox.server import running_sandbox
from tests.faults.ads.month import BAD_ROW_SHARE, config
from tests.faults.ads.oracle import DATASET, Oracle
from tests.faults.ads.simulation import Simulation
from tests.support.kept_tables import keep_tables, put_back
from tests.support.one_dataset import only_daily_targets
from tests.support.rules import rule
from tests.support.world import World, open_simulated_world

pytestmark = pytest.mark.faults

ONE_ROW = "ctid = (SELECT ctid FROM {} LIMIT 1)"
ONE = ONE_ROW.format("daily_targets WHERE spend > 0 AND target_match IS NOT NULL")
CHANGE = "UPDATE daily_targets SET"
BREAKAGES = {
    "a millionth of spend": f"{CHANGE} spend = spend + 0.000001 WHERE {ONE}",
    "no value for a number": f"{CHANGE} sales = NULL WHERE {ONE}",
    "units": f"{CHANGE} units = coalesce(units, 0) + 1 WHERE {ONE}",
    "a row gone": f"DELETE FROM daily_targets WHERE {ONE}",
    "other targets": "UPDATE target_names SET target_id = target_id || '1'",
    "targets forgotten": "DELETE FROM target_names",
    "another text of a target": f"{CHANGE} target_value = target_value || 's' WHERE {ONE}",
    "another campaign": f"{CHANGE} campaign_id = '1' WHERE {ONE}",
    "another ad product": f"{CHANGE} ad_product = CASE ad_product WHEN 'SPONSORED_BRANDS' THEN 'SPONSORED_DISPLAY' ELSE 'SPONSORED_BRANDS' END WHERE {ONE}",
    "another currency": f"{CHANGE} currency_code = 'CHF' WHERE {ONE}",
    "another day": f"{CHANGE} window_date = window_date - 1000 WHERE {ONE}",
    "a window's totals": "UPDATE report_windows SET product_totals = jsonb_set(product_totals, '{SPONSORED_PRODUCTS,spend}', '0.5') WHERE load_count > 0",
    "a window's report": "UPDATE report_windows SET loaded_by_request = loaded_by_request + 1 WHERE load_count > 0",
    "a window's count": "UPDATE report_windows SET row_count = row_count + 1 WHERE load_count > 0",
    "a load's counts": f"UPDATE report_loads SET rows_loaded = rows_loaded - 1, rows_ignored = rows_ignored + 1 WHERE {ONE_ROW.format('report_loads')}",
    "a bad row gone": f"DELETE FROM quarantined_rows WHERE {ONE_ROW.format('quarantined_rows')}",
    "a bad row changed": f"UPDATE quarantined_rows SET raw = raw::jsonb || '{{\"x\": 1}}' WHERE {ONE_ROW.format('quarantined_rows')}",
}
"""What is done to the tables, by what it is."""

TABLES = (
    "daily_targets",
    "target_names",
    "quarantined_rows",
    "report_windows",
    "report_loads",
)
OLDEST, MIDDLE = date(2024, 12, 2), date(2025, 9, 20)
"""Two days of the account's history; Amazon soon ends the first."""
SERVED_DAYS = 40


@contextmanager
def one_account(engine: Engine, home: Path, *rules: Limits) -> Iterator[Simulation]:
    """Yield a simulation that has not begun, of one account and one dataset."""
    with (
        only_daily_targets(),
        running_sandbox(config(1, (("US",),), rules)) as sandbox,
        open_simulated_world(engine, sandbox, home, bad_row_share=BAD_ROW_SHARE) as world,
    ):
        simulation = Simulation(world)
        yield simulation
        simulation.close()


@contextmanager
def two_loaded_months(engine: Engine, home: Path, rule_in_force: Limits) -> Iterator[World]:
    """Yield the world of an account whose two months are loaded, and about which the oracle finds nothing."""
    with one_account(engine, home, rule_in_force) as simulation:
        datasets._REGISTRY[DATASET.name] = replace(DATASET, history_months=2)
        simulation.run_until(simulation.now + timedelta(hours=3))
        assert not has_mismatch(simulation.world)
        yield simulation.world


def test_whatever_is_changed_by_hand_is_found(engine: Engine, tmp_path: Path) -> None:
    """The oracle finds each single change that is made to two loaded months."""
    bad_rows = rule("rows", change="wrong_type", share=0.01)
    with two_loaded_months(engine, tmp_path, bad_rows) as world:
        keep_tables(world.engine, TABLES)
        assert [change for change in BREAKAGES if not is_found(world, change)] == []
        assert not has_mismatch(world), "a change was not taken back"


def is_found(world: World, change: str) -> bool:
    """Make a change, return whether the oracle finds it, and take it back."""
    world.execute(BREAKAGES[change])
    found = has_mismatch(world)
    put_back(world.engine, TABLES)
    return found


def has_mismatch(world: World) -> bool:
    """Return whether the oracle finds anything."""
    [account] = world.accounts()
    return any(Oracle(world, account).compare_with_delivered())


def test_days_without_data_and_days_given_up_too_early_are_found(
    engine: Engine, tmp_path: Path
) -> None:
    """A day without a window is found, and so is one that is given up early; the oldest day may be given up."""
    with one_account(engine, tmp_path) as simulation:
        for _ in ("accounts", "entities", "windows"):
            simulation.look()
        world, end = simulation.world, simulation.now
        world.jump(end + timedelta(days=1))  # Amazon ends the day that the product left out
        [account] = world.accounts()
        world.execute("UPDATE report_windows SET load_count = 1")
        oracle = Oracle(world, account)
        assert oracle.days_without_data(end) == []
        world.execute("DELETE FROM report_windows WHERE window_date = :day", day=MIDDLE)
        report = DATASET.reports[0].name
        assert oracle.days_without_data(end) == [(report, MIDDLE)]
        given_up = {
            (account.account_key, DATASET.name, day, report): end for day in (OLDEST, MIDDLE)
        }
        assert oracle.given_up_too_early(given_up) == [MIDDLE]


def test_false_zeros_and_rows_called_not_served_are_found(engine: Engine, tmp_path: Path) -> None:
    """Of two months the oldest third comes as an empty success; where it counts as zeros, each day is found, of each ad product."""
    empty = rule("history", days=SERVED_DAYS, empty=True)
    with two_loaded_months(engine, tmp_path, empty) as world:
        [account] = world.accounts()
        assert [] == [*Oracle(world, account).compare_with_truth()]
        assert [] == [*Oracle(world, account).false_zeros()]
        assert [] == [*Oracle(world, account).doubted_though_delivered()]
        doubted = world.value("SELECT count(*) FROM report_windows WHERE not_served <> '{}'")
        assert doubted > 10
        world.execute(
            """UPDATE report_windows SET not_served = '{}', not_served_since = NULL, status = 'loaded'
                WHERE not_served <> '{}'"""
        )
        assert doubted <= len([*Oracle(world, account).false_zeros()])
        day = world.context.now().date() - timedelta(days=3)
        one = ONE_ROW.format("daily_targets WHERE window_date = :day")
        world.execute(f"{CHANGE} spend = spend + 0.000001 WHERE {one}", day=day)
        assert 1 == len([*Oracle(world, account).compare_with_truth()])
        world.execute(
            """UPDATE report_windows SET not_served = '{SPONSORED_PRODUCTS}'
                WHERE row_count > 0 AND window_date = :day""",
            day=day,
        )
        assert 1 == len([*Oracle(world, account).doubted_though_delivered()])
