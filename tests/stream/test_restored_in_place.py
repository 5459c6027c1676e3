"""A dump that is restored into the database it came from, with pg_dump and pg_restore: same cluster, same database, older log."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import make_url, text

from bidbeacon_pipelines.dev.binaries import find_binaries
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import Cursor, head, look, read_changes
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.writes import close_session
from tests.stream.writing import commit_sessions, take_step

EVERY_TABLE_OF_THE_LOG = "session_headers, session_actions, session_changes, session_change_cursor"


def step_and_epoch(store: SessionStore) -> UUID:
    """Take a step, and return the log's epoch."""
    take_step(store)
    with store.begin() as connection:
        return head(connection).epoch


def published(store: SessionStore) -> list[UUID]:
    """Return the sessions of all changes in the log, in order."""
    with store.begin() as connection:
        start = Cursor(head(connection).epoch, 0)
        return [change.session_id for change in read_changes(connection, start, 10_000)]


def all_is_published(store: SessionStore) -> bool:
    """Return whether a step would find nothing to do."""
    with store.begin() as connection:
        return not look(connection)[0]


KEY_OF_A_PARTITION = re.compile(r"error: could not execute query: ERROR:  cannot drop inherited constraint")
"""`pg_restore --clean` drops keys one by one before their tables, which PostgreSQL refuses for partitions; their tables go all the same."""


def run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; fail with what it printed, but for errors that its manual lets one ignore."""
    done = subprocess.run(
        [find_binaries() / program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    errors = done.stderr.count("error: could not execute query")
    assert errors == len(KEY_OF_A_PARTITION.findall(done.stderr)), done.stderr
    assert errors or 0 == done.returncode, done.stderr


@pytest.fixture
def dump(database_url: str, tmp_path: Path) -> Callable[[], Path]:
    """Dump the test's database; return the file."""

    def to_file() -> Path:
        run("pg_dump", "--format=custom", f"--file={tmp_path / 'dump'}", database_url)
        return tmp_path / "dump"

    return to_file


@pytest.fixture
def restore(database_url: str) -> Callable[..., None]:
    """Restore a dump into the database it came from, with further options of pg_restore."""

    def from_file(file: Path, *options: str) -> None:
        run("pg_restore", *options, f"--dbname={database_url}", str(file))

    return from_file


def restore_clean(_: SessionStore, file: Path, restore: Callable[..., None]) -> None:
    """Drop everything and restore it."""
    restore(file, "--clean", "--if-exists")


def restore_rows(store: SessionStore, file: Path, restore: Callable[..., None]) -> None:
    """Empty the tables and restore their rows only."""
    with store.begin() as connection:
        connection.execute(text(f"TRUNCATE {EVERY_TABLE_OF_THE_LOG} CASCADE"))
    tables = [f"--table={name}" for name in EVERY_TABLE_OF_THE_LOG.split(", ")]
    restore(file, "--data-only", *tables)


@pytest.mark.parametrize("how", [restore_clean, restore_rows])
def test_a_reader_from_before_the_restore_is_told_to_reload(
    session_store: SessionStore,
    http: httpx.Client,
    follow: Callable[..., Any],
    wait_until: Callable[..., None],
    transport: str,
    dump: Callable[[], Path],
    restore: Callable[..., None],
    how: Callable[..., None],
) -> None:
    """Its cursor is no longer of this log, though positions have grown past it; after the reload it misses nothing."""
    kept = commit_sessions(session_store, 10)
    wait_until(lambda: all_is_published(session_store))
    file = dump()
    commit_sessions(session_store, 10)
    wait_until(lambda: all_is_published(session_store))
    old_cursor = http.get("/api/job-sessions").json()["cursor"]

    how(session_store, file, restore)
    new = commit_sessions(session_store, 25)
    wait_until(lambda: all_is_published(session_store))

    told = follow(transport, cursor=old_cursor)
    wait_until(told.ended.is_set)
    assert ["epoch"] == [data["reason"] for _, _, data in told.events("reset")]
    assert [] == told.events("job-sessions:updated")
    loaded = http.get("/api/job-sessions?limit=200").json()
    late = commit_sessions(session_store, 3)
    reader = follow(transport, loaded)
    wait_until(lambda: {str(each) for each in kept | new | late} == set(reader.sessions))
    assert [] == reader.faults


def test_restored_transaction_ids_publish_nothing_and_hide_nothing(
    session_store: SessionStore, dump: Callable[[], Path], restore: Callable[..., None]
) -> None:
    """In the same cluster they are past ones: restored rows are known by loading them, and their next change is published."""
    restored = commit_sessions(session_store, 3)
    before = step_and_epoch(session_store)
    file = dump()

    restore(file, "--clean", "--if-exists")
    assert (0, 0) == (take_step(session_store), take_step(session_store))
    assert before != step_and_epoch(session_store)

    for each in restored:
        with session_store.begin() as connection:
            close_session(connection, each, status="succeeded", finished_at=utc_now())
    new = commit_sessions(session_store, 2)
    assert 5 == take_step(session_store)
    assert restored | new == set(published(session_store))


def test_a_step_in_the_middle_of_a_restore_is_not_the_last_word(
    session_store: SessionStore, dump: Callable[[], Path], restore: Callable[..., None]
) -> None:
    """Sessions that are restored after that step are of the past, so a further epoch begins when all rows are there."""
    commit_sessions(session_store, 3)
    take_step(session_store)
    file = dump()

    with session_store.begin() as connection:
        connection.execute(text("DROP SCHEMA public, reports CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    restore(file, "--section=pre-data")
    restore(file, "--section=data", "--table=session_change_cursor")
    in_the_middle = step_and_epoch(session_store)
    restore(file, "--section=data", "--table=session_headers")
    restore(file, "--section=post-data")

    afterwards = step_and_epoch(session_store)
    assert in_the_middle != afterwards
    assert afterwards == step_and_epoch(session_store)


def test_a_copy_of_the_database_has_an_epoch_of_its_own(
    session_store: SessionStore, database_url: str
) -> None:
    """`CREATE DATABASE … TEMPLATE` copies the log's tables with their object ids; each log goes on by itself from there."""
    commit_sessions(session_store, 1)
    original = step_and_epoch(session_store)
    session_store.dispose()
    url = make_url(database_url)
    name = f"copy_of_{url.database}"
    maintenance = url.set(database="postgres").render_as_string(hide_password=False)
    run("createdb", f"--maintenance-db={maintenance}", f"--template={url.database}", name)
    copy = SessionStore.connect(url.set(database=name).render_as_string(hide_password=False))
    try:
        assert original != step_and_epoch(copy)
    finally:
        copy.dispose()
        run("dropdb", "--force", f"--maintenance-db={maintenance}", name)
    assert original == step_and_epoch(session_store)


@pytest.mark.parametrize("upkeep", ["VACUUM ANALYZE", "REINDEX TABLE session_headers"])
def test_upkeep_of_the_tables_begins_no_epoch(session_store: SessionStore, upkeep: str) -> None:
    """What a database does to its tables from time to time costs no reader a reload."""
    before = step_and_epoch(session_store)
    with session_store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(upkeep))

    assert before == step_and_epoch(session_store)
