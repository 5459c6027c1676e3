"""All views and states, from phones to wide screens: axe finds nothing, data stays when the server or the network is gone, and a page says what it waits for."""

import re
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
from tests.browser.conftest import assert_for_everyone, assert_readable
from tests.support.rows import add_account, add_request, add_windows

pytestmark = pytest.mark.browser

OpenView = Callable[..., None]
ACCOUNT = Subject("DE.one")
DAY = date(2026, 7, 20)
MONTH = "dataset=daily_targets&to=2026-07-25&days=30"
DETAIL = f"{MONTH}&account={ACCOUNT.key}&window={DAY}"
AWAY = {"error": "The database does not answer.", "what_to_do": "Wait a moment and try again."}
LONG = "a-name-without-any-place-to-break-" * 6
VIEWS = {
    "home": ("/", "#datasets li"),
    "stream": ("/sessions", ".session"),
    "nothing matches": ("/sessions?job=none", "#notice h2"),
    "session": ("/sessions/ID", ".sides section"),
    "no session": ("/sessions/00000000-0000-0000-0000-000000000000", "#notice h2"),
    "map": (f"/coverage?{DETAIL}", ".verdict"),
    "table": ("/coverage?dataset=daily_targets&view=table&to=2026-07-25", "tbody tr"),
    "table with why": (f"/coverage?{DETAIL}&view=table", ".verdict"),
    "no windows": ("/coverage?to=2020-01-01", "text=No windows in these days"),
    "no account matches": (f"/coverage?{MONTH}&accounts=nobody", "text=No account matches"),
    "queue": ("/queue", ".queue tbody tr"),
    "empty queue": ("/queue?dataset=daily_products", "text=0 requests"),
    "accounts": ("/accounts", "#content a"),
    "account": (f"/accounts/{ACCOUNT.key}", "#content h1 bdi"),
    "causes": ("/causes", "#token-revoked h2"),
    "login": ("/login", "#token"),
    "wrong login": ("/login?wrong=1", "text=That is not the token."),
}
"""Addresses of every view, `ID` being a failed session's, and what is there when it is loaded."""


@pytest.fixture(scope="module")
def failed_session(shared_store: SessionStore) -> Iterator[str]:
    """The id of a failed session beside a running one, with something of each kind in every view."""
    with shared_store.begin() as connection:
        stored = add_account(connection, "DE", name=LONG)
        late = func.now() - timedelta(hours=1)
        add_windows(connection, stored, [DAY], next_refresh_at=late)
        refused = {"code": "other", "detail": {"reason": LONG}}
        add_request(connection, stored.account_id, DAY, attempts=1, cause=refused)
    about = {"account": ACCOUNT.key, "dataset": "daily_targets", "windows": [DAY]}
    why = {"code": "other", "detail": {"reason": LONG}}
    with (
        pytest.raises(OSError, match="a-name"),
        with_job_session(LONG, store=shared_store, account=ACCOUNT, input={"x": LONG}) as failed,
    ):
        failed.add(WindowsQueued(**about))
        failed.add(ReportSuspicious(**about, request_id=1, report_id=LONG, cause=why))
        failed.add(ReportFailed(**about, request_id=1, cause=why))
        raise OSError(LONG)
    with with_job_session("running", store=shared_store, account=ACCOUNT) as running:
        running.add(WindowsQueued(**about))
        yield str(failed.session_id)


@pytest.fixture
def open_view(page: Page, failed_session: str) -> OpenView:
    """Opens a view, and waits until it is loaded."""

    def open_view(view: str, *, waits: bool = True) -> None:
        address, shown = VIEWS[view]
        page.goto(address.replace("ID", failed_session))
        if waits:
            expect(page.locator(shown).first).to_be_visible()

    return open_view


def test_every_page_is_among_the_views(shared_store: SessionStore) -> None:
    """A page that is added is looked at by the tests below."""
    pages = pipelines_extension(shared_store, Settings()).pages
    wanted = {page.replace("{key}", ACCOUNT.key) for page in ("/sessions", "/login", *pages)}
    assert wanted <= {urlsplit(address).path for address, _ in VIEWS.values()}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_for_everyone_at_every_width(page: Page, open_view: OpenView, view: str) -> None:
    """WCAG 2.2 AA and good practice, in light and dark; nothing scrolls sideways from 320 to 1920 pixels, with names that have no place to break."""
    open_view(view)
    assert_for_everyone(page)


