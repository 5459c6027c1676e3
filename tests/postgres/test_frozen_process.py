"""A process is frozen in the middle of a load: others carry on, its work is taken over, and it can do no harm when it wakes up."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidbeacon_sessions.settings import get_session_settings
from tests.support.dagster_runs import close_dead
from tests.support.frozen_process import WAYS, HaltedProcess, SilentProxy, Way, silent_proxy
from tests.support.waiting import wait_until
from tests.support.world import World
from tests.support.written_tables import digest_tables

LEASE_SECONDS = 5
ONE_STEP_SECONDS = 10
"""Of looking at another account's report and loading it; a lock that is waited for takes half a minute."""
OF_SESSIONS = ("session_headers", "session_actions")


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


class FrozenLoad:
    """A process that loads one account's report and is frozen in it, while the report of another account is ready too."""

    def __init__(self, world: World, way: Way, proxy: SilentProxy, folder: Path) -> None:
        self.world, self._way, self._proxy = world, way, proxy
        self.account, self.day = world.account("JP"), world.day(3)
        self._request_id = world.ask(self.account, self.day)
        self._other_id = world.ask(world.account("US"), self.day)
        now = world.advance(minutes=2)
        given = {
            "database_url": proxy.database_url,
            "sandbox_url": world.sandbox.url,
            "home": str(folder / "home"),
            "now": now.isoformat(),
            "request_id": self._request_id,
            "place": way.place,
        }
        self.process = HaltedProcess(
            "tests.support.frozen_worker", json.dumps(given), log=folder / "worker.log"
        )

    @property
    def status(self) -> str:
        """How far the frozen process's request is."""
        return self.world.request(self._request_id).status

    @property
    def other_status(self) -> str:
        """How far the other account's request is."""
        return self.world.request(self._other_id).status

    def freeze(self) -> None:
        """Freeze the process where it should be."""
        self.process.wait_until_halted()
        self._way.freeze(self.process, self._proxy)

    def wake_up(self) -> None:
        """Let the process go on, and wait for its end."""
        self._way.wake_up(self.process, self._proxy)
        assert self.process.wait_for_end() == 1, self.process.log

    def take_over(self) -> None:
        """Look at reports until the frozen one's is loaded."""

        def look() -> bool:
            self.world.step()
            return self.status == "loaded"

        wait_until(look, "the report is taken over", seconds=10 * LEASE_SECONDS)


@pytest.fixture
def frozen(
    world: World, proxy: SilentProxy, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[FrozenLoad]:
    """Yield a process that is to be frozen in one of the ways."""
    made = FrozenLoad(world, request.param, proxy, tmp_path)
    yield made
    made.process.kill()


@pytest.mark.parametrize("frozen", WAYS[::2], ids=str, indirect=True)
def test_a_frozen_load_is_taken_over_and_does_no_harm_when_it_wakes_up(
    frozen: FrozenLoad,
) -> None:
    """The other account is loaded at once, the frozen one's report when the lease is over; then the process can only end."""
    frozen.freeze()
    began = time.monotonic()
    frozen.world.step()
    assert time.monotonic() - began < ONE_STEP_SECONDS
    assert frozen.other_status == "loaded"
    assert frozen.status == "completed"

    frozen.take_over()
    assert close_dead(frozen.world.sessions) == 1
    assert frozen.world.one_session("frozen-load")["status"] == "crashed"

    before = digest_tables(frozen.world.engine, *OF_SESSIONS)
    frozen.wake_up()
    assert "SessionClosedError" in frozen.process.log
    assert before == digest_tables(frozen.world.engine, *OF_SESSIONS)
    window = frozen.world.window(frozen.account, frozen.day)
    assert (window.status, window.load_count) == ("loaded", 1)


@pytest.mark.parametrize("frozen", WAYS[:1], ids=str, indirect=True)
def test_a_frozen_session_is_closed_though_its_own_transaction_locks_it(
    frozen: FrozenLoad,
) -> None:
    """Nobody has taken the work over yet: closing the session ends the transaction, and one look then loads the report."""
    frozen.freeze()
    is_closed = lambda: close_dead(frozen.world.sessions) == 1
    wait_until(is_closed, "the session is closed", seconds=10 * LEASE_SECONDS)
    frozen.world.step()
    assert frozen.status == "loaded"


@pytest.mark.parametrize("frozen", WAYS[1:2], ids=str, indirect=True)
def test_a_process_that_wakes_up_before_its_session_is_closed_has_lost_its_lock(
    frozen: FrozenLoad,
) -> None:
    """It fails by itself, and the successor's load stands."""
    frozen.freeze()
    frozen.take_over()
    before = frozen.world.stored_rows(frozen.account, frozen.day)
    frozen.wake_up()
    assert frozen.world.one_session("frozen-load")["status"] == "failed"
    assert before == frozen.world.stored_rows(frozen.account, frozen.day)
    assert frozen.world.window(frozen.account, frozen.day).load_count == 1
    assert frozen.status == "loaded"
