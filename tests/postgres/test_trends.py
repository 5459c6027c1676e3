"""The trends of Home, read from requests, loads, calls and sessions."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert

from bidbeacon_pipelines.accounts.changes import AccountChanges
from bidbeacon_pipelines.accounts.names import get_named_account
from bidbeacon_pipelines.amazon_ads.tables import ApiCall
from bidbeacon_pipelines.database.processes import record_process
from bidbeacon_pipelines.requests.trends import read_trends
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.contract_changes import change_contract
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from tests.support.rows import ONE, add_account, add_load, add_request

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
LAST = NOW - timedelta(hours=1)
"""In the newest interval of six hours."""


def add_ended(engine: Engine, at: datetime, *, complete_after: int = 300, **columns: Any) -> int:
    """Store a request that was due for ten minutes, and loaded 30 s after Amazon completed it."""
    complete_at = at - timedelta(seconds=30)
    sent_at = complete_at - timedelta(seconds=complete_after)
    times = {"finished_at": at, "completed_at": complete_at, "sent_at": sent_at}
    values: dict[str, Any] = {
        "status": "loaded",
        **times,
        "due_at": sent_at - timedelta(minutes=10),
    }
    return add_request(engine, ONE, at.date(), **(values | columns))


def add_call(engine: Engine, call: str, **columns: Any) -> None:
    """Store a call to Amazon in the newest interval."""
    times = dict.fromkeys(("duration", "queued", "waited"), timedelta(seconds=1))
    values = {"called_at": LAST, "region": "NA", "call": call, "retry_count": 0} | times
    with engine.begin() as connection:
        connection.execute(insert(ApiCall).values(values | columns))


def read(engine: Engine, days: int = 7, now: datetime = NOW) -> dict[str, Any]:
    """Return the trends."""
    with engine.begin() as connection:
        return read_trends(connection, days, now)


def newest(trends: dict[str, Any], name: str) -> tuple[float | None, float | None]:
    """Return the p50 and the p95 of the newest interval of a chart."""
    [chart] = [one for one in trends["charts"] if one["name"] == name]
    return chart["values"][-1], (chart["p95"] or [None])[-1]


def test_nothing_ended(engine: Engine) -> None:
    """Every value is unknown, and no chart has a text."""
    trends = read(engine)
    assert [None] * 4 == [chart["text"] for chart in trends["charts"]]
    assert [[None] * 28] * 4 == [chart["values"] for chart in trends["charts"]]
    assert ([], []) == (trends["reports"], trends["marks"])


def test_steps_of_the_requests_that_ended_in_an_interval(engine: Engine) -> None:
    """Each step has its p50 and p95; open requests and unknown instants are left out."""
    add_account(engine)
    for complete_after in (100, 200, 900):
        add_ended(engine, LAST, complete_after=complete_after)
    add_ended(engine, LAST, due_at=None, sent_at=None, completed_at=None)
    add_ended(engine, LAST, complete_after=200, status="failed")
    add_request(engine, ONE, LAST.date(), sent_at=LAST, due_at=LAST)
    add_ended(engine, LAST - timedelta(hours=12), complete_after=50)
    add_ended(engine, NOW - timedelta(days=8), complete_after=70)
    trends = read(engine)
    assert (600, 600) == newest(trends, "due_to_created")
    assert (200, 900) == newest(trends, "created_to_complete")
    assert (30, 30) == newest(trends, "ready_to_loaded")
    [chart] = [one for one in trends["charts"] if one["name"] == "created_to_complete"]
    assert [50, None, 200] == chart["values"][-3:]
    assert 2 == sum(value is not None for value in chart["values"])
    assert "took 3 min 20 s (p50) for a report this week, 1 min 10 s" in trends["sentence"]


def test_a_month_has_days(engine: Engine) -> None:
    """Also what is older than both weeks is in an interval."""
    add_account(engine)
    add_ended(engine, NOW - timedelta(days=20))
    trends = read(engine, 30)
    assert 86_400 == trends["seconds"]
    assert [300] == [one for one in trends["charts"][1]["values"] if one is not None]


def test_rows_and_throttled_calls(engine: Engine) -> None:
    """Rows an hour of what is over of the interval; 429s of creates, and of others with any status."""
    account = add_account(engine)
    add_load(engine, account, 1, LAST, rows=600)
    add_load(engine, account, 2, LAST, rows=500)
    for _ in range(2):
        add_call(engine, "create_report", status=429, error="Throttled")
    add_call(engine, "get_reports", status=207, error="Throttled")
    add_call(engine, "get_reports", status=200)
    trends = read(engine)
    assert (200, None) == newest(trends, "rows_an_hour")
    assert [None, {"creates": 2, "others": 1}] == trends["throttled"][-2:]


def test_changes_are_marked(session_store: SessionStore) -> None:
    """Pauses and resumes with their user, changes of the contract, and the start of a new version."""
    engine, by = session_store.engine, AccountChanges(session_store, Settings(), by="ana")
    add_account(engine)
    with engine.begin() as connection:
        by.pause(get_named_account(connection, "US.one"))
    with engine.begin() as connection:
        by.resume(get_named_account(connection, "US.one"))
        record_process(connection, "stream", "host", 1, "0.2.0 (0002)", is_start=True)
    override = ("NA", "daily_targets", "field:clicks", "klicks")
    with (
        with_job_session("change-contract", store=session_store) as session,
        engine.begin() as connection,
    ):
        change_contract(connection, session, *override, by="ana", at=utc_now())
    [mark, *_] = read(engine, now=utc_now())["marks"]
    assert [
        "Paused One · US, by ana",
        "Resumed One · US, by ana",
        "BidBeacon 0.2.0 (0002) started",
    ] == mark["texts"]
    assert 1 == mark["more"]
