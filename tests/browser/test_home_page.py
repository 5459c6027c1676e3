"""Home: is everything all right, and if not, what, with a link to each."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Connection, case, func, select, text

from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.windows.queries import set_windows_through
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import list_wanted
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.server import Access
from tests.browser.conftest import assert_for_everyone, open_tab, serve_page
from tests.support.first_load import store_first_load
from tests.support.recorded_sessions import record
from tests.support.rows import (
    add_account,
    add_ads_account,
    add_request,
    add_windows,
    as_loaded,
    change_ads_accounts,
    change_sessions,
    change_windows,
    days_until,
)

pytestmark = pytest.mark.browser

PRODUCTS = ReportWindow.dataset == "daily_products"
CAUSE = cause(
    "rows-invalid", detail={"bad": 43, "rows": 1_500, "share": 43 / 1_500, "faults": ["43 ×"]}
)
GATE = """
    INSERT INTO report_gates (client_id, region, in_flight_limit, pace, next_create_at, refusals, refused_count, closed_for, last_refused_at)
    VALUES ('client', 'NA', 4, interval '10 s', now() + interval '8 minutes', 1, 3, interval '25 minutes', now())"""


def fill_windows(connection: Connection) -> None:
    """Store three countries of an advertiser with 700 loaded days of three datasets each."""
    seen = {"first_seen_at": func.now() - timedelta(days=365), "time_zone": "America/New_York"}
    key = {"ads_account_key": "acme-merch.1kc1bk21", "name": "Acme Merch"}
    add_ads_account(connection, "amzn1.acme", **seen, **key)
    today = connection.execute(select(func.current_date())).scalar_one()
    loaded = as_loaded(func.now()) | {
        "cause_since": func.now() - timedelta(hours=3),
        "expires_at": func.now() + timedelta(days=730),
    }
    for country in ("US", "CA", "MX"):
        own = {"name": f"Acme Merch · {country}", "currency_code": "USD"}
        account = add_account(connection, country, "amzn1.acme", **own, **seen)
        for dataset in ("daily_campaigns", "daily_targets", "daily_products"):
            add_windows(connection, account, days_until(today, 701)[:-1], dataset, **loaded)
            set_windows_through(connection, account, dataset, "SP+SB+SD", today, created=700)


def fail_windows(connection: Connection) -> None:
    """Let every 97th day fail, and two days of a dataset be late."""
    today = connection.execute(select(func.current_date())).scalar_one()
    failed = [today - timedelta(days=age) for age in range(4, 701, 97)]
    is_failed = ReportWindow.window_date.in_(failed)
    change_windows(connection, is_failed, status="failed", cause=CAUSE)
    is_late = ReportWindow.window_date.in_([today - timedelta(days=age) for age in (3, 5)])
    due = func.now() - timedelta(hours=20)
    change_windows(connection, PRODUCTS, is_late, next_refresh_at=due)


@pytest.fixture
def healthy(session_store: SessionStore) -> SessionStore:
    """A store with three accounts of one advertiser, whose windows are all fresh, and two jobs."""
    with session_store.begin() as connection:
        fill_windows(connection)
    for job in ("refresh-account", "poll-reports") * 3:
        with with_job_session(job, store=session_store):
            pass
    return session_store


@pytest.fixture
def failing(healthy: SessionStore) -> SessionStore:
    """A store with windows that failed or are late, a gate that is closed, and a session that failed before others succeeded."""
    with healthy.begin() as connection:
        fail_windows(connection)
        connection.execute(text(GATE))
    with suppress(RuntimeError), with_job_session("poll-reports", store=healthy):
        raise RuntimeError("The connection broke after 30 s")
    with with_job_session("poll-reports", store=healthy):
        pass
    return healthy


def test_the_first_load_is_no_alarm(page: Page, session_store: SessionStore) -> None:
    """Home says how far it is, how long it takes and what limits it, and due days are neutral."""
    store_first_load(session_store.engine)
    page.goto("/")
    expect(page.locator("h1")).to_have_text("Loading history")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "40")
    box = page.locator("#verdict .fill")
    expect(box).to_contain_text("Loading history: 40 of 100 days, newest first; about ")
    expect(box).to_contain_text("NA: No slot is free until Amazon completes a report.")
    colors = page.locator("#datasets .dot.due").evaluate(
        "dot => [dot, dot.closest('#home').querySelector('.bar-of-states .due')]"
        ".map((one) => getComputedStyle(one).getPropertyValue('--state'))"
    )
    missing = "getComputedStyle(document.body).getPropertyValue('--state-missing')"
    assert {page.evaluate(missing)} == set(colors)
    box.get_by_role("link", name="Report requests").click()
    expect(page.locator("h1")).to_have_text("60 report requests")


def test_the_first_page_says_what_is_wrong_and_leads_there(
    page: Page, failing: SessionStore
) -> None:
    """Causes with how many and since when, readable by everybody; each is a link to what it concerns."""
    page.goto("/")
    expect(page.locator("h1")).to_contain_text("problem")
    causes = page.locator("#findings .cause")
    expect(causes).to_have_text(
        [
            explain(CAUSE).sentence,
            "The day is overdue, and no report has been requested.",
        ]
    )
    expect(page.locator("#findings li").first).to_contain_text(
        "72 windows of 3 accounts failed, in daily_campaigns and 2 more datasets"
    )
    late = page.locator(".datasets li", has_text="advertised product").locator(".chip.late")
    expect(late).to_have_text("6 late")
    expect(page.locator("#limits")).to_contain_text("refused 3 ×, closed for 25 min 00 s in all")
    expect(page.locator("#jobs tbody th")).to_have_text(["poll-reports", "refresh-account"])
    expect(page.locator("#jobs tbody tr").first).to_contain_text("1 (20 %)")
    assert_for_everyone(page)
    late.click()
    expect(page).to_have_url("/coverage?dataset=daily_products&state=late&days=731")
    page.go_back()
    page.locator("#jobs tbody .bad a").click()
    expect(page.locator(".session .job")).to_have_text(["poll-reports"])


REMOVED = """
    INSERT INTO row_removals (request_id, account_id, country_code, dataset, days, rows, spend, currency_code)
    SELECT 1, 'amzn1.acme', 'CA', 'daily_campaigns', ARRAY[current_date - 3, current_date - 2], 22, 315.07, 'USD'"""


def test_lost_rows_are_decided_about_and_acknowledged(page: Page, healthy: SessionStore) -> None:
    """Final days with Accept and Keep ours, also on the map; removed rows with Acknowledge alone. Each leaves the page when it is done."""
    why = cause("final-rows-lost", account="US.acme", dataset="daily_targets")
    with healthy.begin() as connection:
        undecided = func.current_date() - 140, func.current_date() - 102
        change_windows(
            connection,
            ReportWindow.country_code == "US",
            ReportWindow.dataset == "daily_targets",
            ReportWindow.window_date.between(*undecided),
            suspicious_digest="empty",
            suspicious_rows=0,
            suspicious_spend=0,
            next_refresh_at=None,
            row_count=187,
            spend=6185.35,
            cause=why,
        )
        connection.execute(text(REMOVED))
    page.goto("/")
    findings = page.locator("#findings .rows > li")
    expect(findings).to_have_count(2)
    lost, removed = (findings.filter(has_text=said) for said in ("final days", "Removed"))
    expect(lost).to_contain_text("0 instead of 7,293, spend 0.00 USD instead of 241,228.65 USD")
    expect(lost.get_by_role("button")).to_have_text(["Accept", "Keep ours", "Acknowledge"])
    expect(removed).to_contain_text("Removed 22 rows of daily_campaigns, spend 315.07 USD")
    expect(removed.get_by_role("button")).to_have_text(["Acknowledge"])
    assert_for_everyone(page)
    lost.locator("a.cause").click()
    panel = page.locator("#detail")
    expect(panel.get_by_role("button", name="Keep ours")).to_be_visible()
    panel.get_by_role("button", name="Accept").click()
    expect(panel).to_contain_text("Accepted: the next report is loaded.")
    with healthy.begin() as connection:
        assert ["page"] == [one["wanted_by"] for one in list_wanted(connection)]
    page.go_back()
    expect(lost).to_contain_text("38 days waiting")
    lost.get_by_role("button", name="Keep ours").click()
    expect(lost).to_have_count(0)
    removed.get_by_role("button").click()
    removed.get_by_role("button").click()
    expect(findings).to_have_count(0)


def test_jobs_have_their_durations_and_runs_by_hour(
    page: Page, session_store: SessionStore
) -> None:
    """Median and 95th percentile of a day, a bar for the hour with what failed on top; the count leads to the sessions."""
    begun = datetime.now(UTC) - timedelta(hours=2)
    for minutes in (1, 2, 3, 60):
        taken = 60 * minutes
        record(session_store, "bake", since=begun, seconds=taken, fails=minutes == 1)
    page.goto("/")
    row = page.locator("#jobs tbody tr")
    expect(row.locator("td")).to_have_text(["4", "1 (25 %)", "0", "2 min 30 s", "51 min 27 s", ""])
    chart = row.locator("svg.sparkline")
    expect(chart).to_have_attribute("aria-label", "bake: runs an hour, 4 at most")
    heights = [chart.locator(f".{name}").get_attribute("height") for name in ("runs", "failures")]
    assert ["4", "1"] == heights
    row.get_by_role("link", name="4", exact=True).click()
    expect(page).to_have_url("/sessions?job=bake&since=24h")


def test_counts_and_findings_lead_to_what_shows_them(page: Page, healthy: SessionStore) -> None:
    """Accounts to their list, windows to the map, and calls that are throttled to Amazon's limits, also from elsewhere."""
    long_ago = func.now() - timedelta(hours=5)
    change_sessions(healthy.engine, started_at=long_ago, finished_at=long_ago)
    page.set_viewport_size({"width": 390, "height": 500})
    page.goto("/")
    summary = page.locator("#verdict .summary")
    expect(summary.get_by_role("link", name="3 accounts")).to_have_attribute("href", "/accounts")
    expect(summary.get_by_role("link", name="6,300 windows")).to_have_attribute("href", "/coverage")
    page.locator("#findings .cause", has_text="No job has run").click()
    expect(page).to_have_url("/sessions")
    page.goto("/#limits")
    expect(page.locator("#limits-title")).to_be_in_viewport()


