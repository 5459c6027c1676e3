"""Sessions and actions in a real database."""

import asyncio
from datetime import date

import pytest

from bidbeacon_sessions import Action, Reference, SessionStore, Subject, settings, with_job_session
from tests.support.checking import assert_has
from tests.support.recorded_sessions import execute, recorded

ACCOUNT = Subject("US.a")


class SampleLoaded(Action):
    """Some windows were loaded."""

    sentence = "Loaded {rows:count:row} of {account:account} for {windows:windows}"

    account: str
    windows: list[date]
    rows: int


class SampleReferring(Action):
    """Things of several accounts and datasets were seen."""

    sentence = "Saw {things:count:thing}"

    things: list[tuple[str, str, str | None, str | None]]

    def references(self) -> list[Reference]:
        """As they come."""
        return [Reference(*thing) for thing in self.things]


LOADED = SampleLoaded(account="US.a", windows=[date(2026, 11, 23)], rows=3)


def test_a_session_that_ends_well_succeeds_with_its_input_and_actions(
    session_store: SessionStore,
) -> None:
    """The view shows one row with input, actions in order, and both times."""
    with with_job_session(
        "refresh-account", store=session_store, input={"window": "2026-11-23"}, account=ACCOUNT
    ) as session:
        session.add(LOADED)
        session.add(LOADED)
    [row] = recorded(session_store)
    assert_has(row, job_name="refresh-account", status="succeeded", input={"window": "2026-11-23"})
    assert_has(row, action_count=2, account_key="US.a", account_label=None)
    actions = [(one["ord"], one["type"], one["rows"]) for one in row.actions]
    assert [(1, "sample-loaded", 3), (2, "sample-loaded", 3)] == actions
    assert row.started_at <= row.finished_at


def test_a_failing_session_keeps_the_error_and_lets_it_through(session_store: SessionStore) -> None:
    """The exception that leaves is the very one that was raised."""
    error = LookupError("no such window")
    with pytest.raises(LookupError) as caught, with_job_session("x", store=session_store):
        raise error
    [row] = recorded(session_store)
    assert caught.value is error
    assert "failed" == row.status
    assert {"type": "LookupError", "message": "no such window"}.items() <= row.error.items()


def test_an_interrupt_that_cleaning_up_hides_cancels_the_session(
    session_store: SessionStore,
) -> None:
    """A driver that is interrupted in the middle of a statement may raise an error of its own, which others may wrap."""
    with pytest.raises(KeyboardInterrupt), with_job_session("x", store=session_store):
        try:
            try:
                raise KeyboardInterrupt
            finally:
                raise LookupError("can't change 'autocommit' now")
        except LookupError as error:
            raise RuntimeError from error
    [row] = recorded(session_store)
    assert (row.status, row.error["type"]) == ("cancelled", "KeyboardInterrupt")
    assert row.error["cause"] == {"code": "other", "reason": "The job was interrupted."}


def test_an_error_that_is_made_of_an_interrupt_fails_the_session(
    session_store: SessionStore,
) -> None:
    """As `asyncio.timeout` makes a TimeoutError of the cancellation that it has asked for."""
    with pytest.raises(TimeoutError), with_job_session("x", store=session_store):
        raise TimeoutError from asyncio.CancelledError()
    assert [row.status for row in recorded(session_store)] == ["failed"]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("a\x00b", "a\N{SYMBOL FOR NULL}b"),
        ("a\\u0000b", "a\\u0000b"),
        ("a\ud800b", "a?b"),
        ("Zürich, 東京, \U0001f600", "Zürich, 東京, \U0001f600"),
        ('quote " and \\ and %(s)s and {at} and $1', 'quote " and \\ and %(s)s and {at} and $1'),
    ],
    ids=["NUL", "a NUL's escape as text", "half a surrogate", "any letters", "special in SQL"],
)
def test_payload_and_references_are_stored_by_both_ways_of_appending(
    session_store: SessionStore, given: str, stored: str
) -> None:
    """In their order, twice where they come twice, with and without dataset and window; what PostgreSQL can't store is replaced."""
    things = [
        ("US.a", "loaded", "daily_targets", given),
        ("US.a", "loaded", "daily_targets", None),
        ("US.a", "skipped", "daily_targets", given),
        ("DE.b", "skipped", None, None),
        ("US.a", "loaded", "daily_targets", given),
    ]
    action = SampleReferring.model_construct(things=things)
    with with_job_session("x", store=session_store) as session:
        session.add(action)
        with session_store.begin() as connection:
            session.add_in(connection, action)
    expected = [(*thing[:3], thing[3] and stored) for thing in things]
    [row] = recorded(session_store)
    assert [expected, expected] == [list(map(tuple, action["things"])) for action in row.actions]
    columns = "account_key, effect, dataset, window_key"
    references = execute(session_store, f"SELECT {columns} FROM session_references ORDER BY id")
    assert [*expected, *expected] == list(map(tuple, references))


def test_input_and_action_are_cut_at_their_bounds(session_store: SessionStore) -> None:
    """64 KB and 16 KB; what was cut is named with its length."""
    with with_job_session("x", store=session_store, input={"given": "x" * 100_000}) as session:
        session.add(LOADED.model_copy(update={"windows": LOADED.windows * 4_000}))
    [row] = recorded(session_store)
    assert ({"given": 100_000}, 50_000) == (row.input["cut"], len(row.input["given"]))
    assert ({"windows": 4_000}, 1_000) == (row.actions[0]["cut"], len(row.actions[0]["windows"]))


def test_actions_that_are_stored_are_told(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both ways of appending, and none of a transaction that is rolled back, or over the bound."""
    monkeypatch.setattr(settings, "MAX_ACTIONS", 3)
    told: list[Action] = []
    first, second, third = (LOADED.model_copy(update={"rows": rows}) for rows in range(3))
    with with_job_session("x", store=session_store) as session:
        session.on_recorded = told.append
        session.add(first)
        with session_store.begin() as connection:
            session.add_in(connection, second)
            assert [first] == told
        with session_store.begin() as connection:
            session.add_in(connection, third)
            connection.rollback()
        for _ in range(2):
            with session_store.begin() as connection:
                session.add_in(connection, LOADED)
            session.add(LOADED)
    assert [first, second, LOADED] == told


def test_actions_over_the_bound_are_left_out(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeline says that it left some out."""
    monkeypatch.setattr(settings, "MAX_ACTIONS", 1)
    with with_job_session("x", store=session_store) as session:
        for _ in range(3):
            session.add(LOADED)
    [row] = recorded(session_store)
    assert ["sample-loaded", "actions-omitted"] == [action["type"] for action in row.actions]
    assert 1 == row.actions[1]["most"]
