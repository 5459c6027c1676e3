"""How much disk one account takes: filled with 15 months, then thirty days as the product lives them, all datasets.

`python -m tests.faults.ads.disk` prints the tables of docs/how-to/keep-disk-use-bounded.md. Time is moved in steps by
the simulation of the faults' suites; sandbox, jobs and tables are the real ones, and no fault
strikes. Dagster takes no part.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, text

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS
from bidbeacon_pipelines.migrations.upgrade import upgrade
from tests.faults.ads.simulation import Simulation, open_japan
from tests.support.world import World
from tools.temporary_postgres import temporary_postgres

SESSIONS = ("session_headers", "session_actions", "session_references")
REPORTS = (
    "report_windows",
    "report_requests",
    "report_loads",
    "restatements",
    "api_calls",
)
DATASETS = tuple(dataset.name for dataset in ALL_DATASETS)
TABLES = (*DATASETS, *REPORTS, *SESSIONS)
_START = datetime(2026, 1, 15, 12, tzinfo=UTC)

Sizes = Mapping[str, tuple[int, int]]
"""Rows and bytes, with indexes, by table."""


def main() -> None:
    """Live through the fill and the month, and print what each has left."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.ads.disk", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    days = parser.parse_args().days
    filled, lived = _live(days)
    head = f"| after {days} days | rows | size | each | left by the fill | size | each |"
    print(head, f"|---|{'---:|' * 6}", *_lines(filled, lived), sep="\n")  # noqa: T201 - a result


def _live(days: int) -> tuple[Sizes, Sizes]:
    """Return the sizes after the fill, and after the days that follow it."""
    with TemporaryDirectory() as folder, temporary_postgres(Path(folder)) as url:
        upgrade(url)
        with open_japan(make_engine(url), Path(folder), _START, report_seconds=600) as world:
            return _sizes_of(world, days)


def _sizes_of(world: World, days: int) -> tuple[Sizes, Sizes]:
    simulation = Simulation(world, look_every=timedelta(minutes=1))
    simulation.run_until(_START + timedelta(days=1))
    filled = _sizes(world.engine)
    before = Counter(run.job for run in simulation.runs)
    simulation.run_until(_START + timedelta(days=1 + days))
    runs = Counter(run.job for run in simulation.runs) - before
    print("Runs after the fill:", dict(runs))  # noqa: T201 - a result
    assert [run for run in simulation.runs if run.error is not None] == []
    return filled, _sizes(world.engine)


def _sizes(engine: Engine) -> Sizes:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM (ANALYZE) {', '.join(TABLES)}"))
        found = {}
        for table in TABLES:
            statement = text(f"""
                SELECT (SELECT count(*) FROM {table}),
                       coalesce(sum(pg_total_relation_size(relid)), pg_total_relation_size('{table}'))
                  FROM pg_partition_tree('{table}')""")
            found[table] = connection.execute(statement).one()
        return {table: (int(rows), int(size)) for table, (rows, size) in found.items()}


def _lines(filled: Sizes, lived: Sizes) -> Iterator[str]:
    """Yield a line for each table, and one for the sessions; what the fill had left is not counted to the month."""
    month = {
        table: (lived[table][0] - filled[table][0], lived[table][1] - filled[table][1])
        for table in TABLES
    }
    for table in TABLES:
        yield f"| {table} | {_told(*month[table])} | {_told(*filled[table])} |"
    of_month, of_fill = (sum(sizes[table][1] for table in SESSIONS) for sizes in (month, filled))
    yield f"| all sessions | | {of_month / 1e6:.2f} MB | | | {of_fill / 1e6:.2f} MB | |"


def _told(rows: int, size: int) -> str:
    each = f"{size / rows / 1000:.2f} kB" if rows else ""
    return f"{rows:,} | {size / 1e6:.2f} MB | {each}"


if __name__ == "__main__":
    main()
