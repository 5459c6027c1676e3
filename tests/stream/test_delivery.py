"""Nothing is lost and nothing invented, over real connections with real commits."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.queries import list_actions
from bidbeacon_sessions.writes import close_session, insert_action
from tests.stream.asgi_servers import ON_BOTH
from tests.stream.writing import an_action, commit_session, start_session

pytestmark = ON_BOTH
Follow = Callable[..., Any]
WaitUntil = Callable[..., None]

NOW = datetime(2026, 7, 25, 14, 0, tzinfo=UTC)
WRITERS = 16


def add_action(store: SessionStore, session_id: UUID, ord_: int) -> None:
    """Write an action and commit."""
    with store.begin() as connection:
        insert_action(connection, session_id, an_action(ord_))


def end_session(store: SessionStore, session_id: UUID, status: str = "succeeded") -> None:
    """Close a session and commit."""
    with store.begin() as connection:
        close_session(connection, session_id, status=status, finished_at=datetime.now(UTC))


class Writers:
    """Sixteen writers that wait between write and commit and roll one in ten back; they keep what was acknowledged."""

    def __init__(self, database_url: str) -> None:
        url = make_url(database_url).set(drivername="postgresql+psycopg")
        self.store = SessionStore(create_engine(url, pool_size=WRITERS))
        self.acknowledged: set[tuple[str, int]] = set()
        self.sessions: set[str] = set()

    def run(self, rounds: int) -> None:
        """Write, all at once, and end when all have."""
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(lambda seed: self._write(random.Random(seed), rounds), range(WRITERS)))
        self.store.dispose()

    def _write(self, chance: random.Random, rounds: int) -> None:
        session_id = commit_session(self.store)
        self.sessions.add(str(session_id))
        for ord_ in range(1, rounds + 1):
            with self.store.engine.connect() as connection:
                insert_action(connection, session_id, an_action(ord_))
                threading.Event().wait(chance.uniform(0, 0.05))
                if chance.random() < 0.1:
                    connection.rollback()
                else:
                    connection.commit()
                    self.acknowledged.add((str(session_id), ord_))
        end_session(self.store, session_id)


def test_sixteen_writers_lose_nothing(
    session_store: SessionStore,
    database_url: str,
    http: httpx.Client,
    follow: Follow,
    wait_until: WaitUntil,
    transport: str,
) -> None:
    """The view of a reader that loads in the middle of it ends equal to what was acknowledged, without a gap."""
    writers = Writers(database_url)
    writing = threading.Thread(target=writers.run, args=(25,))
    writing.start()
    wait_until(lambda: len(writers.acknowledged) > 30)
    reader = follow(transport, http.get("/api/job-sessions").json())
    late = follow(transport, http.get("/api/job-sessions").json())
    writing.join()
    wait_until(lambda: _is_complete(reader, writers) and _is_complete(late, writers))

    assert [] == reader.faults + late.faults
    # The list shows the last actions of a session only; whatever came after it must be there.
    assert reader.actions.keys() <= writers.acknowledged
    for session in reader.sessions.values():
        stored = _stored_ords(session_store, session["id"])
        assert len(stored) == session["action_count"]
    heard = [
        (a["session_id"], a["ord"])
        for _, _, data in reader.events("job-sessions:updated")
        for a in data["actions"]
    ]
    assert len(heard) == len(set(heard)), "an action came twice over one connection"


def test_a_reader_that_was_there_from_the_start_hears_every_acknowledged_action(
    database_url: str, http: httpx.Client, follow: Follow, wait_until: WaitUntil
) -> None:
    """Every commit is heard once, nothing that was rolled back is, the first `from` follows the list, and no range is left out."""
    loaded = http.get("/api/job-sessions").json()
    reader = follow("sse", loaded)
    writers = Writers(database_url)
    writers.run(25)
    # A header counts actions that the next message brings.
    wait_until(lambda: _is_complete(reader, writers) and len(reader.actions) >= len(writers.acknowledged))

    assert writers.acknowledged == set(reader.actions)
    assert writers.sessions == set(reader.sessions)
    assert [] == reader.faults


def test_a_reader_that_is_cut_off_again_and_again_misses_nothing(
    database_url: str, http: httpx.Client, follow: Follow, wait_until: WaitUntil
) -> None:
    """Going on from the last id, ten times over, adds up to everything."""
    cursor = http.get("/api/job-sessions").json()["cursor"]
    writers = Writers(database_url)
    writing = threading.Thread(target=writers.run, args=(25,))
    writing.start()
    seen: set[tuple[str, int]] = set()
    for _ in range(10):
        reader = follow("sse", cursor=cursor)
        wait_until(lambda reader=reader: len(reader.heard) > 3)
        reader.close()
        seen |= reader.actions.keys()
        cursor = next((identity for _, identity, _ in reversed(reader.heard) if identity), cursor)
    writing.join()
    last = follow("sse", cursor=cursor)
    wait_until(lambda: seen | last.actions.keys() >= writers.acknowledged)

    assert writers.acknowledged == seen | last.actions.keys()


def test_both_transports_say_the_same(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil
) -> None:
    """Sessions and actions read over SSE and over WebSocket are equal."""
    loaded = http.get("/api/job-sessions").json()
    readers = [follow("sse", loaded), follow("websocket", loaded)]
    session_id = commit_session(session_store)
    add_action(session_store, session_id, 1)
    end_session(session_store, session_id)
    for reader in readers:
        # A header may come before the message that brings the action.
        wait_until(lambda reader=reader: _status(reader, session_id) == "succeeded" and reader.actions)

    assert readers[0].sessions == readers[1].sessions
    assert readers[0].actions == readers[1].actions
    assert "Closed as crashed: no 1" == readers[0].actions[str(session_id), 1]["text"]


def test_a_late_commit_is_delivered_late(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil, transport: str
) -> None:
    """A transaction that was open while newer ones were delivered comes when it commits."""
    reader = follow(transport, http.get("/api/job-sessions").json())
    with session_store.begin() as connection:
        late = start_session(connection)
        early = commit_session(session_store)
        wait_until(lambda: str(early) in reader.sessions)
        assert str(late) not in reader.sessions
    wait_until(lambda: str(late) in reader.sessions)


def test_a_commit_between_page_load_and_connect_is_delivered(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil, transport: str
) -> None:
    """The stream goes on exactly where the list ends, though others have long read further."""
    loaded = http.get("/api/job-sessions").json()
    first = follow("sse", loaded)
    between = commit_session(session_store)
    wait_until(lambda: str(between) in first.sessions)

    reader = follow(transport, loaded)
    wait_until(lambda: str(between) in reader.sessions)


def test_a_filtered_reader_hears_of_its_sessions_only_and_when_they_leave(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil, transport: str
) -> None:
    """`gone` comes when a session stops matching; others' changes are not heard."""
    query = {"job": "wanted", "status": "running"}
    reader = follow(transport, http.get("/api/job-sessions", params=query).json(), **query)
    other = commit_session(session_store, job="other")
    wanted = commit_session(session_store, job="wanted")
    wait_until(lambda: str(wanted) in reader.sessions)
    end_session(session_store, other)
    end_session(session_store, wanted)
    wait_until(lambda: [str(wanted)] == reader.gone)

    assert str(other) not in {data["session"]["id"] for _, _, data in reader.events("job-sessions:updated")}


