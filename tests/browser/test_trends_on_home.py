"""The section Trends on Home: four charts over a week or a month, after Home's own data."""

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import text

from bidbeacon_pipelines.accounts.changes import AccountChanges
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import utc_now
from tests.browser.conftest import assert_for_everyone
from tests.support.rows import ONE, add_account, add_load, add_request

pytestmark = pytest.mark.browser

THROTTLED = """
    INSERT INTO api_calls (called_at, region, call, status, duration, queued, waited, retry_count)
    SELECT now() - n * interval '1 day', 'NA', 'create_report', 429, '1 s', '0', '0', 0
      FROM generate_series(0, 3) n"""


@pytest.fixture
def store(session_store: SessionStore) -> SessionStore:
    """A store with a report each day of two weeks, of which those of this week took longer, a pause and 429s."""
    engine, second = session_store.engine, timedelta(seconds=1)
    account = add_account(engine)
    for ago in range(14):
        at = utc_now() - timedelta(days=ago)
        sent_at = at - (270 if ago < 7 else 210) * second
        columns: dict[str, Any] = {"status": "loaded", "sent_at": sent_at, "finished_at": at}
        columns |= {"due_at": sent_at - 500 * second, "completed_at": at - 30 * second}
        for dataset in ("daily_targets", "daily_campaigns"):
            number = add_request(engine, ONE, at.date(), dataset, **columns)
        add_load(engine, account, number, at, rows=1_200)
    with engine.begin() as connection:
        connection.execute(text(THROTTLED))
    AccountChanges(session_store, Settings(), by="ana").pause(account)
    return session_store


def test_trends_say_whether_amazon_has_become_slower(page: Page, store: SessionStore) -> None:
    """In a sentence; each chart has its newest and usual value, and lists of changes and of reports are folded below."""
    page.goto("/")
    trends = page.locator("#trends")
    expect(trends.locator(".answer")).to_have_text(
        "Amazon has become slower: it took 4 min 00 s (p50) for a report this week, 3 min 00 s the week before."
    )
    charts = trends.get_by_role("img")
    expect(charts).to_have_count(4)
    complete = trends.get_by_role("img", name="From created to complete, 7 days.")
    expect(complete).to_have_attribute(
        "aria-label", re.compile("Last 6 hours: 4 min 00 s, usually 4 min 00 s.*4 requests thrott")
    )
    expect(complete.locator(".mark")).to_have_count(1)
    expect(complete.locator("title").last).to_have_text(re.compile("p50.*\n.*1 create.*\nPaused"))
    trends.get_by_text("by report").click()
    expect(trends.locator("tbody tr").first).to_contain_text("daily_campaigns SP+SB+SD")
    trends.get_by_text("pauses and resumes").click()
    expect(trends.locator(".changes")).to_contain_text("Paused One · US, by ana")
    assert_for_everyone(page)


def test_the_span_is_in_the_address(page: Page, store: SessionStore) -> None:
    """A month, with the keyboard, which keeps the focus; the address shows the same to others."""
    page.goto("/")
    trends = page.locator("#trends")
    month = trends.get_by_role("link", name="30 days")
    month.focus()
    page.keyboard.press("Enter")
    expect(trends.get_by_role("img", name=re.compile(", 30 days"))).to_have_count(4)
    expect(month).to_be_focused()
    expect(page).to_have_url(re.compile(r"/\?days=30$"))
    page.reload()
    expect(month).to_have_attribute("aria-current", "true")
    expect(trends.get_by_role("img", name=re.compile(", 30 days"))).to_have_count(4)


def test_home_does_not_wait_for_trends(page: Page, session_store: SessionStore) -> None:
    """Home is there before; without reports that ended, one line says so."""
    held: list[Route] = []
    page.route("**/api/trends?*", lambda route: held.append(route))  # noqa: PLW0108 - playwright asks a function for its attributes
    with page.expect_request("**/api/trends?*"):
        page.goto("/")
        expect(page.locator("#datasets li").first).to_be_visible()
    expect(page.locator("#trends")).to_be_hidden()
    for route in held:
        route.continue_()
    expect(page.locator("#trends p")).to_have_text("No report ended in the last 7 days.")
    expect(page.locator("#trends svg")).to_have_count(0)
