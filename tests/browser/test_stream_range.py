"""The Event Stream's range of time, and the filters that a reader keeps."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from bidbeacon_sessions import SessionStore, with_job_session
from tests.browser.conftest import assert_readable, open_tab
from tests.browser.told_sessions import JOBS

pytestmark = pytest.mark.browser


def test_a_range_that_has_ended_is_not_live_and_says_so(
    own_stream: Page, told: SessionStore
) -> None:
    """It is in the address and in the field; what begins now does not appear, until the end is taken away."""
    own_stream.locator("#range").click()
    own_stream.get_by_label("From").fill("2026-03-03T11:00")
    own_stream.get_by_label("Up to").fill("2026-03-03T13:30")
    own_stream.get_by_role("button", name="Show").click()
    expect(own_stream).to_have_url(
        re.compile(r"since=2026-03-03T11%3A00&before=2026-03-03T13%3A30")
    )
    expect(own_stream.locator("#query")).to_have_value(
        "since:2026-03-03T11:00 before:2026-03-03T13:30"
    )
    expect(own_stream.locator(".session .job")).to_have_text(["old-job"])
    expect(own_stream.locator("#pill-text")).to_have_text("Not live: past")
    expect(own_stream.locator("#pill")).to_have_attribute(
        "title", re.compile("ended on 2026-03-03 13:30:00 UTC")
    )
    with with_job_session("newest", store=told):
        pass
    own_stream.locator("#range").click()
    expect(own_stream.get_by_label("From")).to_have_value("2026-03-03T11:00")
    expect(own_stream.locator(".session .job")).to_have_text(["old-job"])
    own_stream.get_by_label("Up to").fill("")
    own_stream.get_by_role("button", name="Show").click()
    expect(own_stream.locator("#pill-text")).to_have_text("Live")
    expect(own_stream.locator(".session .job")).to_have_text(["newest", *JOBS])


def test_a_range_that_ends_later_is_live(own_stream: Page, told: SessionStore) -> None:
    """What begins before its end appears."""
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    own_stream.goto(f"/sessions?since=today&before={tomorrow}")
    expect(own_stream.locator("#pill-text")).to_have_text("Live")
    with with_job_session("newest", store=told):
        pass
    expect(own_stream.locator(".session .job").first).to_have_text("newest")


def test_presets_are_whole_days_of_the_zone(stream: Page) -> None:
    """Days that go on have no end; the month before this one ends where this one begins."""
    stream.locator("#range").click()
    stream.get_by_role("button", name="Today").click()
    expect(stream).to_have_url("/sessions?since=today")
    expect(stream.locator(".session .job")).to_have_text(JOBS[:3])
    stream.locator("#range").click()
    stream.get_by_role("button", name="Last month").click()
    first = datetime.now(UTC).date().replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    expect(stream).to_have_url(f"/sessions?since={before}&before={first}")


def test_a_range_that_ends_before_it_begins_is_refused(stream: Page) -> None:
    """With what to do; the list stays."""
    stream.locator("#range").click()
    stream.get_by_label("From").fill("2026-03-04T00:00")
    stream.get_by_label("Up to").fill("2026-03-03T00:00")
    stream.get_by_role("button", name="Show").click()
    expect(stream.get_by_text("The beginning must lie before the end.")).to_be_visible()
    expect(stream).to_have_url("/sessions")
    stream.keyboard.press("Escape")
    expect(stream.locator("#range")).to_be_focused()


@pytest.mark.usefixtures("shared_told")
def test_a_range_is_of_the_chosen_zone(browser: Browser, base_url: str) -> None:
    """Noon in UTC is nine in the evening in Tokyo, in the list, the title and the picker."""
    stretch = "since=2026-03-03T20:30&before=2026-03-03T21:30"
    with open_tab(browser, base_url, zone="Asia/Tokyo") as page:
        page.goto(f"/sessions?{stretch}")
        expect(page.locator(".session .job")).to_have_text(["old-job"])
        expect(page.locator("#overview-title")).to_contain_text("3 Mar, 20:30 – 3 Mar, 21:30")
        page.locator("#range").click()
        expect(page.get_by_text("Times of Asia/Tokyo")).to_be_visible()
        expect(page.get_by_label("From")).to_have_value("2026-03-03T20:30")
        page.goto(f"/sessions?{stretch}&zone=utc")
        expect(page.locator("#notice h2")).to_have_text("Nothing in this stretch of time")


def test_a_filter_is_saved_chosen_and_deleted(stream: Page) -> None:
    """Under a name, by this browser alone: a new tab has it, and no request tells the server."""
    requests: list[Request] = []
    stream.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - playwright takes no built-in method
    stream.goto("/sessions?job=old-job&since=30d&text=beans")
    stream.get_by_role("button", name="Saved filters").click()
    stream.get_by_role("textbox", name="Save").fill("Beans & <old>")
    stream.get_by_role("button", name="Save", exact=True).click()
    expect(stream.locator(".saved li a bdi")).to_have_text(["Beans & <old>"])

    stream.goto("/sessions")
    stream.get_by_role("button", name="Saved filters").click()
    expect(stream.get_by_text("Filter the sessions, and the filter can be saved")).to_be_visible()
    stream.locator(".saved li a").click()
    expect(stream).to_have_url("/sessions?job=old-job&since=30d&text=beans")
    expect(stream.locator("#query")).to_have_value("job:old-job since:30d beans")
    expect(stream.locator(".saved")).to_be_hidden()

    stream.get_by_role("button", name="Saved filters").click()
    stream.get_by_role("button", name="Delete Beans & <old>").click()
    expect(stream.get_by_text("No filter is saved yet.")).to_be_visible()
    assert not [one.url for one in requests if one.method != "GET" or "%3Cold" in one.url]


def test_what_others_left_in_the_browser_does_no_harm(stream: Page) -> None:
    """Anything but a list of names and texts is left out; a filter that is saved goes on."""
    for kept in (
        "nonsense",
        "{}",
        '[null, 3, {"name": 1, "text": "x"}, {"name": "a", "text": "job:x"}]',
    ):
        stream.evaluate("kept => localStorage.setItem('bidbeacon.filters', kept)", kept)
        stream.get_by_role("button", name="Saved filters").click()
        expect(stream.locator(".saved li")).to_have_count(1 if "job:x" in kept else 0)
        stream.keyboard.press("Escape")


def test_panels_are_for_everyone(stream: Page) -> None:
    """Axe finds nothing in them, in light and dark, and they are whole on a narrow screen."""
    stream.goto("/sessions?since=2026-03-03&before=2026-03-04")
    kept = '[{"name": "A name that is long, and longer", "text": "job:refresh-account since:2026-03-03"}]'
    stream.evaluate("kept => localStorage.setItem('bidbeacon.filters', kept)", kept)
    expect(stream.locator(".session")).to_have_count(1)
    for width in (320, 1280):
        stream.set_viewport_size({"width": width, "height": 700})
        for button in ("#range", "#saved"):
            stream.locator(button).click()
            panel = stream.locator(".drop[open]").bounding_box()
            assert panel is not None
            assert 0 <= panel["x"] <= panel["x"] + panel["width"] <= width
            assert width >= stream.evaluate("document.documentElement.scrollWidth")
            assert_readable(stream)
            stream.keyboard.press("Escape")
