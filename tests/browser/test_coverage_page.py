"""The map of windows: states, a cell's story, the table, and that it is live."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, insert

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.actions import ReportFailed, WindowsQueued
from bidbeacon_pipelines.entities.tables import Campaign
from bidbeacon_pipelines.states.window_states import WindowState
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionStore, with_job_session
from tests.browser.conftest import assert_readable
from tests.support.rows import add_account, add_windows, as_loaded, change_windows, days_until

pytestmark = pytest.mark.browser

TO = date(2026, 7, 25)
FAILED_DAY = TO - timedelta(days=5)
CHOSEN = {"account": "DE.one", "window": str(FAILED_DAY)}
GERMAN, AMERICAN = (ReportWindow.country_code == country for country in ("DE", "US"))
FACTS: dict[str, Any] = {"account": "DE.one", "dataset": "daily_targets", "windows": [FAILED_DAY]}
REFUSED = {"code": "request-refused"}


def fill_windows(store: SessionStore) -> None:
    """Store two accounts with 40 days each: the first has one failed window, told by a session; all others are fresh."""
    later = {
        "expires_at": func.now() + timedelta(days=730),
        "next_refresh_at": func.now() + timedelta(hours=5),
    }
    with store.begin() as connection:
        for country, account_id, name in (
            ("DE", "amzn1.one", "<b>Söhne</b>"),
            ("US", "amzn1.two", "Acme"),
        ):
            account = add_account(connection, country, account_id, name=name)
            loaded = as_loaded(func.now()) | later | {"row_count": 7}
            add_windows(connection, account, days_until(TO, 40), **loaded)
        is_failed = ReportWindow.window_date == FAILED_DAY
        change_windows(connection, is_failed, GERMAN, status="failed", cause=REFUSED)
    with with_job_session("load-windows", store=store) as session:
        session.add(WindowsQueued(**FACTS))
        session.add(ReportFailed(**FACTS, request_id=1, cause=REFUSED))


@pytest.fixture
def windows(session_store: SessionStore) -> SessionStore:
    """A store with windows of its own, for a test that changes them."""
    fill_windows(session_store)
    return session_store


@pytest.fixture(scope="module")
def shared_windows(shared_store: SessionStore) -> SessionStore:
    """A store with windows that stay as they are."""
    fill_windows(shared_store)
    return shared_store


def address(**parameters: str) -> str:
    """The address of the map of these days."""
    query = {"dataset": "daily_targets", "days": "30", "to": str(TO)} | parameters
    return f"/coverage?{urlencode(query)}"


def test_a_cell_tells_why_and_leads_to_its_sessions(
    page: Page, shared_windows: SessionStore
) -> None:
    """The keys move to a window, Enter tells explain's sentence; the address alone leads there again."""
    page.goto(address())
    expect(page.locator("#states")).to_contain_text("failed 1")
    expect(page.locator("#states")).to_contain_text("fresh 59")
    cursor = page.locator(".cursor")
    cursor.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    expect(cursor).to_have_attribute(
        "aria-label", f"failed: Monday {FAILED_DAY}, <b>Söhne</b> · DE"
    )
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_contain_text(
        "Its report failed: Amazon refused the request."
    )
    expect(page.locator(".map .tooltip")).to_be_hidden()
    expect(page.locator(".story a")).to_have_count(1)
    expect(page.locator(".story .sentence").first).to_contain_text("Report of daily_targets failed")
    expect(page.locator(".story .sentence").last).to_contain_text("Queued 1 report window")

    page.goto(page.url)
    expect(page.locator(".verdict")).to_contain_text("Its report failed")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    page.go_back()
    page.locator(".story a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("load-windows")


def test_a_click_finds_the_window_below_it(page: Page, shared_windows: SessionStore) -> None:
    """The page says so; the newest day is at the right end of its account's row."""
    page.goto(address())
    expect(page.get_by_text("Click a day to see why it is so")).to_be_visible()
    strip = page.locator("[data-account='US.two'] .strip")
    box = strip.bounding_box()
    assert box is not None
    strip.click(position={"x": box["width"] - 4, "y": 8})
    expect(page.locator("#detail h2")).to_have_text(str(TO))
    expect(page.locator(".verdict")).to_contain_text("It has 7 rows")


def test_states_accounts_and_the_table_narrow_it_down(
    page: Page, shared_windows: SessionStore
) -> None:
    """A state shows the accounts that have it, words those that contain them, the table says it in numbers and links."""
    page.goto(address())
    expect(page.locator("[data-account]")).to_have_count(2)
    page.get_by_role("link", name="failed 1").click()
    expect(page.locator("[data-account] .account-name bdi")).to_have_text(["<b>Söhne</b>"])
    page.get_by_role("link", name="failed 1").click()
    page.keyboard.press("/")
    page.keyboard.type("acme")
    expect(page.locator("[data-account] .account-name bdi")).to_have_text(["Acme"])
    page.locator("#query").fill("nobody")
    page.get_by_role("link", name="Show all accounts").click()
    page.get_by_role("link", name="Table").click()
    column = [head.strip() for head in page.locator("thead th").all_inner_texts()].index("failed")
    expect(page.locator("tbody tr").first.locator("th, td").nth(column)).to_have_text("1")
    page.locator("tbody").get_by_role("link", name=str(FAILED_DAY)).click()
    expect(page.locator(".verdict")).to_contain_text("Its report failed")
    assert "view=table" in page.url


def test_the_panel_takes_no_room_from_the_table(page: Page, shared_windows: SessionStore) -> None:
    """It stands above it at any width; from 1280 pixels on, the table is whole without scrolling."""
    page.goto(address(view="table", **CHOSEN))
    expect(page.locator(".verdict")).to_contain_text("Its report failed")
    table = page.locator(".table-box")
    for width in (320, 1101, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        panel_box, table_box = page.locator("#detail").bounding_box(), table.bounding_box()
        assert panel_box is not None
        assert table_box is not None
        assert panel_box["y"] + panel_box["height"] <= table_box["y"]
        assert panel_box["width"] == table_box["width"]
        hidden = table.evaluate("box => box.scrollWidth - box.clientWidth")
        assert width < 1280 or hidden == 0


def test_states_differ_in_shape(page: Page, shared_windows: SessionStore) -> None:
    """Any two states cover different parts of a narrow cell; one seventh of its height is the least."""
    page.goto(address())
    expect(page.locator("#states")).to_contain_text("fresh 59")
    covered = page.evaluate(COVERED_ROWS)
    assert {*map(str, WindowState), "partly not served"} == set(covered)
    assert [] == alike(covered, HEIGHT / 7)
    left_out = page.evaluate(COVERED_ROWS, True)
    assert [] == alike(left_out | {"no window": []}, HEIGHT / 7 * 14 / 18)
    assert all(left_out[state] != covered[state] for state in covered)


def alike(covered: dict[str, list[int]], least: float) -> list[tuple[str, str]]:
    """Return the pairs of states that differ in fewer pixel rows than `least`."""
    return [
        (one, other)
        for one, other in combinations(covered, 2)
        if len(set(covered[one]) ^ set(covered[other])) < least
    ]


HEIGHT = 180
COVERED_ROWS = """async (isLeftOut) => {
    const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
    const { STATES, drawCell, sized } = await import(loaded.find((name) => name.includes("coverage-states")));
    const rows = (letter) => {
        const canvas = document.createElement("canvas");
        sized(canvas, 2, 180);
        drawCell(canvas.getContext("2d"), letter, 0, 2, 180, isLeftOut);
        const { data } = canvas.getContext("2d").getImageData(0, 0, 1, 180);
        return Array.from({ length: 180 }, (_, row) => row).filter((row) => data[row * 4 + 3] > 127);
    };
    return Object.fromEntries(Object.entries(STATES).map(([letter, { name }]) => [name, rows(letter)]));
}"""


def test_ad_products_that_are_not_served_are_named(page: Page, windows: SessionStore) -> None:
    """Legend and table count days that are partly not served apart; a day names the ad products."""
    with windows.begin() as connection:
        two_days = ReportWindow.window_date.in_(days_until(TO, 2))
        change_windows(connection, AMERICAN, two_days, not_served=["SPONSORED_BRANDS"])
        whole = {"status": "not_served", "not_served_since": func.now(), "next_refresh_at": None}
        change_windows(connection, AMERICAN, ReportWindow.window_date == TO, **whole)
    page.goto(address())
    expect(page.locator("#states")).to_contain_text("partly not served 1")
    page.locator("[data-account='US.two'] .strip").hover(position={"x": 4, "y": 8})
    expect(page.locator(".map .tooltip")).not_to_contain_text("not served")
    cursor = page.locator(".cursor")
    cursor.focus()
    page.keyboard.press("ArrowDown")
    told = "not served: Saturday 2026-07-25, Acme · US; not served: SB"
    expect(cursor).to_have_attribute("aria-label", told)
    page.keyboard.press("ArrowLeft")
    told = "partly not served: Friday 2026-07-24, Acme · US; not served: SB"
    expect(cursor).to_have_attribute("aria-label", told)
    page.get_by_role("link", name="Table").click()
    days = page.locator(".which p", has_text="partly not served")
    expect(days.get_by_role("link", name="2026-07-24")).to_have_count(1)


def leave_out(store: SessionStore, *names: str, start_date: date | None = None) -> None:
    """Store campaigns of which Amazon reports no numbers."""
    with store.begin() as connection:
        account = get_account(connection, "US.two")
        shared: dict[str, Any] = {"ad_product": "SPONSORED_BRANDS", "start_date": start_date}
        shared |= {"state": "ENABLED", "is_reported": False, "seen_at": func.now()}
        rows = [{"campaign_id": str(place), "name": name} for place, name in enumerate(names)]
        connection.execute(insert(Campaign).values(shared | account.identity), rows)


def test_campaigns_that_amazon_leaves_out_are_named(page: Page, windows: SessionStore) -> None:
    """By legend, map, panel and table, on the days from the campaign's start on; the states stay."""
    leave_out(windows, "<i>Video</i>", start_date=TO - timedelta(days=2))
    page.goto(address())
    expect(page.locator("#states .left-out")).to_have_text(
        "campaigns left out 3 (Amazon reports no numbers of campaigns without ad groups)"
    )
    expect(page.locator("#states")).to_contain_text("fresh 59")
    page.locator(".cursor").focus()
    page.keyboard.press("ArrowDown")
    label = f"fresh: Saturday {TO}, Acme · US; left out by Amazon: <i>Video</i>"
    expect(page.locator(".cursor")).to_have_attribute("aria-label", label)
    page.keyboard.press("Enter")
    expect(page.locator("#detail .left-out")).to_have_text(
        "Amazon leaves out campaigns without ad groups: <i>Video</i>"
    )
    page.get_by_role("link", name="Table").click()
    expect(page.locator(".coverage-table .which").last).to_contain_text(
        "left out by Amazon on 3 days <i>Video</i>"
    )
    page.goto(address(account="US.two", window=str(TO - timedelta(days=3))))
    expect(page.locator(".verdict")).to_contain_text("It has 7 rows")
    expect(page.locator("#detail .left-out")).to_have_count(0)


def test_of_many_campaigns_that_are_left_out_three_are_named(
    page: Page, windows: SessionStore
) -> None:
    """By map and table, which count the others; the panel names all."""
    leave_out(windows, *(f"Video {number}" for number in range(1, 6)))
    page.goto(address(account="US.two", window=str(TO)))
    expect(page.locator("#detail .left-out")).to_contain_text("Video 3, Video 4, Video 5")
    three = "Video 1, Video 2, Video 3 and 2 more"
    label = f"fresh: Saturday {TO}, Acme · US; left out by Amazon: {three}"
    expect(page.locator(".cursor")).to_have_attribute("aria-label", label)
    page.get_by_role("link", name="Table").click()
    told = page.locator(".coverage-table .which").last
    expect(told).to_have_text(f"left out by Amazon on 30 days {three}")


def test_the_map_is_live(page: Page, windows: SessionStore) -> None:
    """An action on the dataset renews it, again and again; while it is paused it only counts."""
    page.goto(address())
    expect(page.locator("#pill-text")).to_have_text("Live")
    page.keyboard.press("p")
    _change(windows)
    expect(page.locator("#pill-text")).to_have_text(re.compile(r"^Paused · [1-9]\d* new$"))
    expect(page.locator("#states")).to_contain_text("failed 1")
    page.keyboard.press("p")
    expect(page.locator("#states")).to_contain_text("expired 1")
    expect(page.locator("#states")).not_to_contain_text("failed")
    expect(page.locator("#pill-text")).to_have_text("Live")
    _change(windows, ReportWindow.window_date == TO)
    expect(page.locator("#states")).to_contain_text("expired 3")


@pytest.mark.parametrize("width", [1280, 390])
def test_every_day_of_fifteen_months_is_in_reach(
    page: Page, shared_windows: SessionStore, width: int
) -> None:
    """Beside the panel and on a phone too: the chosen day is in sight, keys and buttons scroll to all others, the page itself doesn't."""
    oldest, chosen = str(TO - timedelta(days=455)), str(TO - timedelta(days=440))
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address(days="456", account="US.two", window=chosen))
    expect(page.locator(".verdict")).to_be_visible()
    expect(page.locator("#as-of")).to_contain_text(f"{oldest} to {TO}")
    cursor = page.locator(".cursor")
    expect(cursor).to_have_attribute("aria-selected", "true")
    for key, day in ((None, chosen), ("End", str(TO)), ("Home", oldest)):
        if key is not None:
            cursor.focus()
            page.keyboard.press(key)
        expect(cursor).to_have_attribute("aria-label", re.compile(day))
        assert (day, True) == (day, page.evaluate(IN_SIGHT))
    assert 0 < page.evaluate(
        "(body => body.scrollWidth - body.clientWidth)(document.querySelector('.map-body'))"
    )
    assert 0 == page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.get_by_title("Later days").click()
    page.get_by_title("Earlier days").click()
    expect(page.get_by_title("Earlier days")).to_be_hidden()
    assert page.evaluate("document.activeElement.matches('.cursor')")


IN_SIGHT = """() => {
    const [cursor, body, who] = [".cursor", ".map-body", ".map-body .account-name"].map((name) => document.querySelector(name).getBoundingClientRect());
    const says = document.querySelector(".map .tooltip");
    const isBelow = says.hidden || says.getBoundingClientRect().bottom <= cursor.top + 1;
    return isBelow && who.left >= 0 && cursor.left >= who.right && cursor.right <= Math.min(body.right, innerWidth);
}"""


def test_what_is_in_sight_stays_while_windows_change(page: Page, windows: SessionStore) -> None:
    """Somebody who has scrolled back is not taken to the newest day."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(address(days="456"))
    expect(page.locator("#pill-text")).to_have_text("Live")
    page.evaluate("document.querySelector('.map-body').scrollLeft = 100")
    _change(windows)
    expect(page.locator("#states")).to_contain_text("expired 1")
    assert 100 == page.evaluate("document.querySelector('.map-body').scrollLeft")


def test_an_address_of_an_old_day_leads_to_its_days(page: Page, windows: SessionStore) -> None:
    """The days around it are shown, and it is chosen there; paging goes on from them without it."""
    old = datetime.now(UTC).date() - timedelta(days=200)
    change_windows(windows.engine, ReportWindow.status == "failed", window_date=old)
    page.goto(f"/coverage?dataset=daily_targets&account=DE.one&window={old}")
    expect(page.locator(".verdict")).to_contain_text("Its report failed")
    expect(page.locator(".cursor")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".cursor")).to_have_attribute("aria-label", re.compile("^failed: "))
    last = old + timedelta(days=45)
    expect(page.locator("#as-of")).to_contain_text(f"{last - timedelta(days=90)} to {last}")
    page.get_by_role("link", name="← Earlier").click()
    expect(page.locator("#as-of")).to_contain_text(f"to {last - timedelta(days=91)}")
    expect(page.locator("#detail")).to_be_hidden()


@pytest.mark.parametrize(("view", "place"), [("map", ".story a"), ("table", "tbody .which a")])
def test_focus_stays_while_windows_change(
    page: Page, windows: SessionStore, view: str, place: str
) -> None:
    """A link beside the map or in the table has the focus before and after the windows are told anew."""
    page.goto(address(view=view, **CHOSEN))
    expect(page.locator(".verdict")).to_contain_text("Its report failed")
    expect(page.locator("#pill-text")).to_have_text("Live")
    page.locator(place).first.focus()
    _change(windows)
    expect(page.locator("#states")).to_contain_text("expired 1")
    expect(page.locator(".verdict")).not_to_contain_text("Its report failed")
    expect(page.locator(place).first).to_be_focused()


def _change(store: SessionStore, which: Any = ReportWindow.status == "failed") -> None:
    with with_job_session("load-windows", store=store) as session, store.begin() as connection:
        expired = {"status": "expired", "next_refresh_at": None, "last_loaded_at": None}
        ended = func.now() - timedelta(hours=1)
        change_windows(connection, which, **expired, expires_at=ended)
        other_day = FACTS | {"windows": [TO]}
        session.add_in(connection, ReportFailed(**other_day, request_id=2, cause={}))


def test_a_map_of_nothing_says_what_to_do(page: Page) -> None:
    """Without accounts it names the command that brings them."""
    page.goto("/coverage")
    expect(page.get_by_role("heading", name="No accounts yet")).to_be_visible()
    assert_readable(page)
    expect(page.locator("#notice")).to_contain_text("bidbeacon accounts sync")
