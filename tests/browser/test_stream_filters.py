"""The Event Stream's filter, completion, histogram, folds, zones and marks."""

import re
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from bidbeacon_pipelines.actions import ReportRequested, ReportSuspicious
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.change_log import step
from tests.browser.conftest import assert_readable, open_tab
from tests.browser.told_sessions import JOBS, WindowsLined
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

OVERLAPS = """[...document.querySelectorAll('.session')].some((session) => {
    const mark = session.querySelector('.mark').getBoundingClientRect();
    return [...session.querySelectorAll('.when > *')].map((one) => one.getBoundingClientRect())
        .some((box) => box.right > mark.left && box.left < mark.right && box.bottom > mark.top && box.top < mark.bottom);
})"""
"""Whether a session's time, zone or age stands on its mark."""


def test_a_run_of_the_same_action_is_told_as_one(stream: Page) -> None:
    """Fourteen actions are the first one's sentence with a count; a click shows them one by one."""
    run = stream.locator(".session").first
    expect(run.locator(".sentence")).to_have_count(1)
    expect(run.locator(".sentence")).to_contain_text("Lined up 1 report window")
    run.get_by_role("button", name="14 ×").click()
    expect(run.locator(".sentence")).to_have_count(14)


def request_reports(store: SessionStore) -> None:
    """Record a session with reports for three accounts of one ads account, each for two of them."""
    days = [date(2025, 7, 1), date(2025, 7, 2)]
    with with_job_session("requests", store=store) as session:
        for place, pair in enumerate((("US.a", "CA.a"), ("CA.a", "MX.a"), ("US.a", "MX.a"))):
            session.add(
                ReportRequested(
                    account="a",
                    dataset="daily_targets",
                    windows=days,
                    accounts=dict.fromkeys(pair, days),
                    request_id=place,
                    report_id=f"r{place}",
                )
            )


def test_runs_are_told_as_one_under_any_filter(page: Page, session_store: SessionStore) -> None:
    """A count is that of the rows which the filter shows: two rows of an account stand by themselves."""
    request_reports(session_store)
    page.goto("/sessions")
    rows, field = page.locator(".session .sentence"), page.locator("#query")
    for typed, shown, counts in (
        ("job:requests", 1, ["3 ×"]),
        ("account:CA.a", 2, []),
        ("daily_targets", 1, ["3 ×"]),
    ):
        field.fill(typed)
        field.press("Enter")
        expect(rows).to_have_text([re.compile("for 2 windows in 2 accounts")] * shown)
        expect(page.locator(".session .run")).to_have_text(counts)


def test_what_is_drawn_before_a_filters_answer_is_drawn_anew(
    page: Page, session_store: SessionStore
) -> None:
    """Cards of the old filter would show the actions of all accounts."""
    request_reports(session_store)
    page.goto("/sessions")
    rows, scroll = page.locator(".session .sentence"), "window.dispatchEvent(new Event('scroll'))"
    expect(rows).to_have_count(1)
    page.keyboard.press("p")
    page.evaluate(scroll)
    asked: list[Route] = []

    def keep(route: Route) -> None:
        asked.append(route)

    page.route("**/api/job-sessions?*account=CA.a*", keep)
    page.locator("#query").fill("account:CA.a")
    page.keyboard.press("Enter")
    wait_until(lambda: page.evaluate("true") and bool(asked))
    page.evaluate(scroll)
    asked[0].continue_()
    expect(rows).to_have_count(2)


def test_a_run_that_is_not_loaded_whole_has_no_count(
    page: Page, session_store: SessionStore
) -> None:
    """Of a long one the list has both ends: what is between them is a fold, which leads to the whole run."""
    count = 120
    with with_job_session("long", store=session_store) as session:
        for _ in range(count):
            session.add(WindowsLined(windows=[date(2025, 7, 1)]))
    with session_store.begin() as connection:
        step(connection)  # what is published after the list was read comes once more, whole
    page.goto("/sessions")
    more = page.locator(".session .more")
    expect(more).to_have_text("… 111 more actions")
    expect(page.locator(".session .run")).to_have_count(0)
    more.click()
    expect(page.locator(".session .run")).to_have_text(f"{count} ×")


