"""Several runs at the same moment: they share the reports, and one of them records the loads."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from functools import partial

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.locks import lock_until_commit
from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.windows.make import make_dataset_windows
from bidbeacon_sessions import connections
from tests.dagster.runs import (
    SERVED_DAYS,
    add_accounts,
    materialize_days,
    recorded_partitions,
    run_job,
)
from tests.support.reading import column
from tests.support.threads import at_once
from tests.support.waiting import wait_until
from tests.support.world import DATASET, World

LOADED = "SELECT load_count FROM report_windows WHERE load_count > 0"
UNRECORDED = "SELECT 1 FROM report_windows WHERE recorded_load_count < load_count"
WAITS = """
    SELECT waitstart FROM pg_locks
     WHERE locktype = 'advisory' AND NOT granted AND waitstart IS NOT NULL"""
DUE = "SELECT 1 FROM report_requests WHERE status = 'in_flight' AND next_step_at <= now()"


def have_reports_due(world: World, accounts: Sequence[Account], days: Sequence[date]) -> None:
    """Request a report for days of each account, and wait until all are due for a poll."""
    with world.session("ask") as session:
        for account in accounts:
            make_dataset_windows(world.context, session, account, DATASET)
            world.plan_by_hand(account, days)
    assert run_job(world, "poll_reports").success
    wait_until(lambda: len(world.query(DUE)) == len(accounts), "all reports are due")


def test_polls_at_once_load_and_record_each_window_once(
    real: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs share the reports of three accounts: each window is loaded once, and is one materialization."""
    # Dagster configures logging when a run starts. Threads of one process can lock each other out there.
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)
    add_accounts(real)
    accounts = [real.account(country) for country in ("JP", "DE", "US")]
    days = [real.day(ago) for ago in range(20, 24)]
    have_reports_due(real, accounts, days)
    assert all(run.success for run in at_once([partial(run_job, real, "poll_reports")] * 3))
    # What one of them loaded while another one was at its last look is left to the next run.
    assert run_job(real, "poll_reports").success
    asked = {str(partition_key(account.account_key, day)) for account in accounts for day in days}
    assert [1] * len(asked) == column(real.engine, LOADED)
    assert sorted(asked) == sorted(recorded_partitions(real))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections wait for locks for a fifth of a second, instead of half a minute."""
    monkeypatch.setitem(connections._SERVER_OPTIONS, "lock_timeout", "200ms")


@contextmanager
def recording(world: World) -> Iterator[None]:
    """Record loads, as another run does."""
    with world.engine.begin() as connection:
        lock_until_commit(connection, "record loads")
        yield


@pytest.mark.parametrize("job", ["poll_reports", "refresh_account"])
def test_a_run_leaves_recording_to_the_run_that_does_it(
    impatient: None, real: World, job: str
) -> None:
    """It loads and succeeds; what the other one had not seen is recorded by the next run."""
    add_accounts(real)
    real.shorten_history(SERVED_DAYS)
    account, day = real.account(), real.day(20)
    have_reports_due(real, [account], [day])
    with recording(real):
        assert run_job(real, job, account).success
    assert [1] == column(real.engine, LOADED)
    assert 1 == len(real.query(UNRECORDED))
    assert run_job(real, "poll_reports").success
    assert [str(partition_key(account.account_key, day))] == recorded_partitions(real)


def test_a_load_by_hand_waits_for_the_run_that_records(impatient: None, real: World) -> None:
    """Also for longer than a statement may wait for a lock: its own run records its days."""
    add_accounts(real)
    real.shorten_history(SERVED_DAYS)
    seen = set[object]()

    def has_tried_twice() -> bool:
        seen.update(column(real.engine, WAITS))
        return len(seen) > 1

    with ThreadPoolExecutor(1) as pool:
        with recording(real):
            run = pool.submit(materialize_days, real, real.account(), real.day())
            wait_until(has_tried_twice, "it waits once more")
        assert run.result().success
    assert 1 == len(recorded_partitions(real))
    assert [] == real.query(UNRECORDED)
