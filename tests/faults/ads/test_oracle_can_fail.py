"""The oracle is no yes-man: whatever is changed in the tables by hand, it finds; and so are those who look for days without data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.datasets import registry as datasets
from bidbeacon_pipelines.sandbox.faults import FaultOptions, FaultRule
from bidbeacon_pipelines.sandbox.server import running_sandbox
from tests.faults.ads.month import BAD_ROW_SHARE, config
from tests.faults.ads.oracle import DATASET, Oracle
from tests.faults.ads.served import days_without_data, given_up_too_early
from tests.faults.ads.simulated_office import Office
from tests.faults.ads.simulation import Simulation
from tests.one_dataset import only_daily_targets

pytestmark = pytest.mark.faults

ONE_ROW = "ctid = (SELECT ctid FROM {} LIMIT 1)"
ONE = ONE_ROW.format("daily_target_performance WHERE spend > 0 AND target_id IS NOT NULL")
CHANGE = "UPDATE daily_target_performance SET"
BREAKAGES = {
    "a millionth of spend": f"{CHANGE} spend = spend + 0.000001 WHERE {ONE}",
    "no value for a number": f"{CHANGE} sales = NULL WHERE {ONE}",
    "units": f"{CHANGE} units = coalesce(units, 0) + 1 WHERE {ONE}",
    "a row gone": f"DELETE FROM daily_target_performance WHERE {ONE}",
    "another target": f"{CHANGE} target_id = '1' WHERE {ONE}",
    "a target forgotten": f"{CHANGE} target_id = NULL WHERE {ONE}",
    "another text of a target": f"{CHANGE} target_value = target_value || 's' WHERE {ONE}",
    "another campaign": f"{CHANGE} campaign_id = '1' WHERE {ONE}",
    "another ad product": f"{CHANGE} ad_product = CASE ad_product WHEN 'SPONSORED_BRANDS' THEN 'SPONSORED_DISPLAY' ELSE 'SPONSORED_BRANDS' END WHERE {ONE}",
    "another currency": f"{CHANGE} currency_code = 'CHF' WHERE {ONE}",
    "another day": f"{CHANGE} window_date = window_date - 1000 WHERE {ONE}",
    "a window's totals": "UPDATE report_windows SET product_totals = jsonb_set(product_totals, '{SPONSORED_PRODUCTS,spend}', '0.5') WHERE load_count > 0",
    "a window's report": "UPDATE report_windows SET loaded_by_request = loaded_by_request + 1 WHERE load_count > 0",
    "a window's count": "UPDATE report_windows SET row_count = row_count + 1 WHERE load_count > 0",
    "a load's counts": f"UPDATE report_loads SET rows_loaded = rows_loaded - 1, rows_not_waited_for = rows_not_waited_for + 1 WHERE {ONE_ROW.format('report_loads')}",
    "a bad row gone": f"DELETE FROM quarantined_rows WHERE {ONE_ROW.format('quarantined_rows')}",
    "a bad row changed": f"UPDATE quarantined_rows SET raw = raw::jsonb || '{{\"x\": 1}}' WHERE {ONE_ROW.format('quarantined_rows')}",
}
"""What is done to the tables, by what it is."""


AMERICA = 1
"""The sandbox's second account is in the US and another country."""
LEAVES, STAYS = date(2024, 3, 3), date(2024, 3, 20)
"""Two days of the account's history: as the first is the oldest, Amazon soon ends it."""
NEVER_LOADED = """
    UPDATE report_windows SET status = 'missing', load_count = 0, last_loaded_at = NULL, data_as_of = NULL, next_refresh_at = NULL
     WHERE window_date = :day"""
PASSED_FOR_LOADED = """
    UPDATE report_windows SET status = 'loaded', load_count = 1, last_loaded_at = :now, data_as_of = :now, next_refresh_at = NULL
     WHERE window_date < CAST(:now AS date)"""
TABLES = ("daily_target_performance", "quarantined_rows", "report_windows", "report_loads")


@contextmanager
def one_account(engine: Engine, home: Path, *faults: FaultRule) -> Iterator[Simulation]:
    """Yield a simulation that has not begun, of one account and one dataset."""
    with only_daily_targets(), running_sandbox(config(seed=1, faults=faults)) as sandbox:
        office = Office(engine, sandbox, home, bad_row_share=BAD_ROW_SHARE)
        account_id = sandbox.state.world.accounts.accounts[AMERICA].account_id
        yield Simulation(office, [(account_id, "US")])
        office.close()


