"""Home: is everything all right, and if not, what, with a link to each."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Connection, case, func, select, text

from bidbeacon_pipelines.actions import WindowsQueued
from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_pipelines.requests.wanted_queries import list_wanted
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.server import Access
from tests.browser.conftest import NARROW_AND_WIDE, serve_page
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

CAUSE = cause(
    "rows-invalid",
    detail={
        "bad": 43,
        "rows": 1_500,
        "share": 43 / 1_500,
        "faults": ["43 × metric.clicks: missing"],
    },
)
MADE = """
    INSERT INTO dataset_windows (account_id, country_code, dataset, report, through_date, windows)
    SELECT account_id, country_code, dataset, report, max(window_date), count(*) FROM report_windows GROUP BY 1, 2, 3, 4"""
GATE = """
    INSERT INTO report_gates (client_id, region, in_flight_limit, pace, next_create_at, refusals, refused_count, closed_for, last_refused_at)
    VALUES ('client', 'NA', 4, interval '10 s', now() + interval '8 minutes', 1, 3, interval '25 minutes', now())"""


def fill_windows(connection: Connection, failing: int) -> None:
    """Store three countries of an advertiser with 700 days each; every 97th failed, if `failing` is below 97, and two are late."""
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
    if failing < 97:
        failed = [today - timedelta(days=age) for age in range(1, 701) if age % 97 == failing]
        is_failed = ReportWindow.window_date.in_(failed)
        change_windows(connection, is_failed, status="failed", cause=CAUSE)
        change_windows(
            connection,
            ReportWindow.dataset == "daily_products",
            ReportWindow.window_date.in_([today - timedelta(days=age) for age in (3, 5)]),
            next_refresh_at=func.now() - timedelta(hours=20),
        )


@pytest.fixture
def fill(session_store: SessionStore) -> Callable[..., None]:
    """Stores three accounts of one advertiser; with `failing` below 97, windows that failed or are late, and a gate that is closed."""

    def fill(failing: int) -> None:
        with session_store.begin() as connection:
            fill_windows(connection, failing)
            if failing < 97:
                connection.execute(text(GATE))
            connection.execute(text(MADE))
        for number in range(8):
            with (
                suppress(RuntimeError),
                with_job_session(
                    "poll-reports" if number % 2 else "refresh-account", store=session_store
                ) as session,
            ):
                session.add(
                    WindowsQueued(
                        account="US.acme", dataset="daily_targets", windows=[], request_id=number
                    )
                )
                if number == 5 and failing < 97:
                    raise RuntimeError("The connection broke after 30 s")

    return fill


def test_the_first_page_says_what_is_wrong_and_leads_there(
    page: Page,
    base_url: str,
    fill: Callable[..., None],
    find_violations: Callable[[Page], list[str]],
) -> None:
    """Causes with how many and since when; each is a link to what it concerns.

    Axe finds nothing, and no width scrolls sideways.
    """
    fill(failing=4)
    page.goto(base_url)
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
    expect(page.locator("#jobs tbody tr").first).to_contain_text("1 (25 %)")
    for width in (320, 768, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    for width, scheme in NARROW_AND_WIDE:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert (width, scheme, []) == (width, scheme, find_violations(page))
    late.click()
    expect(page).to_have_url(f"{base_url}/coverage?dataset=daily_products&state=late&days=731")
    page.go_back()
    page.locator("#jobs tbody .bad a").click()
    expect(page.locator(".session .job")).to_have_text(["poll-reports"])


REMOVED = """
    INSERT INTO row_removals (request_id, account_id, country_code, dataset, days, rows, spend, currency_code)
    SELECT 1, 'amzn1.acme', 'CA', 'daily_campaigns', ARRAY[current_date - 3, current_date - 2], 22, 315.07, 'USD'"""


def test_lost_rows_are_decided_about_and_acknowledged(
    page: Page,
    base_url: str,
    fill: Callable[..., None],
    session_store: SessionStore,
    find_violations: Callable[[Page], list[str]],
) -> None:
    """Final days with Accept and Keep ours, also on the map; removed rows with Acknowledge alone. Each leaves the page when it is done."""
    fill(failing=97)
    why = cause("final-rows-lost", account="US.acme", dataset="daily_targets")
    with session_store.begin() as connection:
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
    page.goto(base_url)
    findings = page.locator("#findings .rows > li")
    expect(findings).to_have_count(2)
    lost, removed = (findings.filter(has_text=said) for said in ("final days", "Removed"))
    expect(lost).to_contain_text("0 instead of 7,293, spend 0.00 USD instead of 241,228.65 USD")
    expect(lost.get_by_role("button")).to_have_text(["Accept", "Keep ours", "Acknowledge"])
    expect(removed).to_contain_text("Removed 22 rows of daily_campaigns, spend 315.07 USD")
    expect(removed.get_by_role("button")).to_have_text(["Acknowledge"])
    for width, scheme in NARROW_AND_WIDE:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert (width, scheme, []) == (width, scheme, find_violations(page))
    lost.locator("a.cause").click()
    panel = page.locator("#detail")
    expect(panel.get_by_role("button", name="Keep ours")).to_be_visible()
    panel.get_by_role("button", name="Accept").click()
    expect(panel).to_contain_text("Accepted: the next report is taken.")
    with session_store.begin() as connection:
        assert ["page"] == [one["wanted_by"] for one in list_wanted(connection)]
    page.go_back()
    expect(lost).to_contain_text("38 days waiting")
    lost.get_by_role("button", name="Keep ours").click()
    expect(lost).to_have_count(0)
    removed.get_by_role("button").click()
    removed.get_by_role("button").click()
    expect(findings).to_have_count(0)


def test_jobs_have_their_durations_and_runs_by_hour(
    page: Page, base_url: str, session_store: SessionStore
) -> None:
    """Median and 95th percentile of a day, a bar for the hour with what failed on top; the count leads to the sessions."""
    for minutes in (1, 2, 3, 60):
        begun = datetime.now(UTC) - timedelta(hours=2)
        times = iter([begun, *[begun + timedelta(minutes=minutes)] * 9])
        with (
            suppress(RuntimeError),
            with_job_session("bake", store=session_store, clock=lambda times=times: next(times)),
        ):
            if minutes == 1:
                raise RuntimeError("no flour")
    page.goto(base_url)
    row = page.locator("#jobs tbody tr")
    expect(row.locator("td")).to_have_text(["4", "1 (25 %)", "0", "2 min 30 s", "51 min 27 s", ""])
    chart = row.locator("svg.sparkline")
    expect(chart).to_have_attribute("aria-label", "bake: runs an hour, 4 at most")
    heights = [chart.locator(f".{name}").get_attribute("height") for name in ("runs", "failures")]
    assert ["4", "1"] == heights
    row.get_by_role("link", name="4", exact=True).click()
    expect(page).to_have_url(f"{base_url}/sessions?job=bake&since=24h")


def test_counts_and_findings_lead_to_what_shows_them(
    page: Page, base_url: str, fill: Callable[..., None], session_store: SessionStore
) -> None:
    """Accounts to their list, windows to the map, and calls that are throttled to Amazon's limits, also from elsewhere."""
    fill(failing=97)
    with session_store.begin() as connection:
        change_sessions(
            connection,
            started_at=func.now() - timedelta(hours=5),
            finished_at=func.now() - timedelta(hours=5),
        )
    page.set_viewport_size({"width": 390, "height": 500})
    page.goto(base_url)
    summary = page.locator("#verdict .summary")
    expect(summary.get_by_role("link", name="3 accounts")).to_have_attribute("href", "/accounts")
    expect(summary.get_by_role("link", name="6,300 windows")).to_have_attribute("href", "/coverage")
    page.locator("#findings .cause", has_text="No job has run").click()
    expect(page).to_have_url(f"{base_url}/sessions")
    page.goto(f"{base_url}/#limits")
    expect(page.locator("#limits-title")).to_be_in_viewport()


