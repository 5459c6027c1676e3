"""Tags, script links and right-to-left marks from outside, wherever a page shows text from outside: they do nothing."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import func

from bidbeacon_pipelines.actions import ReportFailed
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from tests.postgres.load_world import add_account
from tests.support.rows import add_windows, change_ads_accounts

pytestmark = pytest.mark.browser

MARK = "<img src=x onerror="
ACCOUNT_ID = "amzn1.ads-account.g.0"
HOSTILE = (
    f"{MARK}\"document.title='owned'\"> <script>document.title='owned'</script> \u202eevil\u2066"
)
ERROR = {"error": HOSTILE, "what_to_do": HOSTILE}
DAY = date(2026, 7, 20)
CHOSEN = {
    "dataset": "daily_targets",
    "to": "2026-07-25",
    "days": "30",
    "account": "DE.one",
    "window": str(DAY),
}

# An override must end where the text ends: what holds it isolates it, and holds nothing else.
NOT_ISOLATED = r"""() => {
    const isolates = (element) => /isolate|plaintext/.test(getComputedStyle(element).unicodeBidi) || !getComputedStyle(element).display.startsWith("inline");
    const boundary = (element) => (isolates(element) ? element : boundary(element.parentElement));
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
        const { data, parentElement } = texts.currentNode;
        if (data.includes("\u202e") && boundary(parentElement).textContent.trim() !== data.trim()) found.push(boundary(parentElement).outerHTML.slice(0, 200));
    }
    return found;
}"""


def assert_harmless(page: Page, *, shown_in: str) -> None:
    """The text is there as text; no element, link or script came of it, and it turns no text beside it around."""
    expect(page.locator(shown_in).filter(has_text=MARK).first).to_be_visible()
    made = "img[src='x'], main script, [onerror], a[href^='javascript']"
    assert (shown_in, 0) == (shown_in, page.locator(made).count())
    assert (shown_in, False) == (shown_in, "owned" in page.title().split())
    assert (shown_in, []) == (shown_in, page.evaluate(NOT_ISOLATED))


@dataclass(frozen=True)
class World:
    """Where to look.

    Args:
        base_url: the stream.
        session_id: a failed session, and a good one of its job before it.
    """

    base_url: str
    session_id: str


def fill_world(store: SessionStore) -> str:
    """Store an account, a failed window and sessions, hostile in all that Amazon, Dagster or a job may name; return a failed session's id."""
    account = Subject("DE.one")
    with store.begin() as connection:
        stored = add_account(
            connection, "DE", account_id=ACCOUNT_ID, name=HOSTILE, time_zone="Europe/Berlin"
        )
        why = {"code": "other", "detail": {"reason": HOSTILE}}
        later = func.now() + timedelta(hours=5)
        failed = {"status": "failed", "cause": why, "next_refresh_at": later}
        add_windows(connection, stored, [DAY], **failed)
    with with_job_session(HOSTILE, store=store, account=account, input={"a": HOSTILE}):
        pass
    with (
        suppress(ValueError),
        with_job_session(
            HOSTILE,
            store=store,
            account=account,
            run_id=HOSTILE,
            input={HOSTILE: HOSTILE},
            labels={
                HOSTILE: HOSTILE,
                "asset": HOSTILE,
                "partition": HOSTILE,
                "dagster_job": HOSTILE,
            },
        ) as session,
    ):
        session.add(
            ReportFailed(
                account=account.key,
                dataset="daily_targets",
                windows=[DAY],
                request_id=1,
                report_id=HOSTILE,
                cause={"code": "other", "detail": {"reason": HOSTILE}},
            )
        )
        raise ValueError(HOSTILE)
    with with_job_session(
        HOSTILE,
        store=store,
        account=Subject(HOSTILE),
    ):
        pass
    return str(session.session_id)


@pytest.fixture(scope="module")
def world(shared_url: str, shared_store: SessionStore) -> World:
    """A hostile world that stays as it is."""
    return World(shared_url, fill_world(shared_store))