def test_the_oracle_finds_whatever_is_changed_by_hand(engine: Engine, tmp_path: Path) -> None:
    """It has nothing to say of two months that the product loaded, and something of each single change that is made to them."""
    wrong_type = FaultRule(
        fault="bad_rows", options=FaultOptions(share=0.01, kinds=("wrong_type",))
    )
    with one_account(engine, tmp_path, wrong_type) as simulation:
        believe_in_history_of(2)
        simulation.run_until(simulation.now + timedelta(hours=3))
        office = simulation.office
        assert mismatches(office) == 0
        assert dict.fromkeys(BREAKAGES, True) == {
            change: is_found(office, change) for change in BREAKAGES
        }


def test_days_without_data_and_days_given_up_too_early_are_found(
    engine: Engine, tmp_path: Path
) -> None:
    """A day without a window is found, and so is one that a product with too short a history gives up; only the oldest day may be given up."""
    with one_account(engine, tmp_path) as simulation:
        pass_history_for_loaded(simulation)
        let_pass_with_a_hole(simulation, LEAVES, days=3)
        assert ([LEAVES], [], []) == (given_up(simulation), *found_missing(simulation))
        with without_window(simulation.office, STAYS):
            assert ([STAYS], []) == found_missing(simulation)
        believe_in_history_of(23)
        let_pass_with_a_hole(simulation, STAYS, days=1)
        assert ([LEAVES, STAYS], [STAYS], [STAYS]) == (
            given_up(simulation),
            *found_missing(simulation),
        )


def pass_history_for_loaded(simulation: Simulation) -> None:
    """Have the product make the windows of 24 months, and store each as loaded before it asks for a report."""
    for _ in ("accounts", "entities", "windows"):
        simulation.look()
    simulation.office.execute("DELETE FROM report_requests")
    simulation.office.execute(PASSED_FOR_LOADED, now=simulation.now)


def believe_in_history_of(months: int) -> None:
    """Have the product believe that Amazon serves so many months."""
    datasets._REGISTRY[DATASET.name] = replace(DATASET, history_months=months)


@contextmanager
def without_window(office: Office, day: date) -> Iterator[None]:
    """Delete the window of a day for the length of a block."""
    office.execute(
        "CREATE TABLE kept_window AS SELECT * FROM report_windows WHERE window_date = :day", day=day
    )
    office.execute("DELETE FROM report_windows WHERE window_date = :day", day=day)
    yield
    office.execute("INSERT INTO report_windows OVERRIDING SYSTEM VALUE TABLE kept_window")


def let_pass_with_a_hole(simulation: Simulation, day: date, *, days: int) -> None:
    """Let days pass in which one day of the account was never loaded, and is asked for by nobody."""
    simulation.office.execute(NEVER_LOADED, day=day)
    simulation.run_until(simulation.now + timedelta(days=days))


def given_up(simulation: Simulation) -> list[date]:
    """Return the days that the product gave up, oldest first."""
    return sorted(day for _, _, day in simulation.given_up)


def found_missing(simulation: Simulation) -> tuple[list[date], list[date]]:
    """Return the days that are missed: those without data, and those given up too early."""
    office, now = simulation.office, simulation.now
    [account] = [account for account in office.accounts() if account.enabled]
    without = days_without_data(office, account, now)
    return without, given_up_too_early(office, account, simulation.given_up)


def is_found(office: Office, change: str) -> bool:
    """Make a change, tell whether the oracle finds it, and take it back."""
    for table in TABLES:
        office.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
    office.execute(BREAKAGES[change])
    found = mismatches(office) > 0
    for table in TABLES:
        office.execute(f"DELETE FROM {table}")
        office.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE kept_{table}")
        office.execute(f"DROP TABLE kept_{table}")
    assert mismatches(office) == 0, f"{change} was not taken back"
    return found


def mismatches(office: Office) -> int:
    """Count what the oracle has to say."""
    enabled = [account for account in office.accounts() if account.enabled]
    oracles = [Oracle(office, account) for account in enabled]
    return sum(
        1
        for oracle in oracles
        for _ in (*oracle.compare_with_delivered(), *oracle.compare_counts())
    )
