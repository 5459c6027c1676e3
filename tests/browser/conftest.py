"""A real Chromium, a running stream that knows windows, and a tab whose errors fail the test."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.server import Access, StreamServer
from tests.support.waiting import wait_until

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
NARROW_AND_WIDE: Sequence[tuple[int, Scheme]] = ((320, "dark"), (1280, "light"), (1280, "dark"))
"""What axe looks at: shapes differ by width, and colours by scheme."""

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
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
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
) -> Iterator[int]:
    """Serve a store in a thread, to this machine as `bidbeacon dev` does; yield the port."""
    extension = pipelines_extension(store, settings or Settings(), clock=clock)
    access = access or Access(changes_token=TOKEN)
    server = StreamServer(store, host="127.0.0.1", port=port, extension=extension, access=access)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.app.state.follower.is_ready or not thread.is_alive(), "it serves")
    assert thread.is_alive()
    yield server.port
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def serving() -> Callable[..., Any]:
    """Serves a store in a thread, as a context manager that gives its port."""
    return serve_page


@pytest.fixture
def base_url(session_store: SessionStore) -> Iterator[str]:
    """The address of a running stream."""
    with serve_page(session_store) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def shared_store(shared_database_url: str) -> Iterator[SessionStore]:
    """A store that the tests of a module share, since they change nothing in it."""
    store = SessionStore.connect(shared_database_url)
    yield store
    store.dispose()


@pytest.fixture(scope="module")
def shared_url(shared_store: SessionStore) -> Iterator[str]:
    """The address of a running stream over the store that the tests of a module share."""
    with serve_page(shared_store) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def open_tab(browser: Browser, token: str = TOKEN) -> Iterator[Page]:
    """Open a tab of its own profile, in UTC, that shows the token; its errors, and what its policy blocked, fail what it is opened for."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 600}, timezone_id="UTC", reduced_motion="reduce"
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
def page(browser: Browser) -> Iterator[Page]:
    """A tab of the test's own."""
    with open_tab(browser) as tab:
        yield tab


@pytest.fixture
def find_violations() -> Callable[[Page], list[str]]:
    """Has axe look at a page; gives a line for each rule of WCAG 2.2 AA that it breaks, with the first element that does."""

    def look(page: Page) -> list[str]:
        found = (
            Axe()
            .run(page, options={"runOnly": {"type": "tag", "values": RULES}})
            .response["violations"]
        )
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]

    return look
