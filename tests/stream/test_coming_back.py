"""Readers who come back after a while get all that they missed, beside those who were there all the time."""

from collections.abc import Callable
from typing import Any

import httpx
from sqlalchemy import text

from bidbeacon_sessions import SessionStore
from tests.stream.writing import commit_sessions

Follow = Callable[..., Any]
WaitUntil = Callable[..., None]


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
    wait_until(lambda: set(map(str, missed)) == set(reader.sessions))

    assert [] == reader.faults + filtered.faults
    assert {} == filtered.sessions
