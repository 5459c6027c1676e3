"""One session's page: its timeline, and what stands around it."""

import json
import re
from contextlib import suppress
from datetime import date, timedelta
from itertools import count

import pytest
from playwright.sync_api import Page, expect

from bidbeacon_sessions import Action, Reference, SessionStore, Subject, with_job_session
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.listing import MOST_ACTIONS
from tests.support.recorded_sessions import NOON

pytestmark = pytest.mark.browser

LONG_ID = 9223372036854775807
ACCOUNT = Subject("US.a")


class RowsStored(Action):
    """Rows were stored."""

    sentence = "Stored {rows:count:row} for {windows:windows}"
    tone = "success"

    rows: int
    windows: list[date]

    def references(self) -> list[Reference]:
        """One reference a window."""
        return [Reference("US.a", "stored", "daily_targets", str(day)) for day in self.windows]


def ticking(seconds: float) -> Clock:
    """Return a clock that goes on by some seconds whenever it is read."""
    times = (NOON + timedelta(seconds=seconds) * number for number in count(1))
    return lambda: next(times)


@pytest.fixture(scope="module")
def story(shared_store: SessionStore) -> dict[str, str]:
    """Ids of sessions of one job and account: `good`, then `bad`, then `later`."""
    clock, ids = ticking(8), {}
    stored = RowsStored(rows=3, windows=[date(2025, 7, 1), date(2025, 7, 2)])
    with with_job_session("load", store=shared_store, account=ACCOUNT, clock=clock) as good:
        ids["good"] = str(good.session_id)
        good.add(stored)
    with (
        suppress(ValueError),
        with_job_session(
            "load",
            store=shared_store,
            account=ACCOUNT,
            clock=clock,
            run_id="run-7",
            input={"days": 2},
            labels={"asset": "daily_rows", "partition": "2025-07-01|US.a"},
        ) as bad,
    ):
        ids["bad"] = str(bad.session_id)
        bad.add(stored)
        bad.add(stored)
        raise ValueError("no room")
    with with_job_session("load", store=shared_store, account=ACCOUNT, clock=clock) as later:
        ids["later"] = str(later.session_id)
    return ids


