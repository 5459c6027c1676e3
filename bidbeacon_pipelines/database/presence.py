"""Records a heartbeat of this process every 30 seconds, with its host's clock offset."""

import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Final, Literal

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_pipelines.database.clock import CLOCKS_DIFFER_BY
from bidbeacon_pipelines.database.processes import record_process
from bidbeacon_pipelines.database.schema import list_revisions
from bidbeacon_sessions.connections import connect_args, parse_database_url

Kind = Literal["code server", "daemon", "stream", "webserver", "worker"]

BEAT_SECONDS: Final = 30
_DAGSTERS: Final[dict[Kind, str]] = {
    "code server": r"\bdagster (code-server start|api grpc)\b",
    "daemon": r"\bdagster-daemon run\b",
    "webserver": r"\bdagster-webserver\b",
}

logger = logging.getLogger(__name__)


def find_dagster_kind(arguments: Sequence[str]) -> Kind | None:
    """Return the long-lived process of Dagster that a command line starts, if any."""
    line = re.sub(r"\S*/| -m", "", " ".join(arguments[:5]))
    line = line.replace("dagster._daemon", "dagster-daemon").replace("_webserver", "-webserver")
    return next((kind for kind, words in _DAGSTERS.items() if re.search(words, line)), None)


def announce_dagster(database_url: str) -> None:
    """Store heartbeats if this is a long-lived process of Dagster; runs have sessions."""
    kind = find_dagster_kind(sys.orig_argv)
    if kind is not None:
        announce(kind, database_url)


@cache
def announce(kind: Kind, database_url: str) -> None:
    """Start a thread that stores heartbeats of this process, once."""
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
            logger.debug("The heartbeat could not be stored: %s", type(error).__name__)
        if kind == "daemon":
            _watch_clock(BEAT_SECONDS)
        else:
            threading.Event().wait(BEAT_SECONDS)


def _watch_clock(seconds: int) -> None:
    """Sleep for the given seconds; restart the daemon if its host's clock is set back.

    Dagster's daemon keeps the times of its next runs and ticks in memory. If the clock is set back,
    it would start nothing until these times.
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
    logger.warning("The host's clock was set back: Dagster's daemon starts again.")
    try:
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - our own command, without a shell
    except OSError as error:
        logger.exception("Dagster's daemon can't start again: restart it. %s", error.strerror)


def program_version() -> str:
    """Return the version of this program, with its newest migration."""
    return f"{version('bidbeacon')} ({list_revisions()[-1]})"
