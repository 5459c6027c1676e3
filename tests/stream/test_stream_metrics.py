"""Metrics of the stream and of jobs at `/metrics`."""

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import step
from tests.stream.reading import Follow, read_metrics, wait_until
from tests.stream.writing import commit_session, record

UNPUBLISHED = "bidbeacon_stream_oldest_unpublished_seconds"


def count_streams(http: httpx.Client) -> tuple[float, ...]:
    """Return the number of open streams, over SSE and over WebSocket."""
    found = read_metrics(http)
    return tuple(
        found[f'bidbeacon_stream_clients{{transport="{name}"}}'] for name in ("sse", "websocket")
    )


def test_streams_are_counted_until_their_readers_leave(http: httpx.Client, follow: Follow) -> None:
    """By transport, and at once."""
    readers = [follow("sse"), follow("websocket"), follow("websocket")]
    wait_until(lambda: all(reader.heard for reader in readers))
    assert (1, 2) == count_streams(http)
    for reader in readers:
        reader.close()
    wait_until(lambda: (0, 0) == count_streams(http))


def test_sessions_are_counted_by_job_and_status(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """As they are in the database at the scrape."""
    record(session_store, "bake")
    record(session_store, "bake", fails=True)
    commit_session(session_store, job="bake")
    found = read_metrics(http)
    assert [1, 1, 1] == [
        found[f'bidbeacon_job_sessions{{job="bake",status="{status}"}}']
        for status in ("succeeded", "failed", "running")
    ]


def test_a_change_that_is_not_published_grows_old(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """While another process holds the cursor and does not publish; afterwards it is 0 again."""
    with session_store.begin() as holder:
        step(holder)
        commit_session(session_store)
        wait_until(lambda: read_metrics(http)[UNPUBLISHED] > 0.5)
        assert read_metrics(http)["bidbeacon_stream_lag_seconds"] > 0
    wait_until(lambda: 0 == read_metrics(http)[UNPUBLISHED])


def test_metrics_are_told_while_the_database_is_away(
    session_store: SessionStore, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the process; what only the tables know is left out."""
    monkeypatch.setattr(SessionStore, "begin", _is_away)
    found = read_metrics(http)
    assert "bidbeacon_stream_lag_seconds" in found
    assert UNPUBLISHED not in found


def _is_away(_: SessionStore) -> None:
    raise OperationalError("SELECT 1", {}, Exception("away"))
