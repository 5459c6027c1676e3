"""A process is killed with SIGKILL while it loads a report: nothing has changed, and the next load is as good as any."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import text

from benchmarks.ingest_load import load_parts
from benchmarks.ingest_reports import Report, write_reports
from benchmarks.ingest_world import Ours, place_at
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.faults.ingest.written_tables import digest_tables
from tests.support.waiting import wait_until

ROWS = 20_000
KILLS = 16
STATEMENTS = (
    "INSERT ON restatements",
    "DELETE ON hourly_target_performance",
    "INSERT ON hourly_target_performance",
    "INSERT ON quarantined_rows",
    "UPDATE ON report_windows",
    "UPDATE ON report_requests",
)
"""What a load does outside of its temporary tables, in this order."""
OTHERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
HALT = "CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$"
HALTED = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
)


class KilledWorld:
    """One account whose days hold a report, and a later one that waits to be loaded over it."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.place = place_at(database_url)
        self.first, self.restated = write_reports(folder / "reports", ROWS)
        self.ours = Ours(self.place)
        self.place.take_stock(self.first)
        self.load(self.first)

    def load(self, report: Report) -> None:
        """Ask for a report and load it, undisturbed."""
        self.ours.request()
        self.ours.load(report)

    def ask(self, *, onto_rows: bool) -> None:
        """Ask for the restated report, over an earlier one or where nothing is."""
        if onto_rows:
            self.load(self.first)
        else:
            self.place.empty()
        self.ours.request()

    @contextmanager
    def loading(self) -> Iterator[subprocess.Popen[str]]:
        """Have a process that has begun to load the restated report, which was asked for; it is killed at the block's end."""
        command = [sys.executable, "-m", "tests.faults.ingest.loading_process", self.place.url]
        parts = map(str, self.restated.parts)
        process = subprocess.Popen(
            [*command, str(self.ours.request_id), *parts],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process:
            try:
                assert process.stdout.readline() == "begun\n"
                yield process
            finally:
                process.kill()

    def wait_until_alone(self) -> None:
        """Wait until the server has noticed that the killed client is gone."""
        self.place.engine.dispose()
        wait_until(
            lambda: not self.rows(OTHERS), "the killed process's connection has ended", seconds=60
        )

    def check_next_load(self) -> None:
        """Load the report that was not loaded, by the request that is still waiting, and compare it with the truth."""
        load_parts(self.place.engine, self.ours.request_id, self.restated.parts)
        self.place.check(self.restated)

    def rows(self, statement: str) -> list[object]:
        """Return the rows of a query."""
        with self.place.engine.begin() as connection:
            return list(connection.execute(text(statement)))

    def execute(self, statement: str) -> None:
        """Run a statement."""
        with self.place.engine.begin() as connection:
            connection.execute(text(statement))


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[KilledWorld]:
    """Yield a world with a loaded report."""
    world = KilledWorld(database_url, tmp_path)
    yield world
    world.place.engine.dispose()


@pytest.mark.faults
@pytest.mark.parametrize("onto_rows", [True, False], ids=["refresh", "first load"])
@pytest.mark.parametrize("seed", [1])
def test_a_load_killed_at_any_moment_changes_nothing(
    world: KilledWorld,
    seed: int,
    record_property: Callable[[str, object], None],
    *,
    onto_rows: bool,
) -> None:
    """At random moments all over a load: the tables are as they were, or the load had committed; the next one is exact."""
    rng, usual, committed = Random(seed), measure(world, onto_rows=onto_rows), 0
    for number in range(KILLS):
        world.ask(onto_rows=onto_rows)
        before = digest_tables(world.place.engine)
        with world.loading() as process:
            wait_for(process, usual * (number + rng.random()) / KILLS)
        world.wait_until_alone()
        if before == digest_tables(world.place.engine):
            world.check_next_load()
        else:
            committed += 1
            world.place.check(world.restated)
            assert world.rows("SELECT 1 FROM report_windows WHERE status <> 'loaded'") == []
    record_property(
        "detail", f"{KILLS} kills over {usual:.2f} s, {committed} of them after the commit"
    )
    assert committed <= KILLS * 3 // 4  # what is usual was measured at another moment


@pytest.mark.faults
@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_load_killed_at_a_statement_changes_nothing(world: KilledWorld, statement: str) -> None:
    """Halted before a statement that a load writes with, and killed there: nothing has changed, and the next load is exact."""
    world.ours.request()
    before = digest_tables(world.place.engine)
    world.execute(HALT)
    world.execute(
        f"CREATE TRIGGER halt BEFORE {statement} FOR EACH STATEMENT EXECUTE FUNCTION halt()"
    )
    with world.loading() as process:
        wait_until(
            lambda: bool(world.rows(HALTED)) or process.poll() is not None, "the load is halted"
        )
        assert process.poll() is None, "the load has ended without this statement"
    world.wait_until_alone()
    world.execute("DROP FUNCTION halt CASCADE")
    assert before == digest_tables(world.place.engine)
    world.check_next_load()


def measure(world: KilledWorld, *, onto_rows: bool) -> float:
    """Return how long an undisturbed load in a process of its own takes, once it has begun."""
    world.ask(onto_rows=onto_rows)
    with world.loading() as process:
        began = time.monotonic()
        assert process.stdout is not None
        assert process.stdout.readline() == "committed\n"
        return time.monotonic() - began


def wait_for(process: subprocess.Popen[str], seconds: float) -> None:
    """Wait for a moment of a process's life, or for its end."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
