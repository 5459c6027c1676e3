"""The change log on real transactions: what commits is published once, whenever it commits."""

from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Connection, text

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import (
    NOWHERE,
    Cursor,
    head,
    parse_cursor,
    poll,
    read_changes,
    read_unpublished_seconds,
    step,
    trim,
)
from tests.stream.writing import (
    commit_session,
    commit_sessions,
    epoch_of,
    is_step_due,
    published,
    start_session,
    take_step,
    write_action,
)
from tests.support.recorded_sessions import execute
from tests.support.rows import change_sessions


@pytest.fixture
def store(session_store: SessionStore) -> SessionStore:
    """A store whose log has begun."""
    take_step(session_store)
    return session_store


def test_a_step_publishes_headers_and_actions_at_contiguous_positions(store: SessionStore) -> None:
    """Header and actions of one transaction get positions 1, 2, 3, once: then no step is due."""
    assert not is_step_due(store)
    with store.begin() as connection:
        session_id = start_session(connection)
        write_action(connection, session_id, 1)
        write_action(connection, session_id, 2)
    assert is_step_due(store)

    assert 3 == take_step(store)
    assert (False, 0) == (is_step_due(store), take_step(store))
    assert [(session_id, 0), (session_id, 1), (session_id, 2)] == published(store)


def test_a_transaction_that_commits_late_is_published_late(store: SessionStore) -> None:
    """An older transaction and a lower `ord` are not passed over where newer ones were published before."""
    session_id = commit_session(store)
    take_step(store)
    with store.begin() as late:
        slow = start_session(late)
        write_action(late, session_id, 1)
        with store.begin() as early:
            quick = start_session(early)
            write_action(early, session_id, 2)
        assert 2 == take_step(store)

    assert 2 == take_step(store)
    first, *others = published(store)
    assert (session_id, 0) == first
    assert {(quick, 0), (session_id, 2)} == set(others[:2])
    assert {(slow, 0), (session_id, 1)} == set(others[2:])


def test_a_poll_reads_no_table_whole(store: SessionStore) -> None:
    """Where nothing is new, however many sessions there are: each server polls once a second at rest."""
    with store.begin() as connection:
        for _ in range(2_000):
            write_action(connection, start_session(connection), 1)
    take_step(store)
    with store.begin() as connection:
        connection.execute(text("ANALYZE session_headers, session_actions"))
        before = sequential_scans(connection)
        assert not poll(connection)[0]
        assert 0.0 == read_unpublished_seconds(connection)
        assert before == sequential_scans(connection)


def sequential_scans(connection: Connection) -> list[int]:
    """Return how often this process read the tables of sessions from end to end."""
    scans = text("""SELECT seq_scan FROM pg_stat_xact_user_tables
                     WHERE relname IN ('session_headers', 'session_actions')""")
    return list(connection.execute(scans).scalars())


def test_long_unrelated_transactions_hold_nothing_up(store: SessionStore, cluster_url: str) -> None:
    """Ones that have written and stay open, here and in another database, delay no other's changes, and repeat none."""
    with psycopg.connect(cluster_url) as elsewhere, store.begin() as here:
        elsewhere.execute("SELECT pg_current_xact_id()")
        here.execute(text("SELECT pg_current_xact_id()"))
        for _ in range(3):
            commit_session(store)
            assert 1 == take_step(store)
            assert 0 == take_step(store)


def test_of_two_steppers_one_leads(store: SessionStore) -> None:
    """While one process is at it, another one is told so at once; if it freezes, the server cuts it off."""
    with store.begin() as connection:
        assert step(connection) is not None
        assert take_step(store) is None
        assert "5s" == connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar()


def test_a_step_that_is_broken_off_leaves_nothing_behind(store: SessionStore) -> None:
    """After a rollback the next step publishes the same."""
    commit_session(store)
    with store.engine.connect() as connection:
        assert 1 == step(connection)
        connection.rollback()

    assert 1 == take_step(store)
    assert 1 == len(published(store))


@pytest.mark.parametrize(
    ("set_to", "during_the_step"), [("off", "on"), ("remote_apply", "remote_apply")]
)
def test_a_step_outlives_a_crash(store: SessionStore, set_to: str, during_the_step: str) -> None:
    """Where commits may be lost in a crash, that of a step may not: positions would be given twice."""
    with store.begin() as connection:
        connection.execute(text(f"SET LOCAL synchronous_commit = {set_to}"))
        step(connection)
        assert during_the_step == connection.execute(text("SHOW synchronous_commit")).scalar()


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
    commit_session(store)
    take_step(store)
    before = epoch_of(store)
    execute(store, restore)
    change_sessions(store.engine, changed_xid="900000000000")

    take_step(store)
    assert before != epoch_of(store)
    assert 0 == take_step(store)
    new = commit_session(store)
    take_step(store)
    assert [(new, 0)] == published(store)


def test_without_the_right_to_ask_for_the_clusters_identity_the_log_works(
    store: SessionStore,
) -> None:
    """A server that refuses `pg_control_system` to its users still gets a steady epoch."""
    with store.engine.connect() as connection:
        for statement in (
            "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
            "CREATE ROLE stepper_without_rights",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO stepper_without_rights",
            "SET LOCAL ROLE stepper_without_rights",
        ):
            connection.execute(text(statement))
        led, first = step(connection), head(connection).epoch
        step(connection)
        second = head(connection).epoch
        connection.rollback()

    assert led is not None
    assert first == second


def test_positions_of_another_epoch_are_not_read(store: SessionStore) -> None:
    """A reader with another epoch's cursor gets nothing rather than something else."""
    commit_session(store)
    take_step(store)
    with store.begin() as connection:
        assert [] == read_changes(connection, Cursor(uuid4(), 0), 10)


@pytest.mark.parametrize(("rows", "oldest"), [(2, 4), (0, 6), (100, 1)])
def test_trimming_keeps_the_newest_rows(store: SessionStore, rows: int, oldest: int) -> None:
    """With none left, the next one is the oldest."""
    commit_sessions(store, 5)
    take_step(store)
    with store.begin() as connection:
        assert oldest - 1 == trim(connection, rows=rows)
        assert (5, oldest) == (head(connection).position, head(connection).oldest)


@pytest.mark.parametrize(
    "given",
    ["", "12", "abc.1", *(f"{UUID(int=1)}.{end}" for end in ("-1", "1x", "9" * 30)), "\x00"],
)
def test_a_malformed_cursor_is_refused(given: str) -> None:
    """Only `<epoch>.<position>` is a cursor."""
    assert parse_cursor(given) == NOWHERE
