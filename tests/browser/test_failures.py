"""Every failure: its cause as Chromium shows it on Home and on its session's page, one alert about it, and how it ends.

`docs/reference/errors.md` has what is said, in a list that this file is tested against.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from shutil import rmtree
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_httpserver import HTTPServer
from werkzeug import Response

from bidbeacon_pipelines.causes import CAUSE_KINDS
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS
from bidbeacon_pipelines.problems import alerts
from bidbeacon_pipelines.problems.alerts import AlertWatch
from bidbeacon_pipelines.problems.checks import check_dataset
from bidbeacon_pipelines.problems.home import read_home
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sandbox.rules import Limits
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.errors import SessionsError
from bidbeacon_sessions.session import finalize_session
from tests.browser.conftest import open_tab, serve_page
from tests.postgres.lone_day import LoneDay, fresh_day, open_lone_world
from tests.postgres.lone_fault_cases import REPORT_CASES
from tests.postgres.lone_sync_cases import ACCOUNT_CASES, ENTITY_CASES
from tests.support.rows import add_windows, change_sessions, change_windows, remove_windows
from tests.support.rules import rule
from tests.support.world import World

ALL_TOLD_AFTER = timedelta(minutes=66)
"""What usually passes by itself is told when it has not."""
SETTLED_AFTER = timedelta(hours=2, minutes=1)
A_DAY_LATER = timedelta(hours=25)
VANISHED = rule("rows", change="vanish", share=1)
OLD = "history: 200 days ago are an empty success"

Play = Callable[[LoneDay], object]


@dataclass(frozen=True)
class Failure:
    """How something fails, how it ends, and whether Home says when it goes on by itself."""

    play: Play
    end: Play
    goes_on: bool = False


pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the place of all failures."""
    with open_lone_world(shared_database_url, tmp_path_factory.mktemp("home")) as place:
        yield place


@pytest.fixture(scope="module")
def url(place: World) -> Iterator[str]:
    """Yield the address of the product's page, which has the clock of the place."""
    store = SessionStore(place.engine)
    with serve_page(store, settings=place.context.settings, clock=place.context.clock) as url:
        yield url


@pytest.fixture(scope="module")
def tab(browser: Browser, url: str) -> Iterator[Page]:
    """Yield the tab that shows all failures, one after the other: a new one would load the page's files anew."""
    with open_tab(browser, url) as tab:
        yield tab


@pytest.fixture
def lone(place: World) -> Iterator[LoneDay]:
    """Yield the place as if nothing had failed in it."""
    with fresh_day(place) as lone:
        yield lone


def report(case: str) -> Play:
    """Return what a fault of a report does, until all is at rest."""

    def play(lone: LoneDay) -> None:
        lone = lone.with_age(REPORT_CASES[case].age)
        lone.strike(REPORT_CASES[case].faults)
        lone.pass_time(REPORT_CASES[case].pause)

    return play


def entities(case: str) -> Play:
    """Return what a fault of an account's entity sync does."""
    faults = ENTITY_CASES[case].faults
    return lambda lone: strike(lone, faults, lambda: lone.world.sync_entities(lone.world.account()))


def accounts(case: str) -> Play:
    """Return what a fault of the sync of accounts does."""
    return lambda lone: strike(lone, ACCOUNT_CASES[case].faults, lone.world.sync_accounts)


def strike(lone: LoneDay, faults: Sequence[Limits], sync: Callable[[], object]) -> None:
    """Let a sync meet faults, whether or not it ends in an error."""
    lone.strike(faults)
    with suppress(Exception):
        sync()


def find_old_brands(lone: LoneDay) -> None:
    """Sync the entities of an account for the first time, of which a campaign has no ad groups."""
    lone.forget_entities()
    entities("old_brands")(lone)


def keep_pending(hours: float) -> Play:
    """Return what happens while Amazon works on a report for so many hours."""

    def play(lone: LoneDay) -> None:
        lone.strike([rule("report_ends", status="PENDING")])
        work_for(lone, minutes=60 * hours, every=timedelta(minutes=10))
        lone.do_what_is_due()

    return play


def work_for(lone: LoneDay, *, minutes: float, every: timedelta) -> None:
    """Do what is due every so often, for so many minutes."""
    end = lone.world.context.now() + timedelta(minutes=minutes)
    while lone.world.context.now() < end:
        lone.do_what_is_due()
        lone.world.jump(lone.world.context.now() + every)


def for_ten_minutes(*faults: Limits) -> Play:
    """Return what happens while calls fail for ten minutes: it is on Home within a minute, as something that passes, with when it goes on."""

    def play(lone: LoneDay) -> None:
        lone.strike(faults)
        work_for(lone, minutes=1, every=timedelta(minutes=1))
        [finding] = read_findings(lone)
        assert ("waiting", True) == (finding["severity"], finding["next_at"] is not None)
        assert [] == lone.world.query("SELECT 1 FROM findings")
        work_for(lone, minutes=10, every=timedelta(minutes=2))

    return play


