"""What `/metrics` says of resets and of how late the stream is."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.writes import NewSession, insert_session

Follow = Callable[..., Any]
WaitUntil = Callable[..., None]
REASONS = ("epoch", "expired", "overflow")


def metrics(http: httpx.Client) -> dict[str, float]:
    """Give every value by its name."""
    lines = [line for line in http.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def resets(http: httpx.Client) -> dict[str, float]:
    """Give how many streams were told to load again, by reason."""
    values = metrics(http)
    return {reason: values[f'bidbeacon_stream_resets_total{{reason="{reason}"}}'] for reason in REASONS}


def lag(http: httpx.Client) -> float:
    """Give how late the stream is, in seconds."""
    return metrics(http)["bidbeacon_stream_lag_seconds"]


def commit_session(store: SessionStore) -> None:
    """Write a session and commit."""
    with store.begin() as connection:
        insert_session(connection, NewSession(id=uuid4(), job_name="job", started_at=datetime.now(UTC)))


def test_streams_that_were_told_to_load_again_are_counted_by_reason(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil, transport: str
) -> None:
    """Two cursors of another log, and one of what was trimmed."""
    start = http.get("/api/job-sessions").json()["cursor"]
    watching = follow("sse", cursor=start)
    for _ in range(2):
        commit_session(session_store)
    wait_until(lambda: 2 == len(watching.sessions))
    with session_store.begin() as connection:
        connection.execute(text("DELETE FROM session_changes WHERE position = 1"))
    assert dict.fromkeys(REASONS, 0) == resets(http)

    for cursor in ("rubbish", f"{UUID(int=7)}.1", start):
        assert follow(transport, cursor=cursor).ended.wait(15)
    assert {"epoch": 2, "expired": 1, "overflow": 0} == resets(http)


def test_the_lag_grows_while_another_process_keeps_the_cursor_and_does_not_publish(
    session_store: SessionStore, http: httpx.Client, follow: Follow, wait_until: WaitUntil
) -> None:
    """And is over when what was committed has been read; `readyz` says the same."""
    follow("sse")
    wait_until(lambda: lag(http) < 1)
    with session_store.begin() as holding:
        holding.execute(text("SELECT FROM session_change_cursor FOR UPDATE"))
        commit_session(session_store)
        wait_until(lambda: lag(http) > 5)
        assert 503 == http.get("/readyz").status_code
    wait_until(lambda: lag(http) < 1)
    assert 200 == http.get("/readyz").status_code


@pytest.mark.parametrize("name", ["lag_seconds", "resets_total", "step_seconds", "errors_total"])
def test_each_metric_says_what_it_is(http: httpx.Client, name: str) -> None:
    """Once, before its values."""
    said = http.get("/metrics").text
    assert (
        1 == said.count(f"# HELP bidbeacon_stream_{name} ") == said.count(f"# TYPE bidbeacon_stream_{name} ")
    )
