"""The page of an account: what it shows, and what its buttons do."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import RowMapping, text

from bidbeacon_pipelines.accounts.changes import AccountChanges
from bidbeacon_pipelines.accounts.queries import get_account, list_subjects
from bidbeacon_pipelines.actions import WindowsQueued
from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_pipelines.windows.wanted_queries import claim_windows, list_wanted
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from bidbeacon_sessions.server import Access
from bidbeacon_sessions.writes import name_subjects
from tests.browser.conftest import TOKEN, assert_for_everyone, open_tab, serve_page
from tests.browser.test_home_page import fail_windows, fill_windows
from tests.support.reading import call
from tests.support.rows import (
    change_accounts,
    change_ads_accounts,
    change_windows,
    days_until,
    remove_windows,
)

pytestmark = pytest.mark.browser

KEY = "US.acme"
ADS_ACCOUNT_KEY = "acme-merch.1kc1bk21"
SPENT_BY_COUNTRY: dict[str, dict[str, Any]] = {
    "US": {"spend": 1200.5},
    "CA": {"spend": 80, "data_as_of": None},
    "MX": {"spend": 80},
}
SPENT = """
    INSERT INTO daily_campaigns (account, window_date, row_key, ad_product, currency_code, campaign_id, spend, sales, orders, request_id)
    SELECT a.id, current_date - n, decode(md5(p), 'hex'), p, 'USD', 'c1', 100.25 + n, 401 + n, 7, 1
      FROM advertiser_accounts a, generate_series(0, 60) n, unnest(ARRAY['SPONSORED_PRODUCTS', 'SPONSORED_BRANDS']) p
     WHERE a.account_key = 'US.acme'"""
CAMPAIGNS = """
    INSERT INTO campaigns (account_id, country_code, campaign_id, name, state, seen_at)
    SELECT 'amzn1.acme', 'US', 'c' || n, 'Campaign ' || n, 'ENABLED', now() FROM generate_series(1, 12) n"""


def record_queued(
    store: SessionStore,
    *days: date,
    job: str = "refresh-account",
    key: str = KEY,
    accounts: Sequence[str] = (KEY,),
) -> str:
    """Record a session of an account or ads account in which days of accounts are queued; return its address."""
    with with_job_session(job, store=store, account=Subject(key, None)) as session:
        for each in accounts:
            queued = {"account": each, "dataset": "daily_targets", "windows": days}
            session.add(WindowsQueued(**queued, request_id=1))
    return f"/sessions/{session.session_id}"


def recent_day() -> date:
    """Return a day that has windows, and can be loaded."""
    return datetime.now(UTC).date() - timedelta(days=5)


def cell() -> str:
    """Return the address of the cell of such a day."""
    return f"/coverage?dataset=daily_targets&account={KEY}&window={recent_day()}"


@pytest.fixture
def filled(session_store: SessionStore) -> SessionStore:
    """A store with three countries of one advertiser, their windows, sums, campaigns and sessions; the one in MX is paused."""
    with session_store.begin() as connection:
        fill_windows(connection)
        fail_windows(connection)
        change_accounts(connection, account_type="seller", name="Acme Merch")
        connection.execute(text(SPENT))
        connection.execute(text(CAMPAIGNS))
        name_subjects(connection, list_subjects(connection))
        mexico = get_account(connection, "MX.acme")
    AccountChanges(session_store, Settings(), by="maria").pause(mexico)
    record_queued(session_store, job="load-windows")
    return session_store


def test_the_page_shows_who_the_account_is_and_how_it_does(
    page: Page, filled: SessionStore
) -> None:
    """Names, sums of two periods by ad product, data by state, schedule, entities, and its sessions; for everybody, on a phone too."""
    page.goto(f"/accounts/{KEY}")
    expect(page.locator("h1")).to_have_text("Acme Merch · US")
    expect(page.locator(".tabs [aria-current]")).to_have_text("Accounts")
    expect(page.locator(".account-head")).to_contain_text("America/New York")
    rows = page.locator(".sums tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="Sponsored Products")).to_contain_text("7 days")
    expect(rows.last).to_contain_text("All ad products")
    expect(page.locator(".money rect")).to_have_count(60)
    expect(page.locator("#datasets .chip.failed").first).to_contain_text("failed")
    expect(page.locator("#schedule")).to_contain_text("as soon as due")
    expect(page.locator("#entities tbody tr")).to_contain_text("campaigns")
    expect(page.locator("#sessions .brief")).to_have_count(1)
    assert_for_everyone(page)


def test_an_account_without_data_names_the_whole_range(page: Page, filled: SessionStore) -> None:
    """Both periods together: the heading says as many days as the range has."""
    remove_windows(filled.engine, ReportWindow.country_code == "MX")
    page.goto("/accounts/MX.acme")
    expect(page.locator("#figures-title")).to_have_text("Spend and sales, 60 days")
    expect(page.locator("#figures")).to_contain_text("is loaded yet")


def test_a_tag_leads_to_the_page_and_the_list_finds_accounts(
    page: Page, filled: SessionStore
) -> None:
    """By a part of the name or key; who paused one is said, and the session in which it happened is a click away."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/accounts")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.locator("#query").fill("mx")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody a").click()
    expect(page.locator("h1")).to_contain_text("Acme Merch · MX")
    expect(page.locator("#schedule")).to_contain_text("by maria")
    page.get_by_role("link", name="sessions that paused it").click()
    expect(page.locator(".session .sentence")).to_contain_text(["Paused Acme Merch · MX, by maria"])


