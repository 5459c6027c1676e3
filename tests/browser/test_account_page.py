"""The page of an account: what it shows, and what its buttons do."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from bidbeacon_pipelines.accounts.changes import AccountChanges
from bidbeacon_pipelines.accounts.queries import get_account, list_subjects
from bidbeacon_pipelines.actions import LoadRequested, WindowsQueued
from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.requests.wanted_queries import list_wanted
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from bidbeacon_sessions.server import Access
from bidbeacon_sessions.writes import name_subjects
from tests.browser.conftest import NARROW_AND_WIDE, TOKEN, open_tab, serve_page
from tests.browser.test_home_page import fill_windows
from tests.support.rows import change_accounts, change_ads_accounts, change_windows, remove_windows

pytestmark = pytest.mark.browser

KEY = "US.acme"
SPENT_BY_COUNTRY: dict[str, dict[str, Any]] = {
    "US": {"spend": 1200.5},
    "CA": {"spend": 80, "data_as_of": None},
    "MX": {"spend": 80},
}
SPENT = """
    INSERT INTO daily_campaign_performance (account, window_date, row_key, ad_product, currency_code, campaign_id, spend, sales, orders, request_id)
    SELECT a.id, current_date - n, decode(md5(p), 'hex'), p, 'USD', 'c1', 100.25 + n, 401 + n, 7, 1
      FROM advertiser_accounts a, generate_series(0, 60) n, unnest(ARRAY['SPONSORED_PRODUCTS', 'SPONSORED_BRANDS']) p
     WHERE a.account_key = 'US.acme'"""
CAMPAIGNS = """
    INSERT INTO campaigns (account_id, country_code, campaign_id, name, state, seen_at)
    SELECT 'amzn1.acme', 'US', 'c' || n, 'Campaign ' || n, 'ENABLED', now() FROM generate_series(1, 12) n"""


def fill_account(store: SessionStore) -> None:
    """Store three countries of one advertiser with windows, sums, campaigns and sessions; the one in GB is paused."""
    with store.begin() as connection:
        fill_windows(connection, failing=4)
        change_accounts(connection, account_type="seller", name="Acme Merch")
        connection.execute(text(SPENT))
        connection.execute(text(CAMPAIGNS))
        name_subjects(connection, list_subjects(connection))
        mexico = get_account(connection, "MX.acme")
    AccountChanges(store, Settings(), by="maria").pause(mexico)
    with with_job_session("load-windows", store=store, account=Subject(KEY, None)) as session:
        session.add(WindowsQueued(account=KEY, dataset="daily_targets", windows=[], request_id=1))


@pytest.fixture
def filled(session_store: SessionStore) -> SessionStore:
    """A store with accounts."""
    fill_account(session_store)
    return session_store


def test_the_page_shows_who_the_account_is_and_how_it_does(
    page: Page, base_url: str, filled: SessionStore, find_violations: Callable[[Page], list[str]]
) -> None:
    """Names, sums of two periods by ad product, data by state, schedule, entities, and its sessions; for everybody, on a phone too."""
    page.goto(f"{base_url}/accounts/{KEY}")
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
    for width, scheme in NARROW_AND_WIDE:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        assert (width, scheme, []) == (width, scheme, find_violations(page))
        assert width == page.evaluate("document.documentElement.scrollWidth")


def test_an_account_without_data_names_the_whole_range(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """Both periods together: the heading says as many days as the range has."""
    with filled.begin() as connection:
        remove_windows(connection, ReportWindow.country_code == "MX")
    page.goto(f"{base_url}/accounts/MX.acme")
    expect(page.locator("#figures-title")).to_have_text("Spend and sales, 60 days")
    expect(page.locator("#figures")).to_contain_text("is loaded yet")


def test_a_tag_leads_to_the_page_and_the_list_finds_accounts(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """By a part of the name or key; who paused one is said, and the session in which it happened is a click away."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{base_url}/accounts")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.locator("#query").fill("mx")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody a").click()
    expect(page.locator("h1")).to_contain_text("Acme Merch · MX")
    expect(page.locator("#schedule")).to_contain_text("by maria")
    page.get_by_role("link", name="who paused it").click()
    expect(page.locator(".session .sentence")).to_contain_text(["Paused Acme Merch · MX: maria"])


