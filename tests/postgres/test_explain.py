"""Why a window is as it is, made by the real pipeline against the sandbox: state, sentences, and the session that proves them."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func

from bidbeacon_pipelines.accounts.credential_queries import set_credentials_need_attention
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.problems.explain import NO_WINDOW
from bidbeacon_pipelines.requests.queries import lock_request
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.queries import want_windows
from bidbeacon_pipelines.windows.states import WindowState
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.postgres.explaining import explained, explained_json
from tests.support.one_dataset import only_daily_targets
from tests.support.rows import change_ads_accounts, change_windows, remove_requests, remove_windows
from tests.support.world import DATASET, World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)


@pytest.fixture(autouse=True)
def only_one_dataset() -> Iterator[None]:
    """Leave the dataset whose windows are explained."""
    with only_daily_targets():
        yield


def says(
    world: World, account: Account, state: str, *said: str | None, day: date = DAY
) -> Severity:
    """Assert the state of a window, and what its sentences say, which are two at most; return its severity."""
    told = explained(world, account, day)
    assert len(re.findall(r"\.(?= [A-Z]|$)", told.sentence)) <= 2, told.sentence
    missing = [text for text in said if (text or "?") not in told.sentence]
    assert (state, []) == (told.state, missing), told.sentence
    return told.severity


def proves(world: World, account: Account, kind: str, day: date = DAY) -> bool:
    """Return whether the session that proves an explanation recorded an action of this type."""
    session = explained_json(world, account, day)["verdict"]["session"]
    found = "SELECT FROM session_actions WHERE type = :kind AND session_id = CAST(:id AS uuid)"
    return bool(world.query(found, kind=kind, id=session["id"]))


def create_windows(world: World, account: Account) -> None:
    """Create the account's windows, and ask for none."""
    with world.session() as session:
        keep_windows(world.context, session, account, DATASET, again=True)


def test_days_outside_the_history_have_no_window(world: World) -> None:
    """Days before Amazon's 15 months stay empty, days that have not begun come a day later, others soon."""
    account = world.account()
    create_windows(world, account)
    served = "Amazon serves daily_targets only back to"
    says(world, account, NO_WINDOW, served, day=date(2020, 2, 29))
    tomorrow = TODAY + timedelta(days=1)
    said = "Its first report is requested at 2026-01-17 08:00:00 UTC."
    assert Severity.FINE is says(world, account, NO_WINDOW, said, day=tomorrow)
    soon = "The account's next refresh creates and requests it."
    assert Severity.WAITING is says(world, world.account("DE"), NO_WINDOW, soon)


def test_a_window_of_today_is_missing(world: World) -> None:
    """It has no data, and that is as it should be until the first midnight after it."""
    account = world.account()
    create_windows(world, account)
    said = "The refresh T+1 is the first, at 2026-01-16 08:00:00 UTC."
    assert Severity.FINE is says(world, account, "missing", said, day=TODAY)


def test_a_loaded_window_is_fresh_until_its_next_refresh(world: World) -> None:
    """The sentences say how many rows, as of when, and which refresh follows; the session that loaded it proves it."""
    account = world.account()
    world.load(account, DAY)
    rows = world.window(account, DAY).row_count
    expected = f"It has {rows} rows as of 2026-01-15 12:00:00 UTC. The refresh T+5 follows at 2026-01-17 08:00:00 UTC."
    assert expected == explained(world, account, DAY).sentence
    assert proves(world, account, "report-processed")


def test_a_due_window_is_requested_by_the_next_refresh(world: World) -> None:
    """Due and a slot free: within a minute; a loaded window says which refresh it is that is due."""
    account = world.account()
    world.sync_entities(account)
    create_windows(world, account)
    says(world, account, "due", "Its first report is due since", "within a minute")
    world.load(account, DAY)
    world.advance(days=3)
    says(world, account, "late", "The refresh T+5 is overdue since 2026-01-17 08:00:00 UTC.")
    change_ads_accounts(world.engine, next_look_at=datetime(2026, 1, 19, 20, tzinfo=UTC))
    said = "The cadence of its ads account has it requested at 2026-01-19 20:00:00 UTC."
    says(world, account, "due", said)


def test_a_planned_window_waits_for_a_place_at_the_gate(world: World) -> None:
    """With two reports in flight the oldest windows wait for one of them to end."""
    account = world.account("JP")
    world.refresh(account)
    due = "SELECT min(window_date) AS day FROM report_windows WHERE request_id IS NULL AND next_refresh_at < :now"
    [oldest] = world.query(due, now=world.context.now())
    said = "is planned, and is requested when one of the 2 report slots of FE is free"
    says(world, account, "due", said, day=oldest["day"])


