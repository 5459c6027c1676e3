"""Calls of many runs at once: the first calls under a rate limit that nobody used before, and what Amazon sees of all of them."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, text

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS, Endpoints
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass, CallIntervals, LimitScope
from bidbeacon_pipelines.amazon_ads.reports import create_report, retrieve_report
from bidbeacon_pipelines.amazon_ads.shared_rate_limits import PostgresRateLimits
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.sandbox.server import SandboxHandle
from bidbeacon_pipelines.sandbox.state import SandboxClock
from tests.postgres.flickering import wait_until

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
SCOPE = LimitScope("NA", CallClass.CREATE, "amzn1.ads-account.g.one")
OTHER = LimitScope("NA", CallClass.CREATE, "amzn1.ads-account.g.other")
RUNS, LOOKS = 10, 6
INTERVALS = CallIntervals(dict.fromkeys(CallClass, 0.2), dict.fromkeys(CallClass, 0.3))
"""Five calls of a region and class in a second."""


class SharedTime:
    """The sandbox's time, for threads: it goes on to the next who wants to wake when all who take part are asleep."""

    def __init__(self, clock: SandboxClock, members: int) -> None:
        self._clock = clock
        self._members = members
        self._wakes: list[datetime] = []
        self._changed = threading.Condition()

    def now(self) -> datetime:
        """Return the time."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Wait until the time has come."""
        with self._changed:
            wake = self.now() + timedelta(seconds=seconds)
            self._wakes.append(wake)
            self._go_on()
            assert self._changed.wait_for(lambda: self.now() >= wake, timeout=120)

    @contextmanager
    def membership(self) -> Iterator[None]:
        """Take part until the end of the block."""
        try:
            yield
        finally:
            with self._changed:
                self._members -= 1
                self._go_on()

    def _go_on(self) -> None:
        if self._wakes and len(self._wakes) == self._members:
            self._clock.advance((min(self._wakes) - self.now()).total_seconds())
            self._wakes = [wake for wake in self._wakes if wake > self.now()]
            self._changed.notify_all()


@pytest.mark.parametrize("sandbox", [{"accounts": 30, "calls_per_second": 6}], indirect=True)
def test_ten_runs_together_stay_under_the_limit(
    database_url: str, sandbox: SandboxHandle, caplog: pytest.LogCaptureFixture
) -> None:
    """Each with its own rate limits on one database where nobody has called before: Amazon refuses none of their calls."""
    accounts = [
        each.account_id
        for each in sandbox.state.world.accounts.in_region("NA")
        if each.status == "CREATED"
    ]
    shared = SharedTime(sandbox.state.clock, RUNS)
    together = threading.Barrier(RUNS)

    def run(number: int) -> None:
        account_id = accounts[
            number // 2
        ]  # two runs an account: as many reports as may be in flight
        with shared.membership(), _client(database_url, sandbox, shared) as client:
            together.wait(60)
            day = sandbox.state.clock.now().date() - timedelta(days=2 + number)
            fields = DATASETS["daily_targets"].fields
            report = create_report(client, "NA", account_id, fields=fields, start=day, end=day)
            for _ in range(LOOKS):
                retrieve_report(client, "NA", report.report_id, account_id=account_id)

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(RUNS) as pool:
        list(pool.map(run, range(RUNS)))
    summary = sandbox.state.ledger.summary()
    assert summary["throttled"] == 0
    assert {"create_report": {"207": RUNS}, "retrieve_report": {"207": RUNS * LOOKS}} == {
        name: summary["calls"][name] for name in ("create_report", "retrieve_report")
    }
    assert caplog.messages == []


def test_who_comes_first_to_a_rate_limit_is_in_nobodys_way(
    engine: Engine, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """While one run adds an account's first scope, another comes for the same: both get a place, from the database."""
    with ExitStack() as stack:
        engines = [make_engine(database_url) for _ in range(2)]
        for each in engines:
            stack.callback(each.dispose)
        first, second = (PostgresRateLimits(each, INTERVALS, lambda: NOON) for each in engines)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        came: list[Future[float]] = []

        def add_region() -> None:
            """Insert the region's rate limit after the first run has missed it, and before it adds the account's."""
            PostgresRateLimits(engine, INTERVALS, lambda: NOON).reserve(OTHER, longest_wait=9)

        def let_second_come() -> None:
            came.append(pool.submit(second.reserve, SCOPE, longest_wait=9))
            wait_until(
                lambda: came[0].done() or _somebody_waits(engine), "the second run waits for a lock"
            )

        _once_around_the_insert(engines[0], before=add_region, after=let_second_come)
        with caplog.at_level(logging.WARNING):
            waits = [first.reserve(SCOPE, longest_wait=9), came[0].result(60)]
    assert caplog.messages == []
    assert [pytest.approx(0.2), pytest.approx(0.5)] == sorted(waits)


@contextmanager
def _client(database_url: str, sandbox: SandboxHandle, clock: SharedTime) -> Iterator[AdsApiClient]:
    """Yield a client as a process of its own would have it."""
    engine = make_engine(database_url, pool_size=1)
    rate_limits = PostgresRateLimits(engine, INTERVALS, clock.now)
    try:
        with AdsApiClient(
            SANDBOX_CREDENTIALS,
            Endpoints.sandbox(sandbox.url),
            clock=clock,
            rate_limits=rate_limits,
        ) as client:
            yield client
    finally:
        engine.dispose()


def _once_around_the_insert(
    engine: Engine, *, before: Callable[[], None], after: Callable[[], None]
) -> None:
    """Call something before and after the first insert that an engine makes, inside its transaction."""
    first = [before, after]

    def call(position: int) -> Callable[..., None]:
        def listener(*given: object) -> None:
            if "INSERT INTO rate_limits" in str(given[2]) and len(first) == 2 - position:
                first.pop(0)()

        return listener

    event.listen(engine, "before_cursor_execute", call(0))
    event.listen(engine, "after_cursor_execute", call(1))


def _somebody_waits(engine: Engine) -> bool:
    with engine.begin() as connection:
        waiting = connection.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )
        return bool(waiting.scalar_one())