def test_the_list_of_accounts_sorts_by_mouse_and_keyboard(
    page: Page, base_url: str, filled: SessionStore, find_violations: Callable[[Page], list[str]]
) -> None:
    """By each column; the address keeps the order, what is not known comes last, and the chart is described."""
    with filled.begin() as connection:
        of_campaigns = ReportWindow.dataset == "daily_campaigns"
        for country, columns in SPENT_BY_COUNTRY.items():
            own = ReportWindow.country_code == country
            change_windows(connection, of_campaigns, own, **columns)
    page.goto(f"{base_url}/accounts")
    names, heads = page.locator("tbody th"), page.locator("thead th")
    [us, ca, mx] = [f"Acme Merch · {country}" for country in ("US", "CA", "MX")]
    expect(names).to_have_text([ca, mx, us])
    expect(heads.first).to_have_attribute("aria-sort", "ascending")
    heads.get_by_role("button", name="Spend yesterday").click()
    expect(names).to_have_text([us, mx, ca])
    expect(page.locator("tbody tr").first).to_contain_text("1,200.50 USD")
    expect(page.locator("tbody tr").last).to_contain_text("not loaded")
    expect(page).to_have_url(f"{base_url}/accounts?sort=-yesterday")
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
    for width, scheme in NARROW_AND_WIDE:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (width, scheme, []) == (width, scheme, find_violations(page))


