"""Metrics of the stream and of jobs at `/metrics`."""

import pytest
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions import SessionStore
from tests.stream.reading import Stream
from tests.stream.writing import commit_session
from tests.support.recorded_sessions import record
from tests.support.waiting import wait_until


def test_streams_are_counted_until_their_readers_leave(stream: Stream) -> None:
    """By transport, and at once."""
    readers = [stream.follow(), stream.follow("websocket"), stream.follow("websocket")]
    wait_until(lambda: all(reader.heard for reader in readers))
    counts = [f'bidbeacon_stream_clients{{transport="{name}"}}' for name in ("sse", "websocket")]
    assert [1, 2] == [stream.metrics()[name] for name in counts]
    for reader in readers:
        reader.close()
    wait_until(lambda: not any(stream.metrics()[name] for name in counts))


def test_sessions_are_counted_by_job_and_status(stream: Stream) -> None:
    """As they are in the database at the scrape."""
    record(stream.store, "bake")
    record(stream.store, "bake", fails=True)
    commit_session(stream.store, job="bake")
    found = stream.metrics()
    assert [1, 1, 1] == [
        found[f'bidbeacon_job_sessions{{job="bake",status="{status}"}}']
        for status in ("succeeded", "failed", "running")
    ]


def test_metrics_are_told_while_the_database_is_away(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the process; what only the tables know is left out."""
    monkeypatch.setattr(SessionStore, "begin", _is_away)
    found = stream.metrics()
    assert "bidbeacon_stream_lag_seconds" in found
    assert "bidbeacon_stream_oldest_unpublished_seconds" not in found


def _is_away(_: SessionStore) -> None:
    raise OperationalError("SELECT 1", {}, Exception("away"))
