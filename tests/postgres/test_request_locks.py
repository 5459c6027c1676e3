"""Locks on requests, and planning by several at once: real sessions, real commits."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.credentials import SANDBOX_CREDENTIALS, Endpoints
from bidbeacon_pipelines.services.job_context import JobContext
from bidbeacon_pipelines.services.refresh import plan_due
from bidbeacon_pipelines.services.windows import keep_windows
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.ads_accounts import get_ads_account
from bidbeacon_pipelines.store.requests import (
    LockLostError,
    insert_request,
    keep_lock,
    list_requests_to_step,
    lock_request,
    unlock_request,
    update_request,
)
from bidbeacon_sessions import SessionRecorder, SessionStore, with_job_session
from tests.postgres.job_world import execute, query
from tests.postgres.load_world import DATASET, LoadWorld, add_account
from tests.recorded_sessions import end_lease

DAY = date(2026, 1, 10)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
Lock = Callable[[UUID], bool]
T = TypeVar("T")


@pytest.fixture
def sessions(engine: Engine) -> Iterator[Callable[[], SessionRecorder]]:
    """Yield what opens a living session."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(with_job_session("test", store=SessionStore(engine)))


@pytest.fixture
def request_id(shelf: LoadWorld) -> int:
    """Return a request that nobody has locked."""
    with shelf.engine.begin() as connection:
        made = insert_request(
            connection,
            shelf.account.account_id,
            DATASET.name,
            DAY,
            DAY,
            by_hand=False,
            session_id=uuid4(),
            created_at=NOW,
        )
    shelf.execute("UPDATE report_requests SET status = 'in_flight', report_id = 'r', attempts = 1")
    return made


@pytest.fixture
def lock(engine: Engine, request_id: int) -> Lock:
    """Return what locks the request for a session, and says whether it could."""

    def try_it(session_id: UUID) -> bool:
        with engine.begin() as connection:
            return lock_request(connection, request_id, session_id) is not None

    return try_it


def test_one_of_two_sessions_locks(lock: Lock, sessions: Callable[[], SessionRecorder]) -> None:
    """The second is refused while the first lives; the first may lock again."""
    first, second = sessions(), sessions()
    assert lock(first.session_id)
    assert not lock(second.session_id)
    assert lock(first.session_id)


def test_of_eight_that_lock_at_once_one_succeeds(
    lock: Lock, sessions: Callable[[], SessionRecorder]
) -> None:
    """Exactly one succeeds; the others see its lock."""
    ids = [sessions().session_id for _ in range(8)]
    assert sum(at_once([partial(lock, session_id) for session_id in ids])) == 1


def test_a_dead_sessions_lock_can_be_taken(
    engine: Engine, lock: Lock, sessions: Callable[[], SessionRecorder]
) -> None:
    """When the lease is over, so is the lock."""
    first, second = sessions(), sessions()
    lock(first.session_id)
    end_lease(engine, first.session_id)
    assert lock(second.session_id)
    assert not lock(first.session_id)


def test_a_lock_given_back_is_free(
    engine: Engine, lock: Lock, request_id: int, sessions: Callable[[], SessionRecorder]
) -> None:
    """Releasing ends one's own lock, and never another's."""
    first, second = sessions(), sessions()
    lock(first.session_id)
    for session in (second, first):
        assert not lock(second.session_id)
        with engine.begin() as connection:
            unlock_request(connection, request_id, session.session_id)
    assert lock(second.session_id)


def test_who_lost_its_lock_cannot_write(
    engine: Engine, lock: Lock, request_id: int, sessions: Callable[[], SessionRecorder]
) -> None:
    """Holding and updating raise, and what the transaction wrote before is rolled back."""
    first, second = sessions(), sessions()
    lock(first.session_id)
    end_lease(engine, first.session_id)
    lock(second.session_id)
    with pytest.raises(LockLostError, match=f"request {request_id}"), engine.begin() as connection:
        add_account(connection, "CA")
        keep_lock(connection, request_id, first.session_id)
    with pytest.raises(LockLostError), engine.begin() as connection:
        add_account(connection, "MX")
        update_request(connection, request_id, first.session_id, polls=7)
    assert [("US", 0)] == [
        (row["country_code"], row["polls"])
        for row in query(
            engine, "SELECT a.country_code, r.polls FROM advertiser_accounts a, report_requests r"
        )
    ]