def test_a_session_tells_all_that_is_known_of_it(page: Page, story: dict[str, str]) -> None:
    """Gaps, error, input, links to Dagster, windows, and what differs from the last good one."""
    page.goto(f"/sessions/{story['bad']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("load")
    expect(page.locator(".gap")).to_have_text("8.0 s later")
    expect(page.locator(".failure")).to_contain_text("no room")
    expect(page.get_by_text('"days": 2')).to_be_visible()
    dagster = "http://127.0.0.1:3000"
    expect(page.get_by_role("link", name="run-7")).to_have_attribute(
        "href", f"{dagster}/runs/run-7"
    )
    expect(page.get_by_role("link", name="daily_rows")).to_have_attribute(
        "href", f"{dagster}/assets/daily_rows"
    )
    expect(page.get_by_role("link", name="2025-07-01|US.a")).to_have_attribute(
        "href", f"{dagster}/assets/daily_rows?view=partitions&partition=2025-07-01%7CUS.a"
    )
    good = page.get_by_role("region", name="Against the last good one").locator(".brief a").first
    expect(good).to_have_attribute("href", f"/sessions/{story['good']}")
    differences = page.locator(".differences tbody tr")
    labels = ["label assetdaily_rows—", "label partition2025-07-01|US.a—"]
    counted = ["duration24 s16 s", "rows-stored21", "input days2—"]
    expect(differences).to_have_text([*counted, *labels])
    references = page.get_by_role("region", name="What it refers to")
    expect(references.get_by_role("link", name="2025-07-02")).to_have_attribute(
        "href", "/coverage?dataset=daily_targets&account=US.a&window=2025-07-02"
    )


def test_a_range_of_partitions_leads_to_those_of_its_asset(
    page: Page, shared_store: SessionStore
) -> None:
    """Dagster has no page for a range: the asset's partitions are shown."""
    labels = {"asset": "daily_rows", "partitions": "US.a|2025-07-01 … US.a|2025-07-09"}
    with with_job_session("load", store=shared_store, labels=labels) as session:
        pass
    page.goto(f"/sessions/{session.session_id}")
    expect(page.get_by_role("link", name=labels["partitions"])).to_have_attribute(
        "href", "http://127.0.0.1:3000/assets/daily_rows?view=partitions"
    )


def test_a_session_of_more_actions_than_an_answer_holds_is_shown_whole(
    page: Page, shared_store: SessionStore
) -> None:
    """The page asks until it has them all."""
    many = MOST_ACTIONS + 5
    with with_job_session("long", store=shared_store) as session:
        for _ in range(many):
            session.add(RowsStored(rows=1, windows=[]))
    page.goto(f"/sessions/{session.session_id}")
    expect(page.locator(".rail .run")).to_have_text(f"{many} ×")


class PageFetched(Action):
    """Something was fetched."""

    sentence = "Fetched {rows:count:row}"
    ends_wait_for = "the mill"
    own_seconds = "sifting"

    rows: int
    sifting: float


def test_a_session_shows_where_its_time_went(page: Page, shared_store: SessionStore) -> None:
    """Sums of own work and of waiting, and a bar for each step at its place, from what is recorded."""
    with with_job_session("grind", store=shared_store, clock=ticking(10)) as session:
        session.add(PageFetched(rows=3, sifting=2.5))
    page.goto(f"/sessions/{session.session_id}")
    spent = page.get_by_role("region", name="Where its time went")
    sums = spent.locator(".sums li")
    expect(sums).to_have_count(2)
    expect(sums.first).to_have_text(re.compile("^own work "))
    expect(sums.last).to_have_text(re.compile("^waiting for the mill 7.5 s"))
    steps = spent.locator(".steps li")
    expect(steps.first).to_have_text(re.compile("^Fetched 3 rows, waiting for the mill7.5 s$"))
    expect(steps.last).to_have_text(re.compile("^The session ended, own work"))
    left, width = (
        spent.locator(".track i").nth(1).evaluate("bar => [bar.style.left, bar.style.width]")
    )
    assert float(left[:-1]) > float(width[:-1]) > 0


def test_keys_go_to_the_one_before_and_the_one_after(page: Page, story: dict[str, str]) -> None:
    """`j` leads to the session of the same job and account that began before, `k` to the one after."""
    page.goto(f"/sessions/{story['bad']}")
    expect(page.get_by_role("link", name="← Before")).to_be_visible()
    page.keyboard.press("j")
    expect(page).to_have_url(f"/sessions/{story['good']}")
    expect(page.get_by_role("link", name="After →")).to_be_visible()
    page.keyboard.press("k")
    expect(page).to_have_url(f"/sessions/{story['bad']}")


def test_focus_stays_beside_a_session_that_goes_on(page: Page, shared_store: SessionStore) -> None:
    """Links to neighbors keep the focus when what stands around is told anew, the copy button its focus and what it says of a copy when the session ends."""
    with with_job_session("load", store=shared_store):
        pass
    with with_job_session("load", store=shared_store) as session:
        page.goto(f"/sessions/{session.session_id}")
        expect(page.locator("#pill-text")).to_have_text("Live")
        page.get_by_role("link", name="← Before").focus()
        with with_job_session("load", store=shared_store):
            session.add(RowsStored(rows=2, windows=[]))
        expect(page.get_by_role("link", name="After →")).to_be_visible()
        expect(page.get_by_role("link", name="← Before")).to_be_focused()
        copy = page.get_by_role("button", name="Copy as JSON")
        copy.evaluate("button => { button.focus(); button.textContent = 'Copied'; }")
    expect(page.locator(".title .word")).to_have_text("succeeded")
    expect(page.get_by_role("button", name="Copied")).to_be_focused()


def test_long_ids_keep_every_digit(page: Page, session_store: SessionStore) -> None:
    """Whole numbers beyond 2^53 are shown, and copied with header and actions, as they were recorded, whether they were loaded or came live."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    given = {"days": 2, "share": 0.1, "nested": [-LONG_ID, {"id": 2**64 + 1}], "profile": LONG_ID}
    with with_job_session(
        "long-ids", store=session_store, input=given, labels={"ids": [LONG_ID, 1]}
    ) as session:
        page.goto("/sessions")
        page.get_by_role("button", name="Input").click()
        expect(page.locator(".session .input")).to_have_text(json.dumps(given, indent=2))
        page.goto(f"/sessions/{session.session_id}")
        expect(page.locator(".page pre")).to_have_text(json.dumps(given, indent=2))
        expect(page.locator(".facts")).to_contain_text(f"[{LONG_ID},1]")
        expect(page.locator("#pill-text")).to_have_text("Live")
        session.add(RowsStored(rows=LONG_ID, windows=[]))
        expect(page.locator(".sentence")).to_have_count(1)
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert (str(session.session_id), given) == (copied["id"], copied["input"])
    assert LONG_ID == copied["actions"][0]["payload"]["rows"]


@pytest.mark.usefixtures("shared_store")
def test_an_unknown_session_says_what_to_do(page: Page) -> None:
    """The cause, and a way to try again."""
    page.goto("/sessions/00000000-0000-0000-0000-000000000000")
    expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("All sessions are at /")
    expect(page.locator("#pill")).to_have_text("Nothing to follow")
