"""A real Chromium, a running stream that knows windows, and a tab whose errors fail the test."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.server import Access
from tests.browser.told_sessions import JOBS, tell
from tests.stream.reading import serve_stream

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = "a-token-for-changes"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

Scheme = Literal["light", "dark"]
SCHEMES: Sequence[Scheme] = ("light", "dark")
WIDTHS: Mapping[int, Sequence[Scheme]] = {320: ["dark"], 390: [], 768: [], 1280: SCHEMES, 1920: []}
"""Widths from a phone to a wide screen, and the colors in which axe looks at each."""

MOVE_CLOCK = """ahead => {
    const RealDate = Date;
    window.Date = class extends RealDate {
        constructor(...parts) { super(...(parts.length ? parts : [RealDate.now() + ahead])); }
        static now() { return RealDate.now() + ahead; }
    };
}"""
"""Moves the clock of a page by so many milliseconds."""

expect.set_options(timeout=15_000)


def find_chromium() -> str:
    """Return where Chromium is."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    assert executable is not None, "the browser tests need Chromium: apt-get install chromium"
    return executable


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless; it ends with the tests of this folder, since playwright's event loop must not run beside other tests' loops."""
    with sync_playwright() as playwright:
        # Chromium hangs under libfaketime: it keeps the real clock, and its pages get the moved one
        # (see `page`).
        environment: dict[str, str | float | bool] = {**os.environ}
        environment.pop("LD_PRELOAD", None)
        launched = playwright.chromium.launch(
            executable_path=find_chromium(), args=FLAGS, env=environment
        )
        yield launched
        launched.close()


@contextmanager
def serve_page(
    store: SessionStore,
    *,
    port: int = 0,
    settings: Settings | None = None,
    clock: Clock = utc_now,
    access: Access | None = None,
) -> Iterator[str]:
    """Serve a store in a thread, to this machine as `bidbeacon dev` does; yield the address."""
    extension = pipelines_extension(store, settings or Settings(), clock=clock)
    access = access or Access(changes_token=TOKEN)
    with serve_stream(store, port=port, extension=extension, access=access) as server:
        yield server.url


@pytest.fixture(scope="module")
def shared_store(shared_database_url: str) -> Iterator[SessionStore]:
    """A store that the tests of a module share, since they change nothing in it."""
    store = SessionStore.connect(shared_database_url)
    yield store
    store.dispose()


@pytest.fixture(scope="module")
def shared_url(shared_store: SessionStore) -> Iterator[str]:
    """The address of a running stream over the store that the tests of a module share."""
    with serve_page(shared_store) as url:
        yield url


@pytest.fixture
def base_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a running stream: over `shared_store` where the test, or a fixture of it, asks for that, else over its own `session_store`."""
    if "shared_store" in request.fixturenames:
        yield request.getfixturevalue("shared_url")
    else:
        with serve_page(request.getfixturevalue("session_store")) as url:
            yield url


@contextmanager
def open_tab(
    browser: Browser, url: str, *, token: str = TOKEN, zone: str = "UTC", width: int = 1280
) -> Iterator[Page]:
    """Open a tab of its own profile that shows the token at an address; its errors, and what its policy blocked, fail what it is opened for."""
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 600},
        timezone_id=zone,
        reduced_motion="reduce",
    )
    if token:
        context.set_extra_http_headers({"Authorization": f"Bearer {token}"})
    tab = context.new_page()
    if "FAKETIME" in os.environ:
        ahead = round(time.time() * 1000) - tab.evaluate("Date.now()")
        context.add_init_script(f"({MOVE_CLOCK})({ahead})")
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on(
        "console",
        lambda message: errors.append(message.text) if "Content Security" in message.text else None,
    )
    yield tab
    context.close()
    assert [] == errors


@pytest.fixture
def page(browser: Browser, base_url: str) -> Iterator[Page]:
    """A tab of the test's own, whose addresses are those of the running stream."""
    with open_tab(browser, base_url) as tab:
        yield tab


def assert_readable(page: Page, schemes: Sequence[Scheme] = SCHEMES) -> None:
    """Let axe find no rule of WCAG 2.2 AA that a page breaks, in light and dark."""
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        options = {"runOnly": {"type": "tag", "values": RULES}}
        found = Axe().run(page, options=options).response["violations"]
        assert [] == [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found], scheme


def assert_for_everyone(page: Page) -> None:
    """Find a page readable at any width, without scrolling sideways; shapes differ by width, and colors by scheme."""
    for width, schemes in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 800})
        over = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert (width, 0) == (width, over)
        assert_readable(page, schemes)


@pytest.fixture
def told(session_store: SessionStore) -> SessionStore:
    """A store with sessions, for a test that adds to them."""
    tell(session_store)
    return session_store


@pytest.fixture(scope="module")
def shared_told(shared_store: SessionStore) -> SessionStore:
    """A store with sessions that stay as they are."""
    tell(shared_store)
    return shared_store


@pytest.fixture
def stream(page: Page, shared_told: SessionStore) -> Page:
    """The Event Stream, loaded, of sessions that stay as they are."""
    return _load(page)


@pytest.fixture
def own_stream(page: Page, told: SessionStore) -> Page:
    """The Event Stream, loaded, of the store that a test adds to."""
    return _load(page)


def _load(page: Page) -> Page:
    page.goto("/sessions")
    expect(page.locator(".session .job")).to_have_text(JOBS)
    return page
