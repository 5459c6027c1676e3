"""The stage of one test: a database of the suite's own cluster, the processes on it, its readers, and the judgement at the end."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
SEEN = ("connections", "loads", "reset epoch", "reset expired")


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
        self.folder = folder
        self.patience = patience
        self.database = cluster.make_database()
        self.url = cluster.url_of(self.database)
        self.writers: list[Program] = []
        self.faults: Counter[str] = Counter()
        self._code = code
        self._tell = tell
        self._journals: list[Path] = []
        self._programs: list[Program] = []
        self.followers: list[Reader] = []

    def server(self, url: str | None = None, **settings: str) -> Server:
        """Start a server; settings are environment variables without their prefix, in lower case."""
        environment = {f"BIDBEACON_{name.upper()}": value for name, value in settings.items()}
        made = Server(
            self._code, self.folder, {"BIDBEACON_DATABASE_URL": url or self.url, **environment}
        )
        self._programs.append(made)
        made.start()
        return made

    def stepper(self, how: str = "") -> Program:
        """Start a stepping process."""
        made = stepper(
            self.url, how, self._code, self.folder / f"stepper-{len(self._programs)}.log"
        )
        self._programs.append(made)
        made.start()
        return made

    def writer(self, *, sessions: int = 2, actions: int = 60, wait: float = 0.05) -> Program:
        """Start a writing process."""
        number = len(self.writers)
        journal = self.folder / f"journal-{number}"
        journal.touch()
        options = {
            "url": self.url,
            "journal": str(journal),
            "seed": number,
            "job": JOBS[number % 2],
            "sessions": sessions,
            "actions": actions,
            "wait": wait,
        }
        made = writer(options, self._code, self.folder / f"writer-{number}.log")
        self.writers.append(made)
        self._journals.append(journal)
        self._programs.append(made)
        made.start()
        return made

    def follow(self, *servers: Server, transport: str = "sse", **options: Any) -> Reader:
        """Open a reader, and wait until it has loaded the list and is connected."""
        made = self.begin_to_follow(*servers, transport=transport, **options)
        wait_until(lambda: made.counts["connections"] > 0, "the reader is connected", seconds=60)
        return made

    def begin_to_follow(self, *servers: Server, transport: str = "sse", **options: Any) -> Reader:
        """Open a reader that may still be loading."""
        made = Reader([server.base_url for server in servers], transport, **options)
        self.followers.append(made)
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

    @property
    def is_writing(self) -> bool:
        """Whether a writer lives."""
        return any(one.ended is None for one in self.writers)

    def wait_for_writers(self, seconds: float = 120) -> None:
        """Wait until all writers that were not killed have written everything."""
        wait_until(lambda: not self.is_writing, "all is written", seconds=seconds)

    def wait_for_commits(self, number: int, seconds: float = 60) -> None:
        """Wait until so many more actions are acknowledged."""
        goal = self.count_acknowledged() + number
        wait_until(
            lambda: self.count_acknowledged() >= goal or not self.is_writing,
            f"{number} more commits",
            seconds=seconds,
        )
        assert self.count_acknowledged() >= goal, self._said()

    def pause(self, seconds: float) -> None:
        """Let a moment pass between two faults."""
        threading.Event().wait(seconds)

    def end_prepared(self) -> int:
        """Commit what killed writers left prepared; return how many."""
        found = self.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
        with psycopg.connect(self.url, autocommit=True) as connection:
            for (name,) in found:
                connection.execute(f"COMMIT PREPARED '{name}'".encode())
        return len(found)

    def commit(
        self,
        *,
        job: str = "the-end",
        url: str | None = None,
        input: dict[str, Any] | None = None,  # noqa: A002 - as of sessions
    ) -> str:
        """Commit a session with an action; return its id."""
        store = SessionStore.connect(url or self.url)
        new = NewSession(id=uuid4(), job_name=job, started_at=datetime.now(UTC), input=input or {})
        action = NewAction(
            ord=1,
            type="thing-done",
            tone="neutral",
            at=new.started_at,
            payload={},
        )
        with store.begin() as connection:
            insert_session(connection, new)
            assert insert_action(connection, new.id, action)
        store.dispose()
        return str(new.id)

    def newest_transaction(self, url: str | None = None) -> int:
        """Return how many transactions a cluster has begun."""
        return int(
            self.rows(
                "SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)", url
            )[0][0]
        )

    def rows(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Send one statement; return its rows."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def transaction(self, url: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Open a transaction, which is undone at the end unless it was committed."""
        with psycopg.connect(url or self.url) as connection:
            yield connection
            connection.rollback()

    def settle(self, followers: Sequence[Reader] | None = None, url: str | None = None) -> None:
        """Commit a last session, and wait until readers know all that was published up to it."""
        last = self.commit(url=url)
        published = f"SELECT max(position) FROM session_changes WHERE session_id = '{last}'"
        wait_until(
            lambda: self.rows(published, url)[0][0] is not None,
            "the last is published",
            self.patience,
        )
        [(position,)] = self.rows(published, url)
        [(epoch,)] = self.rows("SELECT CAST(epoch AS text) FROM session_change_cursor", url)
        for follower in self.followers if followers is None else followers:
            try:
                wait_until(
                    lambda view=follower.view: _knows(view.cursor, epoch, position),
                    f"the reader knows position {position} of {epoch}",
                    self.patience,
                )
            except AssertionError as error:
                raise AssertionError(f"{error}, but {follower.view.cursor}: {follower}") from None

    def judge(self, followers: Sequence[Reader] | None = None, *, url: str | None = None) -> None:
        """Compare writers' lists, tables, log and readers."""
        stored = Stored.read(url or self.url)
        faults = (
            writers_faults(self.acknowledged, stored)
            + log_faults(url or self.url)
            + self._unforeseen()
        )
        for follower in self.followers if followers is None else followers:
            faults += view_faults(follower.view, stored, follower.filters)
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

    def _unforeseen(self) -> list[str]:
        """Return the servers that met an error nobody had thought of, even where they went on after it."""
        servers = [one for one in self._programs if isinstance(one, Server)]
        return [
            f"{one.log} has a traceback" for one in servers if "Traceback" in one.log.read_text()
        ]

    def _count(self) -> Counter[str]:
        """Count what was written, and what happened to readers."""
        acknowledged = self.acknowledged
        told = Counter(
            {word: len(acknowledged.places(word)) for word in ("acknowledged", "undone", "tried")}
        )
        told["readers"] = len(self.followers)
        for follower in self.followers:
            told += Counter({name: many for name, many in follower.counts.items() if name in SEEN})
        return told

    def _said(self) -> str:
        return "\n".join(path.read_text()[-2_000:] for path in self.folder.glob("writer-*.log"))

    def close(self) -> None:
        """End all processes and readers, and take the database away."""
        for follower in self.followers:
            follower.stop()
        for program in self._programs:
            program.kill()
        self.cluster.start()
        self.end_prepared()
        self.cluster.drop_database(self.database)


def _knows(cursor: str | None, epoch: str, position: int) -> bool:
    known, _, place = (cursor or "").partition(".")
    return known == epoch and int(place) >= position
