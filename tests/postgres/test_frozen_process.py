"""A process is frozen in the middle of a load: others carry on, its work is taken over, and it can do no harm when it wakes up."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance

from bidbeacon_sessions.reaper import close_dead_sessions
from bidbeacon_sessions.settings import get_session_settings
from tests.frozen_process import WAYS, HaltedProcess, SilentProxy, Way, silent_proxy
from tests.support.waiting import wait_until
from tests.support.world import World

LEASE_SECONDS = 5
ONE_STEP_SECONDS = 10
"""Of looking at another account's report and loading it; a lock that is waited for takes half a minute."""
WRITTEN = (
    "daily_target_performance",
    "report_windows",
    "report_requests",
    "restatements",
    "quarantined_rows",
    "report_loads",
    "row_removals",
    "session_headers",
    "session_actions",
)


@pytest.fixture(autouse=True)
def _short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDBEACON_LEASE_SECONDS", str(LEASE_SECONDS))
    monkeypatch.setenv("BIDBEACON_HEARTBEAT_SECONDS", "0.5")
    get_session_settings.cache_clear()


@pytest.fixture
def proxy(database_url: str) -> Iterator[SilentProxy]:
    """Yield a proxy before the test's database."""
    with silent_proxy(database_url) as proxy:
        yield proxy


class FrozenWorld:
    """Two accounts whose reports are ready, and a process that loads the first one's and is frozen in it."""

    def __init__(self, world: World, way: Way, proxy: SilentProxy, folder: Path) -> None:
        self.world, self.way, self.proxy = world, way, proxy
        self.frozen, self.other = world.account("JP"), world.account("US")
        self.day = world.day(3)
        self.request_id = world.ask(self.frozen, self.day)
        self.other_request_id = world.ask(self.other, self.day)
        now = world.advance(minutes=2)
        given = {
            "database_url": proxy.database_url,
            "sandbox_url": world.sandbox.url,
            "home": str(folder / "home"),
            "now": now.isoformat(),
            "request_id": self.request_id,
            "place": way.place,
        }
        self.process = HaltedProcess(
            "tests.frozen_worker", json.dumps(given), log=folder / "worker.log"
        )

    def freeze(self) -> None:
        """Freeze the process where it should be."""
        self.process.wait_until_halted()
        self.way.freeze(self.process, self.proxy)

    def wake_up(self) -> None:
        """Let the process go on, and wait for its end."""
        self.way.wake_up(self.process, self.proxy)
        assert self.process.wait_for_end() == 1, self.process.log

    def take_over(self) -> None:
        """Look at reports until the frozen one's is loaded."""

        def look() -> bool:
            self.world.step()
            return self.world.request(self.request_id).status == "loaded"

        wait_until(look, "the report is taken over", seconds=10 * LEASE_SECONDS)

    def close(self) -> int:
        """Close dead sessions, as the sensor does; return how many there were."""
        with DagsterInstance.ephemeral() as instance:
            return close_dead_sessions(self.world.sessions, instance)

    def session(self) -> Mapping[str, Any]:
        """Return the frozen process's session."""
        [found] = self.world.query("SELECT * FROM job_sessions WHERE job_name = 'frozen-load'")
        return found

    def written(self) -> list[Any]:
        """Return a digest of each table that a load or a session writes."""
        digest = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"
        return [self.world.query(digest.format(table)) for table in WRITTEN]


@pytest.fixture
def frozen_world(
    world: World, proxy: SilentProxy, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[FrozenWorld]:
    """Yield a world with a process that is frozen in one of the ways."""
    made = FrozenWorld(world, request.param, proxy, tmp_path)
    yield made
    made.process.kill()


@pytest.mark.parametrize("frozen_world", WAYS[::2], ids=str, indirect=True)
def test_a_frozen_load_is_taken_over_and_does_no_harm_when_it_wakes_up(
    frozen_world: FrozenWorld,
) -> None:
    """The other account is loaded at once, the frozen one's report when the lease is over; then the process can only end."""
    frozen_world.freeze()
    began = time.monotonic()
    frozen_world.world.step()
    assert time.monotonic() - began < ONE_STEP_SECONDS
    assert frozen_world.world.request(frozen_world.other_request_id).status == "loaded"
    assert frozen_world.world.request(frozen_world.request_id).status == "completed"

    frozen_world.take_over()
    assert frozen_world.close() == 1
    assert frozen_world.session()["status"] == "crashed"

    before = frozen_world.written()
    frozen_world.wake_up()
    assert "SessionClosedError" in frozen_world.process.log
    assert before == frozen_world.written()
    window = frozen_world.world.window(frozen_world.frozen, frozen_world.day)
    assert (window.status, window.load_count) == ("loaded", 1)


@pytest.mark.parametrize("frozen_world", WAYS[:1], ids=str, indirect=True)
def test_a_frozen_session_is_closed_though_its_own_transaction_locks_it(
    frozen_world: FrozenWorld,
) -> None:
    """Nobody has taken the work over yet: closing the session ends the transaction, and one look then loads the report."""
    frozen_world.freeze()
    wait_until(
        lambda: frozen_world.close() == 1, "the session is closed", seconds=10 * LEASE_SECONDS
    )
    frozen_world.world.step()
    assert frozen_world.world.request(frozen_world.request_id).status == "loaded"


@pytest.mark.parametrize("frozen_world", WAYS[1:2], ids=str, indirect=True)
def test_a_process_that_wakes_up_before_its_session_is_closed_has_lost_its_lock(
    frozen_world: FrozenWorld,
) -> None:
    """It fails by itself, and the successor's load stands."""
    frozen_world.freeze()
    frozen_world.take_over()
    before = frozen_world.world.stored_rows(frozen_world.frozen, frozen_world.day)
    frozen_world.wake_up()
    assert frozen_world.session()["status"] == "failed"
    assert before == frozen_world.world.stored_rows(frozen_world.frozen, frozen_world.day)
    assert frozen_world.world.window(frozen_world.frozen, frozen_world.day).load_count == 1
    assert frozen_world.world.request(frozen_world.request_id).status == "loaded"