def quarantine_some(lone: LoneDay) -> None:
    """Let one row in a hundred be invalid: too few for the report to be refused."""
    lone.strike(REPORT_CASES["bad_rows: a few negative_metric"].faults)
    lone.pass_time()


def let_totals_differ(lone: LoneDay) -> None:
    """Let a day's campaigns add up to more than its targets, and the hourly checks find it."""
    lone.pass_time()
    loaded = lone.window
    totals, product = loaded.product_totals, "SPONSORED_PRODUCTS"
    more = totals | {product: totals[product] | {"spend": 1_000_000}}
    add_windows(
        lone.world.engine,
        lone.world.account(),
        [loaded.window_date],
        "daily_campaigns",
        loaded.report,
        load_count=1,
        data_as_of=loaded.data_as_of,
        expires_at=loaded.expires_at,
        product_totals=more,
    )
    check_campaigns(lone)


def load_campaigns(lone: LoneDay) -> None:
    """Let the campaigns add up to the same as the targets, and the hourly checks find it."""
    remove_windows(lone.world.engine, ReportWindow.dataset == "daily_campaigns")
    check_campaigns(lone)


def check_campaigns(lone: LoneDay) -> None:
    """Check the dataset as the hourly run does."""
    now, settings = lone.world.context.now(), lone.world.context.settings
    with lone.world.session("check-dataset") as session:
        check_dataset(lone.world.engine, session, DAILY_CAMPAIGNS, now, settings)


def leave_due(lone: LoneDay) -> None:
    """Let a day be due for longer than it should wait, while jobs run and none plans it."""
    lone.world.jump(lone.world.context.now() + timedelta(hours=13))


def crash(lone: LoneDay) -> None:
    """Let a run be killed in the middle of its work, and its session be closed as the sensor does."""
    lone.pass_time()
    store = lone.world.sessions
    why = "The run's process died."
    with (
        suppress(SessionsError),
        with_job_session(
            "refresh-account", store=store, account=lone.world.account().ref
        ) as session,
        store.begin() as connection,
    ):
        finalize_session(
            connection, session.session_id, status="crashed", reason=why, now=datetime.now(UTC)
        )


def stop_everything(lone: LoneDay) -> None:
    """Let the last job be three hours ago, as where Dagster is dead."""
    lone.pass_time()
    long_ago = lone.world.context.now() - timedelta(hours=3)
    change_sessions(lone.world.engine, started_at=long_ago, finished_at=long_ago)
    lone.world.execute("DELETE FROM session_leases")


def lose_rows_of_final_day(lone: LoneDay) -> None:
    """Load the day for the last time, and then, by hand, a report without any of its rows."""
    lone.pass_time()
    change_windows(lone.world.engine, ReportWindow.load_count > 0, next_refresh_at=None)
    lone.strike([VANISHED])
    lone.wait_until_due()
    lone.pass_time()


def lose_rows_of_young_day(lone: LoneDay) -> None:
    """Load a day, and two reports in a row that have none of its rows."""
    lone.pass_time()
    lone.strike([VANISHED])
    lone.wait_until_due()
    lone.pass_time()


def acknowledge(lone: LoneDay) -> None:
    """Acknowledge what Home shows first."""
    now, key = lone.world.context.now(), str(read_findings(lone)[0]["key"])
    with lone.world.engine.begin() as connection:
        alerts.acknowledge(
            connection,
            lone.world.context.settings,
            now,
            key,
            by="maria",
            note="The shop was closed",
        )


def run_with_wrong_clock(lone: LoneDay) -> None:
    """Let a worker run on a host whose clock is two minutes ahead of the database's."""
    lone.pass_time()
    lone.world.execute(
        """INSERT INTO processes (kind, host, pid, version, started_at, seen_at, clock_ahead_by)
           VALUES ('worker', 'worker-1', 1, '1', now(), now(), interval '2 minutes')"""
    )


def stop_worker(lone: LoneDay) -> None:
    """Stop the worker of that host."""
    lone.world.execute("DELETE FROM processes")


def fill_disk(lone: LoneDay) -> None:
    """Let a host be unable to write downloads, while a report waits to be loaded; it is called worker-1."""
    folder = lone.world.context.downloads
    rmtree(folder, ignore_errors=True)
    folder.write_text("")
    work_for(lone, minutes=5, every=timedelta(minutes=1))
    folder.unlink()
    lone.world.execute(
        """UPDATE unwritable_folders SET host = 'worker-1', folder = '/scratch/downloads',
                  retry_at = retry_at + interval '1 hour'"""
    )