def test_the_stream_is_for_everyone_in_all_of_its_states(page: Page, open_view: OpenView) -> None:
    """While nothing is loaded or counted yet, since the histogram comes after the sessions, and with the help and the suggestions open."""
    page.route("**/api/**", lambda _: None)
    open_view("stream", waits=False)
    expect(page.locator("#skeleton")).to_be_visible()
    assert_readable(page)
    page.unroute_all()
    page.route("**/histogram?*", lambda _: None)
    open_view("stream")
    assert_readable(page)
    page.keyboard.press("?")
    assert_readable(page)
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#suggestions li").first).to_be_visible()
    assert_readable(page)


@pytest.mark.parametrize("view", ["home", "stream"])
def test_on_a_phone_the_search_field_has_a_line_of_its_own(
    page: Page, open_view: OpenView, view: str
) -> None:
    """What stands in it is not cut after a few letters, and the days stick below the bar."""
    page.set_viewport_size({"width": 390, "height": 800})
    open_view(view)
    field, bar = page.locator("#query").bounding_box(), page.locator(".bar").bounding_box()
    assert field is not None
    assert bar is not None
    assert 358 == field["width"]
    height = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--bar')")
    assert f"{bar['height']:.0f}px" == height.strip()


def test_nothing_moves_for_those_who_asked_for_it(page: Page, open_view: OpenView) -> None:
    """With reduced motion no mark turns and no dot breathes."""
    open_view("stream")
    assert 0 == page.evaluate("document.getAnimations().length")


def test_offline_the_data_stays_and_says_of_when_it_is(page: Page, open_view: OpenView) -> None:
    """The pill names it, whole, on a phone too; and the page goes on by itself when the network is back."""
    page.set_viewport_size({"width": 390, "height": 800})
    open_view("stream")
    expect(page.locator("#pill-text")).to_have_text("Live")
    page.context.set_offline(True)
    expect(page.locator("#pill-text")).to_contain_text("Offline · data as of")
    expect(page.locator(".session")).to_have_count(2)
    pill, text = page.locator("#pill").bounding_box(), page.locator("#pill-text").bounding_box()
    assert pill is not None
    assert text is not None
    assert text["x"] + text["width"] <= pill["x"] + pill["width"] <= 390
    assert_readable(page)
    page.context.set_offline(False)
    expect(page.locator("#pill-text")).to_have_text("Live")


def refuse(route: Route) -> None:
    """Answer as a server whose database is away."""
    route.fulfill(status=503, json=AWAY)


def test_an_error_names_its_cause_and_the_way_on(page: Page, open_view: OpenView) -> None:
    """Where nothing was loaded yet it stands in the middle, for everybody to read, and trying again works."""
    page.route("**/api/job-sessions?**", refuse)
    page.route("**/histogram?*", refuse)
    open_view("stream", waits=False)
    expect(page.get_by_role("heading", name="The sessions could not be loaded")).to_be_visible()
    expect(page.locator("#overview-title")).to_have_text("Not counted")
    with page.expect_response("**/api/job-sessions?**"):  # it tries again by itself, in vain
        pass
    assert_readable(page)
    expect(page.locator("#notice")).to_contain_text("Wait a moment and try again.")
    held: list[Route] = []
    # What it tries by itself meanwhile would take the button away before the click.
    page.route("**/api/job-sessions?**", lambda route: held.append(route))  # noqa: PLW0108 - playwright asks a function for its attributes
    page.get_by_role("button", name="Try again").click()
    page.unroute("**/api/job-sessions?**")
    for route in held:
        route.continue_()
    expect(page.locator(".session")).to_have_count(2)
    expect(page.locator("#feed")).to_be_focused()


def test_windows_that_could_not_be_loaded_are_named(page: Page, open_view: OpenView) -> None:
    """In words that everybody can read."""
    page.route("**/api/coverage?*", refuse)
    open_view("map", waits=False)
    expect(page.get_by_role("heading", name="The windows could not be loaded")).to_be_visible()
    assert_readable(page)


def test_a_command_in_an_error_stands_as_one(page: Page, open_view: OpenView) -> None:
    """Where the stream is gone, what starts it can be copied."""
    page.route("**/api/job-sessions?**", lambda route: route.abort())
    open_view("stream", waits=False)
    expect(page.locator("#notice code")).to_have_text(["make dev", "bidbeacon dev"])
    expect(page.locator("#notice")).not_to_contain_text("`")


