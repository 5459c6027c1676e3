"""Sessions and actions in a real database."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from bidbeacon_sessions import Action, Reference, SessionClosedError, SessionStore, Subject, with_job_session
from bidbeacon_sessions.leases import list_dead_sessions
from bidbeacon_sessions.session import finalize_session
from bidbeacon_sessions.settings import MAX_ACTIONS
from bidbeacon_sessions.writes import append_action

ACCOUNT = Subject("US.a")


class SampleLoaded(Action):
    """Some windows were loaded."""

    sentence = "Loaded {rows:count:row} of {account:account} for {windows:windows}[: {note}]"

    account: str
    windows: list[date]
    rows: int
    note: str | None = None

    def references(self) -> list[Reference]:
        """One reference a window."""
        return [Reference(self.account, "loaded", "daily_targets", str(day)) for day in self.windows]


class SampleReferring(Action):
    """Things of several accounts and datasets were seen."""

    sentence = "Saw {things:count:thing}"

    things: list[tuple[str, str, str | None, str | None]]

    def references(self) -> list[Reference]:
        """As they come."""
        return [Reference(*thing) for thing in self.things]


LOADED = SampleLoaded(account="US.a", windows=[date(2026, 11, 23)], rows=3)


def test_a_session_that_ends_well_succeeds_with_its_input_and_actions(session_store: SessionStore) -> None:
    """The view shows one row with input, actions in order, and both times."""
    with with_job_session(
        "refresh-account", store=session_store, input={"window": "2026-11-23"}, account=ACCOUNT
    ) as session:
        session.add(LOADED)
        session.add(LOADED)
    [row] = _job_sessions(session_store)
    assert (row.job_name, row.status, row.input) == ("refresh-account", "succeeded", {"window": "2026-11-23"})
    assert [(1, "sample-loaded", 3), (2, "sample-loaded", 3)] == [
        (a["ord"], a["type"], a["rows"]) for a in row.actions
    ]
    assert (row.action_count, row.account_key, row.account_label) == (2, "US.a", None)
    assert row.started_at <= row.finished_at


def test_a_failing_session_keeps_the_error_and_lets_it_through(session_store: SessionStore) -> None:
    """The exception that leaves is the very one that was raised."""
    error = LookupError("no such window")
    with pytest.raises(LookupError) as caught, with_job_session("x", store=session_store):
        raise error
    [row] = _job_sessions(session_store)
    assert caught.value is error
    assert (row.status, row.error["type"], row.error["message"]) == (
        "failed",
        "LookupError",
        "no such window",
    )


def test_an_interrupt_cancels_the_session(session_store: SessionStore) -> None:
    """Ctrl-C is not a failure."""
    with pytest.raises(KeyboardInterrupt), with_job_session("x", store=session_store):
        raise KeyboardInterrupt
    assert [row.status for row in _job_sessions(session_store)] == ["cancelled"]


def test_an_interrupt_that_cleaning_up_hides_cancels_the_session(session_store: SessionStore) -> None:
    """A driver that is interrupted in the middle of a statement may raise an error of its own, which others may wrap."""
    with pytest.raises(KeyboardInterrupt), with_job_session("x", store=session_store):
        try:
            try:
                raise KeyboardInterrupt
            finally:
                raise LookupError("can't change 'autocommit' now")
        except LookupError as error:
            raise RuntimeError from error
    [row] = _job_sessions(session_store)
    assert (row.status, row.error["type"]) == ("cancelled", "KeyboardInterrupt")


def test_an_error_that_is_made_of_an_interrupt_fails_the_session(session_store: SessionStore) -> None:
    """As `asyncio.timeout` makes a TimeoutError of the cancellation that it has asked for."""
    with pytest.raises(TimeoutError), with_job_session("x", store=session_store):
        raise TimeoutError from asyncio.CancelledError()
    assert [row.status for row in _job_sessions(session_store)] == ["failed"]


def test_an_action_of_a_rolled_back_transaction_is_not_there(session_store: SessionStore) -> None:
    """What `add_in` recorded is true exactly when the data is."""
    with with_job_session("x", store=session_store) as session:
        with pytest.raises(RuntimeError), session_store.begin() as connection:
            session.add_in(connection, LOADED)
            raise RuntimeError
        with session_store.begin() as connection:
            session.add_in(connection, LOADED)
    [row] = _job_sessions(session_store)
    assert [(2, "sample-loaded"), (3, "action-rolled-back")] == [(a["ord"], a["type"]) for a in row.actions]
    with session_store.begin() as connection:
        references = connection.execute(
            text("SELECT account_key, dataset, window_key, effect FROM session_references")
        ).all()
    assert [("US.a", "daily_targets", "2026-11-23", "loaded")] == [tuple(t) for t in references]


def test_nothing_is_written_into_a_session_that_somebody_closed(session_store: SessionStore) -> None:
    """A process that wakes up finds its session closed, and the timeline says what was last seen."""
    with pytest.raises(SessionClosedError), with_job_session("x", store=session_store) as session:
        session.add(LOADED)
        with session_store.begin() as connection:
            finalize_session(
                connection,
                session.session_id,
                status="crashed",
                reason="no sign of life.",
                now=datetime.now(UTC),
            )
        session.add(LOADED)
    [row] = _job_sessions(session_store)
    assert row.status == "crashed"
    assert ["sample-loaded", "session-finalized"] == [action["type"] for action in row.actions]
    assert row.actions[1]["last_action"] == "Loaded 3 rows of US.a for 2026-11-23"


def test_a_new_attempt_closes_the_older_one_of_the_same_step(session_store: SessionStore) -> None:
    """An attempt killed without a trace does not stay `running` once the next one starts."""
    killed = with_job_session("x", store=session_store, run_id="r", step_key="s")
    killed.__enter__()
    with with_job_session("x", store=session_store, run_id="r", step_key="s", retry_number=1):
        pass
    assert [("crashed", 0), ("succeeded", 1)] == [
        (r.status, r.retry_number) for r in _job_sessions(session_store)
    ]


def test_only_a_session_whose_lease_ran_out_counts_as_dead(session_store: SessionStore) -> None:
    """A beating session is left alone."""
    with with_job_session("x", store=session_store) as session, session_store.begin() as connection:
        assert [(session.session_id, False)] == _silent(connection)
        connection.execute(text("UPDATE session_leases SET expires_at = now() - interval '1 second'"))
        _wait_until(lambda: _silent(connection) == [(session.session_id, True)])


def test_secrets_are_masked_before_anything_is_written(session_store: SessionStore) -> None:
    """Neither input, nor actions, nor the error hold the canary."""
    canary = "Atza|CANARY-0123456789"
    with (
        pytest.raises(ValueError, match="CANARY"),
        with_job_session(
            "x", store=session_store, input={"deep": [{"refresh_token": "CANARY"}], "t": canary}
        ) as session,
    ):
        session.add(LOADED.model_copy(update={"note": f"https://h/x?X-Amz-Signature=CANARY&a=1 {canary}"}))
        raise ValueError(canary)
    with session_store.begin() as connection:
        stored = connection.execute(text("SELECT to_jsonb(j)::text FROM job_sessions j")).scalar_one()
    assert "CANARY" not in stored
    assert "X-Amz-Signature=•••&a=1" in stored


def test_text_that_json_in_postgres_refuses_is_stored_all_the_same(session_store: SessionStore) -> None:
    """NUL and lone surrogates are replaced, not a reason to fail."""
    with with_job_session("x", store=session_store) as session:
        session.add(LOADED.model_copy(update={"note": "a\x00b\ud800c"}))
    assert [row.actions[0]["note"] for row in _job_sessions(session_store)] == ["a␀b?c"]


DAYS = [date(2026, 11, 22), date(2026, 11, 23)]


REFERENCES: list[tuple[str, str, str | None, str | None]] = [
    ("US.a", "loaded", "daily_targets", "2026-11-23"),
    ("US.a", "loaded", "daily_targets", "2026-11-22"),
    ("US.a", "loaded", "daily_targets", None),
    ("US.a", "skipped", "daily_targets", "2026-11-22"),
    ("DE.b", "skipped", None, None),
    ("US.a", "loaded", "daily_targets", "2026-11-23"),
]


def test_references_to_several_subjects_are_stored_as_they_come(session_store: SessionStore) -> None:
    """Each of them, twice where it comes twice, in their order, with and without dataset and window; by itself and with the caller's data."""
    references = SampleReferring(things=REFERENCES)
    with with_job_session("x", store=session_store) as session:
        session.add(references)
        with session_store.begin() as connection:
            session.add_in(connection, references)
    with session_store.begin() as connection:
        stored = connection.execute(
            text("SELECT account_key, effect, dataset, window_key FROM session_references ORDER BY id")
        ).all()
    assert [*REFERENCES, *REFERENCES] == [tuple(row) for row in stored]


