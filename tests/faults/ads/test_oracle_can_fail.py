"""The oracle is no yes-man: whatever is changed in the tables by hand, it finds."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from bidbeacon_pipelines.sandbox.fault_rules import FaultOptions, FaultRule
from bidbeacon_pipelines.sandbox.thread import running_sandbox
from tests.faults.ads.month import BAD_ROW_SHARE, config
from tests.faults.ads.oracle import Oracle
from tests.faults.ads.simulated_office import Office
from tests.faults.ads.simulation import Simulation
from tests.one_dataset import only_daily_targets

ONE_ROW = "ctid = (SELECT ctid FROM {} LIMIT 1)"
ONE = ONE_ROW.format("performance_daily WHERE spend > 0 AND resolved")
BREAKAGES = {
    "a millionth of spend": f"UPDATE performance_daily SET spend = spend + 0.000001 WHERE {ONE}",
    "no value for a number": f"UPDATE performance_daily SET sales = NULL WHERE {ONE}",
    "a row gone": f"DELETE FROM performance_daily WHERE {ONE}",
    "another target": f"UPDATE performance_daily SET entity_id = '1' WHERE {ONE}",
    "a target forgotten": f"UPDATE performance_daily SET resolved = false WHERE {ONE}",
    "another currency": f"UPDATE performance_daily SET currency_code = 'CHF' WHERE {ONE}",
    "another day": f"UPDATE performance_daily SET window_date = window_date - 1000 WHERE {ONE}",
    "a window's count": "UPDATE report_windows SET row_count = row_count + 1 WHERE load_count > 0",
    "a bad row gone": f"DELETE FROM quarantined_rows WHERE {ONE_ROW.format('quarantined_rows')}",
    "a bad row changed": f"UPDATE quarantined_rows SET raw = raw || '{{\"x\": 1}}' WHERE {ONE_ROW.format('quarantined_rows')}",
}
"""What is done to the tables, by what it is."""


TABLES = ("performance_daily", "quarantined_rows", "report_windows")


def test_the_oracle_finds_whatever_is_changed_by_hand(engine: Engine, tmp_path: Path) -> None:
    """It has nothing to say of what the product loaded, and something of each single change that is made to it."""
    wrong_type = FaultRule(fault="bad_rows", options=FaultOptions(share=0.01, kinds=("wrong_type",)))
    with only_daily_targets(), running_sandbox(config(seed=1, faults=(wrong_type,))) as sandbox:
        office = Office(engine, sandbox, tmp_path, bad_row_share=BAD_ROW_SHARE)
        account_id = sandbox.state.world.accounts.accounts[0].account_id
        Simulation(office, [(account_id, "US")]).run_until(office.clock.now() + timedelta(hours=3))
        assert mismatches(office) == 0
        assert dict.fromkeys(BREAKAGES, True) == {change: is_found(office, change) for change in BREAKAGES}
        office.close()


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
    return sum(1 for account in enabled for _ in Oracle(office, account).compare_with_delivered())
