"""Readers who come back after a while get what they missed part by part, beside those who were there all the time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import hub
from bidbeacon_sessions.server.log_reader import Tailer
from bidbeacon_sessions.writes import NewSession, insert_session

Follow = Callable[..., Any]
WaitUntil = Callable[..., None]


def commit_sessions(store: SessionStore, count: int) -> list[str]:
    """Write sessions, each in a transaction of its own; give their ids."""
    ids = [uuid4() for _ in range(count)]
    for session_id in ids:
        with store.begin() as connection:
            insert_session(
                connection, NewSession(id=session_id, job_name="job", started_at=datetime.now(UTC))
            )
    return [str(session_id) for session_id in ids]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[UUID, int, int]]:
    """Keeps what is read for those who come back: epoch, position, and how many at most; two changes at once."""
    monkeypatch.setattr(hub, "CATCH_UP_ALONE", 2)
    monkeypatch.setattr(hub, "CATCH_UP_BESIDE", 2)
    kept: list[tuple[UUID, int, int]] = []
    catch_up = Tailer.catch_up

    def noting(self: Tailer, cursor: Any, newest: Any, wanted: Any, most: int) -> Any:
        kept.append((cursor.epoch, cursor.position, most))
        return catch_up(self, cursor, newest, wanted, most)

    monkeypatch.setattr(Tailer, "catch_up", noting)
    return kept


def test_what_was_missed_comes_in_parts_without_a_gap(
    session_store: SessionStore,
    reads: list[tuple[UUID, int, int]],
    http: httpx.Client,
    follow: Follow,
    wait_until: WaitUntil,
    transport: str,
) -> None:
    """Seven changes, two at a time: each range goes on where the one before ended, and what comes meanwhile comes too."""
    loaded = http.get("/api/job-sessions").json()
    watching = follow("sse", loaded)
    missed = commit_sessions(session_store, 7)
    wait_until(lambda: set(missed) == set(watching.sessions))
    reads.clear()  # on a slow machine that one came back as well
    reader = follow(transport, loaded)
    meanwhile = commit_sessions(session_store, 3)
    wait_until(lambda: {*missed, *meanwhile} == set(reader.sessions))

    assert [] == reader.faults
    assert 1 == reader.events("job-sessions:updated")[0][2]["from"]
    assert [0, 2, 4] == [position for _, position, _ in reads][:3]


MANY = 10_500


def test_a_reader_that_missed_more_than_ten_thousand_changes_gets_them_all(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil, transport: str
) -> None:
    """As long as the log has them, nobody has to load again for how much it missed."""
    loaded = http.get("/api/job-sessions").json()
    with session_store.begin() as connection:
        connection.execute(
            text("""INSERT INTO session_headers (id, job_name, started_at)
                    SELECT gen_random_uuid(), 'job', now() FROM generate_series(1, :many)"""),
            {"many": MANY},
        )
    wait_until(lambda: http.get("/api/job-sessions").json()["cursor"].endswith(f".{MANY}"))
    reader = follow(transport, loaded)
    wait_until(lambda: MANY == len(reader.sessions) or reader.ended.is_set(), seconds=60)

    assert [] == reader.faults + reader.events("reset")
    assert MANY == len(reader.sessions)


def test_a_filtered_reader_keeps_nobody_from_coming_back(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil, transport: str
) -> None:
    """Also where nothing happens any more, and so nothing new is read for anybody."""
    loaded = http.get("/api/job-sessions").json()
    missed = commit_sessions(session_store, 3)
    filtered = follow("sse", job="another")
    wait_until(lambda: bool(filtered.events("sync")))
    reader = follow(transport, loaded)
    wait_until(lambda: set(missed) == set(reader.sessions))

    assert [] == reader.faults + filtered.faults
    assert {} == filtered.sessions


def test_readers_who_come_back_together_are_read_for_once(
    session_store: SessionStore,
    http: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    reads: list[tuple[UUID, int, int]],
    follow: Follow,
    wait_until: WaitUntil,
) -> None:
    """As all do after a restart: one look at the log serves all that stand at the same place."""
    loaded = http.get("/api/job-sessions").json()
    [missed] = commit_sessions(session_store, 1)
    wait_until(lambda: http.get("/api/job-sessions").json()["cursor"] != loaded["cursor"])
    turn = hub.Hub._turn

    async def together(self: hub.Hub) -> bool:
        return False if len(self._joining) in {1, 2} else await turn(self)

    monkeypatch.setattr(hub.Hub, "_turn", together)
    # All three are let in at one turn, however slow the machine.
    monkeypatch.setattr(hub, "CATCH_UP_SECONDS", 60)
    readers = [follow("sse", loaded) for _ in range(3)]
    wait_until(lambda: all(missed in reader.sessions for reader in readers))

    assert 1 == len(reads)