def make_room(lone: LoneDay) -> None:
    """Let the host load the report."""
    lone.world.execute("DELETE FROM unwritable_folders")
    go_on(lone)


def load_old(lone: LoneDay) -> None:
    """Load the old day by hand, now that it has rows."""
    replace(lone, age=REPORT_CASES[OLD].age).mend()


def go_on(lone: LoneDay) -> None:
    """Do what is due now that nothing fails."""
    with lone.mended() as mended:
        mended.pass_time()


def sync(lone: LoneDay) -> None:
    """Sync the accounts, and the entities of one."""
    with lone.mended() as mended:
        mended.world.sync_accounts()
    with lone.mended() as mended:
        mended.world.sync_entities(mended.world.account())


def run_again(lone: LoneDay) -> None:
    """Let a run of the same job succeed."""
    store, account = lone.world.sessions, lone.world.account().ref
    with with_job_session("refresh-account", store=store, account=account):
        pass


def run_now(lone: LoneDay) -> None:
    """Let any job run."""
    with lone.world.session("poll-reports"):
        pass


def wait_a_day(lone: LoneDay) -> None:
    """Let a day pass, since what happened once is news for so long; actions have the host's time."""
    lone.world.jump(max(lone.world.context.now(), datetime.now(UTC)) + A_DAY_LATER)


RETRIED_REPORTS = {
    "a report fails at Amazon each time": "report_failed: always",
    "Amazon cancels a report each time": "report_cancelled: always",
    "Amazon expires a report each time": "report_expired: always",
    "no request to create a report is answered": "connection_cut: create, always",
    "Amazon answers each request with an error of its own": "server_error: create, always",
    "Amazon refuses a field": "partial_failure: create, a code of ours",
    "the account is in another region": "wrong_region: create, always",
    "Amazon finds a day too old": "too_old, of a day that Amazon serves, always",
    "download addresses never work": "expired_url: always",
    "a file of the report is missing": "part_missing: always",
    "the download leads elsewhere": "redirect: always",
    "too many rows are invalid": "bad_rows: negative_metric",
    "rows have no readable date": "bad_rows: impossible_date",
}
"""Faults after which a report is asked for again by itself."""
TOO_MANY = for_ten_minutes(rule("answer", "create_report", status=429, retry_after=900))
BROKEN = for_ten_minutes(rule("answer", status=500))
SILENT = report("empty_report: twice, nothing was there before")
ONE_REGION = accounts("server_error: accounts of one region, always")

load = LoneDay.mend
"""Loads the day, when it is due again."""

FAILURES: Mapping[str, Failure] = {
    "the refresh token is revoked": Failure(report("invalid_grant"), sync),
    "an ads account lacks the right to be reported on": Failure(report("missing_rights"), load),
    "Amazon refuses an ads account (403)": Failure(report("forbidden: create, always"), load),
    "Amazon refuses fresh access tokens (401)": Failure(report("unauthorized: always"), load),
    **{name: Failure(report(case), load, goes_on=True) for name, case in RETRIED_REPORTS.items()},
    "some rows are in quarantine": Failure(quarantine_some, load),
    "totals of two datasets differ": Failure(let_totals_differ, load_campaigns),
    "a country has gone silent": Failure(SILENT, wait_a_day),
    "a report has no rows of a final day": Failure(lose_rows_of_final_day, load),
    "two reports have no rows of a day that had some": Failure(lose_rows_of_young_day, acknowledge),
    "Amazon answers old days without rows": Failure(report(OLD), load_old),
    "campaigns have no ad groups": Failure(find_old_brands, sync),
    "a report takes longer than usual": Failure(keep_pending(hours=1), go_on, goes_on=True),
    "Amazon works on a report for hours": Failure(keep_pending(hours=8), go_on, goes_on=True),
    "a day is not requested": Failure(leave_due, go_on),
    "Amazon throttles reports for ten minutes": Failure(TOO_MANY, go_on, goes_on=True),
    "a region answers with errors for ten minutes": Failure(BROKEN, go_on, goes_on=True),
    "an export of entities fails": Failure(entities("export_failed"), sync, goes_on=True),
    "Amazon throttles exports": Failure(entities("throttle: create, always"), sync, goes_on=True),
    "accounts cannot be listed": Failure(accounts("server_error: always"), sync, goes_on=True),
    "one region cannot be listed": Failure(ONE_REGION, sync, goes_on=True),
    "a run is killed": Failure(crash, run_again),
    "nothing happens at all": Failure(stop_everything, run_now),
    "a host cannot write downloads": Failure(fill_disk, make_room),
    "the clock of a host is wrong": Failure(run_with_wrong_clock, stop_worker),
}