def test_the_list_of_accounts_sorts_by_mouse_and_keyboard(page: Page, filled: SessionStore) -> None:
    """By each column; the address keeps the order, what is not known comes last, and the chart is described."""
    of_campaigns = ReportWindow.dataset == "daily_campaigns"
    for country, columns in SPENT_BY_COUNTRY.items():
        change_windows(filled.engine, of_campaigns, ReportWindow.country_code == country, **columns)
    page.goto("/accounts")
    names, heads = page.locator("tbody th"), page.locator("thead th")
    [us, ca, mx] = [f"Acme Merch · {country}" for country in ("US", "CA", "MX")]
    expect(names).to_have_text([ca, mx, us])
    expect(heads.first).to_have_attribute("aria-sort", "ascending")
    heads.get_by_role("button", name="Spend yesterday").click()
    expect(names).to_have_text([us, mx, ca])
    expect(page.locator("tbody tr").first).to_contain_text("1,200.50 USD")
    expect(page.locator("tbody tr").last).to_contain_text("not loaded")
    expect(page).to_have_url("/accounts?sort=-yesterday")
    expect(heads.locator("button:focus")).to_contain_text("Spend yesterday")
    page.keyboard.press("Enter")
    expect(names).to_have_text([mx, us, ca])
    expect(page.locator("thead [aria-sort]")).to_have_attribute("aria-sort", "ascending")
    for column in ("State", "Fresh", "14 days", "Next refresh"):
        heads.get_by_role("button", name=column, exact=True).press("Enter")
        expect(page.locator("thead [aria-sort]")).to_contain_text(column)
    chart = page.get_by_role("img", name=re.compile(f"^{us}, spend from"))
    expect(chart).to_have_attribute("aria-label", re.compile("1,200.50 to 1,200.50 USD a day$"))
    expect(page.get_by_role("img", name=re.compile(f"^{ca}.*no day is loaded"))).to_be_visible()
    page.reload()
    expect(page.locator("thead [aria-sort]")).to_contain_text("Next refresh")
    assert_for_everyone(page)