def test_actions_of_other_causes_stay_apart(page: Page, session_store: SessionStore) -> None:
    """Three reports that were suspicious for one cause are one row; those of another cause are another."""
    codes = ["rows-lost"] * 3 + ["rows-missing"] * 3
    with with_job_session("suspicious", store=session_store) as session:
        for day, code in enumerate(codes, 1):
            about = {"account": "US.a", "dataset": "daily_targets", "windows": [date(2025, 7, day)]}
            why = {"code": code, "detail": {"new_rows": day}}
            session.add(ReportSuspicious(**about, request_id=day, report_id="r", cause=why))
    page.goto("/sessions")
    rows = page.locator(".session .sentence")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("The report lost nearly all rows.")
    expect(rows.last).to_contain_text("The report has no rows of the country")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("/sessions?q=throttled", ["breaks"]),
        ("/sessions?q=job:idle", ["idle"]),
        ("/sessions?q=status:failed+throttled", ["breaks"]),
        ("/sessions?q=since:1h&job=queue", ["queue"]),
        ("/sessions?q=nonsense:x", []),
    ],
)
def test_an_address_may_hold_what_is_written_into_the_field(
    stream: Page, address: str, shown: list[str]
) -> None:
    """As the form itself sends it where no script runs; what is no filter is looked for as text."""
    stream.goto(address)
    expect(stream.locator("#feed")).to_have_attribute("aria-busy", "false")
    expect(stream.locator(".session .job")).to_have_text(shown)


def test_marks_differ_by_shape(stream: Page) -> None:
    """A session that only skipped has a mark of its own, named, and none has another's shape."""
    marks = stream.locator(".session > .mark svg")
    names = marks.evaluate_all("marks => marks.map(mark => mark.getAttribute('aria-label'))")
    assert ["succeeded", "deferred", "failed", "succeeded"] == names
    shapes = marks.evaluate_all("marks => marks.map(mark => mark.firstChild.getAttribute('d'))")
    assert 3 == len(set(shapes))
    stream.keyboard.press("?")
    meanings = stream.locator(".marks li")
    expect(meanings).to_have_text(
        [
            "running",
            "succeeded",
            "deferred",
            "finished, with warnings",
            "finished, with problems",
            "failed",
            "crashed",
            "failed, retried",
            "cancelled",
        ]
    )
    shapes = meanings.locator("path").evaluate_all(
        "paths => paths.map(path => path.getAttribute('d'))"
    )
    assert 9 == len(set(shapes))


def test_a_filter_is_in_the_address_and_in_the_field(stream: Page) -> None:
    """Typing filters, and the address can be shared; words are looked for in errors and actions, a span means from so long ago on, and nonsense is explained."""
    stream.keyboard.press("/")
    stream.keyboard.type("job:breaks\n")
    expect(stream.locator(".session .job")).to_have_text(["breaks"])
    stream.goto("/sessions?job=breaks")
    query = stream.locator("#query")
    expect(query).to_have_value("job:breaks")
    for typed, address, jobs in (
        ("throttled since:1h", "since=1h&text=throttled", ["breaks"]),
        ("since:1d", "since=1d", JOBS[:3]),
    ):
        query.fill(typed)
        query.press("Enter")
        expect(stream.locator(".session .job")).to_have_text(jobs)
        expect(stream).to_have_url(f"/sessions?{address}")
    for typed, why in (("nonsense:1", "There is no “nonsense:”"), ("since:never", "“never” is no")):
        query.fill(typed)
        query.press("Enter")
        expect(stream.locator("#query-problem")).to_contain_text(why)
    assert_readable(stream)
    stream.go_back()
    expect(stream.locator(".session .job")).to_have_text(["breaks"])


