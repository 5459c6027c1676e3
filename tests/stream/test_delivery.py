"""Nothing is lost and nothing invented, over real connections with real commits."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.queries import list_actions
from tests.stream.reading import Follow, Reader, load, wait_until
from tests.stream.writing import (
    commit_end,
    commit_session,
    write_action,
)

WRITERS = 16


class Writers:
    """Sixteen writers that wait between write and commit and roll one in ten back; they keep what was acknowledged."""

    def __init__(self, database_url: str) -> None:
        url = make_url(database_url).set(drivername="postgresql+psycopg")
        self.store = SessionStore(create_engine(url, pool_size=WRITERS))
        self.acknowledged: set[tuple[str, int]] = set()
        self.sessions: set[str] = set()

    def run(self, rounds: int = 25) -> None:
        """Write, all at once, and end when all have."""
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(lambda seed: self._write(random.Random(seed), rounds), range(WRITERS)))
        self.store.dispose()

    def _write(self, chance: random.Random, rounds: int) -> None:
        session_id = commit_session(self.store)
        self.sessions.add(str(session_id))
        for ord_ in range(1, rounds + 1):
            with self.store.engine.connect() as connection:
                write_action(connection, session_id, ord_)
                threading.Event().wait(chance.uniform(0, 0.05))
                if chance.random() < 0.1:
                    connection.rollback()
                else:
                    connection.commit()
                    self.acknowledged.add((str(session_id), ord_))
        commit_end(self.store, session_id)

    def are_known_to(self, reader: Reader) -> bool:
        """Return whether the reader's newest headers count every acknowledged action and every end."""
        shown = list(reader.sessions.values())
        counted = sum(session["action_count"] for session in shown)
        ended = [session for session in shown if session["status"] == "succeeded"]
        return counted == len(self.acknowledged) and WRITERS == len(ended) == len(shown)


@pytest.fixture
def writers(database_url: str) -> Writers:
    """Writers that have not begun."""
    return Writers(database_url)


@contextmanager
def writing(writers: Writers) -> Iterator[None]:
    """Let them write beside the block, which ends when they have."""
    thread = threading.Thread(target=writers.run)
    thread.start()
    yield
    thread.join()


def test_sixteen_writers_lose_nothing(
    session_store: SessionStore,
    writers: Writers,
    http: httpx.Client,
    follow: Follow,
    transport: str,
) -> None:
    """Every commit is heard once and no rollback is; views that were loaded in the middle of it end equal."""
    first = follow(transport, load(http))
    with writing(writers):
        wait_until(lambda: len(writers.acknowledged) > 30)
        late = [follow(transport, load(http)) for _ in range(2)]
    wait_until(lambda: all(writers.are_known_to(reader) for reader in (first, *late)))
    # A header counts actions that the next message brings.
    wait_until(lambda: len(first.actions) >= len(writers.acknowledged))

    assert (writers.acknowledged, writers.sessions) == (set(first.actions), set(first.sessions))
    for reader in (first, *late):
        assert [] == reader.faults
        # The list shows the last actions of a session only; whatever came after it must be there.
        assert reader.actions.keys() <= writers.acknowledged
    for session in first.sessions.values():
        assert session["action_count"] == _count_stored(session_store, session["id"])


def _count_stored(store: SessionStore, session_id: str) -> int:
    with store.begin() as connection:
        return len(list_actions(connection, UUID(session_id)))


def test_a_reader_that_is_cut_off_again_and_again_misses_nothing(
    writers: Writers, http: httpx.Client, follow: Follow
) -> None:
    """Going on from the last id, ten times over, adds up to everything."""
    cursor = load(http)["cursor"]
    seen: set[tuple[str, int]] = set()
    with writing(writers):
        for _ in range(10):
            reader = follow("sse", cursor=cursor)
            wait_until(lambda reader=reader: len(reader.heard) > 3)
            reader.close()
            seen |= reader.actions.keys()
            cursor = next(
                (identity for _, identity, _ in reversed(reader.heard) if identity), cursor
            )
    last = follow("sse", cursor=cursor)
    wait_until(lambda: seen | last.actions.keys() >= writers.acknowledged)

    assert writers.acknowledged == seen | last.actions.keys()


@pytest.mark.parametrize("others", [{}, {"job": "another"}], ids=["unfiltered", "filtered"])
def test_a_commit_between_page_load_and_connect_is_delivered(
    session_store: SessionStore,
    http: httpx.Client,
    follow: Follow,
    transport: str,
    others: dict[str, str],
) -> None:
    """The stream goes on exactly where the list ends, though others have long read further."""
    loaded = load(http)
    first = follow("sse", loaded, **others)
    between = commit_session(session_store)
    wait_until(lambda: first.has_synced_to(1))
    assert [] == first.faults

    reader = follow(transport, loaded)
    wait_until(lambda: str(between) in reader.sessions)
    assert [] == reader.faults