def test_counts_of_a_dataset_stand_in_one_line(page: Page, failing: SessionStore) -> None:
    """Three states with large counts, and the number of days."""
    is_recent = ReportWindow.window_date > func.current_date() - 350
    since = case((is_recent, timedelta(hours=1)), else_=timedelta(hours=20))
    is_loaded = ReportWindow.status == "loaded"
    change_windows(failing.engine, PRODUCTS, is_loaded, next_refresh_at=func.now() - since)
    page.goto("/")
    counts = page.locator(".datasets li", has_text="advertised product").first.locator(".counts")
    expect(counts.locator(".chip")).to_have_count(3)
    for width in (1280, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        tops = counts.locator("> *").evaluate_all(
            "all => all.map(one => { const box = one.getBoundingClientRect(); return Math.round(box.top + box.height / 2); })"
        )
        assert (width, 1) == (width, len(set(tops)))


def test_all_right_is_said_and_kept_up_to_date(page: Page, healthy: SessionStore) -> None:
    """A session that fails is there a few seconds later, without a reload."""
    page.goto("/")
    expect(page.locator("#datasets .share").first).to_have_text("100 % fresh")
    expect(page.locator("#findings")).to_be_hidden()
    with suppress(ValueError), with_job_session("brew", store=healthy):
        raise ValueError("No water")
    expect(page.locator("#findings .cause")).to_have_text("ValueError: No water.")


def test_a_newcomer_is_told_what_to_do(page: Page, session_store: SessionStore) -> None:
    """Without accounts: what comes by itself, the command, and all datasets that there will be; or why there are none."""
    page.goto("/")
    expect(page.locator("h1")).to_have_text("Starting")
    expect(page.locator("#verdict")).to_contain_text("as soon as Dagster runs")
    expect(page.locator("#verdict code")).to_have_text("bidbeacon accounts sync")
    expect(page.locator(".datasets li")).to_have_count(len(DATASETS))
    with suppress(PermissionError), with_job_session("sync-accounts", store=session_store):
        raise PermissionError("The refresh token is refused")
    expect(page.locator("h1")).to_contain_text("1 problem")


@pytest.mark.usefixtures("shared_store")
def test_light_and_dark_can_be_chosen(page: Page) -> None:
    """Against the system's choice, on every page from then on, until the system decides again."""

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="light")
    page.goto("/")
    expect(page.locator("h1")).to_be_visible()
    light = paper()
    page.locator("#help").click()
    page.get_by_label("Colors").select_option("dark")
    dark = paper()
    assert light != dark
    page.goto("/sessions")
    expect(page.locator("#notice h2")).to_be_visible()
    assert dark == paper()
    page.keyboard.press("?")
    page.get_by_label("Colors").select_option("system")
    assert light == paper()


