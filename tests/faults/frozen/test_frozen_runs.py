"""The worker of the shared look at reports is frozen in the middle of a load, with leases and sensors as they are by default."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterRunStatus

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.defs.sensors import HELP_AFTER, POLL_SENSOR_SECONDS, poll_reports_in_flight
from bidbeacon_sessions.reaper import close_dead_sessions
from bidbeacon_sessions.settings import get_session_settings
from tests.dagster.runs import run_job
from tests.dagster.test_sensors import asked_for
from tests.support.dagster_runs import status_of
from tests.support.frozen_process import WAYS, HaltedProcess, SilentProxy, Way, silent_proxy
from tests.support.reading import column
from tests.support.rows import change_accounts
from tests.support.waiting import wait_until
from tests.support.world import World
from tests.support.written_tables import digest_tables

RUN_SECONDS = 30
"""That a run needs to start, and to load, on a machine that has other things to do."""
LOADED_WITHIN_SECONDS = 180
DUE = "SELECT 1 FROM report_requests WHERE status = 'in_flight' AND next_step_at <= now()"
LOADS = "SELECT load_count FROM report_windows WHERE account_id = :account_id AND country_code = :country_code AND load_count > 0"


@pytest.fixture
def proxy(database_url: str) -> Iterator[SilentProxy]:
    """Yield a proxy before the test's database."""
    with silent_proxy(database_url) as proxy:
        yield proxy


@dataclass
class FrozenRun:
    """A run that is halted in a load of one account's report, and another account that has asked for nothing yet."""

    world: World
    frozen: Account
    other: Account
    process: HaltedProcess

    def tick(self) -> None:
        """Do what the two sensors do, and the run that they ask for."""
        close_dead_sessions(self.world.sessions, self.world.instance)
        if asked_for(self.world, poll_reports_in_flight):
            assert run_job(self.world, "poll_reports").success

    def is_loaded(self, account: Account) -> bool:
        """Return whether a window of an account was loaded."""
        return bool(self.world.query(LOADS, **account.identity))

    def tick_until_loaded(self) -> tuple[float, float]:
        """Tick as often as Dagster does; return after how many seconds the other account, and the frozen one, were loaded."""
        began, pace, loaded = time.monotonic(), threading.Event(), dict[str, float]()
        while len(loaded) < len((self.frozen, self.other)):
            self.tick()
            passed = time.monotonic() - began
            for account in (self.frozen, self.other):
                if self.is_loaded(account):
                    loaded.setdefault(account.account_key, passed)
            assert passed < LOADED_WITHIN_SECONDS, f"loaded: {loaded}"
            pace.wait(POLL_SENSOR_SECONDS - passed % POLL_SENSOR_SECONDS)
        return loaded[self.other.account_key], loaded[self.frozen.account_key]


@pytest.fixture
def frozen_run(
    world: World,
    proxy: SilentProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[FrozenRun]:
    """Yield a run that is halted where it is to be frozen; leases are as long as by default."""
    for name in ("LEASE", "HEARTBEAT"):
        monkeypatch.delenv(f"BIDBEACON_{name}_SECONDS")
    get_session_settings.cache_clear()
    frozen, other = world.account("JP"), world.account("US")
    keys = [frozen.account_key, other.account_key]
    change_accounts(world.engine, paused=Account.account_key.not_in(keys))
    world.plan(frozen)
    assert run_job(world, "poll_reports").success  # requests the reports that the next run loads
    wait_until(lambda: bool(world.query(DUE)), "a report is due for a look")
    environment = os.environ | {"BIDBEACON_DATABASE_URL": proxy.database_url}
    worker = ("tests.faults.frozen.frozen_run", request.param.place)
    process = HaltedProcess(*worker, log=tmp_path / "worker.log", env=environment)
    yield FrozenRun(world, frozen, other, process)
    process.kill()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("frozen_run", "way"), [(way, way) for way in WAYS], ids=map(str, WAYS), indirect=["frozen_run"]
)
def test_a_frozen_look_stops_nobody_for_long(
    frozen_run: FrozenRun,
    way: Way,
    proxy: SilentProxy,
    record_property: Callable[[str, object], None],
) -> None:
    """Another account goes on at once, another run loads its report within 90 s, and the frozen one's within three minutes."""
    world, process = frozen_run.world, frozen_run.process
    process.wait_until_halted()
    way.freeze(process, proxy)
    began = time.monotonic()
    assert run_job(world, "refresh_account", frozen_run.other).success
    assert time.monotonic() - began < RUN_SECONDS

    others, taken_over = frozen_run.tick_until_loaded()
    told = f"the other account after {others:.0f} s, the frozen one after {taken_over:.0f} s"
    record_property("detail", told)
    assert others < HELP_AFTER.total_seconds() + 2 * POLL_SENSOR_SECONDS + RUN_SECONDS

    frozen_run.tick()
    session = frozen_session(world)
    assert session["status"] == "crashed"
    assert status_of(world.instance, session["run_id"]) is DagsterRunStatus.FAILURE

    before = digest_tables(world.engine)
    way.wake_up(process, proxy)
    assert process.wait_for_end() != 0
    assert before == digest_tables(world.engine)
    assert {1} == set(column(world.engine, LOADS, **frozen_run.frozen.identity))
    assert frozen_session(world)["status"] == "crashed"
    assert status_of(world.instance, session["run_id"]) is DagsterRunStatus.FAILURE


def frozen_session(world: World) -> Mapping[str, Any]:
    """Return the session of the worker that was frozen: the second poll, after the one that requested its report."""
    return world.sessions_of("poll-reports")[1]