def test_empty_says_which_of_the_three_it_is(stream: Page) -> None:
    """Nothing in this stretch, nothing that matches: each says what to do, and the way out leads there."""
    stream.locator("#query").fill("since:2020-01-01 before:2020-01-02")
    stream.locator("#query").press("Enter")
    expect(stream.get_by_role("heading", name="Nothing in this stretch of time")).to_be_visible()
    assert_readable(stream)
    stream.get_by_role("link", name="Show the whole time").click()
    expect(stream.locator(".session")).to_have_count(4)
    stream.locator("#query").fill("nothing-like-it")
    stream.locator("#query").press("Enter")
    expect(stream.get_by_role("heading", name="No session matches")).to_be_visible()
    stream.get_by_role("link", name="Clear the filter").click()
    expect(stream.locator(".session")).to_have_count(4)


def test_the_field_completes_keys_and_values(stream: Page) -> None:
    """Arrows and Enter take what is suggested; an account is found by its name."""
    stream.keyboard.press("/")
    stream.keyboard.type("jo")
    expect(stream.locator("#suggestions li")).to_have_count(1)
    stream.keyboard.press("ArrowDown")
    stream.keyboard.press("Enter")
    expect(stream.locator("#query")).to_have_value("job:")
    stream.keyboard.type("br")
    expect(stream.locator("#suggestions li", has_text="breaks")).to_be_visible()
    stream.keyboard.press("ArrowDown")
    stream.keyboard.press("Tab")
    expect(stream.locator("#query")).to_have_value("job:breaks ")
    stream.locator("#query").fill("account:shop")
    expect(stream.locator("#suggestions li", has_text="Tokyo Shop")).to_be_visible()
    stream.keyboard.press("Escape")
    expect(stream.locator("#suggestions li")).to_have_count(0)


def hold_values(stream: Page) -> list[Route]:
    """Go into the field, and hold back the values that are asked for then."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    stream.route("**/api/job-sessions/values", hold)
    expect(stream.locator("#pill-text")).to_have_text("Live")
    with stream.expect_request("**/api/job-sessions/values"):
        stream.locator("#query").click()
    return held


def let_in(stream: Page, held: list[Route]) -> None:
    """Let the values come in, and the page take note of them."""
    with stream.expect_response("**/api/job-sessions/values"):
        held[0].continue_()
    stream.evaluate("fetch('/healthz').then((answer) => answer.text())")


def test_what_was_chosen_stays_chosen_when_the_values_come_in(stream: Page) -> None:
    """The values that sessions have may come after the first keys: the list is renewed, the choice in it isn't lost."""
    held = hold_values(stream)
    stream.keyboard.type("s")
    stream.keyboard.press("ArrowDown")
    stream.keyboard.press("ArrowDown")
    chosen = stream.locator("#suggestions [aria-selected=true]")
    expect(chosen).to_contain_text("since:")
    let_in(stream, held)
    expect(chosen).to_contain_text("since:")
    expect(stream.locator("#query")).to_have_attribute("aria-activedescendant", "option-1")
    stream.keyboard.press("Enter")
    expect(stream.locator("#query")).to_have_value("since:")


def test_what_was_closed_stays_closed_when_the_values_come_in(stream: Page) -> None:
    """Escape closes the list; values that come later don't open it again, the next key does."""
    held = hold_values(stream)
    stream.keyboard.type("s")
    expect(stream.locator("#suggestions")).to_be_visible()
    stream.keyboard.press("Escape")
    expect(stream.locator("#suggestions")).to_be_hidden()
    expect(stream.locator("#query")).to_be_focused()
    let_in(stream, held)
    expect(stream.locator("#suggestions")).to_be_hidden()
    stream.keyboard.type("i")
    expect(stream.locator("#suggestions [role=option]")).to_have_count(1)
    stream.keyboard.press("Escape")
    stream.keyboard.press("Escape")
    expect(stream.locator("#query")).not_to_be_focused()