def test_counts_of_a_dataset_stand_in_one_line(
    page: Page, base_url: str, fill: Callable[..., None], session_store: SessionStore
) -> None:
    """Three states with large counts, and the number of days."""
    fill(failing=4)
    with session_store.begin() as connection:
        is_recent = ReportWindow.window_date > func.current_date() - 350
        since = case((is_recent, timedelta(hours=1)), else_=timedelta(hours=20))
        change_windows(
            connection,
            ReportWindow.dataset == "daily_products",
            ReportWindow.status == "loaded",
            next_refresh_at=func.now() - since,
        )
    page.goto(base_url)
    counts = page.locator(".datasets li", has_text="advertised product").first.locator(".counts")
    expect(counts.locator(".chip")).to_have_count(3)
    for width in (1280, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        tops = counts.locator("> *").evaluate_all(
            "all => all.map(one => { const box = one.getBoundingClientRect(); return Math.round(box.top + box.height / 2); })"
        )
        assert (width, 1) == (width, len(set(tops)))


def test_all_right_is_said_and_kept_up_to_date(
    page: Page, base_url: str, fill: Callable[..., None], session_store: SessionStore
) -> None:
    """A session that fails is there a few seconds later, without a reload."""
    fill(failing=97)
    page.goto(base_url)
    expect(page.locator("#datasets .share").first).to_have_text("100 % fresh")
    expect(page.locator("#findings")).to_be_hidden()
    with suppress(ValueError), with_job_session("brew", store=session_store):
        raise ValueError("No water")
    expect(page.locator("#findings .cause")).to_have_text("ValueError: No water.")


def test_a_newcomer_is_told_what_to_do(
    page: Page, base_url: str, session_store: SessionStore
) -> None:
    """Without accounts: what comes by itself, the command, and all datasets that there will be; or why there are none."""
    page.goto(base_url)
    expect(page.locator("h1")).to_have_text("Starting")
    expect(page.locator("#verdict")).to_contain_text("as soon as Dagster runs")
    expect(page.locator("#verdict code")).to_have_text("bidbeacon accounts sync")
    expect(page.locator(".datasets li")).to_have_count(9)
    with suppress(PermissionError), with_job_session("sync-accounts", store=session_store):
        raise PermissionError("The refresh token is refused")
    expect(page.locator("h1")).to_contain_text("1 problem")


def test_light_and_dark_can_be_chosen(page: Page, shared_url: str) -> None:
    """Against the system's choice, on every page from then on, until the system decides again."""

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="light")
    page.goto(shared_url)
    expect(page.locator("h1")).to_be_visible()
    light = paper()
    page.locator("#help").click()
    page.get_by_label("Colours").select_option("dark")
    dark = paper()
    assert light != dark
    page.goto(f"{shared_url}/sessions")
    expect(page.locator("#notice h2")).to_be_visible()
    assert dark == paper()
    page.keyboard.press("?")
    page.get_by_label("Colours").select_option("system")
    assert light == paper()


