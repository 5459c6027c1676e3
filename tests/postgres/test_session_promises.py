"""Promised work: the action that queues it carries a key, whoever does it keeps the promise, and the parent shows what became of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
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


def queue(store: SessionStore, *, ago: timedelta = timedelta(0)) -> UUID:
    """Promise a crate so long ago; return the session that did."""
    with with_job_session("queue", store=store, clock=lambda: datetime.now(UTC) - ago) as session:
        session.add(CrateQueued(number=1))
    return session.session_id


def send(store: SessionStore) -> UUID:
    """Send the crate; return the session that did."""
    with with_job_session("send", store=store) as session:
        session.add(CrateSent(number=1))
    return session.session_id


def promise_of(store: SessionStore, session_id: UUID) -> dict[str, Any]:
    """Return what the session that promised shows of it, on its own page and in the list."""
    loaded = load_session(store, session_id)
    assert loaded is not None
    [promise] = loaded["session"]["actions"][0]["promises"]
    sessions = load_sessions(store, SessionFilter(), 10)["sessions"]
    listed = {session["id"]: session["actions"] for session in sessions}
    assert [promise] == listed[str(session_id)][0]["promises"]
    return dict(promise)


def test_the_parent_shows_which_session_did_the_work_and_what_it_says(
    session_store: SessionStore,
) -> None:
    """A link, the other session's job and status, and the sentence of the action that fulfilled the promise."""
    parent = queue(session_store)
    sender = send(session_store)
    promise = promise_of(session_store, parent)
    assert promise["url"].endswith(f"/sessions/{sender}")
    assert {
        "key": "crate 1",
        "status": "fulfilled",
        "fulfilled_by": str(sender),
        "fulfilled_ord": 1,
        "fulfilled_by_job": "send",
        "fulfilled_by_status": "succeeded",
        "text": "Sent crate 1",
    }.items() <= promise.items()


@pytest.mark.parametrize(("hours", "status"), [(1, "open"), (3, "lost")])
def test_work_is_open_until_its_deadline_and_lost_then_unless_it_is_done_late(
    session_store: SessionStore, hours: int, status: str
) -> None:
    """Two hours are this action's. Lost is what nothing came of."""
    parent = queue(session_store, ago=timedelta(hours=hours))
    assert status == promise_of(session_store, parent)["status"]
    send(session_store)
    assert "fulfilled" == promise_of(session_store, parent)["status"]


def test_a_promise_is_fulfilled_only_with_its_transaction(session_store: SessionStore) -> None:
    """A rolled-back load has fulfilled nothing."""
    parent = queue(session_store)
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
    parents, senders = [], []
    for _ in range(2):
        parents.append(queue(session_store))
        senders.append(str(send(session_store)))
    parents.append(queue(session_store))
    promises = [promise_of(session_store, parent) for parent in parents]
    assert [*senders, None] == [promise["fulfilled_by"] for promise in promises]
