"""`GET /api/job-metrics`: what jobs add up to, per job and hour."""

from datetime import timedelta
from typing import Any

import httpx

from bidbeacon_pipelines.problems.system_findings import failed_sessions
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.statistics import aggregate_jobs
from tests.stream.reading import serve_stream
from tests.support.recorded_sessions import NOON, record

THREE = NOON + timedelta(hours=3)


def test_sessions_are_counted_by_job_and_interval(session_store: SessionStore) -> None:
    """Counts, failures and percentiles of durations; an interval without sessions is there, with nothing in it."""
    for minute, seconds, fails in (
        (-1, 99, False),
        (0, 10, False),
        (30, 20, True),
        (59.9, 30, False),
        (121, 7, False),
    ):
        record(session_store, "load", minute=minute, seconds=seconds, fails=fails)
    with session_store.snapshot() as connection:
        [load] = aggregate_jobs(connection, NOON, THREE)
    assert ("load", 4, 1, 1) == tuple(
        load[name] for name in ("job_name", "count", "failures", "problems")
    )
    assert [15, 28.5] == [round(load[name], 3) for name in ("p50", "p95")]
    assert [(3, 1), (0, 0), (1, 0)] == [tuple(one.values()) for one in load["intervals"]]


def test_a_failed_attempt_that_a_later_one_recovered_is_no_failure(
    session_store: SessionStore,
) -> None:
    """Neither in the figures of its job nor among the findings; another step's failure stays."""
    now = utc_now()
    for job, retry, fails in (("other", 0, True), ("bake", 0, True), ("bake", 1, False)):
        step: dict[str, Any] = {"run_id": "run", "step_key": job, "retry_number": retry}
        record(session_store, job, fails=fails, clock=utc_now, **step)
    with session_store.snapshot() as connection:
        [found] = failed_sessions(connection, Settings(), now)
        jobs = aggregate_jobs(connection, now - timedelta(hours=1), now + timedelta(hours=1))
    assert "1 session of other failed" == found.effects[0].text
    assert {"bake": 0, "other": 1} == {each["job_name"]: each["failures"] for each in jobs}


def test_a_running_session_counts_and_has_no_duration(session_store: SessionStore) -> None:
    """Its duration is not known yet, so it is in no percentile."""
    with (
        with_job_session("load", store=session_store, clock=lambda: NOON),
        session_store.snapshot() as connection,
    ):
        [load] = aggregate_jobs(connection, NOON, THREE)
    assert (1, None) == (load["count"], load["p50"])


def test_the_last_day_is_answered_by_hours(session_store: SessionStore) -> None:
    """The present hour is the last one."""
    product = pipelines_extension(session_store, Settings())
    with (
        serve_stream(session_store, extension=product) as server,
        with_job_session("load", store=session_store),
    ):
        [load] = httpx.get(f"{server.url}/api/job-metrics", timeout=15).json()["jobs"]
    assert 1 == load["count"]
    assert [*[0] * 24, 1] == [hour["count"] for hour in load["intervals"]]
