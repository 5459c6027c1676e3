"""The pages show what sessions achieved, and what their accounts are called."""

from contextlib import suppress
from itertools import chain, repeat
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bidbeacon_sessions import Action, SessionStore, Subject, with_job_session
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.writes import name_subjects
from tests.support.recorded_sessions import LoafBaked, LoafBurnt, LoafDropped, record

pytestmark = pytest.mark.browser

SHOP, OTHER = Subject("US.shop.1kc1bk21", "Shop · US"), Subject("DE.other.77ab90cd", "Other · DE")


OF_SHOP, OF_OTHER = (((account.key, None, None),) for account in (SHOP, OTHER))
BAKED, DROPPED, BURNT = (kind(about=OF_SHOP) for kind in (LoafBaked, LoafDropped, LoafBurnt))


def bake(store: SessionStore) -> dict[str, str]:
    """Record sessions that ended well, with warnings, with problems, and failed, all of one job and account; return their ids by name."""
    recorded: dict[str, list[Action]] = {
        "good": [BAKED],
        "warned": [DROPPED, BAKED],
        "burnt": [BURNT, LoafBaked(about=OF_OTHER)],
        "fails": [],
    }
    return {
        name: record(store, "bake", *actions, since=utc_now(), fails=name == "fails", account=SHOP)
        for name, actions in recorded.items()
    }


@pytest.fixture(scope="module")
def baked(shared_store: SessionStore) -> dict[str, str]:
    """Ids of sessions that stay as they are."""
    return bake(shared_store)


def test_a_row_of_another_account_has_its_tag_and_a_filter_shows_its_rows(
    page: Page, session_store: SessionStore
) -> None:
    """Of a session of another account the other rows are folded, and come with a click."""
    with session_store.begin() as connection:
        name_subjects(connection, [SHOP, OTHER])
    loaves = [LoafBaked(what=f"loaf {n}", about=OF_SHOP) for n in range(20)]
    loaves[10] = LoafBaked(what="loaf 10", about=OF_OTHER)
    moved = record(session_store, "move", *chain(*zip(loaves, repeat(DROPPED))), account=SHOP)
    page.goto(f"/sessions/{moved}")
    rows = page.locator(".action[data-type=loaf-baked]")
    expect(rows).to_have_count(20)
    expect(rows.locator(".tag.account")).to_have_text(["Other · DE"])
    page.goto(f"/sessions?account={OTHER.key}")
    expect(page.locator(".session .action")).to_have_count(1)
    expect(page.locator(".session .action")).to_contain_text("Baked loaf 10")
    expect(page.locator(".session .more")).to_have_text(["… 20 more actions", "… 19 more actions"])
    page.locator(".session .more").first.click()
    expect(page.locator(".session .action")).to_have_count(40)


@pytest.mark.usefixtures("baked")
def test_marks_and_histogram_show_the_outcome(page: Page) -> None:
    """Words and marks of their own, beside the status; the bars have a color for each."""
    page.goto("/sessions")
    words = page.locator(".session .word")
    expect(words).to_have_text(["failed", "finished, with problems", "finished, with warnings"])
    marks = page.locator(".session > .mark svg")
    names = marks.evaluate_all("marks => marks.map(mark => mark.getAttribute('aria-label'))")
    assert ["failed", "finished, with problems", "finished, with warnings", "succeeded"] == names
    for mark in ("failed", "problems", "warnings", "succeeded"):
        expect(page.locator(f".bars rect.{mark}")).to_have_count(1)
    expect(page.locator("#overview-title")).to_contain_text(
        "4 sessions, 1 failed or crashed, 1 with problems"
    )


def test_outcome_filters_the_stream(page: Page, baked: dict[str, str]) -> None:
    """The field completes it, an unknown one is refused, and with an account it is what was achieved for that account."""
    page.goto("/sessions")
    query = page.locator("#query")
    query.click()
    page.keyboard.type("outcome:pro")
    expect(page.locator("#suggestions li", has_text="problems")).to_be_visible()
    page.keyboard.press("Escape")
    for text, found in (
        ("outcome:problems", ["burnt", "fails"]),
        ("outcome:warnings", ["warned"]),
        (f"outcome:ok account:{OTHER.key}", ["burnt"]),
    ):
        query.fill(text)
        query.press("Enter")
        for name in found:
            expect(page.locator(f'.session[data-id="{baked[name]}"]')).to_have_count(1)
        expect(page.locator(".session")).to_have_count(len(found))
    query.fill("outcome:bad")
    query.press("Enter")
    expect(page.locator("#query-problem")).to_contain_text("There is no outcome “bad”")


