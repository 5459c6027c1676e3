"""How large the sessions of one account's month are: filled, then thirty days as the product lives them, all datasets.

`python -m benchmarks.session_sizes` prints the table of docs/operations.md. Time is moved in jumps by the simulation of the faults' suites;
sandbox, jobs and tables are the real ones, and no fault strikes.
"""

import argparse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, text

from benchmarks.database import fresh_database
from bidbeacon_pipelines.sandbox import SandboxConfig
from bidbeacon_pipelines.sandbox.server import running_sandbox
from tests.faults.ads.simulated_office import Office
from tests.faults.ads.simulation import Simulation

TABLES = ("session_headers", "session_actions", "session_touches", "session_promises")
_START = datetime(2026, 1, 15, 12, tzinfo=UTC)
_JAPAN = 2
"""The sandbox's third account: it is in one country only."""

Sizes = Mapping[str, tuple[int, int]]
"""Rows and bytes, with indexes, by table."""


def main() -> None:
    """Live through the fill and the month, and print what each has left."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.session_sizes", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    days = parser.parse_args().days
    print(f"| after {days} days | rows | size | each | of the fill |\n|---|---:|---:|---:|---:|")
    for line in _lines(*_live(days)):
        print(line)


def _live(days: int) -> tuple[Sizes, Sizes]:
    """Return the sizes after the fill, and after the days that follow it."""
    config = SandboxConfig(accounts=3, rows_per_day=20, report_seconds=600, clock_start=_START, clock_rate=0)
    with fresh_database() as (_, engine), TemporaryDirectory() as folder, running_sandbox(config) as sandbox:
        office = Office(engine, sandbox, Path(folder))
        account_id = sandbox.state.world.accounts.accounts[_JAPAN].account_id
        simulation = Simulation(office, [(account_id, "JP")])
        simulation.run_until(_START + timedelta(days=1))
        filled = _sizes(engine)
        simulation.run_until(_START + timedelta(days=1 + days))
        assert [run for run in simulation.runs if run.error is not None] == []
        return filled, _sizes(engine)


def _sizes(engine: Engine) -> Sizes:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM (ANALYZE) {', '.join(TABLES)}"))
        found = {}
        for table in TABLES:
            statement = text(f"SELECT count(*), pg_total_relation_size('{table}') FROM {table}")
            found[table] = connection.execute(statement).one()
        return {table: (int(rows), int(size)) for table, (rows, size) in found.items()}


def _lines(filled: Sizes, lived: Sizes) -> Iterator[str]:
    """Yield a line for each table, and one for all; what the fill had left is not counted to the month."""
    total = 0
    for table in TABLES:
        rows, size = lived[table][0] - filled[table][0], lived[table][1] - filled[table][1]
        total += size
        each = f"{size / rows / 1000:.2f} kB" if rows else ""
        yield f"| {table} | {rows:,} | {size / 1000:,.0f} kB | {each} | {filled[table][1] / 1000:,.0f} kB |"
    of_fill = sum(size for _, size in filled.values())
    yield f"| all | | {total / 1000:,.0f} kB | | {of_fill / 1000:,.0f} kB |"


if __name__ == "__main__":
    main()
