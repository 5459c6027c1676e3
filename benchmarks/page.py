"""The page and what it asks, on 100,000 sessions with two million actions, and 100 accounts with 456 days; Home on 300 with all of history."""

import shutil
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import ModuleType

import httpx
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import Engine

import bidbeacon_pipelines.actions
import bidbeacon_pipelines.web
import bidbeacon_sessions
from benchmarks.figures import Figure, at_most, median_milliseconds
from benchmarks.page_world import DATASET, HOME_ACCOUNTS, RARE, fill_for_home, page_world
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import StreamServer

TIMES = 5
# When the first element of this kind has been painted, in milliseconds since the address was asked
# for.
_NOTE_FIRST = """
    new MutationObserver((_, observer) => {
      if (!document.querySelector(SELECTOR)) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => (window.firstAt = performance.now())));
    }).observe(document, { childList: true, subtree: true });"""

_FIRST_AT = "new Promise((done) => { const look = () => (window.firstAt ? done(window.firstAt) : setTimeout(look, 5)); look(); })"


def page() -> Iterator[Figure]:
    """Measure the page in Chromium, and the calls behind it."""
    with page_world() as engine:
        yield from figures_on(engine)


def figures_on(engine: Engine) -> Iterator[Figure]:
    """Measure on a database that is filled already."""
    yield at_most(
        "all files of the page",
        sum(map(_size, (bidbeacon_sessions, bidbeacon_pipelines.web))),
        "KB",
        300,
    )
    with (
        _serving(engine) as url,
        httpx.Client(base_url=url, timeout=60) as client,
        _browser() as browser,
    ):
        yield from _calls(client)
        yield from _views(browser, url)
    windows = fill_for_home(engine)
    with (
        _serving(engine) as url,
        httpx.Client(base_url=url, timeout=60) as client,
        _browser() as browser,
    ):
        yield from _home(
            client, browser, url, f"{HOME_ACCOUNTS} accounts, {windows / 1e6:.1f} million windows"
        )


def _size(package: ModuleType) -> float:
    """Return how many KB the pages' files in a package are."""
    folder = Path(package.__file__ or "").parent
    files = [
        file for name in ("web", "files") for file in (folder / name).glob("*") if file.is_file()
    ]
    return sum(file.stat().st_size for file in files) / 1000


def _home(client: httpx.Client, browser: Browser, url: str, world: str) -> Iterator[Figure]:
    """Measure Home, which counts all windows each time."""
    counted = median_milliseconds(partial(_get, client, "/api/home", {}), TIMES)
    yield at_most(f"GET /api/home: {world}, 5 % failed, 10 % expired", counted, "ms", 250)
    painted = _median_first(browser, url, "#findings li")
    yield at_most("Home on screen, all of its sections", painted, "ms", 500)


@contextmanager
def _serving(engine: Engine) -> Iterator[str]:
    store = SessionStore(engine)
    server = StreamServer(
        store,
        host="127.0.0.1",
        port=0,
        extension=pipelines_extension(store, Settings()),
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.should_exit = True
    thread.join(timeout=10)


def _calls(client: httpx.Client) -> Iterator[Figure]:
    newest = client.get("/api/job-sessions", params={"limit": 10}).json()["sessions"]
    session = next(one for one in newest if one["account"])
    month = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    sessions, histogram = "/api/job-sessions", "/api/job-sessions/histogram"
    asked: list[tuple[str, str, dict[str, str], float]] = [
        ("the newest 30 sessions", sessions, {"limit": "30"}, 150),
        ("… of an account", sessions, {"limit": "30", "account": session["account"]}, 300),
        ("… that failed", sessions, {"limit": "30", "status": "failed"}, 200),
        ("… with a word that all have", sessions, {"limit": "30", "text": "processing"}, 500),
        ("… with a word that one has", sessions, {"limit": "30", "text": RARE}, 500),
        ("histogram of 24 hours", histogram, {}, 100),
        ("histogram of 30 days", histogram, {"since": month}, 500),
        ("values to complete with", "/api/job-sessions/values", {}, 150),
        (
            "what stands around a session",
            f"/api/job-sessions/{session['id']}/surroundings",
            {},
            100,
        ),
        (
            "coverage of 100 accounts and 456 days",
            "/api/coverage",
            {"days": "456", "dataset": DATASET},
            500,
        ),
    ]
    for name, path, query, bound in asked:
        yield at_most(
            name, median_milliseconds(partial(_get, client, path, query), TIMES), "ms", bound
        )


def _get(client: httpx.Client, path: str, query: dict[str, str]) -> None:
    assert client.get(path, params=query).status_code == 200


@contextmanager
def _browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    assert executable is not None, "measuring the page needs Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        yield playwright.chromium.launch(executable_path=executable, args=arguments)


def _views(browser: Browser, url: str) -> Iterator[Figure]:
    first = _median_first(browser, f"{url}/sessions", ".session")
    yield at_most("first sessions on screen, with 100,000 in the database", first, "ms", 500)
    drawn = _median_first(
        browser, f"{url}/coverage?dataset={DATASET}&days=456", ".map .strip canvas"
    )
    yield at_most("the map of 45,600 windows on screen", drawn, "ms", 1_000)


def _median_first(browser: Browser, url: str, selector: str) -> float:
    """Return the median of several visits, each in a tab of its own with an empty cache, after one that warms up."""
    measured = []
    for _ in range(TIMES + 1):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script(_NOTE_FIRST.replace("SELECTOR", repr(selector)))
        tab = context.new_page()
        tab.goto(url)
        tab.wait_for_selector(selector, state="attached")  # fails where it never comes
        measured.append(float(tab.evaluate(_FIRST_AT)))
        context.close()
    return statistics.median(measured[1:])
