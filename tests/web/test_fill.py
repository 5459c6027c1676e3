"""The first load of the history: how far it is, what limits it, on Home, the account's page and in doctor."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.problems.doctor import as_checked, examine
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from tests.support.first_load import store_first_load
from tests.support.rows import (
    as_loaded,
    change_accounts,
    change_ads_accounts,
    change_requests,
    change_windows,
    remove_requests,
)
from tests.web.test_product_routes import client_of

EXPECTED = "Loading history: 40 of 100 days, newest first; about 45 to 75 minutes left."
PLACES = "NA: No slot is free until Amazon completes a report."


@pytest.fixture
def filling(engine: Engine) -> Engine:
    """A database whose only account has 40 of 100 days, the last 20 of them within 20 minutes."""
    store_first_load(engine)
    return engine


@pytest.fixture
def client(filling: Engine, session_store: SessionStore) -> Iterator[httpx.Client]:
    """A client of the server on that database."""
    with client_of(session_store) as client:
        yield client


def fill_of(client: httpx.Client, path: str = "home", **query: str) -> dict[str, Any] | None:
    """Return what a page says about the first load."""
    answer = client.get(f"/api/{path}", params=query).raise_for_status().json()
    found: dict[str, Any] | None = answer["fill"]
    return found


def limits_of(client: httpx.Client) -> list[str]:
    """Return what Home says limits the first load."""
    found = fill_of(client)
    assert found is not None
    return list(found["limits"])


def findings_of(client: httpx.Client) -> list[dict[str, Any]]:
    """Return the findings of Home."""
    found: list[dict[str, Any]] = client.get("/api/home").raise_for_status().json()["findings"]
    return found


def test_home_the_account_and_doctor_say_how_far_the_first_load_is(
    filling: Engine, client: httpx.Client
) -> None:
    """With the time that is left, and what limits it; in the same words."""
    expected = {"loaded": 40, "total": 100, "sentence": EXPECTED, "limits": [PLACES]}
    assert expected == fill_of(client)
    assert expected == fill_of(client, "account", account="US.one")
    line = next(
        one for one in map(as_checked, examine(Settings(), filling)) if one.code == "history"
    )
    assert (line.sentence, [one.text for one in line.effects]) == (EXPECTED.rstrip("."), [PLACES])


def test_complete_reports_wait_for_a_load(
    filling: Engine, client: httpx.Client, session_store: SessionStore
) -> None:
    """If as many loads run as allowed; then Dagster is not blamed for reports that wait."""
    at_once, now = Settings().loads_at_once, utc_now()
    complete = {"status": "completed", "report_id": "r", "next_step_at": now - timedelta(hours=1)}
    change_requests(filling, ReportRequest.status == "in_flight", **complete)
    assert "reports-not-polled" in {one["code"] for one in findings_of(client)}
    oldest = now.date() - timedelta(days=100)
    with with_job_session("poll_reports", store=session_store) as session:
        running = ReportRequest.end_date < oldest + timedelta(days=at_once)
        change_requests(filling, running, **complete, locked_by=session.session_id)
        waits = f"4 complete reports wait until one of the {at_once} parallel loads has ended"
        assert [f"{waits} (BIDBEACON_LOADS_AT_ONCE)."] == limits_of(client)
        assert "reports-not-polled" not in {one["code"] for one in findings_of(client)}


def test_late_days_wait_for_what_limits_reports(filling: Engine, client: httpx.Client) -> None:
    """So the advice is not to check Dagster."""
    change_accounts(filling, first_seen_at=utc_now() - timedelta(hours=20))
    [late] = [one for one in findings_of(client) if one["code"] == "overdue"]
    assert (PLACES, "/queue") == (late["advice"], late["link"])


def test_an_ads_account_waits_for_its_cadence(filling: Engine, client: httpx.Client) -> None:
    """If it has due days and no plan."""
    change_ads_accounts(filling, next_run_at=utc_now() + timedelta(days=1))
    assert [PLACES] == limits_of(client)
    remove_requests(filling, ReportRequest.status != "loaded")
    [limit] = limits_of(client)
    assert limit.startswith("1 ads account waits for its cadence, until ")


def test_a_first_load_ends(filling: Engine, client: httpx.Client) -> None:
    """When nearly all days were loaded; a new day is always missing."""
    change_windows(filling, **as_loaded(utc_now()))
    assert fill_of(client) is None
