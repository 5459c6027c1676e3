"""The Event Stream: what happens appears, and what is being read stays."""

import re
from contextlib import ExitStack
from datetime import date

import pytest
from playwright.sync_api import Browser, Page, expect

from bidbeacon_sessions import Action, SessionStore, with_job_session
from tests.browser.conftest import assert_readable, open_tab, serve_page
from tests.support.recorded_sessions import LoafBaked, LoafBurnt

pytestmark = pytest.mark.browser


class PageNoted(Action):
    """Something was noted."""

    sentence = "Noted {what} {what:badge}[ for {windows:count:window} {windows:windows}]"

    what: str
    windows: tuple[date, ...] = ()


SECONDS_AWAY = 20


def test_a_new_action_appears_without_a_reload(page: Page, session_store: SessionStore) -> None:
    """The empty page says what to do; then a session starts, its action appears, and its end."""
    page.goto("/sessions")
    expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible()
    assert_readable(page)
    expect(page.locator("#pill-text")).to_have_text("Live")

    with with_job_session("refresh-account", store=session_store, run_id="run-1") as session:
        expect(page.locator(".session .job")).to_have_text(["refresh-account"])
        session.add(PageNoted(what="hello"))
        expect(page.locator(".session .sentence")).to_have_text("Noted hello hello")
        expect(page.locator(".session")).to_have_attribute("data-mark", "running")
    expect(page.locator(".session")).to_have_attribute("data-mark", "succeeded")
    expect(page.locator(".session .run-link")).to_have_attribute(
        "href", "http://127.0.0.1:3000/runs/run-1"
    )


def test_a_command_is_shown_as_code(page: Page, session_store: SessionStore) -> None:
    """In sentences and errors, on both pages; a single back-tick is text, and so is markup within a command."""
    why = "no rights, run `bidbeacon accounts sync --all` or `<b>ask</b>`, 5` away"
    with (
        pytest.raises(ValueError, match="rights"),
        with_job_session("refresh-account", store=session_store) as session,
    ):
        session.add(PageNoted(what=why))
        raise ValueError(why)

    shown = why.replace("`", "", 4)
    for address, error in (
        ("/sessions", ".error"),
        (f"/sessions/{session.session_id}", ".failure p"),
    ):
        page.goto(address)
        for place in (".sentence", error):
            expect(page.locator(place)).to_contain_text(shown)
            commands = page.locator(f"{place} code")
            expect(commands).to_have_text(["bidbeacon accounts sync --all", "<b>ask</b>"])


def test_a_page_that_is_scrolled_down_does_not_move(
    page: Page, session_store: SessionStore
) -> None:
    """New sessions are counted, and shown when the reader goes back up."""
    for number in range(20):
        with with_job_session(f"job-{number}", store=session_store) as session:
            session.add(PageNoted(what="x"))
    page.goto("/sessions")
    expect(page.locator(".session")).to_have_count(20)
    page.evaluate("window.scrollTo(0, 900)")
    expect(page.locator("#pill-text")).to_have_text("Paused")
    before = page.locator(".session").nth(15).bounding_box()

    with with_job_session("late", store=session_store) as session:
        session.add(PageNoted(what="x"))
    # Its beginning and its action may come in one message.
    expect(page.locator("#pill-text")).to_have_text(re.compile(r"Paused · [12] new"))
    assert before == page.locator(".session").nth(15).bounding_box()
    assert_readable(page)

    page.get_by_role("button", name=re.compile(r"↑ [12] new")).click()
    expect(page.locator(".session .job").first).to_have_text("late")
    expect(page.locator("#pill-text")).to_have_text("Live")


def test_pausing_holds_the_page_until_it_goes_on(page: Page, session_store: SessionStore) -> None:
    """The pill and the key `p` pause and release."""
    page.goto("/sessions")
    expect(page.locator("#pill-text")).to_have_text("Live")
    page.locator("#pill").click()
    with with_job_session("held-back", store=session_store):
        expect(page.locator("#pill-text")).to_have_text("Paused · 1 new")
    expect(page.locator(".session")).to_have_count(0)
    page.keyboard.press("p")
    expect(page.locator(".session .job")).to_have_text(["held-back"])


def test_a_long_session_folds_in_the_middle_but_never_its_errors(
    page: Page, session_store: SessionStore
) -> None:
    """Forty actions of two kinds in turn show as ends and error; a click shows all."""
    with with_job_session("long", store=session_store) as session:
        for number in range(40):
            noted = LoafBaked() if number % 2 else PageNoted(what="x" * (number + 1))
            session.add(LoafBurnt(what="middle") if number == 20 else noted)
    page.goto("/sessions")
    expect(page.locator(".action.error .sentence")).to_have_text("Burnt middle")
    expect(page.locator(".more")).to_have_count(2)
    assert page.locator(".action").count() < 15
    page.locator(".more").first.click()
    expect(page.locator(".action")).to_have_count(40)
    expect(page.locator(".more")).to_have_count(0)


def test_many_windows_that_follow_each_other_fold_into_one_badge(
    page: Page, session_store: SessionStore
) -> None:
    """Fifteen days in a row are one badge with their count, which a click unfolds, also where the row is made anew; fourteen stand as compact days."""
    days = tuple(date(2025, 7, day) for day in range(1, 16))
    with with_job_session("fold", store=session_store) as session:
        session.add(PageNoted(what="x", windows=days))
        session.add(PageNoted(what="y", windows=days[:14]))
    page.goto("/sessions")
    fold = page.locator(".tag.fold")
    expect(fold).to_have_text("1 Jul 2025 … 15 Jul 202515 days")
    expect(page.locator(".action").last.locator(".tag.window")).to_have_text(
        ["Jul 2025 1", *(str(day) for day in range(2, 15))]
    )
    fold.click()
    unfolded = page.locator(".action").first.locator(".tag.window")
    expect(unfolded).to_have_count(15)
    page.get_by_label("Times in").select_option("utc")
    expect(unfolded).to_have_count(15)


def test_after_the_server_was_away_nothing_is_missing_or_twice(
    browser: Browser, session_store: SessionStore
) -> None:
    """For twenty seconds, while a session a second begins and one goes on: the page says as of when its data is, and then has each once."""
    names = [f"away-{second}" for second in range(SECONDS_AWAY)]
    with with_job_session("before", store=session_store) as session, ExitStack() as opened:
        with serve_page(session_store) as url:
            page = opened.enter_context(open_tab(browser, url))
            page.clock.install()
            page.goto("/sessions")
            expect(page.locator("#pill-text")).to_have_text("Live")
            session.add(PageNoted(what="one"))
            expect(page.locator(".action")).to_have_count(1)
        expect(page.locator("#pill-text")).to_contain_text("Reconnecting · data as of")
        expect(page.locator(".session .job")).to_have_text(["before"])
        session.add(PageNoted(what="two"))
        for name in names:
            with with_job_session(name, store=session_store) as other:
                other.add(PageNoted(what=name))
            page.clock.run_for(1_000)
        told = [f"Noted {name} {name}" for name in [*names[::-1], "one", "two"]]
        with serve_page(session_store, port=int(url.rpartition(":")[2])):
            jobs = page.locator(".session .job")
            expect(jobs).to_have_text([*names[::-1], "before"], timeout=30_000)
            expect(page.locator(".action .sentence")).to_have_text(told)
            expect(page.locator("#pill-text")).to_have_text("Live")
