"""Promised work: the action that queues it carries a key, whoever does it keeps the promise, and the parent shows what became of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bidbeacon_sessions import Action, SessionStore, with_job_session
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.server.listing import load_session, load_sessions


class CrateQueued(Action):
    """A crate waits to be sent."""

    sentence = "Queued crate {number}"
    promise_lasts = timedelta(hours=2)

    number: int

    def promises(self) -> list[str]:
        """The crate's."""
        return [f"crate {self.number}"]


class CrateSent(Action):
    """A crate was sent."""

    sentence = "Sent crate {number}"

    number: int

    def fulfilled_promises(self) -> list[str]:
        """The crate's."""
        return [f"crate {self.number}"]


def queue(store: SessionStore, number: int, *, ago: timedelta = timedelta(0)) -> UUID:
    """Promise a crate so long ago; return the session that did."""
    with with_job_session("queue", store=store, clock=lambda: datetime.now(UTC) - ago) as session:
        session.add(CrateQueued(number=number))
    return session.session_id


def promise_of(store: SessionStore, session_id: UUID) -> dict[str, object]:
    """Return what the session that promised shows of it."""
    loaded = load_session(store, session_id)
    assert loaded is not None
    [promise] = loaded["session"]["actions"][0]["promises"]
    return dict(promise)


def test_the_parent_shows_which_session_did_the_work_and_what_it_says(session_store: SessionStore) -> None:
    """A link, the other session's job and status, and the sentence of the action that fulfilled the promise."""
    parent = queue(session_store, 1)
    with with_job_session("send", store=session_store) as session:
        session.add(CrateSent(number=1))
    promise = promise_of(session_store, parent)
    assert ("fulfilled", str(session.session_id), 1) == (
        promise["status"],
        promise["fulfilled_by"],
        promise["fulfilled_ord"],
    )
    assert ("send", "succeeded", "Sent crate 1") == (
        promise["fulfilled_by_job"],
        promise["fulfilled_by_status"],
        promise["text"],
    )
    assert str(promise["url"]).endswith(f"/sessions/{session.session_id}")


@pytest.mark.parametrize(("ago", "status"), [(timedelta(hours=1), "open"), (timedelta(hours=3), "lost")])
def test_work_that_nobody_does_is_open_until_its_deadline_and_lost_then(
    session_store: SessionStore, ago: timedelta, status: str
) -> None:
    """Two hours are this action's."""
    assert status == promise_of(session_store, queue(session_store, 1, ago=ago))["status"]


def test_late_work_keeps_its_promise_all_the_same(session_store: SessionStore) -> None:
    """Lost is what nothing came of; what came late is told with its time."""
    parent = queue(session_store, 1, ago=timedelta(hours=3))
    with with_job_session("send", store=session_store) as session:
        session.add(CrateSent(number=1))
    assert "fulfilled" == promise_of(session_store, parent)["status"]


def test_a_promise_is_fulfilled_only_with_its_transaction(session_store: SessionStore) -> None:
    """A rolled-back load has fulfilled nothing."""
    parent = queue(session_store, 1)
    with with_job_session("send", store=session_store) as session:
        with pytest.raises(RuntimeError), session_store.begin() as connection:
            session.add_in(connection, CrateSent(number=1))
            raise RuntimeError
        assert "open" == promise_of(session_store, parent)["status"]
        with session_store.begin() as connection:
            session.add_in(connection, CrateSent(number=1))
    assert "fulfilled" == promise_of(session_store, parent)["status"]


def test_the_same_key_can_be_promised_again(session_store: SessionStore) -> None:
    """Who does the work fulfills the promises that are open then, not those that were fulfilled before, nor those that come later."""
    first = queue(session_store, 1)
    with with_job_session("send", store=session_store) as session:
        session.add(CrateSent(number=1))
    second = queue(session_store, 1)
    assert ("fulfilled", "open") == (
        promise_of(session_store, first)["status"],
        promise_of(session_store, second)["status"],
    )
    assert str(session.session_id) == promise_of(session_store, first)["fulfilled_by"]


def test_the_list_shows_promises_too(session_store: SessionStore) -> None:
    """An action in the list has the same promises as on the session's own page."""
    parent = queue(session_store, 1)
    [listed] = load_sessions(session_store, SessionFilter(), 10)["sessions"]
    assert [promise_of(session_store, parent)] == listed["actions"][0]["promises"]
