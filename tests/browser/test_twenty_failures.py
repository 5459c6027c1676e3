"""Failures of different cause: for each, the first line of what is wrong that Chromium shows on Home names the cause, and an alert says the same.

`docs/page.md` has the first lines, in a table that this file is tested against.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page
from pytest_httpserver import HTTPServer
from werkzeug import Response

from bidbeacon_pipelines.actions import WindowsQueued
from bidbeacon_pipelines.problems.alerts import AlertWatch
from bidbeacon_pipelines.problems.home import Home
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.errors import SessionsError
from bidbeacon_sessions.session import finalize_session
from tests.browser.conftest import open_tab, serve_page
from tests.faults.ads.simulated_office import Office
from tests.postgres.job_world import DATASET
from tests.postgres.lone_fault_cases import REPORT_CASES
from tests.postgres.lone_fault_world import LoneFaultWorld, fault, fresh_world, open_office
from tests.postgres.lone_sync_cases import ACCOUNT_CASES, ENTITY_CASES

ALL_TOLD_AFTER = timedelta(minutes=66)
"""What usually passes by itself is told when it has not."""

Failure = Callable[[LoneFaultWorld], object]


pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def office(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Yield the place of all failures."""
    with open_office(shared_database_url, tmp_path_factory.mktemp("home")) as office:
        yield office


@pytest.fixture(scope="module")
def url(office: Office) -> Iterator[str]:
    """Yield the address of the product's page, which has the clock of the place."""
    store = SessionStore(office.engine)
    with serve_page(store, settings=office.settings, clock=office.clock.now) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """Yield the tab that shows all failures, one after the other: a new one would load the page's files anew."""
    with open_tab(browser) as tab:
        yield tab


@pytest.fixture
def world(office: Office) -> Iterator[LoneFaultWorld]:
    """Yield the place as if nothing had failed in it."""
    with fresh_world(office) as world:
        yield world


def report(case: str) -> Failure:
    """Return what a fault of a report does, until all is at rest."""

    def play(world: LoneFaultWorld) -> None:
        world.strike(REPORT_CASES[case].faults)
        world.pass_time(REPORT_CASES[case].pause)

    return play


def entities(case: str) -> Failure:
    """Return what a fault of an account's entity sync does."""

    def play(world: LoneFaultWorld) -> None:
        world.strike(ENTITY_CASES[case].faults)
        with suppress(Exception):
            world.sync_entities(world.account())

    return play


def accounts(case: str) -> Failure:
    """Return what a fault of the sync of accounts does."""

    def play(world: LoneFaultWorld) -> None:
        world.strike(ACCOUNT_CASES[case].faults)
        with suppress(Exception):
            world.sync_accounts()

    return play


def keep_pending(world: LoneFaultWorld) -> None:
    """Let Amazon work on a report for eight hours."""
    world.strike([fault("report_pending")])
    work_for(world, hours=8, every=timedelta(minutes=30))


def work_for(world: LoneFaultWorld, *, hours: float, every: timedelta) -> None:
    """Do what is due every so often, for so many hours."""
    end = world.context.now() + timedelta(hours=hours)
    while world.context.now() < end:
        world._do_what_is_due()
        world.office.clock.jump(world.context.now() + every)


def leave_due(world: LoneFaultWorld) -> None:
    """Let a day be due for longer than it should wait, while jobs run and none plans it."""
    world.office.clock.jump(world.context.now() + timedelta(hours=13))


def lose_promise(world: LoneFaultWorld) -> None:
    """Queue work that nobody ever does."""
    world.pass_time()
    account = world.account()
    with with_job_session(
        "refresh-account",
        store=SessionStore(world.engine),
        account=account.ref,
        clock=world.context.now,
    ) as session:
        session.add(
            WindowsQueued(
                account=account.account_key,
                dataset=DATASET.name,
                windows=[world.day],
                request_id=123_456,
            )
        )
    world.execute(
        "UPDATE session_promises SET deadline_at = :at WHERE fulfilled_by IS NULL",
        at=world.context.now() + timedelta(hours=1),
    )
    world.office.clock.jump(world.context.now() + timedelta(hours=1, minutes=1))


