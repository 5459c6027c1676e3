"""RateLimits that processes share through the database."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from bidbeacon_pipelines.amazon_ads.rate_limit_queries import (
    LimitKey,
    delete_idle_limits,
    lock_limits,
)
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass, CallIntervals, LimitScope
from bidbeacon_pipelines.amazon_ads.shared_rate_limits import PostgresRateLimits
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.postgres.flickering import Connector, flickering_engine, wait_until

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
SCOPE = LimitScope("NA", CallClass.CREATE, "amzn1.ads-account.g.one")
OTHER = LimitScope("NA", CallClass.CREATE, "amzn1.ads-account.g.other")
REGION = LimitScope("NA", CallClass.CREATE)
INTERVAL = 0.5
INTERVALS = CallIntervals(dict.fromkeys(CallClass, 0.2), dict.fromkeys(CallClass, INTERVAL))
EACH = 15


class Clock:
    """A time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        """Return the time."""
        return self.time


@pytest.fixture
def flickering(database_url: str) -> Iterator[tuple[Connector, Engine]]:
    """Yield an engine on a database that is away until a test says otherwise."""
    with flickering_engine(database_url) as made:
        yield made


def noon() -> datetime:
    """Return an instant that stands still."""
    return NOON


def reserve_often(database_url: str, times: int) -> list[float]:
    """Take places one after another, on an engine of its own; return the waits."""
    engine = make_engine(database_url, pool_size=1)
    try:
        rate_limits = PostgresRateLimits(engine, INTERVALS, now=noon)
        return [rate_limits.reserve(SCOPE, longest_wait=3600) for _ in range(times)]
    finally:
        engine.dispose()


def test_threads_and_processes_together_keep_apart(database_url: str) -> None:
    """Ten threads and two processes that ask at once get one place each, exactly a gap apart."""
    with (
        multiprocessing.get_context("spawn").Pool(2) as processes,
        ThreadPoolExecutor(10) as threads,
    ):
        apart = processes.starmap_async(reserve_often, [(database_url, EACH)] * 2)
        here = [threads.submit(reserve_often, database_url, EACH) for _ in range(10)]
        waits = [wait for future in here for wait in future.result(60)]
        waits += [wait for each in apart.get(60) for wait in each]
    assert [n * INTERVAL for n in range(12 * EACH)] == sorted(waits)


def test_the_databases_clock_counts_by_default(engine: Engine) -> None:
    """The second place is up to a gap off, whatever the clock of this machine says."""
    rate_limits = PostgresRateLimits(engine, INTERVALS)
    assert rate_limits.reserve(SCOPE, longest_wait=10) == 0
    assert 0 < rate_limits.reserve(SCOPE, longest_wait=10) <= INTERVAL


def test_another_accounts_call_waits_for_the_region_only(engine: Engine) -> None:
    """An account's gap is its own, the region's is everybody's."""
    rate_limits = PostgresRateLimits(engine, INTERVALS, now=noon)
    rate_limits.reserve(SCOPE, longest_wait=10)
    assert rate_limits.reserve(OTHER, longest_wait=10) == pytest.approx(0.2)


def test_a_place_too_far_off_is_not_taken(engine: Engine) -> None:
    """Its wait is given, and the next who can wait longer gets that very place."""
    rate_limits = PostgresRateLimits(engine, INTERVALS, now=noon)
    rate_limits.reserve(SCOPE, longest_wait=0)
    assert [INTERVAL, INTERVAL, INTERVAL] == [
        rate_limits.reserve(SCOPE, longest_wait=wait) for wait in (0, 0.1, 1)
    ]


def test_who_is_held_back_holds_back_the_others(engine: Engine) -> None:
    """Another process waits as long as Amazon asked of this one, for this account only, and not a second longer."""
    clock = Clock()
    one, another = (PostgresRateLimits(engine, INTERVALS, clock.now) for _ in range(2))
    one.pause(SCOPE, 30)
    one.pause(SCOPE, 10)  # the longer wish stands
    assert another.reserve(SCOPE, longest_wait=5) == 30
    assert another.reserve(OTHER, longest_wait=5) == 0
    clock.time += timedelta(seconds=30)
    assert another.reserve(SCOPE, longest_wait=5) == 0


def test_a_region_that_is_held_back_holds_all_its_accounts(engine: Engine) -> None:
    """What Amazon asked without naming an account concerns everybody there, and no other region."""
    rate_limits = PostgresRateLimits(engine, INTERVALS, now=noon)
    rate_limits.pause(REGION, 30)
    assert rate_limits.reserve(SCOPE, longest_wait=5) == 30
    assert (
        rate_limits.reserve(LimitScope("EU", CallClass.CREATE, SCOPE.account_id), longest_wait=5)
        == 0
    )