def test_a_filtered_reader_hears_of_its_sessions_only_and_when_they_leave(
    session_store: SessionStore, http: httpx.Client, follow: Follow, transport: str
) -> None:
    """`gone` comes when a session stops matching; others' changes are not heard."""
    query = {"job": "wanted", "status": "running"}
    reader = follow(transport, load(http, **query), **query)
    other = commit_session(session_store, job="other")
    wanted = commit_session(session_store, job="wanted")
    wait_until(lambda: str(wanted) in reader.sessions)
    commit_end(session_store, other)
    commit_end(session_store, wanted)
    wait_until(lambda: [str(wanted)] == reader.view.gone)

    assert str(other) not in {
        data["session"]["id"] for _, _, data in reader.events("job-sessions:updated")
    }


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        ("rubbish", "epoch"),
        (f"{UUID(int=7)}.1", "epoch"),
        ("{epoch}.999999", "epoch"),
        ("{epoch}.0", "expired"),
    ],
    ids=["malformed", "another epoch", "from the future", "trimmed away"],
)
def test_a_cursor_that_is_no_good_is_told_to_load_again(
    session_store: SessionStore,
    http: httpx.Client,
    follow: Follow,
    transport: str,
    cursor: str,
    reason: str,
) -> None:
    """The stream says `reset` with its reason, and ends; it never goes on silently."""
    watching = follow("sse", load(http))
    commit_session(session_store)
    commit_session(session_store)
    wait_until(lambda: 2 == len(watching.sessions))
    with session_store.begin() as connection:
        connection.execute(text("DELETE FROM session_changes WHERE position = 1"))
    newest = load(http)["cursor"]

    reader = follow(transport, cursor=cursor.format(epoch=newest.partition(".")[0]))
    assert reader.ended.wait(10)
    # On a slow machine a sync may come first; by the rules of SSE its id is then the last one of
    # the reset as well.
    *before, (event, identity, data) = reader.heard
    assert {"sync"} >= {name for name, *_ in before}
    assert ("reset", reason) == (event, data["reason"])
    assert identity in {None, *(last for _, last, _ in before)}
    assert data["cursor"] in {newest, None}


def test_a_new_epoch_resets_everybody(
    session_store: SessionStore, http: httpx.Client, follow: Follow, transport: str
) -> None:
    """After a restore open streams end with `reset`, and the next list goes on in the new epoch."""
    reader = follow(transport, load(http))
    wait_until(lambda: len(reader.heard) > 0)
    with session_store.begin() as connection:
        connection.execute(
            text(
                "UPDATE session_change_cursor SET published_snapshot = '900000000000:900000000000:'"
            )
        )
    assert reader.ended.wait(10)
    assert "epoch" == reader.heard[-1][2]["reason"]

    again = follow(transport, load(http))
    session_id = commit_session(session_store)
    wait_until(lambda: str(session_id) in again.sessions)


def test_a_reconnecting_browser_goes_on_after_its_last_event(
    session_store: SessionStore, http: httpx.Client, follow: Follow
) -> None:
    """`Last-Event-ID` counts more than the cursor in the address, which is older."""
    start = load(http)["cursor"]
    watching = follow("sse", cursor=start)
    commit_session(session_store)
    wait_until(lambda: watching.events("job-sessions:updated"))
    last = watching.events("job-sessions:updated")[-1][1]

    with http.stream(
        "GET", f"/api/job-sessions/stream?cursor={start}", headers={"Last-Event-ID": last}
    ) as response:
        lines = (line for line in response.iter_lines() if line.startswith("event:"))
        assert "event: sync" == next(lines)


def test_the_database_going_away_and_coming_back_loses_nothing(
    session_store: SessionStore,
    database_url: str,
    cluster_url: str,
    http: httpx.Client,
    follow: Follow,
) -> None:
    """While it is away `healthz` says so and streams stay open; afterwards they go on."""
    reader = follow("sse", load(http))
    name = make_url(database_url).database
    administer = create_engine(
        make_url(cluster_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with administer.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        connection.execute(
            text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        )
        wait_until(lambda: 503 == http.get("/healthz").status_code)
        wait_until(lambda: 503 == http.get("/readyz").status_code)
        wait_until(lambda: "away" in {data["database"] for _, _, data in reader.events("sync")})
        assert 503 == http.get("/api/job-sessions").status_code
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    administer.dispose()

    session_id = commit_session(session_store)
    wait_until(lambda: str(session_id) in reader.sessions)
    assert {"status": "ok"} == http.get("/healthz").json()
    assert not reader.ended.is_set()
