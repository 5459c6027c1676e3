"""The tables that a load writes to, and a digest of all that is in them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, text

from bidbeacon_pipelines.datasets.registry import DATASETS

TABLES = (
    *(dataset.table for dataset in DATASETS.values()),
    "restatements",
    "quarantined_rows",
    "report_loads",
    "row_removals",
    "report_windows",
    "report_requests",
)
_DIGESTS = text(
    " UNION ALL ".join(
        f"SELECT '{table}' AS name, count(*), md5(coalesce(string_agg(t::text, '\n' ORDER BY t::text), '')) FROM {table} t"
        for table in TABLES
    )
    + " ORDER BY name"  # the server may read several at once
)


def digest_tables(engine: Engine) -> Sequence[Any]:
    """Return name, number of rows and digest of each table."""
    with engine.begin() as connection:
        return connection.execute(_DIGESTS).all()
