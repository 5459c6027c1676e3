"""Sixty days of refreshes of one account, from its first fill on; sandbox and jobs share a clock that is moved by an hour at a time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.windows.rules import local_date
from tests.faults.ads.oracle import Oracle
from tests.faults.ads.simulation import Simulation, open_japan
from tests.support.one_dataset import only_daily_targets
from tests.support.world import World

pytestmark = pytest.mark.faults

START = datetime(2026, 1, 15, 3, tzinfo=UTC)
"""Noon in Japan: the first fill is over before the day is."""
DAYS, HOUR = 60, timedelta(hours=1)
REPORTS_TO_FILL = 4
"""15 months are 458 days at most, and one report is of 120 at most."""
AGES_OF_CHANGE = (3, 7, 14, 28)
"""Days after which the sandbox settles clicks and lets sales come in."""


@pytest.mark.timeout(900)
def test_sixty_days_pass_in_less_than_a_minute_with_one_report_a_day(
    engine: Engine, tmp_path: Path
) -> None:
    """Four reports fill the account and one a day keeps it fresh; each day is restated as it ages, and ends as Amazon says."""
    began = process_time()
    with only_daily_targets(), open_japan(engine, tmp_path, START, report_seconds=120) as world:
        simulation = Simulation(world, hours_between_account_syncs=24, look_every=HOUR)
        simulation.run_until(START + timedelta(days=DAYS))
        planned = world.value("SELECT count(*) FROM report_requests")
        assert len(simulation.wire.creates) == planned == REPORTS_TO_FILL + DAYS
        check_the_day_it_began(world)
        [account] = world.accounts()
        assert list(Oracle(world, account).compare_with_truth()) == []
    assert [run for run in simulation.runs if run.error is not None] == []
    assert process_time() - began < 60  # of a processor, whatever else the machine does meanwhile


def check_the_day_it_began(world: World) -> None:
    """The day on which all began was loaded at each of its offsets, grew with age, and is never due again."""
    day = local_date(START, "Asia/Tokyo")
    [window] = world.query("SELECT * FROM report_windows WHERE window_date = :day", day=day)
    last_loaded = local_date(window["data_as_of"], "Asia/Tokyo")
    assert (window["next_refresh_at"], last_loaded) == (None, day + timedelta(days=60))
    changes = world.value(
        "SELECT count(DISTINCT request_id) FROM restatements WHERE window_date = :day", day=day
    )
    assert changes >= len(AGES_OF_CHANGE)
