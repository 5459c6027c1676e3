"""All views and states in light and dark for axe, from phones to wide screens, with the server gone and the network too."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import func

from bidbeacon_pipelines.actions import ReportFailed, ReportSuspicious, WindowsQueued
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from tests.browser.conftest import NARROW_AND_WIDE, SCHEMES
from tests.postgres.load_world import add_account
from tests.support.rows import add_windows

pytestmark = pytest.mark.browser

ACCOUNT, ACCOUNT_ID = Subject("DE.one"), "amzn1.ads-account.g.0"
DAY = date(2026, 7, 20)
LONG = "a-name-without-any-place-to-break-" * 6


@pytest.fixture(scope="module")
def views(shared_url: str, shared_store: SessionStore) -> Iterator[dict[str, str]]:
    """Addresses of every view with something of each kind in it."""
    with shared_store.begin() as connection:
        stored = add_account(
            connection,
            "DE",
            account_id=ACCOUNT_ID,
            account_key=ACCOUNT.key,
            name=LONG,
            region="EU",
            currency_code="EUR",
            time_zone="Europe/Berlin",
        )
        late = func.now() - timedelta(hours=1)
        add_windows(connection, stored, [DAY], next_refresh_at=late)
    shared = {"account": ACCOUNT.key, "dataset": "daily_targets", "windows": [DAY]}
    why = {"code": "other", "detail": {"reason": LONG}}
    with (
        pytest.raises(OSError, match="a-name"),
        with_job_session(LONG, store=shared_store, account=ACCOUNT, input={"x": LONG}) as failed,
    ):
        failed.add(WindowsQueued(**shared))
        failed.add(ReportSuspicious(**shared, request_id=1, report_id=LONG, cause=why))
        failed.add(ReportFailed(**shared, request_id=1, cause=why))
        raise OSError(LONG)
    with with_job_session("running", store=shared_store, account=ACCOUNT) as running:
        running.add(WindowsQueued(**shared))
        detail = f"dataset=daily_targets&to=2026-07-25&days=30&account={ACCOUNT.key}&window={DAY}"
        yield {
            "home": shared_url,
            "stream": f"{shared_url}/sessions",
            "nothing matches": f"{shared_url}/sessions?job=none",
            "session": f"{shared_url}/sessions/{failed.session_id}",
            "no session": f"{shared_url}/sessions/00000000-0000-0000-0000-000000000000",
            "map": f"{shared_url}/coverage?{detail}",
            "table": f"{shared_url}/coverage?dataset=daily_targets&view=table&to=2026-07-25",
            "table with why": f"{shared_url}/coverage?{detail}&view=table",
            "accounts": f"{shared_url}/accounts",
            "account": f"{shared_url}/accounts/{ACCOUNT.key}",
            "login": f"{shared_url}/login",
        }


READY = {
    "home": "#datasets li",
    "stream": ".session",
    "nothing matches": "#notice h2",
    "session": ".sides section",
    "no session": "#notice h2",
    "map": ".verdict",
    "table": "tbody tr",
    "table with why": ".verdict",
    "accounts": "#content a",
    "account": "#content h1",
    "login": "#token",
}


def test_every_page_is_among_the_views(views: dict[str, str], shared_store: SessionStore) -> None:
    """A page that is added is looked at by the tests below."""
    pages = pipelines_extension(shared_store, Settings()).pages
    wanted = {page.replace("{key}", ACCOUNT.key) for page in ("/sessions", "/login", *pages)}
    assert wanted <= {urlsplit(url).path or "/" for url in views.values()}


@pytest.mark.parametrize("name", READY)
def test_a_view_is_for_everyone_at_every_width(
    page: Page, views: dict[str, str], find_violations: Callable[[Page], list[str]], name: str
) -> None:
    """WCAG 2.2 AA and good practice, in light and dark; nothing scrolls sideways from 320 to 1920 pixels, with names that have no place to break."""
    page.goto(views[name])
    expect(page.locator(READY[name]).first).to_be_visible()
    for width in (320, 390, 768, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 700})
        over = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert (width, 0) == (width, over)
    for width, scheme in NARROW_AND_WIDE:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 600})
        assert (width, scheme, []) == (width, scheme, find_violations(page))


def test_the_stream_is_for_everyone_in_all_of_its_states(
    page: Page, views: dict[str, str], find_violations: Callable[[Page], list[str]]
) -> None:
    """While nothing is counted yet, since the histogram comes after the sessions, and with the help and the suggestions open."""
    page.route("**/histogram?*", lambda _: None)
    page.goto(views["stream"])
    expect(page.locator(".session").first).to_be_visible()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert (scheme, []) == (scheme, find_violations(page))
    page.keyboard.press("?")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert (scheme, []) == (scheme, find_violations(page))
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#suggestions li").first).to_be_visible()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert (scheme, []) == (scheme, find_violations(page))


@pytest.mark.parametrize("name", ["home", "stream"])
def test_on_a_phone_the_search_field_has_a_line_of_its_own(
    page: Page, views: dict[str, str], name: str
) -> None:
    """What stands in it is not cut after a few letters, and the days stick below the bar."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(views[name])
    expect(page.locator(READY[name]).first).to_be_visible()
    field, bar = page.locator("#query").bounding_box(), page.locator(".bar").bounding_box()
    assert field is not None
    assert bar is not None
    assert 358 == field["width"]
    height = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--bar')")
    assert f"{bar['height']:.0f}px" == height.strip()


