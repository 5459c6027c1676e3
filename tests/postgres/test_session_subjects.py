"""The labels of accounts, in sessions that are recorded and read later."""

from uuid import UUID

import pytest
from sqlalchemy import text

from bidbeacon_sessions import Action, SessionStore, Subject, with_job_session
from bidbeacon_sessions.listing import read_session
from bidbeacon_sessions.presentation import whose
from bidbeacon_sessions.writes import name_subjects

ACME = Subject("US.acme-merch.1kc1bk21", "Acme Merch · US")


class SubjectsNamed(Action):
    """Accounts were looked at."""

    sentence = "Looked at {account:account} and {others:account}"

    account: str
    others: tuple[str, ...] = ()


def read(store: SessionStore, session_id: UUID) -> tuple[str | None, list[str]]:
    """The label of a session, and its sentences, each with whose it is."""
    loaded = read_session(store, session_id)
    assert loaded is not None
    session = loaded["session"]
    said = [f"{whose(action, ACME.key)}: {action['text']}" for action in session["actions"]]
    return session["account_label"], [each.removeprefix(": ") for each in said]


def test_session_and_actions_show_the_label(session_store: SessionStore) -> None:
    """An account without a label is shown by its key."""
    with with_job_session("x", store=session_store, account=ACME) as session:
        session.add(SubjectsNamed(account=ACME.key, others=("DE.b", ACME.key)))
    expected = ("Acme Merch · US", ["Looked at Acme Merch · US and DE.b Acme Merch · US"])
    assert expected == read(session_store, session.session_id)


@pytest.mark.parametrize("by", ["session", "sync"])
def test_renamed_account_reads_right_in_older_sessions(
    session_store: SessionStore, by: str
) -> None:
    """Whether the next session or a sync of accounts brings the name."""
    with with_job_session("x", store=session_store, account=ACME) as session:
        session.add(SubjectsNamed(account=ACME.key))
    renamed = Subject(ACME.key, "Acme Global · US")
    if by == "session":
        with with_job_session("x", store=session_store, account=renamed):
            pass
    else:
        with session_store.begin() as connection:
            name_subjects(connection, [renamed, Subject("DE.b", None)])
    assert ("Acme Global · US", ["Looked at Acme Global · US and "]) == read(
        session_store, session.session_id
    )


class TrayMoved(Action):
    """A tray was moved."""

    sentence = "Moved a tray"

    account: str


def test_a_row_of_another_account_than_the_sessions_names_it(session_store: SessionStore) -> None:
    """By its label; one that the sentence names, or the session is about, is not repeated."""
    with session_store.begin() as connection:
        name_subjects(connection, [Subject("DE.b", "Other · DE")])
    with with_job_session("x", store=session_store, account=ACME) as session:
        for key in (ACME.key, "DE.b"):
            session.add(TrayMoved(account=key))
            session.add(SubjectsNamed(account=key))
    said = read(session_store, session.session_id)[1]
    assert ["Moved a tray", "Other · DE: Moved a tray"] == said[::2]
    assert "Looked at Other · DE and " == said[3]


def test_sessions_of_one_account_do_not_wait_for_each_other(session_store: SessionStore) -> None:
    """A transaction that names subjects again locks nothing."""
    with (
        with_job_session("x", store=session_store, account=ACME),
        session_store.begin() as connection,
    ):
        name_subjects(connection, [ACME])
        locks = "SELECT count(*) FROM session_subjects WHERE xmax <> CAST('0' AS xid)"
        assert 0 == connection.execute(text(locks)).scalar_one()
