"""What `/metrics` says of resets and of how late the stream is."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions import Action, SessionStore, with_job_session
from bidbeacon_sessions.writes import NewSession, insert_session
from tests.stream.writing import commit_session

Follow = Callable[..., Any]
WaitUntil = Callable[..., None]
REASONS = ("epoch", "expired", "overflow")


def metrics(http: httpx.Client) -> dict[str, float]:
    """Return every value by its name."""
    lines = [line for line in http.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def resets(http: httpx.Client) -> dict[str, float]:
    """Return how many streams were told to load again, by reason."""
    values = metrics(http)
    return {reason: values[f'bidbeacon_stream_resets_total{{reason="{reason}"}}'] for reason in REASONS}


def lag(http: httpx.Client) -> float:
    """Return how late the stream is, in seconds."""
    return metrics(http)["bidbeacon_stream_lag_seconds"]


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


def test_jobs_are_counted_as_their_sessions_end(
    session_store: SessionStore, http: httpx.Client, wait_until: WaitUntil
) -> None:
    """Each session once, by job, status and outcome, with its duration; also where nobody reads the stream."""
    with with_job_session("good", store=session_store):
        pass
    with pytest.raises(OSError, match="gone"), with_job_session("bad", store=session_store):
        raise OSError("gone")
    ended = "bidbeacon_job_sessions_ended_total"
    wait_until(lambda: metrics(http).get(f'{ended}{{job="bad",outcome="problems",status="failed"}}') == 1)
    found = metrics(http)
    assert 1 == found[f'{ended}{{job="good",outcome="ok",status="succeeded"}}']
    assert 1 == found['bidbeacon_job_duration_seconds_count{job="good"}']
    assert 1 == found['bidbeacon_job_duration_seconds_bucket{job="good",le="3600.0"}']


def test_a_problem_that_a_later_attempt_recovered_is_counted_as_such(
    session_store: SessionStore, http: httpx.Client, wait_until: WaitUntil
) -> None:
    """A counter can't be taken back; the problems that are left are the difference of the two."""
    failed = 'bidbeacon_job_sessions_ended_total{job="bake",outcome="problems",status="failed"}'
    step: dict[str, Any] = {"store": session_store, "run_id": "run", "step_key": "bake"}
    with suppress(LookupError), with_job_session("bake", **step):
        raise LookupError("no flour")
    wait_until(lambda: metrics(http).get(failed) == 1)
    with with_job_session("bake", **step, retry_number=1):
        pass
    recovered = 'bidbeacon_job_sessions_recovered_total{job="bake"}'
    wait_until(lambda: metrics(http).get(recovered) == 1)
    assert 1 == metrics(http)[failed]


def test_running_sessions_have_the_age_of_the_oldest(session_store: SessionStore, http: httpx.Client) -> None:
    """Read at the scrape, so it is true however long nothing has happened."""
    running, age = (
        'bidbeacon_job_sessions_running{job="slow"}',
        'bidbeacon_job_oldest_running_seconds{job="slow"}',
    )
    assert running not in metrics(http)
    with session_store.begin() as connection:
        started = datetime.now(UTC) - timedelta(hours=1)
        insert_session(connection, NewSession(id=uuid4(), job_name="slow", started_at=started))
        insert_session(
            connection, NewSession(id=uuid4(), job_name="slow", started_at=started + timedelta(minutes=5))
        )
    found = metrics(http)
    assert 2 == found[running]
    assert 3_600 <= found[age] < 3_900


class MetricPromised(Action):
    """Work was promised."""

    sentence = "Promised {key}"
    promise_lasts: ClassVar[timedelta] = timedelta(hours=1)

    key: str

    def promises(self) -> list[str]:
        """It."""
        return [self.key]


class MetricKept(Action):
    """Work was done."""

    sentence = "Kept {key}"

    key: str

    def fulfilled_promises(self) -> list[str]:
        """It."""
        return [self.key]


def test_promises_are_open_or_lost(session_store: SessionStore, http: httpx.Client) -> None:
    """Those that were kept are no longer told of."""
    with with_job_session("x", store=session_store) as session:
        for key in ("open", "late", "kept"):
            session.add(MetricPromised(key=key))
        session.add(MetricKept(key="kept"))
    with session_store.begin() as connection:
        connection.execute(
            text("""UPDATE session_promises SET promised_at = now() - interval '1 day', deadline_at = now() - interval '1 s'
                     WHERE key = 'late'""")
        )
    found = metrics(http)
    assert (1, 1) == tuple(
        found[f'bidbeacon_job_promises{{status="{status}"}}'] for status in ("open", "lost")
    )


def test_metrics_are_told_while_the_database_is_away(
    session_store: SessionStore, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the process; what only the tables know is left out."""
    monkeypatch.setattr(SessionStore, "snapshot", _is_away)
    found = metrics(http)
    assert "bidbeacon_stream_position" in found
    assert not [name for name in found if name.startswith("bidbeacon_job_promises")]


def _is_away(_: SessionStore) -> None:
    raise OperationalError("SELECT 1", {}, Exception("away"))
