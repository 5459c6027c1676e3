"""A dump that is restored into the database it came from, with pg_dump and pg_restore: same cluster, same database, older log."""

import re
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.dev.postgres import find_binaries
from bidbeacon_sessions import SessionStore
from tests.stream.reading import Stream
from tests.stream.writing import commit_session, commit_sessions, epoch_of, is_step_due, take_step
from tests.support.recorded_sessions import execute
from tests.support.waiting import wait_until

TABLES_OF_THE_LOG = (
    "session_headers",
    "session_actions",
    "session_changes",
    "session_change_cursor",
)


def step_and_epoch(store: SessionStore) -> UUID:
    """Take a step, and return the log's epoch."""
    take_step(store)
    return epoch_of(store)


SAID = "The database is up to date.\nA new epoch of the stream has begun: clients load their sessions again.\n"
MAY_BE_IGNORED = re.compile(
    r"error: could not execute query: ERROR:  (cannot drop inherited constraint|unrecognized configuration parameter)"
)
"""`pg_restore --clean` drops keys one by one before their tables, which PostgreSQL refuses for partitions; their tables go all the same.
It also sets parameters that an older server does not know."""


def run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; fail with what it printed, but for errors that its manual lets one ignore."""
    done = subprocess.run(
        [find_binaries() / program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    errors = done.stderr.count("error: could not execute query")
    assert errors == len(MAY_BE_IGNORED.findall(done.stderr)), done.stderr
    assert errors or 0 == done.returncode, done.stderr


def dump(database_url: str, folder: Path) -> Path:
    """Dump a database; return the file."""
    run("pg_dump", "--format=custom", f"--file={folder / 'dump'}", database_url)
    return folder / "dump"


def restore(file: Path, database_url: str, *options: str) -> None:
    """Restore a dump into the database it came from, with further options of pg_restore."""
    run("pg_restore", *options, f"--dbname={database_url}", str(file))


@pytest.mark.parametrize("is_clean", [True, False], ids=["everything is dropped", "rows only"])
def test_a_reader_from_before_the_restore_is_told_to_reload(
    stream: Stream, database_url: str, transport: str, tmp_path: Path, *, is_clean: bool
) -> None:
    """Its cursor is no longer of this log, though positions have grown past it; after the reload it misses nothing.

    `bidbeacon db upgrade --restored` begins the epoch.
    """
    kept = commit_sessions(stream.store, 10)
    wait_until(lambda: not is_step_due(stream.store))
    file = dump(database_url, tmp_path)
    commit_sessions(stream.store, 10)
    wait_until(lambda: not is_step_due(stream.store))
    old_cursor = stream.load()["cursor"]

    if is_clean:
        restore(file, database_url, "--clean", "--if-exists")
    else:
        execute(stream.store, f"TRUNCATE {', '.join(TABLES_OF_THE_LOG)} CASCADE")
        restore(file, database_url, "--data-only", *(f"--table={one}" for one in TABLES_OF_THE_LOG))
    restored = CliRunner(env={"BIDBEACON_DATABASE_URL": database_url}).invoke(
        app, ["db", "upgrade", "--restored"]
    )
    assert (0, SAID) == (restored.exit_code, restored.stdout)
    new = commit_sessions(stream.store, 25)
    wait_until(lambda: not is_step_due(stream.store))

    told = stream.follow(transport, cursor=old_cursor)
    wait_until(told.ended.is_set)
    assert ["epoch"] == [data["reason"] for _, _, data in told.events("reset")]
    assert [] == told.events("job-sessions:updated")
    reader = stream.follow(transport)
    late = commit_sessions(stream.store, 3)
    wait_until(lambda: {str(each) for each in kept | new | late} == set(reader.view.sessions))
    assert [] == reader.view.faults


def test_a_copy_of_the_database_has_an_epoch_of_its_own(
    session_store: SessionStore, database_url: str
) -> None:
    """`CREATE DATABASE … TEMPLATE` copies the log's tables with their object ids; each log goes on by itself from there."""
    commit_session(session_store)
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
