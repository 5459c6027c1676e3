"""The stage of one test: a database of the suite's own cluster, the processes on it, its readers, and the judgement at the end."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from bidbeacon_sessions import SessionStore
from tests.faults.stream.stream_cluster import StreamCluster
from tests.faults.stream.stream_followers import LastingReader
from tests.faults.stream.stream_oracle import (
    Acknowledged,
    Stored,
    log_faults,
    summary,
    view_faults,
    writers_faults,
)
from tests.faults.stream.stream_programs import Server
from tests.stream.writing import start_session, write_action
from tests.support.processes import Program
from tests.support.waiting import wait_until

JOBS = ("job-a", "job-b")
HERE = Path(__file__).parent


class Stage:
    """Starts what a test needs, and ends it.

    Args:
        cluster: the server of the suite.
        folder: for logs and the writers' lists.
        tell: is told in words what was written and what happened, each time that all was well.
    """

    def __init__(
        self,
        cluster: StreamCluster,
        folder: Path,
        *,
        tell: Callable[[str], None],
    ) -> None:
        self.cluster = cluster
        self.database = cluster.make_database()
        self.url = cluster.url(self.database)
        self.folder = folder
        self.servers: list[Server] = []
        self.writers: list[Program] = []
        self.readers: list[LastingReader] = []
        self.faults: Counter[str] = Counter()
        self._tell = tell
        self._logs = count()
        self._ends = ExitStack()
        self._ends.callback(cluster.administer, f"DROP DATABASE {self.database} WITH (FORCE)")
        self._ends.callback(self.end_prepared)

    def server(self) -> Server:
        """Start a server."""
        self.servers.append(Server(self.folder, self.url))
        self._start(self.servers[-1])
        return self.servers[-1]

    def stepper(self, *how: str) -> Program:
        """Start a stepping process."""
        return self._run("stepping_program.py", self.url, *how)

    def writer(
        self, processes: int = 1, *, sessions: int = 2, actions: int = 60, wait: float = 0.05
    ) -> Program:
        """Start one or more writing processes; return the last."""
        asked = {"url": self.url, "sessions": sessions, "actions": actions, "wait": wait}
        for number in range(len(self.writers), len(self.writers) + processes):
            journal = self.folder / f"journal-{number}"
            journal.touch()
            own = {"journal": str(journal), "seed": number, "job": JOBS[number % 2]}
            self.writers.append(self._run("writing_program.py", json.dumps(asked | own)))
        return self.writers[-1]

    def _run(self, program: str, *arguments: str) -> Program:
        log = self.folder / f"{program}-{next(self._logs)}.log"
        return self._start(Program([str(HERE / program), *arguments], log))

    def _start(self, program: Program) -> Program:
        self._ends.callback(program.kill)
        program.start()
        return program

    def follow(self, *servers: Server, transport: str = "sse", **options: Any) -> LastingReader:
        """Open a reader, and wait until it has loaded the list and is connected."""
        made = LastingReader([server.base_url for server in servers], transport, **options)
        self.readers.append(made)
        self._ends.callback(made.close)
        wait_until(lambda: made.counts["connections"] > 0, "the reader is connected", 60)
        return made

    def follow_both(self, *servers: Server, **options: Any) -> list[LastingReader]:
        """Open a reader over each transport."""
        return [self.follow(*servers, transport=name, **options) for name in ("sse", "websocket")]

    @property
    def acknowledged(self) -> Acknowledged:
        """What the writers have been told so far."""
        return Acknowledged(self.folder.glob("journal-*"))

    def count_acknowledged(self) -> int:
        """Count the actions that were acknowledged so far."""
        return sum(place[1] > 0 for place in self.acknowledged.places("acknowledged"))

    def wait_for_writers(self) -> None:
        """Wait until all writers that were not killed have written everything, and commit what killed ones left prepared."""
        wait_until(lambda: not self._is_writing, "all is written", seconds=120)
        assert {0, -9} >= {one.ended for one in self.writers}, self._said()
        self.end_prepared()

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

    def _said(self) -> str:
        return "\n".join(path.read_text()[-2_000:] for path in self.folder.glob("writing*.log"))

    def commit(self, *, job: str = "the-end", **given: Any) -> str:
        """Commit a session with an action; return its id."""
        store = SessionStore.connect(self.url)
        with store.begin() as connection:
            session_id = start_session(connection, job=job, **given)
            write_action(connection, session_id, 1)
        store.dispose()
        return str(session_id)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Send one statement; return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def settle(self, readers: Sequence[LastingReader] | None = None) -> None:
        """Commit a last session, and wait until readers know all that was published up to it."""
        last = self.commit()
        published = f"""
            SELECT max(CAST(epoch AS text)), max(c.position) FROM session_changes c, session_change_cursor
             WHERE session_id = '{last}' HAVING count(*) > 0"""
        wait_until(lambda: bool(self.rows(published)), "the last is published", 60)
        [(epoch, position)] = self.rows(published)
        for reader in self.readers if readers is None else readers:
            told = f"{reader} knows position {position} of {epoch}"
            wait_until(partial(reader.view.knows, epoch, position), told, 60)

    def judge(self) -> None:
        """Compare writers' lists, tables, log and readers."""
        stored = Stored.read(self.url)
        faults = writers_faults(self.acknowledged, stored) + log_faults(self.url)
        logs = [server.log for server in self.servers]
        faults += [f"{log} has a traceback" for log in logs if "Traceback" in log.read_text()]
        told = Counter(self.acknowledged.words.values()) + self.faults
        for reader in self.readers:
            faults += view_faults(reader.view, stored, reader.filters)
            told += reader.counts
        assert not faults, summary(faults)
        self._tell(", ".join(f"{number:,} {name}" for name, number in told.items()))

    def stop_writing(self) -> None:
        """Kill the writers in the middle of what they do."""
        for one in self.writers:
            one.kill()

    def finish(self) -> None:
        """Wait for the writers and readers, and judge."""
        self.wait_for_writers()
        self.settle()
        self.judge()

    def end_prepared(self) -> None:
        """Commit what killed writers left prepared."""
        found = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
        with psycopg.connect(self.cluster.url(self.database), autocommit=True) as connection:
            for (name,) in connection.execute(found).fetchall():
                connection.execute(f"COMMIT PREPARED '{name}'".encode())

    def close(self) -> None:
        """End all processes and readers, and drop the database."""
        self._ends.close()
