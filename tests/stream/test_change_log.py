from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import (
    Cursor,
    head,
    look,
    parse_cursor,
    read_changes,
    step,
    trim,
)
from bidbeacon_sessions.writes import close_session, insert_action
from tests.stream.writing import an_action, start_session, take_step

NOW = datetime(2026, 7, 25, 14, 0, tzinfo=UTC)


def epoch_of(store: SessionStore) -> UUID:
    """The log's epoch."""
    with store.begin() as connection:
        return head(connection).epoch


def published(store: SessionStore) -> list[tuple[UUID, int]]:
    """What the log holds, in order."""
    with store.begin() as connection:
        start = Cursor(head(connection).epoch, 0)
        return [(change.session_id, change.ord) for change in read_changes(connection, start, 10_000)]


@pytest.fixture
def store(session_store: SessionStore) -> SessionStore:
    """A store whose log has begun."""
    take_step(session_store)
    return session_store


def test_a_step_publishes_headers_and_actions_at_contiguous_positions(store: SessionStore) -> None:
    """Header and actions of one transaction get positions 1, 2, 3."""
    with store.begin() as connection:
        session_id = start_session(connection)
        insert_action(connection, session_id, an_action(1))
        insert_action(connection, session_id, an_action(2))

    assert 3 == take_step(store)
    assert [(session_id, 0), (session_id, 1), (session_id, 2)] == published(store)


def test_what_is_published_once_is_not_published_again(store: SessionStore) -> None:
    """A second step finds nothing."""
    with store.begin() as connection:
        start_session(connection)
    take_step(store)

    assert 0 == take_step(store)


def test_a_transaction_that_commits_late_is_published_late(store: SessionStore) -> None:
    """An older transaction that commits after a newer one was published is not passed over."""
    with store.begin() as late:
        slow = start_session(late)
        with store.begin() as early:
            quick = start_session(early)
        assert 1 == take_step(store)

    assert 1 == take_step(store)
    assert [(quick, 0), (slow, 0)] == published(store)


def test_an_action_with_a_lower_ord_that_commits_late_is_published(store: SessionStore) -> None:
    """Within a session, too, the order of `ord` is not the order of commits."""
    with store.begin() as connection:
        session_id = start_session(connection)
    with store.begin() as late:
        insert_action(late, session_id, an_action(1))
        with store.begin() as early:
            insert_action(early, session_id, an_action(2))
        take_step(store)
    take_step(store)

    assert [(session_id, 0), (session_id, 2), (session_id, 1)] == published(store)


def test_a_rolled_back_transaction_is_never_published(store: SessionStore) -> None:
    """What was written and rolled back leaves no position."""
    with store.engine.connect() as connection:
        start_session(connection)
        connection.rollback()

    assert 0 == take_step(store)


def test_a_long_unrelated_transaction_holds_nothing_up(store: SessionStore) -> None:
    """A write transaction that stays open delays no other's changes, and repeats none."""
    with store.begin() as unrelated:
        unrelated.execute(text("SELECT pg_current_xact_id()"))
        for _ in range(3):
            with store.begin() as connection:
                start_session(connection)
            assert 1 == take_step(store)
            assert 0 == take_step(store)


def test_what_a_savepoint_wrote_is_published_with_its_transaction(store: SessionStore) -> None:
    """A released savepoint counts, one that was rolled back does not."""
    with store.begin() as connection:
        with connection.begin_nested():
            kept = start_session(connection)
        undone = connection.begin_nested()
        start_session(connection)
        undone.rollback()
    take_step(store)

    assert [(kept, 0)] == published(store)


def test_closing_a_session_is_a_change_of_its_header(store: SessionStore) -> None:
    """The end of a session is published as `ord` 0."""
    with store.begin() as connection:
        session_id = start_session(connection)
    take_step(store)
    with store.begin() as connection:
        close_session(connection, session_id, status="succeeded", finished_at=NOW)
    take_step(store)

    assert [(session_id, 0), (session_id, 0)] == published(store)


def test_of_two_steppers_one_leads(store: SessionStore) -> None:
    """While one process is at it, another one is told so at once."""
    with store.begin() as connection:
        assert step(connection) is not None
        assert take_step(store) is None


def test_a_step_that_is_broken_off_leaves_nothing_behind(store: SessionStore) -> None:
    """After a rollback the next step publishes the same."""
    with store.begin() as connection:
        start_session(connection)
    with store.engine.connect() as connection:
        assert 1 == step(connection)
        connection.rollback()

    assert 1 == take_step(store)
    assert 1 == len(published(store))


def test_a_frozen_stepper_is_cut_off_by_the_server(store: SessionStore) -> None:
    """A step bounds how long the server waits for the process that holds the cursor."""
    with store.begin() as connection:
        step(connection)
        assert "5s" == connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar()


