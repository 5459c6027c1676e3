"""The page of the queue: what waits for what, narrowed by state, account and dataset, and live."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert

from bidbeacon_pipelines.requests.gate import lock_gate
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.clock import utc_now
from tests.support.rows import ONE, add_account, add_request, change_requests

pytestmark = pytest.mark.browser

DAY = date(2026, 11, 23)
TWO = "amzn1.ads-account.g.two"


@pytest.fixture
def store(session_store: SessionStore) -> SessionStore:
    """A store with one report at Amazon for far too long, one that failed, and three that are planned."""
    now = utc_now()
    engine, hour = session_store.engine, timedelta(hours=1)
    for account_id in (ONE, TWO):
        add_account(engine, "US", account_id)
    late: dict[str, Any] = {
        "status": "in_flight",
        "report_id": "rpt-1",
        "attempts": 1,
        "sent_at": now - 3 * hour,
    }
    add_request(engine, ONE, DAY, **late, late_at=now - hour, next_step_at=now + hour)
    failed = {"code": "other", "detail": {"reason": "Amazon says why"}}
    add_request(engine, TWO, DAY, attempts=2, cause=failed, next_step_at=now + hour)
    for ago in range(3):
        add_request(engine, TWO, DAY - timedelta(days=ago), "daily_campaigns")
    with engine.begin() as connection:
        lock_gate(connection, "client", "NA", now=now, first_limit=1)
    return session_store


def test_the_queue_answers_what_is_late_and_why(page: Page, store: SessionStore) -> None:
    """One click from Home: the report, since when Amazon makes it, what follows, and what limits the others."""
    page.goto("/")
    page.get_by_role("link", name="Queue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("5 report requests")
    late = page.locator(".queue tbody tr").first
    expect(late).to_contain_text("late at Amazon")
    expect(late).to_contain_text("daily_targets")
    expect(late).to_contain_text("it is requested again at")
    expect(page.locator("#limits")).to_contain_text("1 of 1 slots are in use, 4 planned")
    expect(page.locator("#limits")).to_contain_text("No slot is free until Amazon")
    again = page.locator(".queue tbody tr", has_text="2 of 5")
    expect(again).to_contain_text("The last attempt failed: Amazon says why")


def test_requests_are_narrowed_by_state_dataset_and_account(
    page: Page, store: SessionStore
) -> None:
    """Each is in the address, going back undoes it, and an unknown account is named."""
    rows = page.locator(".queue tbody tr")
    page.goto("/queue")
    page.get_by_role("link", name="3 planned").click()
    expect(rows).to_have_count(3)
    expect(page).to_have_url(re.compile(r"state=planned"))
    page.go_back()
    expect(rows).to_have_count(5)
    page.get_by_label("Dataset").select_option("daily_campaigns")
    expect(rows).to_have_count(3)
    page.get_by_role("link", name="Show all").click()
    page.keyboard.press("/")
    page.keyboard.type("One · US")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    page.goto("/queue?account=nope")
    expect(page.locator("#notice")).to_contain_text("No account 'nope'")


def test_the_queue_is_live_and_grows_as_it_is_scrolled(page: Page, store: SessionStore) -> None:
    """Two hundred rows at first; what a session changes shows without a reload."""
    more = {"account_id": TWO, "dataset": "daily_campaigns", "report": "SP+SB+SD"}
    days = [DAY - timedelta(days=ago) for ago in range(3, 230)]
    with store.begin() as connection:
        rows = [more | {"start_date": day, "end_date": day} for day in days]
        connection.execute(insert(ReportRequest), rows)
    page.goto("/queue")
    shown = page.locator(".queue tbody tr")
    expect(shown).to_have_count(200)
    shown.last.scroll_into_view_if_needed()
    expect(shown).to_have_count(232)
    now = utc_now()
    ended = {"status": "failed", "finished_at": now, "next_step_at": None}
    change_requests(store.engine, ReportRequest.account_id == ONE, **ended)
    with with_job_session("poll_reports", store=store):
        pass
    expect(shown).to_have_count(231)