def test_nothing_moves_for_those_who_asked_for_it(page: Page, views: dict[str, str]) -> None:
    """With reduced motion no mark turns and no dot breathes."""
    page.goto(views["stream"])
    expect(page.locator(".session").first).to_be_visible()
    assert 0 == page.evaluate("document.getAnimations().length")


def test_offline_the_data_stays_and_says_of_when_it_is(page: Page, views: dict[str, str]) -> None:
    """The pill names it, whole, on a phone too; and the page goes on by itself when the network is back."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(views["stream"])
    expect(page.locator("#pill-text")).to_have_text("Live")
    page.context.set_offline(True)
    expect(page.locator("#pill-text")).to_contain_text("Offline · data as of")
    expect(page.locator(".session")).to_have_count(2)
    pill, text = page.locator("#pill").bounding_box(), page.locator("#pill-text").bounding_box()
    assert pill is not None
    assert text is not None
    assert text["x"] + text["width"] <= pill["x"] + pill["width"] <= 390
    page.context.set_offline(False)
    expect(page.locator("#pill-text")).to_have_text("Live")


def test_an_error_names_its_cause_and_the_way_on(
    page: Page, views: dict[str, str], find_violations: Callable[[Page], list[str]]
) -> None:
    """Where nothing was loaded yet it stands in the middle, for everybody to read, and trying again works."""
    page.route("**/api/job-sessions?**", lambda route: route.fulfill(status=503, json=AWAY))
    page.route("**/histogram?*", lambda route: route.fulfill(status=503, json=AWAY))
    page.goto(views["stream"])
    expect(page.get_by_role("heading", name="The sessions could not be loaded")).to_be_visible()
    expect(page.locator("#overview-title")).to_have_text("Not counted")
    with page.expect_response("**/api/job-sessions?**"):  # it tries again by itself, in vain
        pass
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert (scheme, []) == (scheme, find_violations(page))
    expect(page.locator("#notice")).to_contain_text("Wait a moment and try again.")
    held: list[
        Route
    ] = []  # what it tries by itself meanwhile would take the button away before the click
    page.route("**/api/job-sessions?**", lambda route: held.append(route))  # noqa: PLW0108 - playwright asks a function for its attributes
    page.get_by_role("button", name="Try again").click()
    page.unroute("**/api/job-sessions?**")
    for route in held:
        route.continue_()
    expect(page.locator(".session")).to_have_count(2)
    expect(page.locator("#feed")).to_be_focused()


def test_a_command_in_an_error_stands_as_one(page: Page, views: dict[str, str]) -> None:
    """Where the stream is gone, what starts it can be copied."""
    page.route("**/api/job-sessions?**", lambda route: route.abort())
    page.goto(views["stream"])
    expect(page.locator("#notice code")).to_have_text(["make dev", "bidbeacon dev"])
    expect(page.locator("#notice")).not_to_contain_text("`")


AWAY = {"error": "The database does not answer.", "what_to_do": "Wait a moment and try again."}
