"""Heartbeats of long-lived processes every 30 seconds, with the host's clock error."""

import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version
from typing import Final, Literal

from sqlalchemy import Connection, NullPool, RowMapping, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_pipelines.database.clock import CLOCKS_DIFFER_BY
from bidbeacon_pipelines.database.schema import list_revisions
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.connections import connect_args, parse_database_url

Kind = Literal["code server", "daemon", "stream", "webserver", "worker"]

BEAT_SECONDS: Final = 30
_DAGSTERS: Final[dict[Kind, str]] = {
    "code server": r"\bdagster (code-server start|api grpc)\b",
    "daemon": r"\bdagster-daemon run\b",
    "webserver": r"\bdagster-webserver\b",
}

_RECORD = text("""
    INSERT INTO processes (kind, host, pid, version, started_at, seen_at, clock_ahead_by)
    VALUES (:kind, :host, :pid, :version, clock_timestamp(), clock_timestamp(),
            CAST(:host_now AS timestamptz) - clock_timestamp())
        ON CONFLICT (kind, host, pid) DO UPDATE
       SET version = excluded.version, seen_at = excluded.seen_at,
           clock_ahead_by = excluded.clock_ahead_by,
           started_at =
               CASE WHEN :is_start THEN excluded.started_at ELSE processes.started_at END""")
_LIST = text("""
    SELECT kind, host, pid, version, started_at, seen_at, clock_ahead_by,
           clock_timestamp() - seen_at AS silent_for
      FROM processes WHERE seen_at > clock_timestamp() - CAST(:within AS interval)
     ORDER BY kind, host, pid""")

logger = logging.getLogger(__name__)


def find_dagster_kind(arguments: Sequence[str]) -> Kind | None:
    """Return the kind of Dagster process that a command line starts; None if short-lived."""
    line = re.sub(r"\S*/| -m", "", " ".join(arguments[:5]))
    line = line.replace("dagster._daemon", "dagster-daemon").replace("_webserver", "-webserver")
    return next((kind for kind, words in _DAGSTERS.items() if re.search(words, line)), None)


def announce_dagster(database_url: str) -> None:
    """Start the heartbeats if this is a long-lived process of Dagster, not a run."""
    kind = find_dagster_kind(sys.orig_argv)
    if kind is not None:
        announce(kind, database_url)


@cache
def announce(kind: Kind, database_url: str) -> None:
    """Start a thread that stores heartbeats of this process; later calls do nothing."""
    thread = threading.Thread(target=_beat, args=(kind, database_url), name="presence", daemon=True)
    thread.start()


def _beat(kind: Kind, database_url: str) -> None:
    url = parse_database_url(database_url)
    # No pool: Celery forks its processes from this one, and they must not share a connection.
    engine = create_engine(url, poolclass=NullPool, connect_args=connect_args(url))
    this = (kind, socket.gethostname(), os.getpid(), program_version())
    is_start = True
    while True:
        try:
            with engine.begin() as connection:
                record_process(connection, *this, is_start=is_start)
            is_start = False
        except SQLAlchemyError as error:
            logger.debug(
                "The heartbeat of this process could not be stored: %s", type(error).__name__
            )
        if kind == "daemon":
            _watch_clock(BEAT_SECONDS)
        else:
            threading.Event().wait(BEAT_SECONDS)


def _watch_clock(seconds: int) -> None:
    """Sleep for the given seconds; restart Dagster's daemon if the host's clock is set back.

    The daemon has the times of its next runs and ticks in memory. After the clock is set back, it
    would start nothing until the clock reaches these times again.
    """
    highest = _clock_offset()
    for _ in range(seconds):
        threading.Event().wait(1)
        offset = _clock_offset()
        if offset < highest - CLOCKS_DIFFER_BY.total_seconds():
            _start_again()
        highest = max(highest, offset)


def _clock_offset() -> float:
    return time.time() - time.monotonic()


def _start_again() -> None:
    logger.warning("The host's clock was set back: restarting Dagster's daemon.")
    try:
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - our own command, without a shell
    except OSError as error:
        logger.exception(
            "Dagster's daemon can't be restarted (%s): restart it by hand", error.strerror
        )


def program_version() -> str:
    """Return the version of this program and its newest migration: `1.0.0 (0001)`."""
    return f"{version('bidbeacon')} ({list_revisions()[-1]})"


def record_process(
    connection: Connection, kind: str, host: str, pid: int, version: str, *, is_start: bool
) -> None:
    """Store a process's heartbeat at the database's time; `is_start` marks the first one."""
    values = {"kind": kind, "host": host, "pid": pid, "version": version, "is_start": is_start}
    connection.execute(_RECORD, values | {"host_now": utc_now()})


def list_processes(connection: Connection, *, within: timedelta) -> list[RowMapping]:
    """Return processes whose last heartbeat (age: silent_for) is younger than `within`."""
    return list(connection.execute(_LIST, {"within": within}).mappings())


def delete_silent_processes(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` processes without a heartbeat since `before`; return the number."""
    deleted = connection.execute(
        text("""
            DELETE FROM processes
             WHERE ctid = ANY (ARRAY(
                   SELECT ctid FROM processes WHERE seen_at < :before
                    LIMIT :limit FOR UPDATE SKIP LOCKED))"""),
        {"before": before, "limit": limit},
    )
    return deleted.rowcount