def crash(world: LoneFaultWorld) -> None:
    """Let a run be killed in the middle of its work, and its session be closed as the sensor does."""
    world.pass_time()
    store = SessionStore(world.engine)
    killed = with_job_session("refresh-account", store=store, account=world.account().ref)
    session = killed.__enter__()
    with store.begin() as connection:
        now = datetime.now(UTC)
        finalize_session(
            connection,
            session.session_id,
            status="crashed",
            reason="The process was killed.",
            now=now,
        )
    with suppress(SessionsError):
        killed.__exit__(None, None, None)


def stop_everything(world: LoneFaultWorld) -> None:
    """Let the last job be three hours ago, as where Dagster is dead."""
    world.pass_time()
    long_ago = world.context.now() - timedelta(hours=3)
    world.execute("UPDATE session_headers SET started_at = :at, finished_at = :at", at=long_ago)
    world.execute("DELETE FROM session_leases")


FAILURES: Mapping[str, Failure] = {
    "the refresh token is revoked": report("invalid_grant"),
    "an ads account lacks the right to be reported on": report("missing_rights"),
    "Amazon refuses an ads account (403)": report("forbidden: create, always"),
    "Amazon refuses fresh access tokens (401)": report("unauthorized: always"),
    "a report fails at Amazon each time": report("report_failed: always"),
    "Amazon cancels a report each time": report("report_cancelled: always"),
    "Amazon expires a report each time": report("report_expired: always"),
    "no request to create a report is answered": report("connection_cut: create, always"),
    "Amazon answers each request with an error of its own": report("server_error: create, always"),
    "Amazon refuses a field": report("partial_failure: create, a code of ours"),
    "the account is in another region": report("wrong_region: create, always"),
    "Amazon finds a day too old": report("too_old, of a day that Amazon serves, always"),
    "download addresses never work": report("expired_url: always"),
    "a file of the report is missing": report("part_missing: always"),
    "the download leads elsewhere": report("redirect: always"),
    "too many rows are invalid": report("bad_rows: negative_metric"),
    "rows have no readable date": report("bad_rows: impossible_date"),
    "a country has gone silent": report("empty_report: twice, nothing was there before"),
    "Amazon works on a report for hours": keep_pending,
    "a day is not asked for": leave_due,
    "an export of entities fails": entities("export_failed"),
    "Amazon throttles exports": entities("throttle: create, always"),
    "accounts cannot be listed": accounts("server_error: always"),
    "one region cannot be listed": accounts("server_error: accounts of one region, always"),
    "queued work is never done": lose_promise,
    "a run is killed": crash,
    "nothing happens at all": stop_everything,
}


NO_SESSION, THE_SAME = "–", "the same"


