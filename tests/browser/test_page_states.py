"""What a page looks like while it waits, holds, has nothing or is cut off: its data stays, it says why, and everybody can read it."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import func

from bidbeacon_pipelines.actions import ReportFailed
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from tests.postgres.load_world import add_account
from tests.support.rows import add_windows

pytestmark = pytest.mark.browser

ACCOUNT_ID = "amzn1.ads-account.g.0"
DAY = date(2026, 7, 20)
AWAY = {"error": "The database does not answer.", "what_to_do": "Wait a moment and try again."}

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

NEWS = """async () => {
    const { sessions: [{ actions, ...session }] } = await (await fetch("/api/job-sessions?limit=1")).json();
    source.tell("job-sessions:updated", { session: { ...session, id: crypto.randomUUID(), started_at: new Date().toISOString() }, actions: [] });
}"""


@pytest.fixture(scope="module")
def addresses(shared_url: str, shared_store: SessionStore) -> dict[str, str]:
    """Addresses of the four views of one failed session and one window."""
    account = Subject("DE.one")
    with shared_store.begin() as connection:
        stored = add_account(
            connection, "DE", account_id=ACCOUNT_ID, name="One", time_zone="Europe/Berlin"
        )
        late = func.now() - timedelta(hours=1)
        add_windows(connection, stored, [DAY], next_refresh_at=late)
    with (
        pytest.raises(OSError, match="gone"),
        with_job_session("breaks", store=shared_store, account=account) as session,
    ):
        failed = ReportFailed(
            account="DE.one", dataset="daily_targets", windows=[DAY], request_id=1, cause={}
        )
        session.add(failed)
        raise OSError("gone")
    return {
        "home": shared_url,
        "stream": f"{shared_url}/sessions",
        "session": f"{shared_url}/sessions/{session.session_id}",
        "coverage": f"{shared_url}/coverage?dataset=daily_targets&to=2026-07-25&days=30",
    }


@pytest.fixture
def views(page: Page, addresses: dict[str, str]) -> dict[str, str]:
    """The addresses, with a WebSocket in the page that a test speaks for."""
    page.add_init_script(SOURCE)
    return addresses


DATA = {
    "home": "#datasets li",
    "stream": ".session",
    "session": ".failure",
    "coverage": ".map .strip",
}


def _open(page: Page, views: dict[str, str], view: str) -> None:
    page.goto(views[view])
    expect(page.locator(DATA[view]).first).to_be_visible()
    expect(page.locator("#pill-text")).to_have_text("Live")


def _refuse(route: Route) -> None:
    route.fulfill(status=503, json=AWAY)


@pytest.mark.parametrize("view", DATA)
def test_trouble_stands_above_data_that_stays(page: Page, views: dict[str, str], view: str) -> None:
    """It names the cause and what to do, and trying again works; no skeleton takes the place of what is there."""
    _open(page, views, view)
    page.evaluate(
        "[window.later, window.setTimeout] = [setTimeout, () => 0]"
    )  # nothing is tried again by itself
    page.route("**/api/**", _refuse)
    page.evaluate("source.tell('reset', {})")
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("The database does not answer. Wait a moment and try again.")
    expect(page.locator("#pill-text")).to_contain_text("Reconnecting · data as of")
    expect(page.locator(DATA[view]).first).to_be_visible()
    expect(page.locator("#skeleton")).to_be_hidden()
    trouble.get_by_role("button", name="Try again").focus()
    with page.expect_response("**/api/**"):
        page.keyboard.press("Enter")
    expect(trouble.get_by_role("button", name="Try again")).to_be_focused()
    page.unroute_all()
    page.evaluate("void (window.setTimeout = later)")
    page.keyboard.press("Enter")
    expect(trouble).to_be_hidden()
    expect(page.locator("#home, #feed, #session, #map")).to_be_focused()
    expect(page.locator("#pill-text")).to_have_text("Live")


@pytest.mark.parametrize("view", DATA)
def test_a_skeleton_holds_the_place_of_what_is_loading(
    page: Page, views: dict[str, str], view: str
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
    page.goto(views[view])
    expect(page.locator("#skeleton")).to_be_visible()
    expect(page.locator("[aria-busy=true]").first).to_be_attached()
    is_answering = True
    for route in held:
        route.continue_()
    expect(page.locator(DATA[view]).first).to_be_visible()
    expect(page.locator("#skeleton")).to_be_hidden()


def test_the_pill_tells_when_the_database_is_away(page: Page, views: dict[str, str]) -> None:
    """The stream is there, its source is not: since when, until it is back."""
    _open(page, views, "stream")
    page.evaluate("source.tell('sync', { database: 'away' })")
    expect(page.locator("#pill-text")).to_contain_text("Waiting for the database · data as of ")
    expect(page.locator("#announcer")).to_contain_text("Waiting for the database")
    page.evaluate("source.tell('sync', { database: 'answers' })")
    page.evaluate("source.tell('sync', { database: 'answers' })")
    expect(page.locator("#pill-text")).to_have_text("Live")


def _hold(page: Page, views: dict[str, str]) -> None:
    _open(page, views, "stream")
    page.evaluate("document.querySelector('main').style.minHeight = '2000px'")
    page.evaluate("window.scrollTo(0, 600)")
    expect(page.locator("#pill-text")).to_have_text("Paused")
    page.evaluate(NEWS)
    expect(page.locator("#new-above")).to_have_text("↑ 1 new")


def _go_offline(page: Page, views: dict[str, str]) -> None:
    _open(page, views, "stream")
    page.context.set_offline(True)
    expect(page.locator("#pill-text")).to_contain_text("Offline")


def _go_away(page: Page, views: dict[str, str]) -> None:
    _open(page, views, "stream")
    page.evaluate("source.tell('sync', { database: 'away' })")
    expect(page.locator("#pill-text")).to_contain_text("Waiting for the database")


def _be_in_trouble(page: Page, views: dict[str, str]) -> None:
    _open(page, views, "stream")
    page.route("**/api/**", _refuse)
    page.evaluate("source.tell('reset', {})")
    expect(page.locator("#trouble")).to_be_visible()


def _show_no_sessions(page: Page, views: dict[str, str]) -> None:
    page.route("**/api/job-sessions?*", _with(sessions=[]))
    page.goto(views["stream"])
    expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible()


def _show_no_accounts(page: Page, views: dict[str, str]) -> None:
    page.route("**/api/coverage?*", _with(accounts=[]))
    page.goto(views["coverage"])
    expect(page.get_by_role("heading", name="No accounts yet")).to_be_visible()


def _with(**changes: object) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | changes)

    return answer


def _misfilter(page: Page, views: dict[str, str]) -> None:
    _open(page, views, "stream")
    page.locator("#query").fill("nonsense:1")
    page.locator("#query").press("Enter")
    expect(page.locator("#query-problem")).to_be_visible()


def _fail_coverage(page: Page, views: dict[str, str]) -> None:
    page.route("**/api/coverage?*", _refuse)
    page.goto(views["coverage"])
    expect(page.get_by_role("heading", name="The windows could not be loaded")).to_be_visible()


def _load_for_ever(page: Page, views: dict[str, str]) -> None:
    page.route("**/api/**", lambda _: None)
    page.goto(views["stream"])
    expect(page.locator("#skeleton")).to_be_visible()


def _told(view: str, addition: str, heading: str) -> Callable[[Page, dict[str, str]], None]:
    def go(page: Page, views: dict[str, str]) -> None:
        page.goto(views[view] + addition)
        expect(page.get_by_text(heading)).to_be_visible()

    return go


STATES: dict[str, Callable[[Page, dict[str, str]], Any]] = {
    "held, with news above": _hold,
    "database away": _go_away,
    "trouble": _be_in_trouble,
    "loading": _load_for_ever,
    "no sessions": _show_no_sessions,
    "nothing in this stretch": _told(
        "stream", "?since=2020-01-01&before=2020-01-02", "Nothing in this"
    ),
    "filter problem": _misfilter,
    "no accounts": _show_no_accounts,
    "no windows": _told("home", "/coverage?to=2020-01-01", "No windows in these days"),
    "no account matches": _told("coverage", "&accounts=nobody", "No account matches"),
    "coverage failed": _fail_coverage,
    "wrong login": _told("home", "/login?wrong=1", "That is not the token."),
    "offline": _go_offline,
}


def test_axe_finds_nothing_in_any_state(
    page: Page, views: dict[str, str], find_violations: Callable[[Page], list[str]]
) -> None:
    """WCAG 2.2 AA and good practice, in light and dark."""
    for name, reach in STATES.items():
        reach(page, views)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert (name, scheme, []) == (name, scheme, find_violations(page))
        page.unroute_all()
