"""The suite `page`: the page and its calls, with 100,000 sessions and up to 300 accounts."""

import shutil
import statistics
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import httpx
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import Engine, text

import bidbeacon_pipelines.web
import bidbeacon_sessions
from benchmarks.bulk_rows import ACCOUNTS, fill_month, fill_sessions, fill_windows, note_windows
from benchmarks.database import alone, fresh_database
from benchmarks.figures import Figure, at_most, median_milliseconds
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_pipelines.windows.rules import oldest_served
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import StreamServer
from tests.support.rows import add_account

ROUNDS, DAYS, HOME_ACCOUNTS = 5, 456, 300
DATASET = "daily_targets"
RARE = "never-seen-before"
"""A word that one action in two million has."""
_RARE = text("""
    UPDATE session_actions
       SET payload = payload || jsonb_build_object('reason', CAST(:rare AS text))
     WHERE (session_id, ord) = (SELECT session_id, ord
                                  FROM session_actions
                                 WHERE type = 'report-failed'
                                 ORDER BY at DESC OFFSET 50 LIMIT 1)""")
# When the first element of this kind was painted, in milliseconds since navigation began.
_NOTE_FIRST = """
    new MutationObserver((_, observer) => {
      if (!document.querySelector(SELECTOR)) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => (window.firstAt = performance.now())));
    }).observe(document, { childList: true, subtree: true });"""

_FIRST_AT = """
    new Promise((done) => {
      const poll = () => (window.firstAt ? done(window.firstAt) : setTimeout(poll, 5));
      poll();
    })"""


def page() -> Iterator[Figure]:
    """Measure the page in Chromium, and the calls behind it."""
    size = sum(map(_kilobytes, (bidbeacon_sessions, bidbeacon_pipelines.web)))
    yield at_most("all files of the page", size, "KB", 300)
    with fresh_database() as engine:
        alone(engine, "ALTER SYSTEM SET autovacuum = off")
        alone(engine, "SELECT pg_reload_conf()")
        _fill(engine)
        _settle(engine)
        with _serving(engine) as client, _browser() as browser:
            yield from _calls(client)
            yield from _views(browser, str(client.base_url))
        world = f"{HOME_ACCOUNTS} accounts, {_fill_for_home(engine) / 1e6:.1f} million windows"
        with engine.begin() as connection:
            month = f"{fill_month(connection, [*DATASETS]):,} requests and loads"
        _settle(engine)
        with _serving(engine) as client, _browser() as browser:
            took = _call(client, "home", {})
            yield at_most(f"GET /api/home: {world}, 5 % failed, 10 % expired", took, "ms", 250)
            painted = _first(browser, str(client.base_url), "#findings li")
            yield at_most("Home on screen, all of its sections", painted, "ms", 500)
            took = _call(client, "trends", {"days": "30"})
            yield at_most(
                f"GET /api/trends?days=30: {HOME_ACCOUNTS} accounts, {month}", took, "ms", 300
            )


def _kilobytes(package: ModuleType) -> float:
    folder = Path(package.__file__ or "").parent
    files = [*folder.glob("web/*"), *folder.glob("files/*")]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1000