NO_SESSION = "–"
OF_SESSIONS: Mapping[str, str] = {
    "some rows are in quarantine": "quarantined",
    "totals of two datasets differ": NO_SESSION,
    "a country has gone silent": "two reports have no rows, though the country has deliverable campaigns",
    "two reports have no rows of a day that had some": "The report lost nearly all rows",
    "campaigns have no ad groups": NO_SESSION,
    "a report takes longer than usual": NO_SESSION,
    "Amazon works on a report for hours": NO_SESSION,
    "a day is not requested": NO_SESSION,
    "Amazon throttles reports for ten minutes": NO_SESSION,
    "a region answers with errors for ten minutes": NO_SESSION,
    "one region cannot be listed": "Accounts of region NA could not be listed: Amazon answered the request to list the accounts with an error of its own",
    "nothing happens at all": NO_SESSION,
    "a host cannot write downloads": NO_SESSION,
    "the clock of a host is wrong": NO_SESSION,
}
"""The text of a failure on its session's page, if it differs from the first line."""


@dataclass(frozen=True)
class Said:
    """The texts about a failure: the code of its cause, how its first line and advice begin, and its session's page."""

    code: str
    sentence: str
    advice: str
    session: str


def read_list() -> dict[str, Said]:
    """Return the list of `docs/reference/errors.md`, by failure; the advice is that of the cause."""
    page = (PROJECT_ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    listed = page.partition("## First lines of failures")[2].partition("\n## ")[0]
    found = re.findall(r"^(\S.*?)(?: \[.+\])?\n  ([a-z-]+): (.+)$", listed, re.MULTILINE)
    return {
        name: Said(code, sentence, begin_of_advice(code), OF_SESSIONS.get(name, sentence))
        for name, code, sentence in found
    }


def begin_of_advice(code: str) -> str:
    """Return the first sentence of what helps against a cause."""
    return CAUSE_KINDS[code].advice.partition(". ")[0]


def test_the_document_lists_every_failure() -> None:
    """And no other; each with a first line of its own, but for what a longer time makes of the same."""
    table = read_list()
    assert list(FAILURES) == list(table)
    assert len({said.sentence for said in table.values()}) >= len(table) - 2


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_named_on_home_and_told(
    lone: LoneDay, tab: Page, httpserver: HTTPServer, name: str
) -> None:
    """Its cause, in words, with what helps, stands first on Home, on the first screen of its session, and in one alert, with the account where there is one; another alert says that it is over."""
    FAILURES[name].play(lone)
    said = read_list()[name]
    first = read_findings(lone)[0]
    assert said.code == first["code"], first
    assert str(first["sentence"]).startswith(said.sentence)
    assert said.advice in str(first["advice"])
    assert first["next_at"] is not None or not FAILURES[name].goes_on
    tab.goto("/")
    for home in at_both_widths(tab, "#findings li [dir=auto]"):
        assert home.startswith(said.sentence)
    expect(tab.locator("#findings h2")).to_have_text("What is wrong")
    sessions = lone.world.query(ENDED_BADLY)
    assert (said.session == NO_SESSION) <= (sessions == [])
    for session in sessions[:1]:
        tab.goto(f"/sessions/{session['id']}")
        for shown in at_both_widths(tab, "#session[aria-busy=false]"):
            assert said.session in shown
    alerts = watch(lone, httpserver, ALL_TOLD_AFTER)
    [told] = [alert for alert in alerts if said.sentence in alert]
    assert told.startswith(", ".join(first["names"]))
    FAILURES[name].end(lone)
    assert said.code not in {one["code"] for one in read_findings(lone)}
    later = watch(lone, httpserver, SETTLED_AFTER)[len(alerts) :]
    over = [line for line in "\n".join(later).splitlines() if line.startswith("Over: ")]
    assert 1 == len([line for line in over if said.sentence in line])


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


def read_findings(lone: LoneDay) -> Sequence[Mapping[str, Any]]:
    """Return what Home says is wrong."""
    home = read_home(lone.world.sessions, lone.world.context.settings, lone.world.context.now())
    found: Sequence[Mapping[str, Any]] = home["findings"]
    return found


def watch(lone: LoneDay, receiver: HTTPServer, pause: timedelta) -> list[str]:
    """Look now, and once more after a pause; return all alerts that ever came, title and text."""
    receiver.expect_request("/").respond_with_response(Response(status=200))
    settings = Settings(
        alert_urls=f"json://127.0.0.1:{receiver.port}/",
        **lone.world.context.settings.model_dump(exclude_unset=True),
    )
    for wait in (pause, timedelta(minutes=1)):
        AlertWatch(lone.world.engine, settings, clock=lone.world.context.now).check_once()
        lone.world.jump(lone.world.context.now() + wait)
    alerts = [request.get_json() for request, _ in receiver.log]
    return [f"{alert['title']}\n{alert['message']}" for alert in alerts]