def test_a_planned_window_waits_while_amazon_refuses_to_make_more(world: World) -> None:
    """After a 429 the sentence says until when nothing is created, and why."""
    world.break_with("answer", "create_report", times=1, status=429, retry_after=1800)
    account = world.account("JP")
    world.refresh(account)
    said = "after 2026-01-15 12:30:00 UTC, since Amazon throttled report creation in FE (429)"
    says(world, account, "due", said, day=TODAY - timedelta(days=300))


def test_a_due_window_waits_for_the_other_countries(world: World) -> None:
    """London's midnight is an hour after Berlin's: one report serves both, and Berlin's window waits for it."""
    germany, britain = world.account("DE"), world.account("GB")
    for account in (germany, britain):
        world.sync_entities(account)
    world.plan(germany)
    remove_requests(world.engine)
    change_windows(world.engine, ReportWindow.window_date < TODAY, next_refresh_at=None)
    night = datetime(2026, 1, 15, 23, 1, tzinfo=UTC)
    world.advance(seconds=(night - world.context.now()).total_seconds())
    world.plan(germany)
    said = "It waits for other countries that the same report covers, until 2026-01-16 05:00:00 UTC"
    assert Severity.WAITING is says(world, germany, "due", said, day=TODAY)
    with world.engine.begin() as connection:
        want_windows(connection, germany, DATASET.name, [TODAY], "maria", now=night)
    says(world, germany, "due", "The next run, within a minute", day=TODAY)


def test_a_report_in_flight_is_named_with_amazons_word(world: World) -> None:
    """Which report, since when, what Amazon says, and when it is polled next."""
    account = world.account()
    request = world.request(world.ask(account, DAY))
    since, polled = "since 2026-01-15 12:00:00 UTC", f"{request.next_step_at:%Y-%m-%d %H:%M:%S}"
    said = (since, f"({request.amazon_status})", f"The next poll is at {polled} UTC.")
    assert Severity.WAITING is says(world, account, "requested", request.report_id, *said)
    assert proves(world, account, "report-requested")


def requested_again_at(at: datetime | None) -> str:
    """Return what is said of a report that is requested again at an instant."""
    return f"t is requested again at {at:%Y-%m-%d %H:%M:%S} UTC"


def test_a_report_that_takes_hours_is_late_at_amazon(world: World) -> None:
    """Far beyond the usual time it warns, and says when it is requested again."""
    world.break_with("report_ends", status="PENDING")
    account = world.account()
    world.ask(account, DAY)
    world.advance(hours=2)
    world.step()
    said = ("far longer than usual", "it is requested again at 2026-01-16 12:00:00 UTC")
    assert Severity.WARNING is says(world, account, "late at Amazon", *said)
    assert proves(world, account, "report-pending")


def test_a_create_without_an_answer_may_have_been_accepted(world: World) -> None:
    """It is said that it is not known, and when it is requested again."""
    world.break_with("accepted_429", times=1, retry_after=1)
    account = world.account()
    again = requested_again_at(world.request(world.ask(account, DAY)).next_step_at)
    assert Severity.WARNING is says(world, account, "requested", "no response arrived", again)


def test_a_report_that_amazon_ended_is_retried_then_failed_until_the_next_offset(
    world: World,
) -> None:
    """Amazon's own word and reason in both; at the end, when it is requested again."""
    world.break_with("report_ends", reason="Out of ink")
    account = world.account()
    world.load(account, DAY)
    tried = "Attempt 1 of 5 failed: Amazon reported FAILED"
    retried = ("Out of ink", "It is requested again at 2026-01-15 12:0")
    assert Severity.WARNING is says(world, account, "requested", tried, *retried)
    assert proves(world, account, "request-retried")
    for _ in range(20):
        world.advance(minutes=50)
        world.step()
    again = requested_again_at(world.window(account, DAY).next_refresh_at)
    failed = ("Its report failed: Amazon reported FAILED", "Out of ink", again)
    assert Severity.ERROR is says(world, account, "failed", *failed)
    assert proves(world, account, "report-failed")


def test_a_file_that_breaks_is_loaded_again(world: World) -> None:
    """The report is complete; which attempt failed is told, and when the next one is."""
    world.break_with("file", times=2, keep=0.5)
    account = world.account()
    world.load(account, DAY)
    says(world, account, "loading", "Attempt 1 of 3 to load report", "It is tried again")
    assert proves(world, account, "request-retried")


@pytest.mark.parametrize(
    ("change", "share", "state", "severity", "said"),
    [
        ("vanish", 1, "suspicious", Severity.WARNING, "Its last report is suspicious: "),
        ("negative_metric", 0.5, "failed", Severity.ERROR, "Its report failed: "),
    ],
)
def test_a_report_that_cannot_be_right_is_requested_again(
    world: World, change: str, share: float, state: str, severity: Severity, said: str
) -> None:
    """One that lost its rows is suspicious, one of bad rows has failed: why, and when it is requested again."""
    account = world.account()
    world.load(account, DAY)
    world.break_with("rows", times=1, change=change, share=share)
    world.load(account, DAY)
    again = requested_again_at(world.window(account, DAY).next_refresh_at)
    assert severity is says(world, account, state, said, again)
    assert proves(world, account, f"report-{state}")


