"""An installation during the first load of its history, which Amazon's slots limit."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from bidbeacon_pipelines.requests.gate import lock_gate
from bidbeacon_pipelines.windows.queries import set_windows_through
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions.clock import utc_now
from tests.support.rows import (
    ONE,
    add_account,
    add_load,
    add_request,
    add_windows,
    as_loaded,
    change_windows,
    days_until,
)

DATASET, REPORT = "daily_targets", "SP+SB+SD"


def store_first_load(engine: Engine) -> None:
    """Store an account with 40 of 100 days, the last 20 of them loaded within 20 minutes."""
    now = utc_now()
    today = now.date()
    account = add_account(engine, time_zone="UTC", first_seen_at=now - timedelta(hours=1))
    days = days_until(today - timedelta(days=1), 100)
    due: dict[str, Any] = {
        "next_refresh_at": now - timedelta(days=1),
        "expires_at": now + timedelta(days=400),
    }
    with engine.begin() as connection:
        add_windows(connection, account, days, DATASET, **due)
        set_windows_through(connection, account, DATASET, REPORT, today, created=100)
        lock_gate(connection, "client", "NA", now=now, first_limit=4)
    is_loaded = ReportWindow.window_date >= days[60]
    later = now + timedelta(days=5)
    change_windows(engine, is_loaded, **as_loaded(now) | {"next_refresh_at": later})
    for ago in range(20):
        at = now - timedelta(minutes=ago + 1)
        ended: dict[str, Any] = {"status": "loaded", "sent_at": at, "finished_at": at}
        request = add_request(engine, ONE, days[60 + ago], **ended)
        add_load(engine, account, request, at, first_days=1)
    for day in days[:56]:
        add_request(engine, ONE, day)
    for day in days[56:60]:
        at_amazon: dict[str, Any] = {"report_id": f"r{day}", "attempts": 1, "sent_at": now}
        add_request(engine, ONE, day, status="in_flight", **at_amazon)
