"""A lock that another job holds is waited for, for a bounded time; one of a dead session is not."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from bidbeacon_pipelines.accounts.queries import lock_rows
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.database.locks import LockTakenError, lock_until_commit
from bidbeacon_sessions import SessionStore, connections, with_job_session
from tests.support.recorded_sessions import end_lease
from tests.support.world import World


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections wait for locks for a fifth of a second, instead of half a minute."""
    monkeypatch.setitem(connections._SERVER_OPTIONS, "lock_timeout", "200ms")


@pytest.fixture
def other(database_url: str) -> Iterator[Engine]:
    """Yield an engine as another process has it."""
    made = make_engine(database_url)
    yield made
    made.dispose()


@contextmanager
def rows_locked(engine: Engine, account: Account) -> Iterator[Connection]:
    """Keep an account's rows locked, as a load does."""
    with engine.begin() as connection:
        lock_rows(connection, account)
        yield connection


def test_a_load_that_finds_its_rows_locked_is_put_off_and_the_others_go_on(
    world: World, other: Engine
) -> None:
    """It is told, costs no try, and is done at the next look."""
    frozen, free = world.account("JP"), world.account("US")
    day = world.day(3)
    put_off, loaded = world.ask(frozen, day), world.ask(free, day)
    world.advance(minutes=2)
    with rows_locked(other, frozen):
        world.step()
    assert world.request(loaded).status == "loaded"
    request = world.request(put_off)
    assert (request.status, request.loads, request.cause) == ("completed", 0, None)
    [told] = world.actions("window-skipped")
    assert (told["account"], told["reason"]) == (frozen.account_key, "another run is working on it")
    assert "Another job has been holding the lock" in told["detail"]
    world.advance(minutes=2)
    world.step()
    assert world.request(put_off).status == "loaded"


def test_a_lock_that_somebody_keeps_is_an_error_that_says_what_to_do(
    engine: Engine, other: Engine
) -> None:
    """It names the lock."""
    with other.begin() as holding, engine.begin() as waiting:
        lock_until_commit(holding, "rows of one")
        with pytest.raises(LockTakenError, match=r"'rows of one'.*Try again later"):
            lock_until_commit(waiting, "rows of one")


def test_a_dead_sessions_lock_is_taken_at_once(engine: Engine, other: Engine) -> None:
    """Its connection is ended instead of waited for."""
    with (
        other.connect() as taking,
        with_job_session("x", store=SessionStore(engine)),
        engine.connect() as holding,
    ):
        lock_until_commit(holding, "rows of one")
        end_lease(engine)
        lock_until_commit(taking, "rows of one")
        with pytest.raises(OperationalError, match="terminating connection"):
            holding.execute(text("SELECT 1"))
