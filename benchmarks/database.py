"""Databases of benchmarks, each on a server of its own, which is deleted afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import cleandoc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Engine, event, text

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.migrations.upgrade import upgrade
from tools.temporary_postgres import temporary_postgres

RESULTS = Path(__file__).resolve().parent / "results"
"""The folder of figures and query plans that `make bench KEEP=results` writes."""


@contextmanager
def fresh_database(*, durable: bool = False) -> Iterator[Engine]:
    """Yield an engine of an empty database; `durable`: sync each commit to disk."""
    with (
        TemporaryDirectory(prefix="bidbeacon-bench-") as folder,
        temporary_postgres(Path(folder), durable=durable) as url,
    ):
        upgrade(url)
        engine = make_engine(url)
        try:
            yield engine
        finally:
            engine.dispose()


def url_of(engine: Engine) -> str:
    """Return the address of a database, with its password."""
    return engine.url.render_as_string(hide_password=False)


def alone(engine: Engine, statement: str) -> None:
    """Run a statement outside of a transaction, such as VACUUM."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


def explained(connection: Connection, title: str, call: Callable[[], object]) -> str:
    """Run a call, then explain the last statement it sent; return that plan as Markdown."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, sql: str, values: Any, *_rest: object) -> None:
        sent.append((sql, values))

    event.listen(connection, "before_cursor_execute", note)
    call()
    event.remove(connection, "before_cursor_execute", note)
    sql, values = sent[-1]
    plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", values)
    lines = "\n".join(plan.scalars())
    return f"## {title}\n\n```sql\n{cleandoc(sql)}\n```\n\n```\n{lines}\n```\n"


def write_plans(path: Path, head: str, connection: Connection, parts: list[str]) -> None:
    """Write explained statements to a document."""
    version = connection.execute(text("SHOW server_version")).scalar_one()
    path.write_text(f"{head}\nPostgreSQL {version}.\n\n" + "\n".join(parts))
