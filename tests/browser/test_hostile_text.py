"""Tags, script links and right-to-left marks from outside, wherever a page shows text from outside: they do nothing."""

import json
from contextlib import suppress
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import func

from bidbeacon_pipelines.actions import ReportFailed
from bidbeacon_sessions import Action, SessionStore, Subject, with_job_session
from tests.support.rows import add_account, add_windows, change_ads_accounts

pytestmark = pytest.mark.browser

MARK = "<img src=x onerror="
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


class HostileSaid(Action):
    """Somebody outside said something."""

    sentence = "Said {what} {what:badge}"
    tone = "error"

    what: str


def record_hostile(store: SessionStore) -> str:
    """Store an account, a failed window and sessions, hostile in all that Amazon, Dagster or a job may name; return the address of a failed session."""
    account, why = Subject("DE.one"), {"code": "other", "detail": {"reason": HOSTILE}}
    with store.begin() as connection:
        stored = add_account(connection, "DE", name=HOSTILE)
        later = func.now() + timedelta(hours=5)
        add_windows(connection, stored, [DAY], cause=why, status="failed", next_refresh_at=later)
    shared: dict[str, Any] = {"store": store, "account": account}
    with with_job_session(HOSTILE, **shared, input={"a": HOSTILE}):
        pass
    labels = dict.fromkeys((HOSTILE, "asset", "partition", "dagster_job"), HOSTILE)
    shared |= {"run_id": HOSTILE, "input": {HOSTILE: HOSTILE}, "labels": labels}
    with suppress(ValueError), with_job_session(HOSTILE, **shared) as session:
        about = {"account": account.key, "dataset": "daily_targets", "windows": [DAY]}
        session.add(ReportFailed(**about, request_id=1, report_id=HOSTILE, cause=why))
        raise ValueError(HOSTILE)
    with with_job_session(HOSTILE, store=store, account=Subject(HOSTILE)) as other:
        other.add(HostileSaid(what=HOSTILE))
    return f"/sessions/{session.session_id}"


@pytest.fixture(scope="module")
def failed_session(shared_store: SessionStore) -> str:
    """The address of a failed session whose texts, and all that stands around it, are hostile and stay as they are."""
    return record_hostile(shared_store)


def test_beside_a_session(page: Page, failed_session: str) -> None:
    """In what differs from the last good one, in labels and links to Dagster."""
    page.goto(failed_session)
    expect(page.locator(".brief")).to_have_count(1)
    for place in (".brief a", ".differences tbody th", ".facts dt", ".failure p", ".title h1"):
        assert_harmless(page, shown_in=place)


def test_in_the_stream(page: Page, failed_session: str) -> None:
    """In names of jobs, sentences, their badges, and errors."""
    page.goto("/sessions")
    for place in (".session .job", ".session .sentence", ".session .badge", ".session .error"):
        assert_harmless(page, shown_in=place)


def test_in_the_map_and_the_table(page: Page, failed_session: str) -> None:
    """In explain's sentence, the stories of a window, an account's name, and a key that no server of ours would give."""

    def spoil(route: Route) -> None:
        answer = route.fetch().json()
        answer["accounts"].append(answer["accounts"][0] | {"key": HOSTILE, "stopped": HOSTILE})
        route.fulfill(json=answer)

    page.route("**/api/coverage?*", spoil)
    page.goto(f"/coverage?{urlencode(CHOSEN)}")
    expect(page.locator("[data-account]")).to_have_count(2)
    for place in (".verdict", ".story a", ".story .sentence", ".account-name bdi"):
        assert_harmless(page, shown_in=place)
    page.locator(".cursor").focus()
    page.keyboard.press("ArrowDown")
    assert_harmless(page, shown_in=".tooltip")
    page.get_by_role("link", name="Table").click()
    assert_harmless(page, shown_in="tbody th bdi")


def test_on_the_first_page(page: Page, session_store: SessionStore) -> None:
    """In causes, what they have done, and names of jobs."""
    record_hostile(session_store)
    why = {"code": "account-refused", "detail": {"reason": f"Rights are missing: {HOSTILE}"}}
    change_ads_accounts(session_store.engine, needs_attention_for="account", needs_attention=why)
    page.goto("/")
    expect(page.locator("#findings .rows > li")).to_have_count(2)
    for place in ("#findings .cause", "#findings .quiet", "#jobs th"):
        assert_harmless(page, shown_in=place)


def test_in_suggestions(page: Page, failed_session: str) -> None:
    """Of jobs, and of accounts by their names."""
    page.goto("/sessions")
    expect(page.locator(".session")).to_have_count(3)
    page.locator("#query").fill("job:")
    assert_harmless(page, shown_in="#suggestions bdi")
    page.locator("#query").fill("account:img")
    expect(page.locator("#suggestions small")).to_have_text(["DE.one"])
    assert_harmless(page, shown_in="#suggestions bdi")


def test_in_the_filter_that_an_empty_page_repeats(page: Page, failed_session: str) -> None:
    """Text in an address is untrusted as well."""
    for view in (
        "sessions?job=",
        "sessions?since=2020-01-01&before=2020-01-02&job=",
        "coverage?dataset=daily_targets&to=2026-07-25&accounts=",
    ):
        page.goto(f"/{view}{urlencode({'': HOSTILE + '!'})[1:]}")
        assert_harmless(page, shown_in="#notice code")


def test_in_what_a_server_says_of_errors(page: Page, failed_session: str) -> None:
    """Whether nothing was loaded yet, data stays below it, or a window can't be explained."""
    page.goto(f"/coverage?{urlencode(CHOSEN | {'view': 'table'})}")
    expect(page.locator(".verdict")).to_be_visible()
    page.route("**/api/**", lambda route: route.fulfill(status=503, body=json.dumps(ERROR)))
    page.get_by_role("button", name="Close").click()
    page.locator("tbody .which a").click()
    assert_harmless(page, shown_in="#detail .problem")
    page.get_by_role("link", name="3 months").click()
    assert_harmless(page, shown_in="#trouble")
    for address in ("/", "/sessions", failed_session, "/coverage"):
        page.goto(address)
        assert_harmless(page, shown_in="#notice p")