@pytest.mark.parametrize("windows", [[], DAYS[:1], DAYS], ids=["no reference", "one", "two"])
def test_an_action_is_stored_the_same_by_itself_and_in_a_transaction(
    session_store: SessionStore, windows: list[date]
) -> None:
    """With its references, whichever statement wrote it; odd texts in a reference as well."""
    action = LOADED.model_copy(update={"windows": windows, "account": "US.a\x00\ud800"})
    with with_job_session("x", store=session_store) as session:
        session.add(action)
        with session_store.begin() as connection:
            session.add_in(connection, action)
    columns = "type, schema_version, payload"
    reference = "account_key, dataset, window_key, effect, started_at"
    with session_store.begin() as connection:
        [first, second] = connection.execute(text(f"SELECT {columns} FROM session_actions ORDER BY ord"))
        stored = f"SELECT {reference} FROM session_references WHERE ord = :ord ORDER BY window_key"
        references = [connection.execute(text(stored), {"ord": ord_}).all() for ord_ in (1, 2)]
    assert first == second
    assert references[0] == references[1]
    assert [("US.a␀?", str(day)) for day in windows] == [
        (row.account_key, row.window_key) for row in references[0]
    ]


@pytest.mark.parametrize("windows", [[], DAYS[:1], DAYS], ids=["no reference", "one", "two"])
def test_a_second_try_changes_nothing(session_store: SessionStore, windows: list[date]) -> None:
    """The answer to the first may have been lost on the way: the action is there once, and the session counts as alive."""
    with with_job_session("x", store=session_store) as session:
        prepared = session._place(LOADED.model_copy(update={"windows": windows}))
        with session_store.appending() as connection:
            assert [True, True] == [append_action(connection, session.session_id, prepared) for _ in range(2)]
    [row] = _job_sessions(session_store)
    with session_store.begin() as connection:
        references = connection.execute(text("SELECT count(*) FROM session_references")).scalar_one()
    assert (1, len(windows)) == (row.action_count, references)


def test_actions_over_the_bound_are_counted_in_one_more(session_store: SessionStore) -> None:
    """The timeline says how many it left out."""
    with with_job_session("x", store=session_store) as session:
        session._last_ord = MAX_ACTIONS - 1
        for _ in range(3):
            session.add(LOADED)
    [row] = _job_sessions(session_store)
    assert ["sample-loaded", "actions-omitted"] == [action["type"] for action in row.actions]
    assert (row.actions[1]["omitted"], row.actions[1]["by_type"]) == (2, "2 × sample-loaded")


def _job_sessions(store: SessionStore) -> list:  # type: ignore[type-arg]
    with store.begin() as connection:
        return list(connection.execute(text("SELECT * FROM job_sessions ORDER BY started_at")))


def _silent(connection: Connection) -> list[tuple[UUID, bool]]:
    return [(row.id, row.lease_ended) for row in list_dead_sessions(connection)]


def _wait_until(holds: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.02)
