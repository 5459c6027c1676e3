"""A process is killed with SIGKILL while it loads a report: nothing has changed, and the next load is as good as any."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.faults.ingest.loading_process import REPORT, load
from tests.faults.ingest.report_strategies import DAYS
from tests.postgres.load_world import AS_OF, LoadWorld, Raw, many_rows
from tests.support.waiting import wait_until
from tests.support.world import execute, query
from tests.support.written_tables import digest_tables, empty_tables

ROWS = 10_000
KILLS = 16
BAD_EVERY, BAD_CLICKS, RESTATED_EVERY = 1_000, "many", 51
STORED = "SELECT count(*) AS rows, sum(spend) AS spend, sum(sales) AS sales FROM hourly_target_performance"
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


class Report:
    """A report of two days on disk, and what is true once it is loaded."""

    def __init__(self, shelf: LoadWorld, rows: Sequence[Raw]) -> None:
        self.part = shelf.write_part(rows)
        good = [row for row in rows if row["metric.clicks"] != BAD_CLICKS]
        amounts = (
            sum((row[f"metric.{name}"] for row in good), Decimal(0))
            for name in ("totalCost", "sales")
        )
        self.truth = (len(good), *amounts)


class KilledLoad:
    """One account whose days hold a report, and a later one that is being loaded over it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.shelf, self.engine = LoadWorld(engine, folder), engine
        ensure_partitions(engine, REPORT.dataset, DAYS[0], DAYS[-1])
        rows = make_rows()
        self.first = Report(self.shelf, rows)
        for row in rows[::RESTATED_EVERY]:
            row["metric.totalCost"] += Decimal("0.64")
        self.restated = Report(self.shelf, rows)
        self._asked = 0
        self.ask(onto_rows=True)

    def ask(self, *, onto_rows: bool) -> None:
        """Ask for the restated report, over an earlier one or where nothing is."""
        if onto_rows:
            self._request()
            load(self.shelf, self.request_id, self.first.part)
        else:
            empty_tables(self.engine)
        self._request()

    def _request(self) -> None:
        """Let the windows wait for one more report, a day after the last."""
        self._asked += 1
        as_of = AS_OF + timedelta(days=self._asked)
        with self.engine.begin() as connection:
            self.request_id = self.shelf.ask(connection, REPORT, DAYS, as_of).request_id

    @contextmanager
    def loading(self) -> Iterator[subprocess.Popen[str]]:
        """Have a process that has begun to load the restated report, which was asked for; it is killed at the block's end."""
        url = self.engine.url.render_as_string(hide_password=False)
        module = "tests.faults.ingest.loading_process"
        process = subprocess.Popen(
            [sys.executable, "-m", module, url, str(self.request_id), str(self.restated.part)],
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
        self.engine.dispose()
        wait_until(
            lambda: not query(self.engine, OTHERS), "the killed process's connection has ended", 60
        )

    def check_next_load(self) -> None:
        """Load the report that was not loaded, by the request that is still waiting, and compare it with the truth."""
        load(self.shelf, self.request_id, self.restated.part)
        self.check_restated()

    def check_restated(self) -> None:
        """Compare what is stored with the restated report: rows, spend and sales, to the last digit."""
        [found] = query(self.engine, STORED)
        assert self.restated.truth == tuple(found.values())


def make_rows() -> list[Raw]:
    """Return rows of two days, some of which can't be understood."""
    half = ROWS // len(DAYS)
    rows = [
        row | {"hour.value": n % 24} for day in DAYS for n, row in enumerate(many_rows(half, day))
    ]
    for row in rows[::BAD_EVERY]:
        row["metric.clicks"] = BAD_CLICKS
    return rows


@pytest.fixture
def killed(engine: Engine, tmp_path: Path) -> KilledLoad:
    """Return an account with a loaded report, and one that waits."""
    return KilledLoad(engine, tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize("onto_rows", [True, False], ids=["refresh", "first load"])
@pytest.mark.parametrize("seed", [1])
def test_a_load_killed_at_any_moment_changes_nothing(
    killed: KilledLoad,
    seed: int,
    record_property: Callable[[str, object], None],
    *,
    onto_rows: bool,
) -> None:
    """At random moments all over a load: the tables are as they were, or the load had committed; the next one is exact."""
    rng, usual, committed = Random(seed), measure(killed, onto_rows=onto_rows), 0
    for number in range(KILLS):
        killed.ask(onto_rows=onto_rows)
        before = digest_tables(killed.engine)
        with killed.loading() as process:
            wait_for(process, usual * (number + rng.random()) / KILLS)
        killed.wait_until_alone()
        if before == digest_tables(killed.engine):
            killed.check_next_load()
        else:
            committed += 1
            killed.check_restated()
            assert (
                query(killed.engine, "SELECT 1 FROM report_windows WHERE status <> 'loaded'") == []
            )
    record_property(
        "detail", f"{KILLS} kills over {usual:.2f} s, {committed} of them after the commit"
    )
    assert committed <= KILLS * 3 // 4  # what is usual was measured at another moment


@pytest.mark.faults
@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_load_killed_at_a_statement_changes_nothing(killed: KilledLoad, statement: str) -> None:
    """Halted before a statement that a load writes with, and killed there: nothing has changed, and the next load is exact."""
    before = digest_tables(killed.engine)
    execute(killed.engine, HALT)
    execute(
        killed.engine,
        f"CREATE TRIGGER halt BEFORE {statement} FOR EACH STATEMENT EXECUTE FUNCTION halt()",
    )
    with killed.loading() as process:
        wait_until(
            lambda: bool(query(killed.engine, HALTED)) or process.poll() is not None,
            "the load is halted",
        )
        assert process.poll() is None, "the load has ended without this statement"
    killed.wait_until_alone()
    execute(killed.engine, "DROP FUNCTION halt CASCADE")
    assert before == digest_tables(killed.engine)
    killed.check_next_load()


def measure(killed: KilledLoad, *, onto_rows: bool) -> float:
    """Return how long an undisturbed load in a process of its own takes, once it has begun."""
    killed.ask(onto_rows=onto_rows)
    with killed.loading() as process:
        began = time.monotonic()
        assert process.stdout is not None
        assert process.stdout.readline() == "committed\n"
        return time.monotonic() - began


def wait_for(process: subprocess.Popen[str], seconds: float) -> None:
    """Wait for a moment of a process's life, or for its end."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