# In the place of the browser's: it is open at once, and says what a test has it say.
SOURCE = """window.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    constructor() {
        window.source = this;
        setTimeout(() => navigator.onLine && this.onopen?.());
    }
    close() {}
    tell(event, data) {
        this.onmessage?.({ data: JSON.stringify({ event, id: null, data }) });
    }
};"""
LIVE_VIEWS = ("home", "stream", "session", "map")


@pytest.mark.parametrize("view", LIVE_VIEWS)
def test_trouble_stands_above_data_that_stays(page: Page, open_view: OpenView, view: str) -> None:
    """It names the cause and what to do, and trying again works; no skeleton takes the place of what is there."""
    page.add_init_script(SOURCE)
    open_view(view)
    expect(page.locator("#pill-text")).to_have_text("Live")
    # Nothing is tried again by itself.
    page.evaluate("[window.later, window.setTimeout] = [setTimeout, () => 0]")
    page.route("**/api/**", refuse)
    page.evaluate("source.tell('reset', {})")
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("The database does not answer. Wait a moment and try again.")
    expect(page.locator("#pill-text")).to_contain_text("Reconnecting · data as of")
    expect(page.locator(VIEWS[view][1]).first).to_be_visible()
    expect(page.locator("#skeleton")).to_be_hidden()
    trouble.get_by_role("button", name="Try again").focus()
    with page.expect_response("**/api/**"):
        page.keyboard.press("Enter")
    expect(trouble.get_by_role("button", name="Try again")).to_be_focused()
    page.evaluate("void (window.setTimeout = later)")
    assert_readable(page)
    page.unroute_all()
    page.keyboard.press("Enter")
    expect(trouble).to_be_hidden()
    expect(page.locator("#home, #feed, #session, #map")).to_be_focused()
    expect(page.locator("#pill-text")).to_have_text("Live")


def test_a_failed_read_is_shown_while_the_stream_is_live(page: Page, open_view: OpenView) -> None:
    """Messages of the stream do not hide it: what is shown is not what was chosen."""
    page.add_init_script(SOURCE)
    open_view("map")
    expect(page.locator("#pill-text")).to_have_text("Live")
    page.route("**/api/**", refuse)
    page.get_by_role("link", name="15 months").click()
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("The database does not answer.")
    page.evaluate("source.tell('sync', {})")
    expect(page.locator("#pill-text")).to_have_text("Live")
    expect(trouble).to_be_visible()
    page.unroute_all()
    trouble.get_by_role("button", name="Try again").click()
    expect(trouble).to_be_hidden()


def test_a_redraw_between_press_and_release_loses_no_click(page: Page, open_view: OpenView) -> None:
    """A change of the theme draws the links anew while the mouse is down."""
    open_view("map")
    page.get_by_role("link", name="15 months").hover()
    page.mouse.down()
    page.evaluate("document.dispatchEvent(new Event('theme-chosen'))")
    page.mouse.up()
    expect(page).to_have_url(re.compile("days=456"))


@pytest.mark.parametrize("view", LIVE_VIEWS)
def test_a_skeleton_holds_the_place_of_what_is_loading(
    page: Page, open_view: OpenView, view: str
) -> None:
    """Until the first answer, and no longer."""
    held: list[Route] = []
    is_answering = False

    def hold(route: Route) -> None:
        if is_answering:
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/**", hold)
    open_view(view, waits=False)
    expect(page.locator("#skeleton")).to_be_visible()
    expect(page.locator("[aria-busy=true]").first).to_be_attached()
    is_answering = True
    for route in held:
        route.continue_()
    expect(page.locator(VIEWS[view][1]).first).to_be_visible()
    expect(page.locator("#skeleton")).to_be_hidden()


def test_the_pill_tells_when_the_database_is_away(page: Page, open_view: OpenView) -> None:
    """The stream is there, its source is not: since when, until it is back."""
    page.add_init_script(SOURCE)
    open_view("stream")
    expect(page.locator("#pill-text")).to_have_text("Live")
    page.evaluate("source.tell('sync', { database: 'away' })")
    expect(page.locator("#pill-text")).to_contain_text("Waiting for the database · data as of ")
    expect(page.locator("#announcer")).to_contain_text("Waiting for the database")
    assert_readable(page)
    page.evaluate("source.tell('sync', { database: 'answers' })")
    page.evaluate("source.tell('sync', { database: 'answers' })")
    expect(page.locator("#pill-text")).to_have_text("Live")
