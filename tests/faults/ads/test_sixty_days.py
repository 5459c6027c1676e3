"""Sixty days of refreshes of one account, from its first fill on; sandbox and jobs share a clock that is moved in jumps."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.accounts.queries import Account
from bidbeacon_pipelines.sandbox import SandboxConfig
from bidbeacon_pipelines.sandbox.server import running_sandbox
from bidbeacon_pipelines.windows.rules import local_date
from tests.faults.ads.oracle import Oracle
from tests.faults.ads.simulated_office import Office
from tests.faults.ads.simulation import Simulation
from tests.one_dataset import only_daily_targets

pytestmark = pytest.mark.faults

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
DAYS = 60
REPORTS_TO_FILL = 7
"""Fifteen months are 454 days, and one report is of 120 at most."""
JAPAN = 2
"""The sandbox's third account: it is in one country only, and has no summer time."""


def test_sixty_days_pass_in_less_than_a_minute_with_one_report_a_day(
    engine: Engine, tmp_path: Path
) -> None:
    """Four reports fill the account and one a day keeps it fresh; each day is restated as it ages, and ends as Amazon says."""
    began = process_time()
    config = SandboxConfig(
        accounts=3, rows_per_day=20, report_seconds=120, clock_start=START, clock_rate=0
    )
    with only_daily_targets(), running_sandbox(config) as sandbox:
        office = Office(engine, sandbox, tmp_path)
        account_id = sandbox.state.world.accounts.accounts[JAPAN].account_id
        simulation = Simulation(office, [(account_id, "JP")], hours_between_account_syncs=24)
        simulation.run_until(START + timedelta(days=DAYS))
        [account] = [account for account in office.accounts() if account.enabled]
        check_reports(office)
        check_the_day_it_began(office, account)
        assert list(Oracle(office, account).compare_with_truth()) == []
    assert [run for run in simulation.runs if run.error is not None] == []
    assert process_time() - began < 60  # of a processor, whatever else the machine does meanwhile


def check_reports(office: Office) -> None:
    """As many reports were asked of Amazon as were planned, each once."""
    planned = office.value("SELECT count(*) FROM report_requests")
    assert (
        len(office.sandbox.state.ledger.calls("create_report")) == planned == REPORTS_TO_FILL + DAYS
    )


def check_the_day_it_began(office: Office, account: Account) -> None:
    """The day on which all began was loaded at each of its offsets, grew with age, and is never due again."""
    day = local_date(START, account.time_zone)
    [window] = office.rows("SELECT * FROM report_windows WHERE window_date = :day", day=day)
    changes = office.value(
        "SELECT count(DISTINCT request_id) FROM restatements WHERE window_date = :day", day=day
    )
    assert (window["next_refresh_at"], local_date(window["data_as_of"], account.time_zone)) == (
        None,
        day + timedelta(days=60),
    )
    assert changes >= len(
        (3, 7, 14, 28)
    )  # the ages at which the sandbox settles clicks and lets sales come in