def test_the_key_is_in_the_tooltip_and_can_be_copied(page: Page, filled: SessionStore) -> None:
    """Of a tag, which shows the name, and on the account's own page."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/sessions")
    tag = page.locator(".session .tag.account").first
    expect(tag).to_have_text("Acme Merch · US")
    expect(tag).to_have_attribute("title", re.compile(re.escape(KEY)))
    tag.click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    assert KEY == page.evaluate("navigator.clipboard.readText()")


def test_buttons_pause_resume_load_and_rename(page: Page, filled: SessionStore) -> None:
    """What was done is said, shown at once, and recorded as done on the page."""
    page.goto(f"/accounts/{KEY}")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible()
    expect(page.locator("#schedule")).to_contain_text("by page")
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    days = days_until(recent_day(), 2)
    page.get_by_label("First day").fill(str(days[0]))
    page.get_by_label("Last day").fill(str(days[1]))
    page.get_by_label("Dataset to load again").select_option("daily_targets")
    page.get_by_role("button", name="Load again", exact=True).click()
    expect(page.locator(".result", has_text="Requested.")).to_be_visible()
    [wanted] = read_wanted(filled)
    assert ("daily_targets", days) == (wanted["dataset"], wanted["windows"])
    page.get_by_label("Name in BidBeacon").fill("Die Firma")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.locator("h1")).to_have_text("Die Firma · US")


def test_an_account_that_needs_a_person_can_be_resumed(page: Page, filled: SessionStore) -> None:
    """Wherever it has buttons; its page says why nothing is asked for it."""
    why = cause("other", detail={"reason": "No rights."})
    change_ads_accounts(filled.engine, needs_attention=why, needs_attention_for="account")
    resume = page.get_by_role("button", name="Resume", exact=True)
    for address in (cell(), record_queued(filled)):
        page.goto(address)
        expect(resume).to_be_visible()
    page.goto(f"/accounts/{KEY}")
    expect(page.locator(".account-head .stop")).to_contain_text("It is not refreshed. No rights.")
    resume.click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    expect(page.locator(".account-head .stop")).to_have_count(0)


def choose_cadence(page: Page, name: str) -> None:
    """Choose a cadence, which alone changes nothing, and press the button."""
    page.get_by_label("Cadence", exact=True).select_option(name)
    page.get_by_role("button", name="Change cadence").click()


def read_cadences(store: SessionStore) -> list[timedelta | None]:
    """Return how often each ads account is refreshed."""
    with store.begin() as connection:
        return list(connection.execute(text("SELECT refresh_every FROM ads_accounts")).scalars())


def read_wanted(store: SessionStore) -> list[RowMapping]:
    """Return what is wanted: days of a dataset, or entities."""
    with store.begin() as connection:
        return list_wanted(connection)


def test_an_account_gets_a_cadence_and_syncs_its_entities(page: Page, filled: SessionStore) -> None:
    """A cadence is chosen, and then confirmed; one that is refused says why and what to do."""
    page.goto(f"/accounts/{KEY}")
    page.get_by_label("Cadence", exact=True).select_option("every 6 hours")
    page.get_by_label("Cadence", exact=True).press("ArrowDown")
    expect(page.get_by_label("Cadence", exact=True)).to_have_value("every 12 hours")
    assert [None] == read_cadences(filled)
    choose_cadence(page, "every 6 hours")
    expect(page.locator(".result")).to_have_text(
        "Acme Merch is refreshed every 6 hours, in all of its countries."
    )
    expect(page.locator("#schedule")).to_contain_text("every 6 hours (set by page")
    page.get_by_role("button", name="Change cadence").click()
    expect(page.locator(".result")).to_have_text("Choose a cadence first.")
    page.get_by_role("button", name="Sync entities").click()
    expect(page.locator(".result")).to_contain_text("Requested.")
    assert [(None, KEY)] == [(one["dataset"], one["account_key"]) for one in read_wanted(filled)]
    refused = {"error": "The role may only read.", "what_to_do": "Grant it more."}
    page.route("**/api/account/cadence", lambda route: route.fulfill(status=403, json=refused))
    choose_cadence(page, "every day")
    expect(page.locator(".result")).to_have_text("The role may only read. Grant it more.")
    assert [timedelta(hours=6)] == read_cadences(filled)


def test_a_session_pauses_resumes_and_loads_again(page: Page, filled: SessionStore) -> None:
    """After *Pause* the button says *Resume*, and what was done is said."""
    day = recent_day()
    page.goto(record_queued(filled, day))
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_focused()
    expect(page.locator(".acts .result")).to_contain_text("is paused")
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_focused()
    expect(page.locator(".acts .result")).to_contain_text("is refreshed again")
    page.get_by_role("button", name=f"Load {day} of daily_targets again").click()
    expect(page.locator(".acts .result")).to_contain_text("Requested.")
    assert [[day]] == [one["windows"] for one in read_wanted(filled)]


@pytest.mark.parametrize(("accounts", "buttons"), [([KEY], 1), ([KEY, "CA.acme"], 0)])
def test_a_session_of_an_ads_account_changes_its_cadence(
    page: Page, filled: SessionStore, accounts: list[str], buttons: int
) -> None:
    """Where it is about one country only, that one can be paused and synced too."""
    page.goto(record_queued(filled, recent_day(), key=ADS_ACCOUNT_KEY, accounts=accounts))
    choose_cadence(page, "every 3 hours")
    expect(page.locator(".acts .result")).to_contain_text("Acme Merch is refreshed every 3 hours")
    assert [timedelta(hours=3)] == read_cadences(filled)
    for name in ("Pause", "Sync entities"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(buttons)


def test_a_cell_loads_again_changes_the_cadence_and_syncs_entities(
    page: Page, filled: SessionStore
) -> None:
    """The load waits for the sensor; when its session is there, the panel leads to it."""
    page.goto(cell())
    said = page.locator(".detail .result")
    page.get_by_role("button", name="Load again").click()
    expect(said).to_contain_text("Requested.")
    [load] = read_wanted(filled)
    assert (KEY, [recent_day()], "page") == (
        load["account_key"],
        load["windows"],
        load["wanted_by"],
    )
    with with_job_session("load-windows", store=filled) as session:
        days = call(filled.engine, get_account, KEY), "daily_targets", load["windows"]
        call(filled.engine, claim_windows, *days, session.session_id, by="maria")
        expect(said.locator("a")).to_have_attribute("href", f"/sessions/{session.session_id}")
    choose_cadence(page, "every 12 hours")
    expect(said).to_contain_text("is refreshed every 12 hours")
    assert [timedelta(hours=12)] == read_cadences(filled)
    page.get_by_role("button", name="Sync entities").click()
    expect(said).to_contain_text("Requested.")
    assert [load["windows"], []] == [one["windows"] for one in read_wanted(filled)]


def test_a_session_offers_the_newest_days_that_one_load_takes(
    page: Page, filled: SessionStore
) -> None:
    """Of more than that the button says how many; no day is left out in silence."""
    days = days_until(recent_day(), 120)
    page.goto(record_queued(filled, *days))
    page.get_by_role(
        "button", name="Load the newest 100 of 120 days of daily_targets again"
    ).click()
    expect(page.locator(".result")).to_contain_text("Requested.")
    [wanted] = read_wanted(filled)
    assert days[-100:] == wanted["windows"]


def test_buttons_are_off_and_say_why_where_nothing_may_be_changed(
    browser: Browser, filled: SessionStore
) -> None:
    """The reason, and what gives the right to, wherever buttons are."""
    with serve_page(filled, access=Access()) as url, open_tab(browser, url) as page:
        for address in (f"/accounts/{KEY}", cell(), record_queued(filled)):
            page.goto(address)
            expect(page.locator(".acts .refusal")).to_have_text(
                "Changes need an access token, and none is set. Set BIDBEACON_STREAM_TOKEN or "
                "BIDBEACON_STREAM_CHANGES_TOKEN, start the stream again and log in."
            )
            expect(page.get_by_role("button", name="Pause")).to_be_disabled()
            expect(page.locator(".acts :is(button, input, select):enabled")).to_have_count(0)


def test_a_browser_without_the_token_is_told_how_to_log_in(
    browser: Browser, filled: SessionStore, base_url: str
) -> None:
    """After the address of the login has been opened, the token is in no address any more, and the buttons work."""
    with open_tab(browser, base_url, token="") as page:
        page.goto(f"/accounts/{KEY}")
        expect(page.locator(".acts .refusal")).to_have_text(
            "Changes need a login. Open the address that bidbeacon dev printed when it started, "
            "or that bidbeacon login prints where the stream runs."
        )
        expect(page.get_by_role("button", name="Pause")).to_be_disabled()
        page.goto("/login?token=wrong")
        expect(page.get_by_text("That is not the token.")).to_be_visible()
        expect(page.locator(".hint")).to_contain_text("bidbeacon login")
        page.goto(f"/login?token={TOKEN}&next=/accounts/{KEY}")
        expect(page).to_have_url(f"/accounts/{KEY}")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
    with filled.begin() as connection:
        assert get_account(connection, KEY).paused