def test_calls_go_on_while_the_database_is_away(
    flickering: tuple[Connector, Engine], caplog: pytest.LogCaptureFixture
) -> None:
    """Places are this process's own then, what is held back included, and that is said once."""
    _, engine = flickering
    rate_limits = PostgresRateLimits(engine, INTERVALS, noon, look_again_after=0)
    with caplog.at_level(logging.WARNING, "bidbeacon_pipelines.amazon_ads.shared_rate_limits"):
        assert [0, INTERVAL, 2 * INTERVAL] == [
            rate_limits.reserve(SCOPE, longest_wait=9) for _ in range(3)
        ]
        rate_limits.pause(SCOPE, 30)
        assert rate_limits.reserve(SCOPE, longest_wait=5) == 30
    [warning] = caplog.messages
    assert "The database is unavailable (OperationalError)" in warning


def test_the_database_is_used_again_when_it_is_back(
    flickering: tuple[Connector, Engine], engine: Engine
) -> None:
    """Then places are everybody's again."""
    connector, away = flickering
    rate_limits = PostgresRateLimits(away, INTERVALS, noon, look_again_after=0)
    rate_limits.reserve(SCOPE, longest_wait=9)
    connector.is_away = False
    rate_limits.reserve(SCOPE, longest_wait=9)
    assert PostgresRateLimits(engine, INTERVALS, noon).reserve(SCOPE, longest_wait=9) == INTERVAL


def test_a_killed_process_keeps_no_rate_limit(engine: Engine, database_url: str) -> None:
    """A process that dies between taking and giving back a lock leaves the rate limit to the others at once."""
    holder = _hold_limit(database_url)
    holder.send_signal(signal.SIGKILL)
    holder.wait(30)
    rate_limits = PostgresRateLimits(engine, INTERVALS, now=noon)
    rate_limits.reserve(
        SCOPE, longest_wait=9
    )  # who waits for two seconds goes on without writing anything
    assert _next_start(engine) == NOON + timedelta(seconds=INTERVAL)


def test_a_stopped_process_stops_nobody(engine: Engine, database_url: str) -> None:
    """A caller waits two seconds at most, then continues without the database; the frozen holder loses its lock a few seconds later."""
    holder = _hold_limit(database_url)
    os.kill(holder.pid, signal.SIGSTOP)
    try:
        rate_limits = PostgresRateLimits(engine, INTERVALS, noon, look_again_after=0)
        began = time.monotonic()
        assert rate_limits.reserve(SCOPE, longest_wait=9) == 0
        assert time.monotonic() - began < 30  # it holds the lock for a minute
        wait_until(lambda: _is_written(rate_limits, engine), "the rate limit is unlocked")
    finally:
        holder.kill()
        holder.wait(30)


def test_a_rate_limit_deleted_as_idle_is_made_anew(engine: Engine) -> None:
    """Keeping house takes nothing away from who comes after."""
    rate_limits = PostgresRateLimits(engine, INTERVALS, now=noon)
    rate_limits.reserve(SCOPE, longest_wait=0)
    with engine.begin() as connection:
        assert delete_idle_limits(connection, NOON, limit=100) == 0
        assert delete_idle_limits(connection, NOON + timedelta(days=1), limit=100) == 2
    assert rate_limits.reserve(SCOPE, longest_wait=0) == 0
    assert rate_limits.reserve(SCOPE, longest_wait=9) == INTERVAL


_HOLD = """
import sys, time
from bidbeacon_pipelines.amazon_ads.rate_limit_queries import LimitKey, add_limits, lock_limits
from bidbeacon_pipelines.database.engine import make_engine
engine, keys = make_engine(sys.argv[1]), [LimitKey(*sys.argv[2:])]
with engine.begin() as connection:
    add_limits(connection, keys)
with engine.begin() as connection:
    assert lock_limits(connection, keys)
    print("locked", flush=True)
    time.sleep(60)
"""


def _hold_limit(database_url: str) -> subprocess.Popen[str]:
    """Start a process that locks the account's scope, and wait until it has."""
    command = [sys.executable, "-c", _HOLD, database_url, *SCOPE.own_key]
    holder = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    return holder


def _next_start(engine: Engine) -> datetime | None:
    with engine.begin() as connection:
        locked = lock_limits(connection, [LimitKey(*SCOPE.own_key)])
    return None if locked is None else locked.next_starts[0]


def _is_written(rate_limits: PostgresRateLimits, engine: Engine) -> bool:
    rate_limits.reserve(SCOPE, longest_wait=3600)
    with engine.begin() as connection:
        moved = connection.execute(
            text("SELECT count(*) FROM rate_limits WHERE next_start_at > '2000-01-01'")
        )
        return int(moved.scalar_one()) == len(SCOPE.keys)
