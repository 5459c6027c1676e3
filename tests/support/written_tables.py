"""The tables that a load writes to: a digest of all that is in them, and how to empty them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, text

from bidbeacon_pipelines.datasets.registry import DATASETS

TABLES = (
    *(dataset.name for dataset in DATASETS.values()),
    "restatements",
    "quarantined_rows",
    "report_loads",
    "row_removals",
    "report_windows",
    "report_requests",
)


def digest_tables(engine: Engine, *more: str) -> Sequence[Any]:
    """Return name, number of rows and digest of each table, and of some more."""
    digests = " UNION ALL ".join(
        f"SELECT '{table}' AS name, count(*), md5(coalesce(string_agg(t::text, '\n' ORDER BY t::text), '')) FROM {table} t"
        for table in (*TABLES, *more)
    )
    with engine.begin() as connection:
        # In an order, since the server may read several at once.
        return connection.execute(text(f"{digests} ORDER BY name")).all()


def empty_tables(engine: Engine) -> None:
    """Forget all loads."""
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(text(f"DELETE FROM {table}"))
