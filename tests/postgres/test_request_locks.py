"""Locks on requests, and planning by several at once: real sessions, real commits."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, func, text
from sqlalchemy.exc import OperationalError

from bidbeacon_pipelines.accounts.queries import get_ads_account
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.plan import plan_due
from bidbeacon_pipelines.requests.queries import (
    LockLostError,
    get_request,
    lock_next_request,
    lock_request,
    lock_request_row,
    unlock_request,
    update_request,
)
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.make import make_dataset_windows
from bidbeacon_sessions import SessionRecorder, SessionStore, with_job_session
from tests.postgres.load_world import DATASET, LoadWorld
from tests.support.reading import call, tuples
from tests.support.recorded_sessions import end_lease
from tests.support.rows import add_account, add_request, change_requests
from tests.support.threads import at_once

DAY = date(2026, 1, 10)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
Lock = Callable[[UUID], bool]


@pytest.fixture
def sessions(engine: Engine) -> Iterator[Callable[[], SessionRecorder]]:
    """Yield what opens a living session."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(with_job_session("test", store=SessionStore(engine)))


def put_requests(engine: Engine, account_id: str, *minutes_due: int) -> list[int]:
    """Store requests in flight that have been due for so many minutes; return their ids."""
    running = {"status": "in_flight", "report_id": "r"}
    due = [NOW - timedelta(minutes=minutes) for minutes in minutes_due]
    return [add_request(engine, account_id, DAY, next_step_at=at, **running) for at in due]


@pytest.fixture
def request_id(shelf: LoadWorld) -> int:
    """Return a request that nobody has locked."""
    [made] = put_requests(shelf.engine, shelf.account.account_id, 0)
    return made


@pytest.fixture
def lock(engine: Engine, request_id: int) -> Lock:
    """Return what locks the request for a session, and says whether it could."""

    def try_it(session_id: UUID) -> bool:
        return call(engine, lock_request, request_id, session_id) is not None

    return try_it


def change(connection: Connection, request_id: int, session_id: UUID, **changes: Any) -> None:
    """Change a request as a session that has locked it."""
    before = get_request(connection, request_id)
    update_request(connection, before, before.with_changes(**changes), session_id)


def test_one_session_locks_until_it_gives_the_lock_back(
    engine: Engine, lock: Lock, request_id: int, sessions: Callable[[], SessionRecorder]
) -> None:
    """The first may lock again; releasing ends one's own lock, and never another's."""
    first, second = sessions(), sessions()
    assert lock(first.session_id)
    assert lock(first.session_id)
    for session in (second, first):
        assert not lock(second.session_id)
        call(engine, unlock_request, request_id, session.session_id)
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
        lock_request_row(connection, request_id, first.session_id)
    with pytest.raises(LockLostError), engine.begin() as connection:
        add_account(connection, "MX")
        change(connection, request_id, first.session_id, polls=7)
    stored = "SELECT a.country_code, r.polls FROM advertiser_accounts a, report_requests r"
    assert [("US", 0)] == tuples(engine, stored)


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
        lock_request_row(connection, request_id, first.session_id)
        change(connection, request_id, first.session_id, status="loaded", finished_at=NOW)
        second = sessions()
        end_lease(engine, first.session_id)
        assert lock(second.session_id)
    stored = tuples(engine, "SELECT status, locked_by FROM report_requests")
    assert [("in_flight", second.session_id)] == stored


def test_an_ended_request_is_locked_by_nobody(
    engine: Engine, lock: Lock, sessions: Callable[[], SessionRecorder]
) -> None:
    """There is nothing left to do with it."""
    change_requests(engine, status="failed", finished_at=func.now())
    assert not lock(sessions().session_id)


def take(engine: Engine, session: SessionRecorder, stepped: Sequence[int] = ()) -> int | None:
    """Lock the next due request for a session; return its id."""
    options: dict[str, Any] = {"due_at": NOW, "downloads": Path("downloads"), "stepped": stepped}
    taken = call(engine, lock_next_request, session.session_id, **options)
    return None if taken is None else taken.id


def test_due_requests_are_taken_in_order_but_not_of_an_account_at_work(
    shelf: LoadWorld, sessions: Callable[[], SessionRecorder]
) -> None:
    """Longest due first; those of an ads account that a living session has a request of are nobody else's.

    When its lease is over, so are its locks.
    """
    engine, first, second = shelf.engine, sessions(), sessions()
    own = put_requests(engine, shelf.account.account_id, 9, 7)
    put_requests(engine, add_account(engine, account_id="amzn1.three").account_id, -1)
    others = put_requests(engine, add_account(engine, account_id="amzn1.two").account_id, 8)
    assert own[0] == take(engine, first)
    assert others == [take(engine, second)]
    assert take(engine, second) is None
    end_lease(engine, first.session_id)
    assert own[0] == take(engine, second)


def test_sessions_that_take_at_once_share_the_due_requests(
    shelf: LoadWorld, sessions: Callable[[], SessionRecorder]
) -> None:
    """Four sessions step forty requests of ten ads accounts: each once, and none is left."""

    def take_all(session: SessionRecorder) -> list[int]:
        taken: list[int] = []
        while (request_id := take(shelf.engine, session, taken)) is not None:
            taken.append(request_id)
            with shelf.engine.begin() as connection:
                later = {"next_step_at": NOW + timedelta(hours=1)}
                change(connection, request_id, session.session_id, **later)
                unlock_request(connection, request_id, session.session_id)
        return taken

    accounts = [add_account(shelf.engine, account_id=f"amzn1.n{n}") for n in range(10)]
    due = [put_requests(shelf.engine, one.account_id, 1, 2, 3, 4) for one in accounts]
    taken = at_once([partial(take_all, sessions()) for _ in range(4)])
    assert list(chain(*due)) == sorted(chain(*taken))


def test_planners_at_once_plan_every_day_once(
    shelf: LoadWorld, tmp_path: Path, sessions: Callable[[], SessionRecorder]
) -> None:
    """Six planners of one ads account with two countries: the plan is that of one, and no day of a dataset is in two requests."""
    accounts = [shelf.account, add_account(shelf.engine, "CA", shelf.account.account_id)]
    ads_account = call(shelf.engine, get_ads_account, shelf.account.account_key)
    settings = Settings(home=tmp_path)
    context = JobContext(shelf.engine, lambda _: pytest.fail("asked Amazon"), settings, lambda: NOW)
    planners = [sessions() for _ in range(6)]
    for account in accounts:
        make_dataset_windows(context, planners[0], account, DATASET)
    at_once([partial(plan_due, context, one, ads_account, accounts) for one in planners])
    requests = tuples(shelf.engine, "SELECT start_date, end_date FROM report_requests")
    days = [
        first + timedelta(days=n)
        for first, last in requests
        for n in range((last - first).days + 1)
    ]
    assert (4, len(days)) == (len(requests), len(set(days)))