def read_table() -> dict[str, tuple[str, str]]:
    """Return the table of `docs/page.md`: how the first line begins, and what the session's page says, by failure."""
    page = (PROJECT_ROOT / "docs" / "page.md").read_text(encoding="utf-8")
    table = page.partition("## Failures, and what the first line says")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|`]+?) \| `([^`]+)` \| `?([^|`]+)`? \|", table, re.MULTILINE)
    return {
        name: (first, first if session.strip() == THE_SAME else session.strip())
        for name, first, session in rows
    }


def test_the_document_lists_every_failure() -> None:
    """And no other; at least twenty, each with a first line of its own."""
    table = read_table()
    assert list(FAILURES) == list(table)
    assert len(table) >= 20
    assert len({first for first, _ in table.values()}) == len(table)


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_named_on_home_and_told(
    world: LoneFaultWorld, tab: Page, url: str, httpserver: HTTPServer, name: str
) -> None:
    """The cause stands first in the first line of what is wrong, on the first screen of its session, and in one alert, with the account where there is one."""
    FAILURES[name](world)
    expected, in_session = read_table()[name]
    first = read_problems(world)[0]
    assert str(first["cause"]).startswith(expected), first
    tab.goto(url)
    for home in at_both_widths(tab, "#problems li [dir=auto]"):
        assert home.startswith(expected)
    sessions = world.query(ENDED_BADLY)
    assert (in_session == NO_SESSION) == (sessions == [])
    for session in sessions[:1]:
        tab.goto(f"{url}/sessions/{session['id']}")
        for shown in at_both_widths(tab, "#session[aria-busy=false]"):
            assert in_session in shown
    titles = watch(world, httpserver)
    whose = f"{', '.join(first['names'])}" if first["names"] else ""  # type: ignore[arg-type]
    told = [title for title in titles if expected in title]
    assert 1 == len(told), titles
    assert told[0].startswith(whose)
    assert len(titles) <= len(read_problems(world))


def test_a_region_is_a_problem_until_it_is_listed_again(
    world: LoneFaultWorld, httpserver: HTTPServer
) -> None:
    """Since the first sync that could not list it, and told when the next one could not either."""
    not_listed = accounts("server_error: accounts of one region, always")
    not_listed(world)
    first_sync_ended = datetime.now(UTC)
    not_listed(world)
    [problem] = [one for one in read_problems(world) if one["kind"] == "not listed"]
    assert datetime.fromisoformat(str(problem["since"])) < first_sync_ended
    assert f"client {world.context.client.client_id} " in str(problem["cause"])
    watch(world, httpserver)
    accounts("slow")(world)
    assert [] == [one for one in read_problems(world) if one["kind"] == "not listed"]
    told = watch(world, httpserver)
    assert ["", "Over: "] == [
        title.partition("Region NA can't be listed")[0] for title in told if "Region NA" in title
    ]


ENDED_BADLY = """
    SELECT id FROM job_sessions WHERE status IN ('failed', 'crashed') OR outcome IN ('warnings', 'problems')
     ORDER BY started_at DESC"""
VISIBLE_WORDS = """element => {
    const words = [];
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const isSeen = (x, y) => element.contains(document.elementFromPoint(x, y));
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        for (const { index, 0: word } of node.data.matchAll(/\\S+/g)) {
            const range = document.createRange();
            range.setStart(node, index);
            range.setEnd(node, index + word.length);
            const boxes = [...range.getClientRects()];
            if (boxes.every(({ left, right, top, bottom }) => isSeen(left + 1, (top + bottom) / 2) && isSeen(right - 1, (top + bottom) / 2))) words.push(word);
        }
    }
    return words.join(" ");
}"""
"""The words of an element that are on the screen, neither cut off nor covered."""


def at_both_widths(page: Page, element: str) -> Iterator[str]:
    """Yield what can be read of the first such element without scrolling, on a desk and on a phone."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        yield str(page.locator(element).first.evaluate(VISIBLE_WORDS))


def read_problems(world: LoneFaultWorld) -> Sequence[Mapping[str, object]]:
    """Return what Home says is wrong."""
    home = Home(SessionStore(world.engine), world.office.settings, clock=world.context.now)
    found: Sequence[Mapping[str, object]] = home.read()["problems"]
    return found


def watch(world: LoneFaultWorld, receiver: HTTPServer) -> list[str]:
    """Look now, and again when what usually passes has not; return the titles of the alerts that came."""
    receiver.expect_request("/").respond_with_response(Response(status=200))
    settings = Settings(
        alert_urls=f"json://127.0.0.1:{receiver.port}/",
        **world.office.settings.model_dump(exclude_unset=True),
    )
    for _ in range(2):
        AlertWatch(world.engine, settings, clock=world.context.now).look_once()
        world.office.clock.jump(world.context.now() + ALL_TOLD_AFTER)
    return [request.get_json()["title"] for request, _ in receiver.log]