def test_a_lock_never_waits_for_a_living_session(
    engine: Engine, lock: Lock, request_id: int, sessions: Callable[[], SessionRecorder]
) -> None:
    """A request whose row is locked is left alone at once, also where nobody is known to have locked it."""
    holder, taker = sessions(), sessions()
    with engine.begin() as connection:
        connection.execute(text("SELECT FROM report_requests FOR UPDATE"))
        began = time.monotonic()
        assert not lock(taker.session_id)
        assert time.monotonic() - began < 5
        assert connection.execute(text("SELECT 1")).scalar_one()
    assert lock(holder.session_id)


def test_a_dead_sessions_transaction_is_ended_by_whoever_takes_over(
    engine: Engine, lock: Lock, request_id: int, sessions: Callable[[], SessionRecorder]
) -> None:
    """Its lock on the request is gone at once, and what it had not committed is rolled back."""
    first = sessions()
    lock(first.session_id)
    with pytest.raises(OperationalError), engine.begin() as connection:
        keep_lock(connection, request_id, first.session_id)
        update_request(connection, request_id, first.session_id, status="loaded", finished_at=NOW)
        second = sessions()
        end_lease(engine, first.session_id)
        assert lock(second.session_id)
    [row] = query(engine, "SELECT status, locked_by FROM report_requests")
    assert ("in_flight", second.session_id) == (row["status"], row["locked_by"])


def test_an_ended_request_is_locked_by_nobody(
    engine: Engine, lock: Lock, sessions: Callable[[], SessionRecorder]
) -> None:
    """There is nothing left to do with it."""
    execute(engine, "UPDATE report_requests SET status = 'failed', finished_at = now()")
    assert not lock(sessions().session_id)


def test_open_requests_are_listed_unless_a_living_session_holds_them(
    engine: Engine, lock: Lock, request_id: int, sessions: Callable[[], SessionRecorder]
) -> None:
    """A locked request is somebody's; with that session dead it is in the list again."""

    def listed() -> list[int]:
        with engine.begin() as connection:
            return [request.id for request in list_requests_to_step(connection, due_at=NOW)]

    session = sessions()
    assert [request_id] == listed()
    lock(session.session_id)
    assert listed() == []
    end_lease(engine, session.session_id)
    assert [request_id] == listed()


def test_planners_at_once_plan_every_day_once(
    shelf: LoadWorld, tmp_path: Path, sessions: Callable[[], SessionRecorder]
) -> None:
    """Six planners of one ads account with two countries: the plan is that of one, and no day of a dataset is in two requests."""
    with shelf.engine.begin() as connection:
        accounts = [shelf.account, add_account(connection, "CA", currency_code="CAD")]
        ads_account = get_ads_account(connection, shelf.account.account_key)
    with AdsApiClient(SANDBOX_CREDENTIALS, Endpoints.sandbox("http://127.0.0.1:9")) as client:
        context = JobContext(shelf.engine, client, Settings(home=tmp_path), lambda: NOW)
        planners = [sessions() for _ in range(6)]
        for account in accounts:
            keep_windows(context, planners[0], account, DATASET)
        at_once(
            [partial(plan_due, context, session, ads_account, accounts) for session in planners]
        )
    requests = query(shelf.engine, "SELECT * FROM report_requests")
    covered = Counter(
        row["start_date"] + timedelta(days=n)
        for row in requests
        for n in range((row["end_date"] - row["start_date"]).days + 1)
    )
    assert (7, {1}) == (len(requests), set(covered.values()))


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    """Make calls from as many threads at the same moment; return what came of them."""
    gate = threading.Barrier(len(calls))

    def through_the_gate(call: Callable[[], T]) -> T:
        gate.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(through_the_gate, calls))