def test_the_key_is_in_the_tooltip_and_can_be_copied(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """Of a tag, which shows the name, and on the account's own page."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{base_url}/sessions")
    tag = page.locator(".session .tag.account").first
    expect(tag).to_have_text("Acme Merch · US")
    expect(tag).to_have_attribute("title", re.compile(re.escape(KEY)))
    tag.click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    assert KEY == page.evaluate("navigator.clipboard.readText()")


def test_buttons_pause_resume_load_and_rename(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """What was done is said, shown at once, and recorded as done on the page."""
    page.goto(f"{base_url}/accounts/{KEY}")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible()
    expect(page.locator("#schedule")).to_contain_text("by page")
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.get_by_label("First day").fill("2026-07-19")
    page.get_by_label("Last day").fill("2026-07-20")
    page.get_by_label("Dataset to load again").select_option("daily_targets")
    page.get_by_role("button", name="Load again", exact=True).click()
    expect(page.locator(".said", has_text="Requested.")).to_be_visible()
    with filled.begin() as connection:
        [wanted] = list_wanted(connection)
    assert ("daily_targets", [date(2026, 7, 19), date(2026, 7, 20)]) == (
        wanted["dataset"],
        wanted["windows"],
    )
    page.get_by_label("What to call it here").fill("Die Firma")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.locator("h1")).to_have_text("Die Firma · US")


def test_an_account_that_needs_a_person_can_be_resumed(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """Wherever it has buttons; its page says why nothing is asked for it."""
    why = cause("other", detail={"reason": "No rights."})
    with filled.begin() as connection:
        change_ads_accounts(connection, needs_attention=why, needs_attention_for="account")
        session, day = connection.execute(
            text(
                "SELECT max(id::text), current_date - 5 FROM session_headers WHERE account_key = :key"
            ),
            {"key": KEY},
        ).one()
    resume = page.get_by_role("button", name="Resume", exact=True)
    for address in (
        f"/coverage?dataset=daily_targets&account={KEY}&window={day}",
        f"/sessions/{session}",
    ):
        page.goto(f"{base_url}{address}")
        expect(resume).to_be_visible()
    page.goto(f"{base_url}/accounts/{KEY}")
    expect(page.locator(".account-head .stop")).to_have_text("It is not refreshed. No rights.")
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


def read_wanted(store: SessionStore) -> list[tuple[str | None, str]]:
    """Return the dataset (None for entities) and account of what is wanted."""
    with store.begin() as connection:
        return [(one["dataset"], one["account_key"]) for one in list_wanted(connection)]


def test_an_account_gets_a_cadence_and_syncs_its_entities(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """A cadence is chosen, and then confirmed; one that is refused says why and what to do."""
    page.goto(f"{base_url}/accounts/{KEY}")
    page.get_by_label("Cadence", exact=True).select_option("every 6 hours")
    page.get_by_label("Cadence", exact=True).press("ArrowDown")
    expect(page.get_by_label("Cadence", exact=True)).to_have_value("every 12 hours")
    assert [None] == read_cadences(filled)
    choose_cadence(page, "every 6 hours")
    expect(page.locator(".said")).to_have_text(
        "Acme Merch is refreshed every 6 hours, in all of its countries."
    )
    expect(page.locator("#schedule")).to_contain_text("every 6 hours (set by page")
    page.get_by_role("button", name="Change cadence").click()
    expect(page.locator(".said")).to_have_text("Choose a cadence first.")
    page.get_by_role("button", name="Sync entities").click()
    expect(page.locator(".said")).to_contain_text("Requested.")
    assert [(None, KEY)] == read_wanted(filled)
    refused = {"error": "The role may only read.", "what_to_do": "Grant it more."}
    page.route("**/api/account/cadence", lambda route: route.fulfill(status=403, json=refused))
    choose_cadence(page, "every day")
    expect(page.locator(".said")).to_have_text("The role may only read. Grant it more.")
    assert [timedelta(hours=6)] == read_cadences(filled)


def test_a_cell_changes_the_cadence_and_syncs_entities(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """As on the account's page."""
    with filled.begin() as connection:
        day = connection.execute(text("SELECT current_date - 5")).scalar_one()
    page.goto(f"{base_url}/coverage?dataset=daily_targets&account={KEY}&window={day}")
    choose_cadence(page, "every 12 hours")
    expect(page.locator(".detail .said")).to_contain_text("is refreshed every 12 hours")
    assert [timedelta(hours=12)] == read_cadences(filled)
    page.get_by_role("button", name="Sync entities").click()
    expect(page.locator(".detail .said")).to_contain_text("Requested.")
    assert [(None, KEY)] == read_wanted(filled)


def test_a_session_pauses_resumes_and_loads_again(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """After *Pause* the button says *Resume*, and what was done is said."""
    with with_job_session("refresh-account", store=filled, account=Subject(KEY, None)) as session:
        session.add(
            WindowsQueued(
                account=KEY, dataset="daily_targets", windows=[date(2026, 3, 1)], request_id=2
            )
        )
    page.goto(f"{base_url}/sessions/{session.session_id}")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_focused()
    expect(page.locator(".acts .said")).to_contain_text("is paused")
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_focused()
    expect(page.locator(".acts .said")).to_contain_text("is refreshed again")
    page.get_by_role("button", name="Load 2026-03-01 of daily_targets again").click()
    expect(page.locator(".acts .said")).to_contain_text("Requested.")
    assert [("daily_targets", KEY)] == read_wanted(filled)


@pytest.mark.parametrize(("countries", "buttons"), [(["US"], 1), (["US", "CA"], 0)])
def test_a_session_of_an_ads_account_changes_its_cadence(
    page: Page, base_url: str, filled: SessionStore, countries: list[str], buttons: int
) -> None:
    """Where it is about one country only, that one can be paused and synced too."""
    with with_job_session(
        "refresh-account", store=filled, account=Subject("acme-merch.1kc1bk21")
    ) as session:
        for country in countries:
            session.add(
                WindowsQueued(
                    account=f"{country}.acme",
                    dataset="daily_targets",
                    windows=[date(2026, 3, 1)],
                    request_id=2,
                )
            )
    page.goto(f"{base_url}/sessions/{session.session_id}")
    choose_cadence(page, "every 3 hours")
    expect(page.locator(".acts .said")).to_contain_text("Acme Merch is refreshed every 3 hours")
    assert [timedelta(hours=3)] == read_cadences(filled)
    for name in ("Pause", "Sync entities"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(buttons)


def test_a_load_is_asked_for_on_the_map_and_followed_to_its_session(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """The request waits for the sensor; when its session is there, the panel leads to it."""
    with filled.begin() as connection:
        day = connection.execute(text("SELECT current_date - 5")).scalar_one()
    page.goto(f"{base_url}/coverage?dataset=daily_targets&account={KEY}&window={day}")
    page.get_by_role("button", name="Load again").click()
    said = page.locator(".detail .said")
    expect(said).to_contain_text("Requested.")
    with filled.begin() as connection:
        [wanted] = list_wanted(connection)
    assert (KEY, [day], "page") == (wanted["account_key"], wanted["windows"], wanted["wanted_by"])
    facts = {"account": KEY, "dataset": "daily_targets", "windows": [day], "by": "page"}
    with with_job_session("load-windows", store=filled) as session:
        session.add(LoadRequested(**facts))
        expect(said.locator("a")).to_have_attribute("href", f"/sessions/{session.session_id}")


def test_a_session_offers_the_newest_days_that_one_load_takes(
    page: Page, base_url: str, filled: SessionStore
) -> None:
    """Of more than that the button says how many; no day is left out in silence."""
    days = [date(2026, 3, 1) + timedelta(days=number) for number in range(120)]
    with with_job_session("refresh-account", store=filled, account=Subject(KEY, None)) as session:
        session.add(WindowsQueued(account=KEY, dataset="daily_targets", windows=days, request_id=2))
    page.goto(f"{base_url}/sessions/{session.session_id}")
    page.get_by_role(
        "button", name="Load the newest 100 of 120 days of daily_targets again"
    ).click()
    expect(page.locator(".said")).to_contain_text("Requested.")
    with filled.begin() as connection:
        [wanted] = list_wanted(connection)
    assert days[-100:] == wanted["windows"]


@pytest.mark.parametrize(
    "path",
    [
        f"/accounts/{KEY}",
        f"/coverage?dataset=daily_targets&account={KEY}&window=DAY",
        "/sessions/ID",
    ],
)
def test_buttons_are_off_and_say_why_where_nothing_may_be_changed(
    page: Page, filled: SessionStore, path: str
) -> None:
    """The reason, and what gives the right to."""
    with filled.begin() as connection:
        day = connection.execute(text("SELECT current_date - 5")).scalar_one()
        session = connection.execute(
            text("SELECT id FROM session_headers WHERE job_name = 'load-windows'")
        ).scalar_one()
    with serve_page(filled, access=Access()) as port:
        page.goto(
            f"http://127.0.0.1:{port}{path.replace('DAY', str(day)).replace('ID', str(session))}"
        )
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
    with open_tab(browser, token="") as page:
        page.goto(f"{base_url}/accounts/{KEY}")
        expect(page.locator(".acts .refusal")).to_have_text(
            "Changes need a login. Open the address that bidbeacon dev printed when it started, "
            "or that bidbeacon login prints where the stream runs."
        )
        expect(page.get_by_role("button", name="Pause")).to_be_disabled()
        page.goto(f"{base_url}/login?token=wrong")
        expect(page.get_by_text("That is not the token.")).to_be_visible()
        expect(page.locator(".hint")).to_contain_text("bidbeacon login")
        page.goto(f"{base_url}/login?token={TOKEN}&next=/accounts/{KEY}")
        expect(page).to_have_url(f"{base_url}/accounts/{KEY}")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
    with filled.begin() as connection:
        assert get_account(connection, KEY).paused