def test_a_finding_is_acted_on_and_acknowledged(
    page: Page, base_url: str, fill: Callable[..., None], session_store: SessionStore
) -> None:
    """One button for all of its days; what it says stays when Home is renewed. Who has acknowledged it finds it below all others."""
    fill(failing=4)
    page.goto(base_url)
    finding = page.locator("#findings li", has_text="failed validation")
    finding.get_by_role("button", name="Load these 72 windows again").click()
    said = "Requested 72 days of 3 accounts; Dagster starts the runs within half a minute."
    expect(finding.locator(".said")).to_have_text(said)
    with session_store.begin() as connection:
        assert 72 == sum(len(one["windows"]) for one in list_wanted(connection))
        change_windows(
            connection,
            ReportWindow.status == "failed",
            ReportWindow.dataset == "daily_targets",
            status="loaded",
            cause=None,
        )
    with with_job_session("load-windows", store=session_store):
        pass
    expect(finding.get_by_role("button", name="Load these 48 windows again")).to_be_visible()
    expect(finding.locator(".said")).to_have_text(said)
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
    page: Page, base_url: str, fill: Callable[..., None], session_store: SessionStore
) -> None:
    """What a cause has done stands below it; what usually passes stands below what is wrong, with when it goes on, and is no problem."""
    fill(failing=97)
    with session_store.begin() as connection:
        add_request(
            connection,
            "amzn1.acme",
            func.current_date() - 3,
            attempts=1,
            next_step_at=func.now() + timedelta(minutes=5),
            failure_kind="report_failed",
            cause={"code": "report-failed", "status": "FAILED"},
        )
    page.goto(base_url)
    expect(page.locator("h1")).to_have_text("Everything is all right")
    expect(page.locator("#findings h2")).to_have_text("Continues by itself")
    expect(page.locator("#findings .rows > li")).to_contain_text("attempt 2 of 5")
    with session_store.begin() as connection:
        change_ads_accounts(
            connection, needs_attention={"code": "token-revoked"}, needs_attention_for="credentials"
        )
    page.reload()
    expect(page.locator("h1")).to_have_text("1 problem")
    expect(page.locator("#findings .consequences li")).to_have_text(["6,300 windows not refreshed"])


def test_a_page_that_may_change_nothing_says_so_once_on_home(
    page: Page, session_store: SessionStore, fill: Callable[..., None]
) -> None:
    """At the first of the findings; all buttons are off."""
    fill(failing=4)
    with serve_page(session_store, access=Access()) as port:
        page.goto(f"http://127.0.0.1:{port}")
        expect(page.locator("#findings .refusal:visible")).to_have_count(1)
        expect(page.locator("#findings .acts button:disabled")).to_have_count(4)