def test_beside_a_session(page: Page, world: World) -> None:
    """In what differs from the last good one, in labels and links to Dagster."""
    page.goto(f"{world.base_url}/sessions/{world.session_id}")
    expect(page.locator(".brief")).to_have_count(1)
    for place in (".brief a", ".differences tbody th", ".facts dt", ".failure p", ".title h1"):
        assert_harmless(page, shown_in=place)


def test_in_the_map_and_the_table(page: Page, world: World) -> None:
    """In explain's sentence, the stories of a window, an account's name, and a key that no server of ours would give."""

    def spoil(route: Route) -> None:
        answer = route.fetch().json()
        answer["accounts"].append(answer["accounts"][0] | {"key": HOSTILE, "stopped": HOSTILE})
        route.fulfill(json=answer)

    page.route("**/api/coverage?*", spoil)
    page.goto(f"{world.base_url}/coverage?{urlencode(CHOSEN)}")
    expect(page.locator("[data-account]")).to_have_count(2)
    for place in (".verdict", ".story a", ".story .sentence", ".who bdi"):
        assert_harmless(page, shown_in=place)
    page.locator(".cursor").focus()
    page.keyboard.press("ArrowDown")
    assert_harmless(page, shown_in=".says")
    page.get_by_role("link", name="Table").click()
    assert_harmless(page, shown_in="tbody th bdi")


def test_on_the_first_page(page: Page, base_url: str, session_store: SessionStore) -> None:
    """In causes, what they have done, and names of jobs."""
    fill_world(session_store)
    with session_store.begin() as connection:
        why = {"code": "account-refused", "detail": {"reason": f"Rights are missing: {HOSTILE}"}}
        change_ads_accounts(connection, needs_attention_for="account", needs_attention=why)
    page.goto(base_url)
    expect(page.locator("#findings .rows > li")).to_have_count(2)
    for place in ("#findings .cause", "#findings .quiet", "#jobs th"):
        assert_harmless(page, shown_in=place)


def test_in_suggestions(page: Page, world: World) -> None:
    """Of jobs, and of accounts by their names."""
    page.goto(f"{world.base_url}/sessions")
    expect(page.locator(".session")).to_have_count(3)
    page.locator("#query").fill("job:")
    assert_harmless(page, shown_in="#suggestions bdi")
    page.locator("#query").fill("account:img")
    expect(page.locator("#suggestions small")).to_have_text(["DE.one"])
    assert_harmless(page, shown_in="#suggestions bdi")


def test_in_the_filter_that_an_empty_page_repeats(page: Page, world: World) -> None:
    """Text in an address is untrusted as well."""
    for view in (
        "sessions?job=",
        "sessions?since=2020-01-01&before=2020-01-02&job=",
        "coverage?dataset=daily_targets&to=2026-07-25&accounts=",
    ):
        page.goto(f"{world.base_url}/{view}{urlencode({'': HOSTILE + '!'})[1:]}")
        assert_harmless(page, shown_in="#notice code")


def test_in_what_a_server_says_of_errors(page: Page, world: World) -> None:
    """Whether nothing was loaded yet, data stays below it, or a window can't be explained."""
    page.goto(f"{world.base_url}/coverage?{urlencode(CHOSEN | {'view': 'table'})}")
    expect(page.locator(".verdict")).to_be_visible()
    page.route("**/api/**", lambda route: route.fulfill(status=503, body=json.dumps(ERROR)))
    page.get_by_role("button", name="Close").click()
    page.locator("tbody .which a").click()
    assert_harmless(page, shown_in="#detail .problem")
    page.get_by_role("link", name="3 months").click()
    assert_harmless(page, shown_in="#trouble")
    for view in ("", "sessions", f"sessions/{world.session_id}", "coverage"):
        page.goto(f"{world.base_url}/{view}")
        assert_harmless(page, shown_in="#notice p")
