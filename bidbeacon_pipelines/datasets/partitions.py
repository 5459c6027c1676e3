"""SQL for the partitions of hourly tables: one per month of account-local days."""

from collections.abc import Iterator
from datetime import date, timedelta

from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.database.locks import lock_until_commit
from bidbeacon_pipelines.datasets.dataset_tables import FILL_FACTOR
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset

HOURLY_DATASETS = tuple(dataset for dataset in ALL_DATASETS if dataset.is_hourly)
_AHEAD = timedelta(days=45)
_BEHIND = timedelta(days=15)
"""How far back partitions are created; Amazon serves hourly data for 14 days."""


def ensure_partitions(engine: Engine, dataset: Dataset, first: date, last: date) -> list[str]:
    """Create the missing partitions for the days from `first` to `last`; return their names.

    This has its own short transaction, since attaching a partition locks the table for a moment.
    """
    if not dataset.is_hourly:
        return []
    with engine.begin() as connection:
        missing = _missing(connection, dataset, first, last)
    if not missing:
        return []
    with engine.begin() as connection:
        lock_until_commit(connection, "partitions")
        missing = _missing(connection, dataset, first, last)
        for month in missing:
            _attach(connection, dataset, month)
    return [_name(dataset, month) for month in missing]


def make_partitions_ahead(engine: Engine, today: date) -> list[str]:
    """Create missing partitions of hourly tables for the next 45 days; return their names."""
    days = today - _BEHIND, today + _AHEAD
    return [
        name for dataset in HOURLY_DATASETS for name in ensure_partitions(engine, dataset, *days)
    ]


def drop_old_partitions(connection: Connection, before: date) -> list[str]:
    """Drop hourly partitions of months before the month of `before`; return their names."""
    lock_until_commit(connection, "partitions")
    old = [name for dataset in HOURLY_DATASETS for name in _old(connection, dataset, before)]
    for name in old:
        connection.execute(text(f"DROP TABLE {name}"))
    return old


def _missing(connection: Connection, dataset: Dataset, first: date, last: date) -> list[date]:
    known = set(_partitions(connection, dataset))
    return [month for month in _months(first, last) if _name(dataset, month) not in known]


def _old(connection: Connection, dataset: Dataset, before: date) -> list[str]:
    kept = _name(dataset, before)  # names sort as their months
    return [name for name in _partitions(connection, dataset) if name < kept]


def _partitions(connection: Connection, dataset: Dataset) -> list[str]:
    statement = text("""
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = CAST(:table AS regclass) ORDER BY c.relname""")
    return list(connection.execute(statement, {"table": dataset.name}).scalars())


def _attach(connection: Connection, dataset: Dataset, month: date) -> None:
    name, after = _name(dataset, month), _next(month)
    connection.execute(
        text(f"""
            CREATE TABLE {name} (LIKE {dataset.name} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
              WITH (fillfactor = {FILL_FACTOR})""")
    )
    connection.execute(
        text(f"""
            ALTER TABLE {dataset.name} ATTACH PARTITION {name}
              FOR VALUES FROM ('{month}') TO ('{after}')""")
    )


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = _next(month)


def _next(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def _name(dataset: Dataset, day: date) -> str:
    return f"{dataset.name}_{day:%Y_%m}"
