"""Metrics of the stream and of jobs at `/metrics`."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import utc_now
from tests.stream.asgi_servers import ON_BOTH
from tests.stream.reading import Follow, read_metrics, wait_until
from tests.stream.writing import commit_session, record, start_session


def count_streams(http: httpx.Client) -> tuple[float, ...]:
    """Return the number of open streams, over SSE and over WebSocket."""
    found = read_metrics(http)
    return tuple(
        found[f'bidbeacon_stream_clients{{transport="{name}"}}'] for name in ("sse", "websocket")
    )


@ON_BOTH
def test_streams_are_counted_until_their_readers_leave(http: httpx.Client, follow: Follow) -> None:
    """By transport, and at once."""
    readers = [follow("sse"), follow("websocket"), follow("websocket")]
    wait_until(lambda: all(reader.heard for reader in readers))
    assert (1, 2) == count_streams(http)
    for reader in readers:
        reader.close()
    wait_until(lambda: (0, 0) == count_streams(http))


def test_steps_are_counted_and_timed(session_store: SessionStore, http: httpx.Client) -> None:
    """The log's position, how much was published, and a histogram of the steps' durations."""
    commit_session(session_store)
    wait_until(lambda: read_metrics(http)["bidbeacon_stream_position"] == 1)
    found = read_metrics(http)
    assert 1 == found["bidbeacon_stream_published_total"]
    assert found["bidbeacon_stream_steps_total"] == found["bidbeacon_stream_step_seconds_count"] > 0
    assert 0 < found["bidbeacon_stream_step_seconds_sum"] < 60


def test_jobs_are_counted_as_their_sessions_end(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """Each session once, by job, status and outcome, with its duration; also where nobody reads the stream."""
    record(session_store, "good")
    record(session_store, "bad", fails=True)
    ended = "bidbeacon_job_sessions_ended_total"
    wait_until(
        lambda: (
            read_metrics(http).get(f'{ended}{{job="bad",outcome="problems",status="failed"}}') == 1
        )
    )
    found = read_metrics(http)
    assert 1 == found[f'{ended}{{job="good",outcome="ok",status="succeeded"}}']
    assert 1 == found['bidbeacon_job_duration_seconds_count{job="good"}']
    assert 1 == found['bidbeacon_job_duration_seconds_bucket{job="good",le="3600.0"}']


def test_a_problem_that_a_later_attempt_recovered_is_counted_as_such(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """A counter can't be taken back; the problems that are left are the difference of the two."""
    failed = 'bidbeacon_job_sessions_ended_total{job="bake",outcome="problems",status="failed"}'
    step = {"run_id": "run", "step_key": "bake"}
    record(session_store, "bake", fails=True, **step)
    wait_until(lambda: read_metrics(http).get(failed) == 1)
    record(session_store, "bake", minute=1, retry_number=1, **step)
    recovered = 'bidbeacon_job_sessions_recovered_total{job="bake"}'
    wait_until(lambda: read_metrics(http).get(recovered) == 1)
    assert 1 == read_metrics(http)[failed]


def test_running_sessions_have_the_age_of_the_oldest(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """Read at the scrape, so it is true however long nothing has happened."""
    running = 'bidbeacon_job_sessions_running{job="slow"}'
    age = 'bidbeacon_job_oldest_running_seconds{job="slow"}'
    assert running not in read_metrics(http)
    with session_store.begin() as connection:
        for minutes in (60, 55):
            start_session(connection, job="slow", started_at=utc_now() - timedelta(minutes=minutes))
    found = read_metrics(http)
    assert 2 == found[running]
    assert 3_600 <= found[age] < 3_900


def test_metrics_are_told_while_the_database_is_away(
    session_store: SessionStore, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the process; what only the tables know is left out."""
    monkeypatch.setattr(SessionStore, "snapshot", _is_away)
    found = read_metrics(http)
    assert "bidbeacon_stream_position" in found
    assert not [name for name in found if name.startswith("bidbeacon_job_sessions_running")]


def _is_away(_: SessionStore) -> None:
    raise OperationalError("SELECT 1", {}, Exception("away"))
