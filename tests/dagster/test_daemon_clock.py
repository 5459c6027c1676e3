"""A daemon whose host's clock was a month ahead goes on within minutes of it being right again."""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bidbeacon_pipelines.problems.system_findings import unhealthy_processes
from bidbeacon_pipelines.settings import get_settings
from tests.support.processes import running
from tests.support.reading import call
from tests.support.waiting import wait_until
from tests.support.world import World

LOCATION = """
import dagster as dg

@dg.op
def nothing(): ...

@dg.job(executor_def=dg.in_process_executor)
def work():
    nothing()

@dg.sensor(job=work, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def look():
    yield dg.SkipReason("Nothing is due.")

minutely = dg.ScheduleDefinition(
    job=work, cron_schedule="* * * * *", default_status=dg.DefaultScheduleStatus.RUNNING
)
defs = dg.Definitions(jobs=[work], sensors=[look], schedules=[minutely])
"""
LOCATION_FILE = "location.py"
MONTH = timedelta(days=30)
SIGNS = """
    SELECT (SELECT count(*) FROM dagster.job_ticks
             WHERE type = 'SENSOR' AND status = 'SKIPPED'
               AND timestamp BETWEEN :after AND :before) AS sensor_ticks,
           (SELECT count(*) FROM dagster.job_ticks
             WHERE type = 'SCHEDULE' AND status = 'SUCCESS'
               AND timestamp BETWEEN :after AND :before) AS schedule_ticks,
           (SELECT count(*) FROM dagster.runs
             WHERE status = 'SUCCESS' AND create_timestamp BETWEEN :after AND :before) AS runs"""

pytestmark = pytest.mark.timeout(600)


class HostClock:
    """The clock of the processes that are started with it, by a file that says how far it is ahead."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = folder / "ahead"
        assert shutil.which("faketime"), "this test needs faketime: apt-get install faketime"
        asked = ["faketime", "-m", "-f", "+0", "printenv", "LD_PRELOAD"]
        library = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        values = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
        }
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    def set_ahead(self, by: timedelta) -> None:
        """Set how far the clock is ahead from now on."""
        self._file.write_text(f"+{by.total_seconds():.0f}s")


@pytest.fixture
def clock(real: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostClock:
    """Return the clock of the daemons that a test starts."""
    (tmp_path / LOCATION_FILE).write_text(LOCATION)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_GRPC_TIMEOUT_SECONDS", "300")
    monkeypatch.chdir(tmp_path)
    return HostClock(tmp_path, monkeypatch)


def signs(world: World, since: datetime) -> dict[str, int]:
    """Return how many ticks and runs there are of the hour after an instant."""
    after = since.replace(tzinfo=None)
    [row] = world.query(SIGNS, after=after, before=after + timedelta(hours=1))
    return dict(row)


def wait_for_all_signs(world: World, since: datetime) -> None:
    """Wait until a sensor and a schedule have ticked, and a run has succeeded."""
    wait_until(
        lambda: all(signs(world, since).values()),
        "it goes on",
        200,
        found=lambda: signs(world, since),
    )


def said_of_clocks(world: World) -> list[str]:
    """Return the sentences of findings on clocks."""
    found = call(world.engine, unhealthy_processes, get_settings(), datetime.now(UTC))
    return [one.sentence for one in found if one.code == "clocks-differ"]


def test_daemon_whose_clock_is_set_back_goes_on(real: World, clock: HostClock) -> None:
    """Its sensors and schedules tick, and its runs start, though Dagster stored and remembers instants of next month."""
    since = datetime.now(UTC)
    clock.set_ahead(MONTH)
    with running("dagster-daemon", "run", "-f", LOCATION_FILE):
        wait_for_all_signs(real, since + MONTH)
        assert re.search(r"is 7(19|20) h \d+ min ahead", said_of_clocks(real)[0])
        clock.set_ahead(timedelta())
        wait_for_all_signs(real, datetime.now(UTC))
        assert said_of_clocks(real) == []
