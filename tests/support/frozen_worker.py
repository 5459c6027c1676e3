"""`python -m tests.support.frozen_worker JSON`: loads one report in a session, and halts once at a place inside, until a line comes in.

It prints `halted` there. What it is halted in, a test then freezes.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore, with_job_session

STATEMENT = "UPDATE report_windows"
"""Near the end of a load: all rows are written, nothing is committed."""

_halted = False


def halt() -> None:
    """Halt until a line comes in; only the first time."""
    global _halted  # noqa: PLW0603 - one process, one halt
    if not _halted:
        _halted = True
        sys.stdout.write("halted\n")
        sys.stdout.flush()
        sys.stdin.readline()


class HaltingCopy:
    """A COPY that halts in the middle of the first lines it sends."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self._copy = copy

    def write(self, lines: bytes) -> None:
        """Send half of it, halt, and send the rest."""
        self._copy.write(lines[: len(lines) // 2])
        halt()
        self._copy.write(lines[len(lines) // 2 :])


class HaltingCursor(psycopg.Cursor[Any]):
    """A cursor whose COPY halts."""

    @contextmanager
    def copy(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Begin a COPY."""
        with super().copy(*args, **kwargs) as copy:
            yield HaltingCopy(copy)


def halt_in_copy(driver: psycopg.Connection[Any], *_: object) -> None:
    """Let the COPY of a connection halt, also of one that was made when the definitions were loaded."""
    driver.cursor_factory = HaltingCursor


def halt_between_statements(_: Any, __: Any, statement: str, *___: Any) -> None:
    """Halt where the next statement is the one that a load ends its windows with."""
    if STATEMENT in statement:
        halt()


def prepare(engine: Engine, place: str) -> None:
    """Let what an engine does halt at a place: `copy` or `statement`."""
    if place == "copy":
        event.listen(engine, "checkout", halt_in_copy)
    else:
        event.listen(engine, "before_cursor_execute", halt_between_statements)


def main() -> None:
    """Load the report."""
    given = json.loads(sys.argv[1])
    engine = make_engine(given["database_url"])
    prepare(engine, given["place"])
    now = datetime.fromisoformat(given["now"])
    with (
        AdsApiClient(SANDBOX_CREDENTIAL, Endpoints.sandbox(given["sandbox_url"])) as client,
        with_job_session("frozen-load", store=SessionStore(engine)) as session,
    ):
        context = JobContext(
            engine, lambda _: client, Settings(home=Path(given["home"])), clock=lambda: now
        )
        drive_request(context, session, given["request_id"])


if __name__ == "__main__":
    main()