def test_the_histogram_can_be_brushed_by_pointer_and_keys(stream: Page) -> None:
    """A drag over its end leaves what began there; the keys choose the same; going back undoes it."""
    expect(stream.locator("#overview-title")).to_contain_text(
        "Last 24 hours · 3 sessions, 1 failed or crashed"
    )
    plot = stream.locator(".plot")
    box = plot.bounding_box()
    assert box is not None
    stream.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    stream.mouse.down()
    stream.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 20)
    stream.mouse.up()
    expect(stream.get_by_role("heading", name="Nothing in this stretch of time")).to_be_visible()
    assert "since=" in stream.url
    assert "before=" in stream.url
    stream.go_back()
    expect(stream.locator(".session")).to_have_count(4)
    expect(stream.locator("#overview-title")).to_contain_text("Last 24 hours")
    plot.focus()
    stream.keyboard.press("End")
    stream.keyboard.press("Shift+ArrowLeft")
    stream.keyboard.press("Enter")
    expect(stream.locator(".session")).to_have_count(3)


@pytest.mark.usefixtures("shared_told")
def test_the_zone_is_chosen_once_and_named(browser: Browser, base_url: str) -> None:
    """The browser's or UTC: a session's clock follows, the choice stays, and is in the address."""
    with open_tab(browser, base_url, zone="Asia/Tokyo") as page:
        page.goto("/sessions")
        clock = page.locator(".session .clock").first
        at = datetime.fromisoformat(str(clock.get_attribute("datetime")))
        expect(clock).to_have_text(f"{at + timedelta(hours=9):%H:%M:%S}")
        expect(page.locator(".day small").first).to_have_text("Asia/Tokyo")
        page.locator("#zone").select_option("utc")
        expect(clock).to_have_text(f"{at:%H:%M:%S}")
        expect(page.locator(".day small").first).to_have_text("UTC")
        for width in (320, 721, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 600})
            assert not page.evaluate(OVERLAPS)
        assert "zone=utc" in page.url
        page.locator(".session .job").first.click()
        expect(page.locator(".facts")).to_contain_text(f"{at:%H:%M:%S} UTC")


@pytest.mark.usefixtures("shared_told")
@pytest.mark.parametrize(
    ("zone", "named"),
    [
        ("UTC", "Browser · UTC"),
        ("America/Argentina/Buenos_Aires", "Buenos Aires"),
        ("Etc/GMT+5", "Etc/GMT+5"),
    ],
)
def test_the_chosen_zone_is_readable(
    browser: Browser, base_url: str, zone: str, named: str
) -> None:
    """On a phone too: the choice has room for each name in it, and the city alone names a zone."""
    with open_tab(browser, base_url, zone=zone, width=390) as page:
        page.goto("/sessions")
        names = page.locator("#zone option")
        expect(names).to_have_count(2)
        expect(names.first).to_have_text(named)
        room, needed = page.locator("#zone").evaluate(
            "choice => [choice.offsetWidth, (choice.style.maxWidth = 'none', choice.offsetWidth)]"
        )
        assert needed <= room


def test_keys_move_open_pause_and_explain(stream: Page) -> None:
    """`j` and `k` go from session to session, `?` tells of the keys, Enter opens; single keys can be turned off."""
    stream.keyboard.press("j")
    stream.keyboard.press("j")
    expect(stream.locator(".session .job").nth(1)).to_be_focused()
    stream.keyboard.press("k")
    expect(stream.locator(".session .job").first).to_be_focused()
    stream.keyboard.press("?")
    expect(stream.get_by_role("dialog")).to_be_visible()
    stream.get_by_label("Single keys act on this page").uncheck()
    stream.keyboard.press("Escape")
    stream.keyboard.press("p")
    expect(stream.locator("#pill-text")).to_have_text("Live")
    stream.keyboard.press("Enter")
    expect(stream).to_have_url(re.compile("/sessions/"))


