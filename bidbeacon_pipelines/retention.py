"""Deletes records past their retention time, in small batches with short locks.

For another kind of record, add a `Rule` to `rules_of`.
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
_RATE_LIMITS_IDLE_FOR = timedelta(days=1)
_TOKENS_ENDED_FOR = timedelta(days=1)
_PROCESSES_SILENT_FOR = timedelta(days=1)
LEARNED_FOR = timedelta(days=28)
"""The time after which learned limits are tried again: an outage may have caused them."""


@dataclass(frozen=True)
class Rule:
    """The retention time of a kind of records, usually a table.

    `delete` deletes at most `piece` records from before an instant, and returns how many.
    """

    what: str
    keep: timedelta
    piece: int
    delete: Callable[[Connection, datetime, int], int]


def rules_of(settings: Settings) -> list[Rule]:
    """Return the rules for all kinds of records."""
    of_runs = timedelta(days=settings.run_event_days)
    printed = partial(delete_printed_lines, settings.compute_logs)
    return [
        Rule(
            "api_calls",
            timedelta(days=settings.api_call_days),
            ROWS_A_PIECE,
            partial(_delete_rows, "api_calls", "called_at"),
        ),
        Rule(
            "rate_limits",
            _RATE_LIMITS_IDLE_FOR,
            ROWS_A_PIECE,
            partial(_delete_rows, "rate_limits", "next_start_at"),
        ),
        Rule(
            "amazon_access",  # a name with "token" would have its count masked in the session
            _TOKENS_ENDED_FOR,
            ROWS_A_PIECE,
            partial(_delete_rows, "access_tokens", "ends_at"),
        ),
        Rule(
            "sessions",
            timedelta(days=settings.session_days),
            SESSIONS_A_PIECE,
            delete_ended_sessions,
        ),
        Rule(
            "restatements",
            timedelta(days=settings.restatement_days),
            ROWS_A_PIECE,
            delete_restatements,
        ),
        Rule("run_events", of_runs, ROWS_A_PIECE, delete_run_events),
        Rule("printed_lines", of_runs, ROWS_A_PIECE, lambda _, before, most: printed(before, most)),
        Rule("hourly_months", timedelta(days=settings.hourly_days), ROWS_A_PIECE, _drop_partitions),
        Rule("findings", timedelta(days=settings.session_days), ROWS_A_PIECE, delete_findings),
        Rule(
            "row_removals",
            timedelta(days=settings.session_days),
            ROWS_A_PIECE,
            partial(_delete_rows, "row_removals", "acknowledged_at"),
        ),
        Rule(
            "loads_by_hand",
            timedelta(days=settings.session_days),
            ROWS_A_PIECE,
            partial(_delete_rows, "loads_by_hand", "asked_at"),
        ),
        Rule("processes", _PROCESSES_SILENT_FOR, ROWS_A_PIECE, delete_silent_processes),
        Rule(
            "unwritable_folders",
            _PROCESSES_SILENT_FOR,
            ROWS_A_PIECE,
            partial(_delete_rows, "unwritable_folders", "retry_at"),
        ),
        Rule("registry_overrides", LEARNED_FOR, ROWS_A_PIECE, delete_learned_limits),
    ]


def delete_old_records(
    engine: Engine, session: SessionRecorder, settings: Settings, now: datetime
) -> dict[str, int]:
    """Delete records past their retention time, and record it; return their numbers by kind.

    Each batch is a transaction, so the next run continues after a killed one. Also creates the
    partitions for the next weeks of hourly rows.
    """
    make_partitions_ahead(engine, now.date())
    counts = {rule.what: _delete_by(engine, rule, now - rule.keep) for rule in rules_of(settings)}
    by_table = ", ".join(f"{count:,} of {what}" for what, count in counts.items() if count)
    session.add(OldRecordsDeleted(rows=sum(counts.values()), by_table=by_table, counts=counts))
    return counts


def _delete_by(engine: Engine, rule: Rule, before: datetime) -> int:
    total, deleted = 0, rule.piece
    while deleted == rule.piece:
        with engine.begin() as connection:
            deleted = rule.delete(connection, before, rule.piece)
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
    """Delete up to `most` folders of runs without output since `before`; return the number."""
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