@pytest.mark.parametrize(("set_to", "during_the_step"), [("off", "on"), ("remote_apply", "remote_apply")])
def test_a_step_outlives_a_crash(store: SessionStore, set_to: str, during_the_step: str) -> None:
    """Where commits may be lost in a crash, that of a step may not: positions would be given twice."""
    with store.begin() as connection:
        connection.execute(text(f"SET LOCAL synchronous_commit = {set_to}"))
        step(connection)
        assert during_the_step == connection.execute(text("SHOW synchronous_commit")).scalar()


def test_a_step_is_due_only_when_there_is_something_to_publish(store: SessionStore) -> None:
    """Looking tells whether a step would find something."""
    with store.begin() as connection:
        assert not look(connection)[0]
        start_session(connection)
    with store.begin() as connection:
        assert look(connection)[0]


@pytest.mark.parametrize(
    "restore",
    [
        "UPDATE session_change_cursor SET system_identifier = system_identifier + 1",
        "UPDATE session_change_cursor SET published_snapshot = '900000000000:900000000000:'",
    ],
    ids=["another cluster", "transaction ids started over"],
)
def test_a_restored_database_starts_a_new_epoch(store: SessionStore, restore: str) -> None:
    """Where transaction ids are another history's, the log begins anew and goes on publishing."""
    with store.begin() as connection:
        start_session(connection)
    take_step(store)
    before = epoch_of(store)
    with store.begin() as connection:
        connection.execute(text(restore))
        connection.execute(text("UPDATE session_headers SET changed_xid = '900000000000'"))

    take_step(store)
    assert before != epoch_of(store)
    assert 0 == take_step(store)
    with store.begin() as connection:
        new = start_session(connection)
    take_step(store)
    assert [(new, 0)] == published(store)


@pytest.mark.usefixtures("store")
def test_without_the_right_to_ask_for_the_clusters_identity_the_log_works(store: SessionStore) -> None:
    """A server that refuses `pg_control_system` to its users still gets a steady epoch."""
    with store.engine.connect() as connection:
        connection.execute(text("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"))
        connection.execute(text("CREATE ROLE stepper_without_rights"))
        connection.execute(
            text(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO stepper_without_rights"
            )
        )
        connection.execute(text("SET LOCAL ROLE stepper_without_rights"))
        led, first = step(connection), head(connection).epoch
        step(connection)
        second = head(connection).epoch
        connection.rollback()

    assert led is not None
    assert first == second


def test_positions_of_another_epoch_are_not_read(store: SessionStore) -> None:
    """A reader with another epoch's cursor gets nothing rather than something else."""
    with store.begin() as connection:
        start_session(connection)
    take_step(store)
    with store.begin() as connection:
        assert [] == read_changes(connection, Cursor(uuid4(), 0), 10)


@pytest.mark.parametrize(("rows", "oldest"), [(2, 4), (100, 1), (0, 6)])
def test_trimming_keeps_the_newest_rows(store: SessionStore, rows: int, oldest: int) -> None:
    """The oldest position that is kept is told; with none left it is the next one."""
    with store.begin() as connection:
        for _ in range(5):
            start_session(connection)
    take_step(store)
    with store.begin() as connection:
        trim(connection, rows=rows, hours=24)
    with store.begin() as connection:
        assert (5, oldest) == (head(connection).position, head(connection).oldest)


def test_trimming_drops_what_is_older_than_the_bound(store: SessionStore) -> None:
    """Age counts too, and leaves no hole."""
    with store.begin() as connection:
        start_session(connection)
        start_session(connection)
    take_step(store)
    with store.begin() as connection:
        connection.execute(
            text(
                "UPDATE session_changes SET published_at = published_at - interval '2 days' WHERE position = 1"
            )
        )
        assert 1 == trim(connection, rows=1_000, hours=24)
        assert 2 == head(connection).oldest


def test_a_cursor_reads_back_as_it_was_written() -> None:
    """Writing and reading a cursor are inverse."""
    cursor = Cursor(uuid4(), 42)

    assert cursor == parse_cursor(str(cursor))


@pytest.mark.parametrize(
    "given",
    ["", "12", "abc.1", f"{UUID(int=1)}.-1", f"{UUID(int=1)}.1x", f"{UUID(int=1)}.{'9' * 30}", "\x00"],
)
def test_a_malformed_cursor_is_refused(given: str) -> None:
    """Only `<epoch>.<position>` is a cursor."""
    assert parse_cursor(given) is None


def test_a_new_database_has_a_log_to_read(session_store: SessionStore) -> None:
    """Before the first step the log stands at position 0."""
    with session_store.begin() as connection:
        assert 0 == head(connection).position
        assert look(connection)[0]
