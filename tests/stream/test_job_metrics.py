"""`GET /api/job-metrics`: what jobs add up to, per job and interval."""

from datetime import datetime, timedelta

import httpx
import pytest

from bidbeacon_sessions import SessionStore, Subject, with_job_session
from bidbeacon_sessions.server.figures import MOST_INTERVALS
from tests.stream.writing import NOON, record

SPAN = {"since": "2026-07-25T12:00:00Z", "before": "2026-07-25T15:00:00Z", "interval": "1h"}


def test_sessions_are_counted_by_job_and_interval(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """Counts, failures and percentiles of durations; an interval without sessions is there, with nothing in it."""
    for minute, seconds, fails in (
        (0, 10, False),
        (30, 20, True),
        (59.9, 30, False),
        (121, 7, False),
    ):
        record(session_store, "load", minute=minute, seconds=seconds, fails=fails)
    body = http.get("/api/job-metrics", params=SPAN).json()
    [load] = body["jobs"]
    assert ("load", 4, 1, 15.0) == (load["job_name"], load["count"], load["failures"], load["p50"])
    assert (0, 1) == (load["warnings"], load["problems"])
    assert [
        ("2026-07-25T12:00:00+00:00", 3, 1, 20.0, 29.0),
        ("2026-07-25T13:00:00+00:00", 0, 0, None, None),
        ("2026-07-25T14:00:00+00:00", 1, 0, 7.0, 7.0),
    ] == [(i["at"], i["count"], i["failures"], i["p50"], i["p95"]) for i in load["intervals"]]
    assert 3600 == body["interval_seconds"]


def test_a_running_session_counts_and_has_no_duration(
    session_store: SessionStore, http: httpx.Client
) -> None:
    """Its duration is not known yet, so it is in no percentile."""
    with with_job_session("load", store=session_store, clock=lambda: NOON):
        [load] = http.get("/api/job-metrics", params=SPAN).json()["jobs"]
    assert (1, None) == (load["count"], load["p50"])


def test_job_and_account_restrict_it(session_store: SessionStore, http: httpx.Client) -> None:
    """A job that is asked for by name is there even where it has no sessions."""
    record(session_store, "load")
    record(session_store, "load", account=Subject("US.b"))
    record(session_store, "sync")
    asked = {"job": "load", "account": "US.b"}
    assert [("load", 1)] == [
        (job["job_name"], job["count"])
        for job in http.get("/api/job-metrics", params=SPAN | asked).json()["jobs"]
    ]
    [nothing] = http.get("/api/job-metrics", params=SPAN | {"job": "rest"}).json()["jobs"]
    assert ("rest", 0, 3) == (nothing["job_name"], nothing["count"], len(nothing["intervals"]))


def test_without_a_span_it_is_the_last_day(http: httpx.Client) -> None:
    """In intervals that people can read, which begin at multiples of their width."""
    body = http.get("/api/job-metrics").json()
    since, before = (datetime.fromisoformat(body[name]) for name in ("since", "before"))
    assert 1800 == body["interval_seconds"]
    assert timedelta(days=1) <= before - since
    assert 0 == since.minute % 30


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            {"interval": "2h"},
            "interval: expected '1m', '5m', '15m', '1h', '6h' or '1d', got: '2h'.",
        ),
        (
            {"interval": "1m", "since": "2026-07-01T00:00:00Z"},
            f"This is more than {MOST_INTERVALS} intervals.",
        ),
        ({"before": "2026-07-25T11:00:00Z"}, "Expected since to be earlier than before, got: "),
        ({"status": "failed"}, "Unknown parameter 'status'."),
        ({"since": "yesterday"}, "since: "),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since: expected a year from 1970 to 2999"),
        ({"before": "2026-07-25T11:00:00"}, "before: expected"),
    ],
)
def test_what_it_cannot_answer_is_said(
    http: httpx.Client, query: dict[str, str], said: str
) -> None:
    """With status 400 and what to do."""
    response = http.get("/api/job-metrics", params=SPAN | query)
    assert 400 == response.status_code
    assert response.json()["error"].startswith(said), response.json()
    assert response.json()["what_to_do"]