def test_a_session_enters_a_filter_by_type_with_its_first_such_action(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil
) -> None:
    """A filter on the action's type is asked again at every change."""
    query = {"type": "session-finalized"}
    reader = follow("sse", http.get("/api/job-sessions", params=query).json(), **query)
    session_id = commit_session(session_store)
    add_action(session_store, session_id, 1)
    wait_until(lambda: str(session_id) in reader.sessions)


def test_sync_moves_a_filtered_reader_on(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil, transport: str
) -> None:
    """A reader that nothing matches for still gets newer cursors, and the server's time and lag."""
    reader = follow(transport, http.get("/api/job-sessions").json(), job="none such")
    commit_session(session_store)
    wait_until(lambda: any(identity.endswith(".1") for _, identity, _ in reader.events("sync")))

    data = reader.events("sync")[-1][2]
    assert {"cursor", "server_time", "lag_seconds", "database"} == data.keys()
    assert data["lag_seconds"] < 1.5


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
    wait_until: WaitUntil,
    transport: str,
    cursor: str,
    reason: str,
) -> None:
    """The stream says `reset` with its reason and ends; it never goes on silently."""
    watching = follow("sse", http.get("/api/job-sessions").json())
    session_id = commit_session(session_store)
    commit_session(session_store)
    wait_until(lambda: 2 == len(watching.sessions), seconds=5)
    assert str(session_id) in watching.sessions
    with session_store.begin() as connection:
        connection.execute(text("DELETE FROM session_changes WHERE position = 1"))
    newest = http.get("/api/job-sessions").json()["cursor"]

    reader = follow(transport, cursor=cursor.format(epoch=newest.partition(".")[0]))
    assert reader.ended.wait(10)
    # On a slow machine a sync may come first; by the rules of SSE its id is then the last one of the reset as well.
    *before, (event, identity, data) = reader.heard
    assert {"sync"} >= {name for name, *_ in before}
    assert ("reset", reason) == (event, data["reason"])
    assert identity in {None, *(last for _, last, _ in before)}
    assert data["cursor"] in {newest, None}


def test_a_new_epoch_resets_everybody(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil, transport: str
) -> None:
    """After a restore open streams end with `reset`, and the next list goes on in the new epoch."""
    reader = follow(transport, http.get("/api/job-sessions").json())
    wait_until(lambda: len(reader.heard) > 0)
    with session_store.begin() as connection:
        connection.execute(
            text("UPDATE session_change_cursor SET published_snapshot = '900000000000:900000000000:'")
        )
    assert reader.ended.wait(10)
    assert "epoch" == reader.heard[-1][2]["reason"]

    again = follow(transport, http.get("/api/job-sessions").json())
    session_id = commit_session(session_store)
    wait_until(lambda: str(session_id) in again.sessions)


def test_a_reconnecting_browser_goes_on_after_its_last_event(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil
) -> None:
    """`Last-Event-ID` counts more than the cursor in the address, which is older."""
    start = http.get("/api/job-sessions").json()["cursor"]
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
    wait_until: WaitUntil,
) -> None:
    """While it is away `healthz` says so and streams stay open; afterwards they go on."""
    reader = follow("sse", http.get("/api/job-sessions").json())
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


def _is_complete(reader: Any, writers: Writers) -> bool:
    """Return whether the reader's newest headers count every acknowledged action and every end."""
    counted = sum(session["action_count"] for session in reader.sessions.values())
    ended = all(session["status"] == "succeeded" for session in reader.sessions.values())
    return bool(counted == len(writers.acknowledged) and ended and len(reader.sessions) == WRITERS)


def _status(reader: Any, session_id: UUID) -> str | None:
    session = reader.sessions.get(str(session_id))
    return session["status"] if session else None


def _stored_ords(store: SessionStore, session_id: str) -> list[int]:
    with store.begin() as connection:
        return [row["ord"] for row in list_actions(connection, UUID(session_id))]