def _fill(engine: Engine) -> None:
    """Store sessions up to now, and their 100 accounts with windows, one day in 97 failed."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        for number in range(ACCOUNTS):
            add_account(connection, "US", f"amzn1.ads-account.g.{number}bench")
        fill_windows(
            connection,
            DATASET,
            "SP+SB+SD",
            now.date(),
            str(DAYS),
            expires_at="now() + interval '2 years'",
            status="CASE age % 97 WHEN 5 THEN 'failed' ELSE 'loaded' END",
            next_refresh_at="now() + (age % 61 - 3) * interval '1 hour'",
            **_LOADED,
        )
    fill_sessions(engine, now)
    with engine.begin() as connection:
        connection.execute(_RARE, {"rare": RARE})


_LOADED = {
    "last_loaded_at": "now()",
    "data_as_of": "now()",
    "load_count": "3",
    "recorded_load_count": "3",
    "row_count": "700",
}


def _fill_for_home(engine: Engine) -> int:
    """Add accounts up to 300, and more windows than Amazon serves; return their number."""
    today = datetime.now(UTC).date()
    expired, failed = "(age % 10 = 3 AND age > 60)", "age % 20 = 5"
    with engine.begin() as connection:
        for number in range(ACCOUNTS, HOME_ACCOUNTS):
            add_account(connection, "US", f"amzn1.ads-account.g.{number}bench")
        for dataset in DATASETS.values():
            fill_windows(
                connection,
                dataset.name,
                "SP+SB+SD",
                today,
                str((today - oldest_served(dataset, today)).days * 31 // 20),
                expires_at=f"""
                    now() + CASE WHEN {expired} THEN interval '-1 day'
                                 ELSE interval '2 years' END""",
                status=f"""
                    CASE WHEN {expired} THEN 'expired'
                         WHEN {failed} THEN 'failed' ELSE 'loaded' END""",
                next_refresh_at=f"""
                    CASE WHEN {expired} THEN NULL
                         WHEN age < 8 AND hashtext(a.account_key) % 3 = 0
                         THEN now() - age * interval '3 hours'
                         WHEN age < 60 OR {failed}
                         THEN now() + age % 60 * interval '1 hour' + interval '1 minute' END""",
                cause_since="now() - age * interval '1 hour'",
                cause=f"""
                    CASE WHEN {failed} AND NOT {expired}
                         THEN jsonb_build_object(
                              'code', 'field-refused',
                              'field', (ARRAY['clicks', 'cost', 'sales'])[age % 3 + 1],
                              'detail', jsonb_build_object('reason', 'No field', 'days', age))
                     END""",
                **_LOADED
                | dict.fromkeys(
                    ("last_loaded_at", "data_as_of"), f"CASE WHEN NOT {expired} THEN now() END"
                ),
            )
        note_windows(connection, today)
        windows: int = connection.execute(text("SELECT count(*) FROM report_windows")).scalar_one()
    return windows


def _settle(engine: Engine) -> None:
    """Do the upkeep after a fill now; it would take CPU from what is measured."""
    alone(engine, "VACUUM ANALYZE")
    alone(engine, "CHECKPOINT")


@contextmanager
def _serving(engine: Engine) -> Iterator[httpx.Client]:
    store = SessionStore(engine)
    extension = pipelines_extension(store, Settings())
    server = StreamServer(store, host="127.0.0.1", port=0, extension=extension)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        yield client
    server.should_exit = True
    thread.join(timeout=10)


def _calls(client: httpx.Client) -> Iterator[Figure]:
    found = client.get("/api/job-sessions", params={"limit": 10}).json()["sessions"]
    session = next(one for one in found if one["account"])
    month = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    sessions, histogram, newest = "job-sessions", "job-sessions/histogram", {"limit": "30"}
    coverage = {"days": str(DAYS), "dataset": DATASET}
    calls: list[tuple[str, str, dict[str, str], float]] = [
        ("the newest 30 sessions", sessions, newest, 150),
        ("… of an account", sessions, newest | {"account": session["account"]}, 300),
        ("… that failed", sessions, newest | {"status": "failed"}, 200),
        ("… with a word that all have", sessions, newest | {"text": "processing"}, 500),
        ("… with a word that one has", sessions, newest | {"text": RARE}, 500),
        ("histogram of 24 hours", histogram, {}, 100),
        ("histogram of 30 days", histogram, {"since": month}, 500),
        ("values to complete with", "job-sessions/values", {}, 150),
        ("what stands around a session", f"job-sessions/{session['id']}/surroundings", {}, 100),
        ("coverage of 100 accounts and 456 days", "coverage", coverage, 500),
    ]
    for name, path, query, bound in calls:
        yield at_most(name, _call(client, path, query), "ms", bound)


def _call(client: httpx.Client, path: str, query: Mapping[str, str]) -> float:
    return median_milliseconds(
        lambda: client.get(f"/api/{path}", params=query).raise_for_status(), ROUNDS
    )


@contextmanager
def _browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    assert executable is not None, "measuring the page needs Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        yield playwright.chromium.launch(executable_path=executable, args=arguments)


def _views(browser: Browser, url: str) -> Iterator[Figure]:
    first = _first(browser, f"{url}/sessions", ".session")
    yield at_most("first sessions on screen, with 100,000 in the database", first, "ms", 500)
    drawn = _first(browser, f"{url}/coverage?dataset={DATASET}&days={DAYS}", ".map .strip canvas")
    yield at_most("the map of 45,600 windows on screen", drawn, "ms", 1_000)


def _first(browser: Browser, url: str, selector: str) -> float:
    """Return the median of visits, each with an empty cache, after one that warms up."""
    measured = []
    for _ in range(ROUNDS + 1):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script(_NOTE_FIRST.replace("SELECTOR", repr(selector)))
        tab = context.new_page()
        tab.goto(url)
        tab.wait_for_selector(selector, state="attached")  # fails where it never comes
        measured.append(float(tab.evaluate(_FIRST_AT)))
        context.close()
    return statistics.median(measured[1:])