def test_focus_stays_while_sessions_come(own_stream: Page, told: SessionStore) -> None:
    """The focused session keeps the focus when others appear above it, and one sentence is announced."""
    own_stream.locator(".session .job", has_text="idle").focus()
    with with_job_session("newcomer", store=told):
        pass
    expect(own_stream.locator(".session .job").first).to_have_text("newcomer")
    expect(own_stream.locator(".session .job", has_text="idle")).to_be_focused()
    expect(own_stream.locator("#announcer")).to_contain_text("1 new session")


def test_focus_stays_on_a_run_that_grows(own_stream: Page, told: SessionStore) -> None:
    """The button that shows a run one by one keeps the focus when an action joins the run; opening it leads to what was opened."""
    with with_job_session("grows", store=told) as session:
        for day in range(1, 5):
            session.add(WindowsLined(windows=[date(2025, 7, day)]))
        own_stream.get_by_role("button", name="4 ×", exact=True).focus()
        session.add(WindowsLined(windows=[date(2025, 7, 5)]))
        expect(own_stream.get_by_role("button", name="5 ×")).to_be_focused()
        own_stream.keyboard.press("Enter")
        expect(own_stream.locator(".session").first.locator(".sentence")).to_have_count(5)
        expect(own_stream.locator(".session").first.locator(".rail")).to_be_focused()


def test_focus_stays_on_the_chip_that_was_chosen(stream: Page) -> None:
    """Statuses and stretches of time are links that are made anew when one is followed."""
    for name in ("failed", "7d"):
        chip = stream.locator(".chip", has_text=name)
        chip.focus()
        stream.keyboard.press("Enter")
        expect(chip).to_have_attribute("aria-current", "true")
        expect(chip).to_be_focused()


def test_announcements_are_bundled(own_stream: Page, told: SessionStore) -> None:
    """However many sessions begin and fail, there is one sentence in five seconds; together they leave out none."""
    own_stream.evaluate("""() => {
        window.said = [];
        const note = () => window.said.push([performance.now(), document.getElementById("announcer").textContent]);
        new MutationObserver(note).observe(document.getElementById("announcer"), { childList: true, characterData: true, subtree: true });
    }""")
    for number in range(12):
        with suppress(OSError), with_job_session("many", store=told):
            if number % 4 == 0:
                raise OSError
    own_stream.wait_for_function(TOLD, arg=12, timeout=30_000)
    moments = [at for at, _ in own_stream.evaluate("window.said")]
    assert all(later - earlier > 4_500 for earlier, later in pairwise(moments))
    assert len(moments) < 12
    numbers = "said.flatMap(([, text]) => text.match(/\\d+(?= failed)/g) ?? []).map(Number)"
    assert 3 == sum(own_stream.evaluate(numbers))


TOLD = "(count) => count === said.flatMap(([, text]) => text.match(/\\d+(?= new session)/g) ?? []).reduce((sum, one) => sum + Number(one), 0)"


def test_news_of_a_session_that_is_not_loaded_yet_waits_for_its_page(
    page: Page, session_store: SessionStore
) -> None:
    """Older ones come by scrolling. Also where it began in the very millisecond, or instant, of the oldest one on the page: none is left out, none there twice."""
    instant = datetime.now(UTC) - timedelta(hours=1)
    with ExitStack() as running:
        sessions = [
            running.enter_context(
                with_job_session("twin", store=session_store, clock=lambda: instant)
            )
            for _ in range(70)
        ]
        page.goto("/sessions")
        expect(page.locator(".session")).to_have_count(40)
    with with_job_session("newcomer", store=session_store):
        pass
    expect(page.locator(".session .job").first).to_have_text("newcomer")
    expect(page.locator(".session")).to_have_count(41)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(page.locator(".session")).to_have_count(71)
    expect(page.get_by_text("That is the beginning.")).to_be_visible()
    ids = page.locator(".session").evaluate_all("cards => cards.map((card) => card.dataset.id)")
    assert sorted((str(session.session_id) for session in sessions), reverse=True) == ids[1:]
