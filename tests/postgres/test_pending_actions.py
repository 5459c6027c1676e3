"""What a session told inside transactions that were rolled back: it is not there, and the timeline says so."""

from datetime import date

import pytest
from sqlalchemy import Connection, text

from bidbeacon_sessions import Action, SessionStore, with_job_session
from tests.recorded_sessions import recorded


class ClaimMade(Action):
    """Some rows were written."""

    sentence = "Wrote {rows:count:row} for {day}"

    rows: int
    day: date = date(2026, 11, 23)


def timeline(store: SessionStore) -> list[tuple[str, str | None]]:
    """Return type of each action of the only session, and what it says was rolled back."""
    [row] = recorded(store)
    return [(action["type"], action.get("said")) for action in row.actions]


def test_a_load_that_was_rolled_back_is_told_before_what_comes_next(
    session_store: SessionStore,
) -> None:
    """The claim itself is gone; the sentence it would have said is kept as what did not happen."""
    with with_job_session("x", store=session_store) as session:
        with pytest.raises(RuntimeError), session_store.begin() as connection:
            session.add_in(connection, ClaimMade(rows=3))
            raise RuntimeError
        session.add(ClaimMade(rows=1))
    assert [
        ("action-rolled-back", "Wrote 3 rows for 2026-11-23"),
        ("claim-made", None),
    ] == timeline(session_store)


def test_only_what_a_savepoint_took_with_it_is_told(session_store: SessionStore) -> None:
    """What was told before the savepoint stays true."""
    with with_job_session("x", store=session_store) as session, session_store.begin() as connection:
        session.add_in(connection, ClaimMade(rows=1))
        with pytest.raises(RuntimeError), connection.begin_nested():
            session.add_in(connection, ClaimMade(rows=2))
            raise RuntimeError
        session.add_in(connection, ClaimMade(rows=3))
    rolled_back = ("action-rolled-back", "Wrote 2 rows for 2026-11-23")
    assert [("claim-made", None), ("claim-made", None), rolled_back] == timeline(session_store)


def test_a_transaction_whose_connection_broke_is_judged_by_what_is_stored(
    session_store: SessionStore,
) -> None:
    """The server ended it: its claim did not come true."""
    with (
        with_job_session("x", store=session_store) as session,
        pytest.raises(Exception, match="terminat"),
        session_store.begin() as connection,
    ):
        session.add_in(connection, ClaimMade(rows=3))
        _end_from_outside(session_store, connection)
        connection.execute(text("SELECT 1"))
    assert [("action-rolled-back", "Wrote 3 rows for 2026-11-23")] == timeline(session_store)


def test_a_failing_job_tells_what_was_rolled_back_with_it(session_store: SessionStore) -> None:
    """The error that ends the session is the one that rolled back its load."""
    with (
        pytest.raises(LookupError),
        with_job_session("x", store=session_store) as session,
        session_store.begin() as connection,
    ):
        session.add_in(connection, ClaimMade(rows=3))
        raise LookupError
    assert [("action-rolled-back", "Wrote 3 rows for 2026-11-23")] == timeline(session_store)


def test_a_transaction_that_outlives_its_session_is_left_alone(session_store: SessionStore) -> None:
    """Whether it will be committed is not known when the session ends, so nothing is said of it."""
    with session_store.begin() as connection, with_job_session("x", store=session_store) as session:
        session.add_in(connection, ClaimMade(rows=3))
    assert [("claim-made", None)] == timeline(session_store)


def _end_from_outside(store: SessionStore, connection: Connection) -> None:
    pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with store.begin() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
