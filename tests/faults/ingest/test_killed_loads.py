"""A process is killed with SIGKILL while it loads a report: nothing has changed, and the next load is as good as any."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from tests.faults.halting import halt_before, halt_no_more, is_halted
from tests.faults.ingest.loading_process import REPORT, load
from tests.faults.ingest.report_strategies import DAYS
from tests.postgres.load_world import AS_OF, LoadWorld, Raw, many_rows
from tests.support.processes import Program
from tests.support.reading import tuples
from tests.support.waiting import wait_until
from tests.support.written_tables import digest_tables

ROWS = 10_000
LIVES_LONGER, LONGEST_LOAD = 0.15, 60
"""By how many seconds each process lives longer than the last, imports included, and when that is long enough."""
BAD_EVERY, BAD_CLICKS, RESTATED_EVERY = 1_000, "many", 51
STORED = "SELECT count(*) AS rows, sum(spend) AS spend, sum(sales) AS sales FROM hourly_targets"
INSERT_ROWS = "INSERT ON hourly_targets"
STATEMENTS = (
    "INSERT ON restatements",
    "DELETE ON hourly_targets",
    INSERT_ROWS,
    "INSERT ON quarantined_rows",
    "UPDATE ON report_windows",
    "UPDATE ON report_requests",
)
"""What a load does outside of its temporary tables, in this order."""
OTHERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class KilledLoad:
    """One account, and a report that is being loaded, over an earlier one of its days or where nothing is."""

    def __init__(self, engine: Engine, folder: Path, *, onto_rows: bool) -> None:
        self.shelf, self.engine = LoadWorld(engine, folder), engine
        ensure_partitions(engine, REPORT.dataset, DAYS[0], DAYS[-1])
        rows = make_rows()
        if onto_rows:
            load(self.shelf, self._ask(AS_OF), self.shelf.write_part(rows))
        for row in rows[::RESTATED_EVERY]:
            row["metric.totalCost"] += Decimal("0.64")
        self.part, self.truth = self.shelf.write_part(rows), sums_of(rows)
        self.request_id = self._ask(AS_OF + timedelta(days=1))

    def _ask(self, as_of: datetime) -> int:
        with self.engine.begin() as connection:
            return self.shelf.ask(connection, REPORT, DAYS, as_of).request_id

    @contextmanager
    def loading(self) -> Iterator[Program]:
        """Have a process load the report; at the block's end it is killed, and the server has noticed it."""
        url = self.engine.url.render_as_string(hide_password=False)
        given = (url, str(self.request_id), str(self.part))
        program = Program(
            ["-m", "tests.faults.ingest.loading_process", *given], self.part.with_suffix(".log")
        )
        with program.running():
            yield program
        self.engine.dispose()
        others_are_gone = lambda: not tuples(self.engine, OTHERS)
        wait_until(others_are_gone, "the killed process's connection has ended", 60)


def make_rows() -> list[Raw]:
    """Return rows of two days, some of which can't be understood."""
    half = ROWS // len(DAYS)
    rows = [
        row | {"hour.value": n % 24} for day in DAYS for n, row in enumerate(many_rows(half, day))
    ]
    for row in rows[::BAD_EVERY]:
        row["metric.clicks"] = BAD_CLICKS
    return rows


def sums_of(rows: Sequence[Raw]) -> tuple[int | Decimal, ...]:
    """Return what is stored of rows: their number, spend and sales."""
    good = [row for row in rows if row["metric.clicks"] != BAD_CLICKS]
    amounts = ("metric.totalCost", "metric.sales")
    return (len(good), *(sum((row[name] for row in good), Decimal(0)) for name in amounts))


@pytest.mark.faults
@pytest.mark.parametrize(
    ("statement", "onto_rows"),
    [
        *(pytest.param(statement, True, id=statement) for statement in STATEMENTS),
        pytest.param(INSERT_ROWS, False, id="first load"),
    ],
)
def test_a_load_killed_at_a_statement_changes_nothing(
    engine: Engine, tmp_path: Path, statement: str, *, onto_rows: bool
) -> None:
    """Halted before a statement that a load writes with, and killed there: nothing has changed, and the next load is exact."""
    killed = KilledLoad(engine, tmp_path, onto_rows=onto_rows)
    before = digest_tables(engine)
    halt_before(engine, f"{statement} FOR EACH STATEMENT")
    with killed.loading() as process:
        wait_until(lambda: is_halted(engine) or process.ended is not None, "the load is halted")
        assert process.ended is None, f"not halted: {process.log.read_text()}"
    halt_no_more(engine)
    assert before == digest_tables(engine)
    load(killed.shelf, killed.request_id, killed.part)
    assert [killed.truth] == tuples(engine, STORED)


@pytest.mark.faults
@pytest.mark.parametrize("onto_rows", [True, False], ids=["refresh", "first load"])
def test_a_load_killed_at_any_moment_changes_nothing(
    engine: Engine, tmp_path: Path, *, onto_rows: bool
) -> None:
    """Killed a little later each time: the tables are as they were, until the load has committed; then all of it is there."""
    killed, lives = KilledLoad(engine, tmp_path, onto_rows=onto_rows), 0.0
    before = digest_tables(engine)
    while before == digest_tables(engine):
        assert lives < LONGEST_LOAD, "a load never committed"
        lives += LIVES_LONGER
        with killed.loading() as process, suppress(psutil.TimeoutExpired):
            process.process.wait(lives)
    assert [killed.truth] == tuples(engine, STORED)
    assert [("loaded",)] == tuples(engine, "SELECT DISTINCT status FROM report_windows")