def test_one_click_shows_what_went_wrong(page: Page, session_store: SessionStore) -> None:
    """Failed sessions and those with problems, not one whose retry succeeded; a status or "all" takes its place again."""
    bake(session_store)
    record(session_store, "rebake", DROPPED, BAKED, since=utc_now())
    page.goto("/sessions?status=succeeded")
    chips = page.locator("#statuses")
    chips.get_by_text("problems").click()
    expect(page).to_have_url("/sessions?outcome=problems")
    expect(page.locator("#query")).to_have_value("outcome:problems")
    expect(page.locator(".session .word")).to_have_text(["failed", "finished, with problems"])
    expect(chips.locator("[aria-current]")).to_have_text("problems")
    chips.get_by_text("failed").click()
    expect(page).to_have_url("/sessions?status=failed")
    expect(page.locator(".session .word")).to_have_text(["failed"])
    chips.get_by_text("all").click()
    expect(page.locator(".session")).to_have_count(5)


def test_running_session_comes_and_goes_with_its_outcome(
    page: Page, session_store: SessionStore
) -> None:
    """Live: the first error brings it into `outcome:problems` and takes it out of `outcome:ok`."""
    other = page.context.new_page()
    page.goto("/sessions?outcome=problems")
    other.goto("/sessions?outcome=ok")
    with with_job_session("bake", store=session_store, account=SHOP) as session:
        expect(other.locator(".session")).to_have_count(1)
        expect(page.locator(".session")).to_have_count(0)
        session.add(BURNT)
        expect(page.locator(".session .word")).to_have_text("running")
        expect(other.locator(".session")).to_have_count(0)
    expect(page.locator(".session .word")).to_have_text("finished, with problems")


def test_an_attempt_that_a_later_one_recovered_is_neutral(
    page: Page, session_store: SessionStore
) -> None:
    """Live: mark, word and bar turn grey when the retry has succeeded, with a link to it; the status stays."""
    step: dict[str, Any] = {"store": session_store, "run_id": "run", "step_key": "bake"}
    with suppress(LookupError), with_job_session("bake", **step) as first:
        raise LookupError("no flour")
    page.goto("/sessions?status=failed")
    card = page.locator(f'.session[data-id="{first.session_id}"]')
    expect(card.locator(".word")).to_have_text("failed")
    with with_job_session("bake", **step, retry_number=1) as later:
        pass
    expect(card.locator(".word")).to_have_text("failed, recovered by a later attempt")
    expect(card.locator(".mark svg")).to_have_class("icon stroke status retried")
    expect(card.locator(".word a")).to_have_attribute("href", f"/sessions/{later.session_id}")
    page.goto("/sessions")
    expect(page.locator(".bars rect.retried")).to_have_count(1)
    expect(page.locator(".bars rect.failed")).to_have_count(0)
    expect(page.locator("#overview-title")).to_have_text("Last 24 hours · 2 sessions")
    page.goto("/sessions?outcome=problems")
    expect(page.locator("#feed .session, .notice")).to_have_class("notice empty")
    page.goto(f"/sessions/{first.session_id}")
    expect(page.locator(".title .word")).to_have_text("failed, recovered by a later attempt")
    expect(page.locator(".failure")).to_have_class("failure retried")


def test_an_attempt_whose_actions_are_errors_stays_red_and_leads_to_the_later_one(
    page: Page, session_store: SessionStore
) -> None:
    """The later attempt may not have repeated what the errors tell of, so it stays a problem."""
    step: dict[str, Any] = {"store": session_store, "run_id": "run", "step_key": "bake"}
    with suppress(LookupError), with_job_session("bake", **step) as first:
        first.add(BURNT)
        raise LookupError("no flour")
    with with_job_session("bake", **step, retry_number=1) as later:
        pass
    for address in ("/sessions?outcome=problems", f"/sessions/{first.session_id}"):
        page.goto(address)
        expect(page.locator(".word")).to_have_text("failed, a later attempt succeeded")
        expect(page.locator(".word")).to_have_class("word failed")
        expect(page.locator(".word a")).to_have_attribute("href", f"/sessions/{later.session_id}")
