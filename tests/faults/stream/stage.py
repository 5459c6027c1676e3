"""The stage of one test: a database of the suite's own cluster, the processes on it, its readers, and the judgement at the end."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.writes import NewAction, NewSession, insert_action, insert_session
from tests.dagster.world import wait_until
from tests.faults.stream.stream_cluster import StreamCluster
from tests.faults.stream.stream_followers import Reader
from tests.faults.stream.stream_oracle import (
    Acknowledged,
    Stored,
    log_faults,
    summary,
    view_faults,
    writers_faults,
)
from tests.faults.stream.stream_programs import Program, Server, stepper, writer

JOBS = ("job-a", "job-b")
ANY_BACKEND = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"""
COUNTED = ("connections", "loads", "reset epoch", "reset expired")


class Stage:
    """Starts what a test needs, and ends it.

    Args:
        cluster: the server of the suite.
        folder: for logs and the writers' lists.
        code: the folder that processes import our packages from; another one for a mutation.
        patience: for how many seconds readers are waited for.
        tell: is told in words what was written and what happened to readers, each time that all was
            well.
    """

    def __init__(
        self,
        cluster: StreamCluster,
        folder: Path,
        *,
        code: Path = PROJECT_ROOT,
        patience: float = 60,
        tell: Callable[[str], None] = str,
    ) -> None:
        self.cluster = cluster
        self.database = cluster.make_database()
        self.url = cluster.url_of(self.database)
        self.writers: list[Program] = []
        self.readers: list[Reader] = []
        self.faults: Counter[str] = Counter()
        self._folder = folder
        self._code = code
        self._patience = patience
        self._tell = tell
        self._journals: list[Path] = []
        self._programs: list[Program] = []

    def server(self) -> Server:
        """Start a server."""
        made = Server(self._code, self._folder, {"BIDBEACON_DATABASE_URL": self.url})
        self._start(made)
        return made

    def stepper(self, how: str = "") -> Program:
        """Start a stepping process."""
        log = self._folder / f"stepper-{len(self._programs)}.log"
        return self._start(stepper(self.url, how, self._code, log))

    def writer(self, *, sessions: int = 2, actions: int = 60, wait: float = 0.05) -> Program:
        """Start a writing process."""
        number = len(self.writers)
        journal = self._folder / f"journal-{number}"
        journal.touch()
        self._journals.append(journal)
        counts = {"sessions": sessions, "actions": actions, "wait": wait}
        own = {"url": self.url, "journal": str(journal), "seed": number, "job": JOBS[number % 2]}
        made = writer(own | counts, self._code, self._folder / f"writer-{number}.log")
        self.writers.append(made)
        return self._start(made)

    def _start(self, program: Program) -> Program:
        self._programs.append(program)
        program.start()
        return program

    def follow(
        self, *servers: Server, transport: str = "sse", waits: bool = True, **options: Any
    ) -> Reader:
        """Open a reader, and wait until it has loaded the list and is connected."""
        made = Reader([server.base_url for server in servers], transport, **options)
        self.readers.append(made)
        if waits:
            wait_until(lambda: made.counts["connections"] > 0, "the reader is connected", 60)
        return made

    def follow_both(self, *servers: Server, **options: Any) -> list[Reader]:
        """Open a reader over each transport."""
        return [self.follow(*servers, transport=name, **options) for name in ("sse", "websocket")]

    @property
    def acknowledged(self) -> Acknowledged:
        """What the writers have been told so far."""
        read = Acknowledged()
        read.read(self._journals)
        return read

    def count_acknowledged(self) -> int:
        """Count the actions that were acknowledged so far."""
        return sum(place[1] > 0 for place in self.acknowledged.places("acknowledged"))

    def wait_for_writers(self, seconds: float = 120) -> None:
        """Wait until all writers that were not killed have written everything."""
        wait_until(lambda: not self._is_writing, "all is written", seconds=seconds)

    def wait_for_commits(self, number: int) -> None:
        """Wait until so many more actions are acknowledged."""
        goal = self.count_acknowledged() + number
        wait_until(
            lambda: self.count_acknowledged() >= goal or not self._is_writing,
            f"{number} more commits",
            seconds=60,
        )
        assert self.count_acknowledged() >= goal, self._said()

    @property
    def _is_writing(self) -> bool:
        return any(one.ended is None for one in self.writers)

    def pause(self, seconds: float) -> None:
        """Let a moment pass between two faults."""
        threading.Event().wait(seconds)

    def commit(
        self,
        *,
        job: str = "the-end",
        url: str | None = None,
        input: dict[str, Any] | None = None,  # noqa: A002 - as of sessions
    ) -> str:
        """Commit a session with an action; return its id."""
        now = datetime.now(UTC)
        new = NewSession(id=uuid4(), job_name=job, started_at=now, input=input or {})
        action = NewAction(ord=1, type="thing-done", tone="neutral", at=now, payload={})
        store = SessionStore.connect(url or self.url)
        with store.begin() as connection:
            insert_session(connection, new)
            assert insert_action(connection, new.id, action)
        store.dispose()
        return str(new.id)

    def rows(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Send one statement; return its rows."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def settle(self, readers: Sequence[Reader] | None = None, url: str | None = None) -> None:
        """Commit a last session, and wait until readers know all that was published up to it."""
        last = self.commit(url=url)
        published = f"SELECT max(position) FROM session_changes WHERE session_id = '{last}'"
        wait_until(
            lambda: self.rows(published, url)[0][0] is not None,
            "the last is published",
            self._patience,
        )
        [(position,)] = self.rows(published, url)
        [(epoch,)] = self.rows("SELECT CAST(epoch AS text) FROM session_change_cursor", url)
        for reader in self.readers if readers is None else readers:
            told = f"{reader} knows position {position} of {epoch}"
            wait_until(
                lambda view=reader.view: _knows(view.cursor, epoch, position), told, self._patience
            )

    def judge(self, readers: Sequence[Reader] | None = None, *, url: str | None = None) -> None:
        """Compare writers' lists, tables, log and readers."""
        stored = Stored.read(url or self.url)
        faults = writers_faults(self.acknowledged, stored) + log_faults(url or self.url)
        faults += [
            f"{one.log} has a traceback"
            for one in self._programs
            if isinstance(one, Server) and "Traceback" in one.log.read_text()
        ]
        for reader in self.readers if readers is None else readers:
            faults += view_faults(reader.view, stored, reader.filters)
        assert not faults, summary(faults)
        told = self._count() + self.faults
        self._tell(", ".join(f"{number:,} {name}" for name, number in told.items()))

    def stop_writing(self) -> None:
        """Kill the writers in the middle of what they do."""
        for one in self.writers:
            one.kill()

    def finish(self) -> None:
        """Wait for the writers and readers, and judge."""
        self.wait_for_writers()
        assert {0, -9} >= {one.ended for one in self.writers}, self._said()
        self.end_prepared()
        self.settle()
        self.judge()

    def end_prepared(self) -> None:
        """Commit what killed writers left prepared."""
        found = self.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
        for (name,) in found:
            self.rows(f"COMMIT PREPARED '{name}'")

    def _count(self) -> Counter[str]:
        """Count what was written, and what happened to readers."""
        words, acknowledged = ("acknowledged", "undone", "tried"), self.acknowledged
        told = Counter({word: len(acknowledged.places(word)) for word in words})
        told["readers"] = len(self.readers)
        for reader in self.readers:
            told += Counter({name: reader.counts[name] for name in COUNTED})
        return told

    def _said(self) -> str:
        return "\n".join(path.read_text()[-2_000:] for path in self._folder.glob("writer-*.log"))

    def close(self) -> None:
        """End all processes and readers, and drop the database."""
        for reader in self.readers:
            reader.stop()
        for program in self._programs:
            program.kill()
        self.cluster.start()
        self.end_prepared()
        self.cluster.drop_database(self.database)


def _knows(cursor: str | None, epoch: str, position: int) -> bool:
    known, _, place = (cursor or "").partition(".")
    return known == epoch and int(place) >= position
