"""Many tabs at once, and tabs that nobody looks at: a browser keeps at most six ordinary connections to a host, in all its tabs together."""

import pytest
from playwright.sync_api import Page, expect

from bidbeacon_sessions import SessionStore, with_job_session
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

TABS = 8
HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def open_streams(page: Page) -> float:
    """Count the WebSockets that the server has."""
    lines = page.request.get("/metrics").text().splitlines()
    [line] = [
        line for line in lines if line.startswith('bidbeacon_stream_clients{transport="websocket"}')
    ]
    return float(line.rsplit(" ", 1)[1])


def test_eight_tabs_are_live_at_once(page: Page, session_store: SessionStore) -> None:
    """Of each view: the seventh and eighth load like the first, and each shows what happens."""
    with with_job_session("goes-on", store=session_store) as session:
        views = [
            ("/sessions", ".session .job"),
            ("/", "#jobs tbody th"),
            (f"/sessions/{session.session_id}", ".title h1"),
            ("/coverage", "#notice h2"),
        ] * (TABS // 4)
        tabs = [page.context.new_page() for _ in views]
        for tab, (path, shown) in zip(tabs, views, strict=True):
            tab.goto(path)
            expect(tab.locator("#pill-text")).to_have_text("Live")
            expect(tab.locator(shown).first).to_be_visible()
        assert TABS == open_streams(page)
        with with_job_session("seen-by-all", store=session_store):
            pass
        for tab, (path, shown) in zip(tabs, views, strict=True):
            if path in {"/sessions", "/"}:
                expect(tab.locator(shown, has_text="seen-by-all")).to_be_visible()
    for tab, (path, _) in zip(tabs, views, strict=True):
        if path.startswith("/sessions/"):
            expect(tab.locator(".title .word")).to_have_text("succeeded")


@pytest.mark.parametrize("is_seen_first", [True, False], ids=["seen first", "never seen"])
def test_a_hidden_tab_disconnects_and_catches_up(
    page: Page, session_store: SessionStore, *, is_seen_first: bool
) -> None:
    """After half a minute it costs the server nothing; seen again, it shows what it missed without loading anew. No event says that one opened in the background is hidden."""
    page.clock.install()
    if not is_seen_first:
        page.add_init_script(f"({HIDE})(true)")
    page.goto("/sessions")
    expect(page.locator("#pill-text")).to_have_text("Live")
    if is_seen_first:
        page.evaluate(HIDE, True)
    page.clock.fast_forward(31_000)
    wait_until(lambda: 0 == open_streams(page))
    with with_job_session("while-hidden", store=session_store):
        pass
    loads: list[str] = []
    page.on("request", lambda request: loads.append(request.url))
    page.evaluate(HIDE, False)
    expect(page.locator(".session .job")).to_have_text(["while-hidden"])
    expect(page.locator("#pill-text")).to_have_text("Live")
    assert not [url for url in loads if "/api/job-sessions?limit" in url]
    assert 1 == open_streams(page)


def test_a_tab_that_was_hidden_for_a_moment_stays_connected(
    page: Page, session_store: SessionStore
) -> None:
    """Looking at another tab and back costs nothing."""
    page.clock.install()
    page.goto("/sessions")
    expect(page.locator("#pill-text")).to_have_text("Live")
    sockets: list[object] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 - playwright takes no built-in method
    page.evaluate(HIDE, True)
    page.clock.fast_forward(10_000)
    page.evaluate(HIDE, False)
    with with_job_session("seen", store=session_store):
        pass
    expect(page.locator(".session .job")).to_have_text(["seen"])
    page.clock.fast_forward(21_000)
    expect(page.locator("#pill-text")).to_have_text("Live")
    assert [] == sockets