def test_what_amazon_serves_no_longer_is_expired(world: World) -> None:
    """A window that was never loaded in time says so, and the session that gave it up proves it."""
    account = world.account()
    create_windows(world, account)
    [oldest] = world.query("SELECT min(window_date) AS day FROM report_windows")
    world.advance(days=2)
    create_windows(world, account)
    said = "It was never loaded, and Amazon has not served it since"
    assert Severity.ERROR is says(world, account, "expired", said, day=oldest["day"])
    assert proves(world, account, "windows-expired", oldest["day"])


def _refuse_credentials(world: World, _: Account) -> None:
    with world.engine.begin() as connection:
        set_credentials_need_attention(connection, "default", {"code": "credentials-refused"})


def _refuse_account(world: World, account: Account) -> None:
    world.break_with("answer", status=403)
    world.ask(account, DAY)
    for _ in range(2):
        world.advance(hours=1)
        world.step()


@pytest.mark.parametrize(
    ("stop", "state", "said"),
    [
        (World.pause, WindowState.PAUSED, "paused"),
        (World.disable_at_amazon, WindowState.DISABLED, "requested: Amazon has disabled"),
        (_refuse_credentials, WindowState.NEEDS_ATTENTION, "Amazon refused our credentials"),
        (_refuse_account, WindowState.NEEDS_ATTENTION, "Amazon refused the account"),
    ],
)
def test_a_stopped_account_is_why_a_window_is_not_requested(
    world: World, stop: Callable[[World, Account], None], state: WindowState, said: str
) -> None:
    """The explanation names the person or the refusal that stopped it, and the way back; also where the day has no window yet."""
    account, made_later = world.account(), DAY + timedelta(days=1)
    create_windows(world, account)
    change_windows(world.engine, last_requested_at=world.context.now())
    remove_windows(world.engine, ReportWindow.window_date == made_later)
    stop(world, account)
    for day, expected in ((DAY, state), (made_later, NO_WINDOW)):
        says(world, account, expected, "It is not requested", said, day=day)
        assert explained_json(world, account, day)["verdict"]["advice"]


def test_a_paused_window_keeps_its_data(world: World) -> None:
    """Which it has is told."""
    account = world.account()
    world.load(account, DAY)
    world.pause(account)
    rows = world.window(account, DAY).row_count
    says(world, account, "paused", f"It keeps its {rows} rows as of 2026-01-15 12:00:00 UTC.")


def test_a_living_session_that_works_on_a_request_proves_it(world: World) -> None:
    """Its step is taken right now; once the session has ended, at the instant that is stored."""
    account = world.account()
    world.break_with("answer", "create_report", times=1, status=429, retry_after=1)
    request_id = world.ask(account, DAY)
    with world.session() as session:
        with world.engine.begin() as connection:
            assert lock_request(connection, request_id, session.session_id) is not None
        says(world, account, "requested", "it is requested again right now")
        proof = explained_json(world, account, DAY)["verdict"]["session"]
        assert str(session.session_id) == proof["id"]
    says(world, account, "requested", "it is requested again at")


def test_a_window_wanted_by_hand_waits_like_a_due_one(world: World) -> None:
    """Fresh, and wanted all the same: who wants it is told, not that it is fresh."""
    account = world.account()
    world.load(account, DAY)
    are_loaded = ReportWindow.load_count > 0
    change_windows(world.engine, are_loaded, wanted_by="maria", wanted_at=func.now())
    says(world, account, "due", "maria has requested it. The next run, within a minute")


def test_the_answer_has_state_facts_and_timeline(world: World) -> None:
    """What refers to the window, oldest first, each with its session's address; instants in ISO 8601."""
    account = world.account()
    world.load(account, DAY)
    world.load(account, DAY - timedelta(days=1))
    told = explained_json(world, account, DAY)
    assert ["queued", "requested", "loaded"] == [action["effect"] for action in told["timeline"]]
    assert all(action["url"].endswith(action["session_id"]) for action in told["timeline"])
    assert told["facts"]["window"]["row_count"] == world.window(account, DAY).row_count
    assert told["facts"]["account"]["account_key"] == told["account"] == account.account_key
    assert datetime.fromisoformat(told["at"]) == world.context.now()
    verdict = told["verdict"]
    assert ("fresh", None, "") == (verdict["state"], verdict["cause"], verdict["advice"])