def test_a_finding_is_acted_on_and_acknowledged(page: Page, failing: SessionStore) -> None:
    """One button for all of its days; what it says stays when Home is renewed. Who has acknowledged it finds it below all others."""
    page.goto("/")
    finding = page.locator("#findings li", has_text="failed validation")
    finding.get_by_role("button", name="Load these 72 windows again").click()
    said = "Requested 72 days of 3 accounts; Dagster starts the runs within half a minute."
    expect(finding.locator(".result")).to_have_text(said)
    with failing.begin() as connection:
        assert 72 == sum(len(one["windows"]) for one in list_wanted(connection))
        change_windows(
            connection,
            ReportWindow.status == "failed",
            ReportWindow.dataset == "daily_targets",
            status="loaded",
            cause=None,
        )
    with with_job_session("load-windows", store=failing):
        pass
    expect(finding.get_by_role("button", name="Load these 48 windows again")).to_be_visible()
    expect(finding.locator(".result")).to_have_text(said)
    finding.get_by_role("button", name="Acknowledge").click()
    finding.get_by_label("Note").fill("Ann asks Amazon")
    finding.get_by_role("button", name="Acknowledge").click()
    known = page.locator("#findings .known")
    expect(known.locator("summary")).to_have_text("1 finding acknowledged")
    expect(page.locator("#findings > .rows .cause", has_text="failed validation")).to_have_count(0)
    known.locator("summary").click()
    expect(known).to_contain_text("Acknowledged by page")
    expect(known).to_contain_text("Ann asks Amazon")
    known.get_by_role("button", name="Take back").click()
    expect(page.locator("#findings > .rows .cause").first).to_contain_text("failed validation")


