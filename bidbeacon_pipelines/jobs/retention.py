"""Deletes records that are older than they are kept, in small pieces: nobody waits for a large delete.

A table whose records are to go is one more `Rule` in `rules_of`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from bidbeacon_pipelines.actions import OldRecordsDeleted
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.api_calls import delete_calls
from bidbeacon_pipelines.store.api_lanes import delete_idle_lanes
from bidbeacon_sessions import SessionRecorder

ROWS_A_STATEMENT = 5_000
_LANES_IDLE_FOR = timedelta(days=1)


@dataclass(frozen=True)
class Rule:
    """How long records of a table are kept.

    Attributes:
        table: Its name.
        keep: How long.
        delete: Deletes at most so many records from before an instant, and gives how many it deleted.
    """

    table: str
    keep: timedelta
    delete: Callable[[Connection, datetime, int], int]


def rules_of(settings: Settings) -> list[Rule]:
    """Give what is deleted, and when."""
    return [
        Rule("api_calls", timedelta(days=settings.api_call_days), delete_calls),
        Rule("api_lanes", _LANES_IDLE_FOR, delete_idle_lanes),
    ]


def delete_old_records(
    engine: Engine, session: SessionRecorder, settings: Settings, now: datetime
) -> dict[str, int]:
    """Delete what is older than it is kept, and tell it; give how many records by table.

    Each statement is a transaction of its own: a run that is killed has deleted what it has deleted, and the next goes on.
    """
    counts = {rule.table: _delete_by(engine, rule, now - rule.keep) for rule in rules_of(settings)}
    told = ", ".join(f"{count:,} of {table}" for table, count in counts.items() if count)
    session.add(OldRecordsDeleted(rows=sum(counts.values()), by_table=told, counts=counts))
    return counts


def _delete_by(engine: Engine, rule: Rule, before: datetime) -> int:
    total, deleted = 0, ROWS_A_STATEMENT
    while deleted == ROWS_A_STATEMENT:
        with engine.begin() as connection:
            deleted = rule.delete(connection, before, ROWS_A_STATEMENT)
        total += deleted
    return total
