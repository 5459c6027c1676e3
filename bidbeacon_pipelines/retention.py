"""Deletes records after their retention time, in small batches with short locks.

To delete another kind of records, add a `Rule` to `rules_of`.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from bidbeacon_pipelines.actions import OldRecordsDeleted
from bidbeacon_pipelines.database.processes import delete_silent_processes
from bidbeacon_pipelines.datasets.partitions import drop_old_partitions, make_partitions_ahead
from bidbeacon_pipelines.loading.restatements import delete_restatements
from bidbeacon_pipelines.materializations.dagster_queries import delete_run_events
from bidbeacon_pipelines.problems.alert_store import delete_findings
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.contract_changes import delete_learned_limits
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.writes import delete_ended_sessions

ROWS_A_PIECE = 5_000
SESSIONS_A_PIECE = 200
_UNUSED_FOR = timedelta(days=1)
LEARNED_FOR = timedelta(days=28)
"""How long limits learned from refusals are kept; an outage may have caused the refusals."""


@dataclass(frozen=True)
class Rule:
    """The retention time of one kind of records, usually the rows of a table.

    `delete` deletes at most `piece` records (default: `ROWS_A_PIECE`) that are older than an
    instant, and returns how many it deleted.
    """

    what: str
    keep: timedelta
    delete: Callable[[Connection, datetime, int], int]
    piece: int | None = None


def rules_of(settings: Settings) -> list[Rule]:
    """Return the rules for all kinds of records."""
    of_sessions = timedelta(days=settings.session_days)
    of_runs = timedelta(days=settings.run_event_days)
    printed = partial(delete_printed_lines, settings.compute_logs)
    return [
        _rule_of_table("api_calls", "called_at", timedelta(days=settings.api_call_days)),
        _rule_of_table("rate_limits", "next_start_at", _UNUSED_FOR),
        # A name with "token" would have its count masked in the session.
        Rule("amazon_access", _UNUSED_FOR, partial(_delete_rows, "access_tokens", "ends_at")),
        Rule("sessions", of_sessions, delete_ended_sessions, SESSIONS_A_PIECE),
        Rule("restatements", timedelta(days=settings.restatement_days), delete_restatements),
        Rule("run_events", of_runs, delete_run_events),
        Rule("printed_lines", of_runs, lambda _, before, most: printed(before, most)),
        Rule("hourly_months", timedelta(days=settings.hourly_days), _drop_partitions),
        Rule("findings", of_sessions, delete_findings),
        _rule_of_table("row_removals", "acknowledged_at", of_sessions),
        _rule_of_table("loads_by_hand", "requested_at", of_sessions),
        Rule("processes", _UNUSED_FOR, delete_silent_processes),
        _rule_of_table("unwritable_folders", "retry_at", _UNUSED_FOR),
        Rule("registry_overrides", LEARNED_FOR, delete_learned_limits),
    ]


def _rule_of_table(table: str, column: str, keep: timedelta) -> Rule:
    return Rule(table, keep, partial(_delete_rows, table, column))


def delete_old_records(
    engine: Engine, session: SessionRecorder, settings: Settings, now: datetime
) -> dict[str, int]:
    """Delete records after their retention time; return the number of deleted records by kind.

    Each batch is a transaction, so the next run continues the work of a killed run. The deletion
    is recorded in the session. Partitions for the next weeks of hourly rows are created too.
    """
    make_partitions_ahead(engine, now.date())
    counts = {rule.what: _delete_by(engine, rule, now - rule.keep) for rule in rules_of(settings)}
    by_table = ", ".join(f"{count:,} of {what}" for what, count in counts.items() if count)
    session.add(OldRecordsDeleted(rows=sum(counts.values()), by_table=by_table, counts=counts))
    return counts


def _delete_by(engine: Engine, rule: Rule, before: datetime) -> int:
    piece = rule.piece or ROWS_A_PIECE
    total, deleted = 0, piece
    while deleted == piece:
        with engine.begin() as connection:
            deleted = rule.delete(connection, before, piece)
        total += deleted
    return total


def _delete_rows(
    table: str, column: str, connection: Connection, before: datetime, most: int
) -> int:
    statement = f"""
        DELETE FROM {table}
         WHERE ctid = ANY (ARRAY(
               SELECT ctid FROM {table}
                WHERE {column} < :before
                LIMIT :most FOR UPDATE SKIP LOCKED))"""
    return connection.execute(text(statement), {"before": before, "most": most}).rowcount


def _drop_partitions(connection: Connection, before: datetime, _: int) -> int:
    return len(drop_old_partitions(connection, before.date()))


def delete_printed_lines(folder: Path, before: datetime, most: int) -> int:
    """Delete at most `most` folders with the printed output of old runs; return how many.

    A run is old if it wrote nothing since `before`.
    """
    if not folder.is_dir():
        return 0
    old = (run for run in folder.iterdir() if run.is_dir() and _last_written(run) < before)
    chosen = list(islice(old, most))
    for run in chosen:
        shutil.rmtree(run, ignore_errors=True)  # another process may delete it too
    return sum(not run.exists() for run in chosen)


def _last_written(folder: Path) -> datetime:
    times = [path.stat().st_mtime for path in (folder, *folder.rglob("*"))]
    return datetime.fromtimestamp(max(times), UTC)