def test_consequences_and_what_goes_on_have_lists_of_their_own(
    page: Page, healthy: SessionStore
) -> None:
    """What a cause has done stands below it; what usually passes stands below what is wrong, with when it goes on, and is no problem."""
    add_request(
        healthy.engine,
        "amzn1.acme",
        datetime.now(UTC).date() - timedelta(days=3),
        attempts=1,
        next_step_at=func.now() + timedelta(minutes=5),
        failure_kind="report_failed",
        cause={"code": "report-failed", "status": "FAILED"},
    )
    page.goto("/")
    expect(page.locator("h1")).to_have_text("Everything is all right")
    expect(page.locator("#findings h2")).to_have_text("Continues by itself")
    expect(page.locator("#findings .rows > li")).to_contain_text("attempt 2 of 5")
    revoked = {"code": "token-revoked"}
    change_ads_accounts(healthy.engine, needs_attention=revoked, needs_attention_for="credentials")
    page.reload()
    expect(page.locator("h1")).to_have_text("1 problem")
    expect(page.locator("#findings .consequences li")).to_have_text(["6,300 windows not refreshed"])


def test_a_page_that_may_change_nothing_says_so_once_on_home(
    browser: Browser, failing: SessionStore
) -> None:
    """At the first of the findings; all buttons are off."""
    with serve_page(failing, access=Access()) as url, open_tab(browser, url) as page:
        page.goto("/")
        expect(page.locator("#findings .refusal:visible")).to_have_count(1)
        expect(page.locator("#findings .acts button:disabled")).to_have_count(4)
