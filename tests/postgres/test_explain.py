"""Each cause of staleness, made by the real pipeline against the sandbox: the verdict is the right one, and its sessions prove it."""

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from bidbeacon_pipelines.accounts.queries import lock_rows, set_credentials_need_attention
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.problems.explain import Explanation, explain_window, explanation_json
from bidbeacon_pipelines.problems.verdicts import Cause, Severity
from bidbeacon_pipelines.requests.queries import lock_request
from bidbeacon_pipelines.sandbox.faults import FaultName
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.queries import want_windows
from bidbeacon_pipelines.windows.rules import oldest_served
from bidbeacon_sessions import SessionStore
from tests.one_dataset import only_daily_targets
from tests.postgres.job_world import DATASET, BenchWorld

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)


def explained(
    world: BenchWorld, account: Account, day: date = DAY, dataset: str = DATASET.name
) -> Explanation:
    """Ask why a window is as it is."""
    with SessionStore(world.engine).snapshot() as connection:
        return explain_window(
            connection,
            world.context.settings,
            account.account_key,
            dataset,
            day,
            now=world.context.now(),
        )


def cause(world: BenchWorld, account: Account, day: date = DAY) -> Cause:
    """Return the verdict's code alone."""
    return explained(world, account, day).verdict.cause


def proves(world: BenchWorld, told: Explanation, kind: str) -> bool:
    """Return whether a session of the verdict recorded an action of this type."""
    rows = world.query("SELECT session_id FROM session_actions WHERE type = :kind", kind=kind)
    return not {row["session_id"] for row in rows}.isdisjoint(told.verdict.sessions)


def create_windows(world: BenchWorld, account: Account) -> None:
    """Create the account's windows, and ask for none."""
    with world.session() as session:
        keep_windows(world.context, session, account, DATASET, again=True)


def test_names_that_nobody_has_are_told_with_what_there_is(world: BenchWorld) -> None:
    """An unknown account leads to the list of keys, an unknown dataset to those that exist."""
    account = world.account()
    unknown = explained(world, account.with_changes(account_key="US.nobody")).verdict
    assert (unknown.cause, unknown.severity) == (Cause.UNKNOWN_ACCOUNT, Severity.ERROR)
    assert "'US.nobody': `bidbeacon accounts list`" in unknown.sentence
    weather = explained(world, account, dataset="weather").verdict
    assert weather.cause == Cause.UNKNOWN_DATASET
    assert DATASET.name in weather.sentence


def test_days_outside_the_history_have_no_window(world: BenchWorld) -> None:
    """What was before Amazon's 24 months stays empty; what has not begun is asked for a day later; what is neither is made soon."""
    account = world.account()
    create_windows(world, account)
    past = explained(world, account, date(2020, 2, 29)).verdict
    assert (past.cause, past.next_at) == (Cause.OUTSIDE_HISTORY, None)
    tomorrow = explained(world, account, TODAY + timedelta(days=1)).verdict
    assert (tomorrow.cause, tomorrow.severity) == (Cause.NOT_BEGUN, Severity.FINE)
    assert tomorrow.next_at is not None
    assert "its first report is requested at 2026-01-17 08:00:00 UTC" in tomorrow.sentence
    assert Cause.NOT_PLANNED == cause(world, world.account("DE"))


def test_a_window_of_today_is_not_due_yet(world: BenchWorld) -> None:
    """It has no data, and that is as it should be until the first midnight after it."""
    account = world.account()
    create_windows(world, account)
    verdict = explained(world, account, TODAY).verdict
    assert (verdict.cause, verdict.severity) == (Cause.NOT_DUE_YET, Severity.FINE)
    assert "the refresh T+1 is the first, at 2026-01-16 08:00:00 UTC" in verdict.sentence


def test_a_loaded_window_is_fresh_until_its_next_refresh(world: BenchWorld) -> None:
    """The sentence says how many rows, as of when, and which refresh follows; the session that loaded it proves it."""
    account = world.account()
    world.load(account, DAY)
    told = explained(world, account)
    assert (told.verdict.cause, told.verdict.severity) == (Cause.FRESH, Severity.FINE)
    rows = world.window(account, DAY).row_count
    expected = f"It has {rows} rows as of 2026-01-15 12:00:00 UTC; the refresh T+5 follows at 2026-01-17 08:00:00 UTC."
    assert expected == told.verdict.sentence
    assert proves(world, told, "report-processed")


def test_after_the_last_refresh_a_window_is_final(world: BenchWorld) -> None:
    """A day loaded more than 60 days later has no refresh to come."""
    account, day = world.account(), TODAY - timedelta(days=70)
    world.load(account, day)
    verdict = explained(world, account, day).verdict
    assert (verdict.cause, verdict.next_at) == (Cause.FINAL, None)


def test_a_due_window_is_asked_for_by_the_next_refresh(world: BenchWorld) -> None:
    """Due and a slot free: within a minute; a loaded window says which refresh it is that is due."""
    account = world.account()
    world.sync_entities(account)
    create_windows(world, account)
    verdict = explained(world, account).verdict
    assert (verdict.cause, verdict.severity) == (Cause.DUE, Severity.WAITING)
    assert "It has no data yet" in verdict.sentence
    world.load(account, DAY)
    world.advance(days=3)
    again = explained(world, account).verdict
    assert again.cause == Cause.DUE
    assert again.sentence.startswith("The refresh T+5 is due since 2026-01-17 08:00:00 UTC: ")


def test_a_planned_window_waits_for_a_place_at_the_gate(world: BenchWorld) -> None:
    """With two reports in flight the oldest windows wait for one of them to end; the gate is among the facts."""
    account = world.account("JP")
    world.refresh(account)
    [oldest] = world.query(
        "SELECT min(window_date) AS day FROM report_windows WHERE request_id IS NULL AND next_refresh_at < :now",
        now=world.context.now(),
    )
    told = explained(world, account, oldest["day"])
    assert (told.verdict.cause, told.verdict.severity) == (Cause.QUEUED, Severity.WAITING)
    assert "is planned for it" in told.verdict.sentence
    assert "when one of the 2 reports in flight in FE is done" in told.verdict.sentence
    gate = explanation_json(told)["facts"]["gate"]
    assert ("FE", 2, 2, None) == (
        gate["region"],
        gate["in_flight"],
        gate["places"],
        gate["closed_until"],
    )


def test_a_planned_window_waits_while_amazon_refuses_to_make_more(world: BenchWorld) -> None:
    """After a 429 the sentence says until when nothing is created, and why."""
    world.break_with("throttle", operation="create_report", times=1, seconds=1800)
    account = world.account("JP")
    world.refresh(account)
    told = explained(world, account, TODAY - timedelta(days=300))
    assert told.verdict.cause == Cause.QUEUED
    assert told.verdict.next_at == world.context.now() + timedelta(minutes=30)
    assert "Amazon throttled report creation in FE (429)" in told.verdict.sentence


def test_a_due_window_waits_for_the_other_countries(world: BenchWorld) -> None:
    """London's midnight is an hour after Berlin's: one report serves both, and Berlin's window waits for it."""
    germany, britain = world.account("DE"), world.account("GB")
    for account in (germany, britain):
        world.sync_entities(account)
    fill(world, germany)
    world.advance(
        seconds=(datetime(2026, 1, 15, 23, 1, tzinfo=UTC) - world.context.now()).total_seconds()
    )
    world.plan(germany)
    told = explained(world, germany, TODAY)
    assert (told.verdict.cause, told.verdict.severity) == (
        Cause.WAITING_FOR_COUNTRIES,
        Severity.WAITING,
    )
    assert "until 2026-01-16 05:00:00 UTC at the latest" in told.verdict.sentence
    with world.engine.begin() as connection:
        want_windows(connection, germany, DATASET.name, [TODAY], "maria")
    assert explained(world, germany, TODAY).verdict.cause == Cause.DUE


def fill(world: BenchWorld, account: Account) -> None:
    """Load all that is due of the tests' dataset for an ads account."""
    with only_daily_targets():
        for _ in range(20):
            world.refresh(account)
            world.advance(minutes=5)


def test_a_report_in_flight_is_named_with_amazons_word(world: BenchWorld) -> None:
    """Which report, since when, what Amazon says, and when it is looked at next."""
    account = world.account()
    request_id = world.ask(account, DAY)
    request = world.request(request_id)
    told = explained(world, account)
    assert (told.verdict.cause, told.verdict.next_at) == (Cause.IN_FLIGHT, request.next_step_at)
    for said in (
        request.report_id,
        "since 2026-01-15 12:00:00 UTC",
        f"Amazon reports {request.amazon_status}",
    ):
        assert (said or "no report") in told.verdict.sentence
    assert proves(world, told, "report-requested")


def test_a_report_that_takes_hours_is_late_at_amazon(world: BenchWorld) -> None:
    """Far beyond the usual time the verdict warns, and says when it is given up."""
    world.break_with("report_pending")
    account = world.account()
    world.ask(account, DAY)
    world.advance(hours=2)
    world.step()
    told = explained(world, account)
    assert (told.verdict.cause, told.verdict.severity) == (Cause.LATE_AT_AMAZON, Severity.WARNING)
    assert "given up and requested again at 2026-01-16 12:00:00 UTC" in told.verdict.sentence
    assert proves(world, told, "report-pending")


def test_a_create_without_an_answer_may_have_been_accepted(world: BenchWorld) -> None:
    """It is said that it is not known, and when it is sent again."""
    world.break_with("throttle_accepted", times=1)
    account = world.account()
    request_id = world.ask(account, DAY)
    verdict = explained(world, account).verdict
    assert (verdict.cause, verdict.next_at) == (
        Cause.ANSWER_UNKNOWN,
        world.request(request_id).next_step_at,
    )


def test_a_failed_report_is_retried_with_its_reason(world: BenchWorld) -> None:
    """Which attempt of how many, Amazon's reason, and when the next one is."""
    world.break_with("report_failed", times=1, reason="Out of ink")
    account = world.account()
    world.load(account, DAY)
    told = explained(world, account)
    assert (told.verdict.cause, told.verdict.severity) == (Cause.RETRYING, Severity.WARNING)
    assert told.verdict.sentence.startswith("Attempt 1 of 5 failed: Amazon reported FAILED")
    assert "Out of ink" in told.verdict.sentence
    assert told.verdict.next_at == world.context.now() + timedelta(minutes=5)
    assert proves(world, told, "request-retried")


ENDS: dict[FaultName, str] = {
    "report_failed": "Amazon reported FAILED",
    "report_cancelled": "Amazon reported CANCELLED",
    "report_expired": "Amazon reported EXPIRED",
}


@pytest.mark.parametrize("fault", ENDS)
def test_a_report_that_amazon_ended_is_retried_then_failed_until_the_next_offset(
    world: BenchWorld, fault: FaultName
) -> None:
    """Amazon's own word and reason in both; at the end what data there is, and when it is asked for again."""
    world.break_with(fault, reason="Out of ink")
    account = world.account()
    world.load(account, DAY)
    retried = explained(world, account).verdict
    assert (retried.cause, retried.severity) == (Cause.RETRYING, Severity.WARNING)
    assert f"Attempt 1 of 5 failed: {ENDS[fault]}" in retried.sentence
    for _ in range(20):
        world.advance(minutes=50)
        world.step()
    told = explained(world, account)
    assert (told.verdict.cause, told.verdict.severity) == (Cause.FAILED, Severity.ERROR)
    for said in (
        "Given up after 5 attempts",
        ENDS[fault],
        "Out of ink",
        "It has no data yet; it is requested again at",
    ):
        assert said in told.verdict.sentence
    assert told.verdict.next_at == world.window(account, DAY).next_refresh_at
    assert proves(world, told, "report-failed")


@pytest.mark.parametrize("day", [DAY, oldest_served(DATASET, TODAY)], ids=["young", "oldest"])
def test_what_amazon_calls_too_old_is_asked_for_again(world: BenchWorld, day: date) -> None:
    """Amazon's words may mean something else: the sentence repeats them, and says when the day is requested next."""
    account = world.account()
    world.break_with("too_old")
    world.ask(account, day)
    world.advance(hours=1)
    world.step()
    told = explained(world, account, day)
    assert (Cause.FAILED, world.window(account, day).next_refresh_at) == (
        told.verdict.cause,
        told.verdict.next_at,
    )
    assert "too old" in told.verdict.sentence
    assert "It has no data yet; it is requested again at" in told.verdict.sentence
    assert proves(world, told, "report-failed")


def test_a_file_that_breaks_is_a_load_that_is_retried(world: BenchWorld) -> None:
    """The report is complete, the try and its reason are told, and when the next try is."""
    world.break_with("truncated_gzip", times=2)
    account = world.account()
    world.load(account, DAY)
    told = explained(world, account)
    assert told.verdict.cause == Cause.LOAD_RETRYING
    assert "attempt 1 of 3 to load it failed: " in told.verdict.sentence
    assert proves(world, told, "request-retried")


def test_a_report_that_lost_its_rows_is_suspicious(world: BenchWorld) -> None:
    """How many rows came, that the old ones stay, and when it is asked for again."""
    account = world.account()
    world.load(account, DAY)
    world.break_with("empty_report", times=1)
    world.load(account, DAY)
    told = explained(world, account)
    assert (told.verdict.cause, told.verdict.severity) == (Cause.SUSPICIOUS, Severity.WARNING)
    lost = re.findall(r"0 rows of Sponsored \w+ where (\d+) were", told.verdict.sentence)
    assert world.window(account, DAY).row_count == sum(map(int, lost))
    assert told.verdict.next_at == world.context.now() + timedelta(minutes=15)
    assert proves(world, told, "report-suspicious")


def test_a_report_of_bad_rows_is_refused_and_they_are_counted(world: BenchWorld) -> None:
    """The share, how many rows are in quarantine, that the old data stays, and when it is asked for again."""
    account = world.account()
    world.load(account, DAY)
    world.break_with("bad_rows", times=1, share=0.5, kinds=("negative_metric",))
    world.load(account, DAY)
    told = explained(world, account)
    [bad] = world.query("SELECT count(*) FROM quarantined_rows")
    assert (told.verdict.cause, told.verdict.severity) == (Cause.REFUSED, Severity.ERROR)
    assert f"{bad['count']} of its rows are in quarantine" in told.verdict.sentence
    assert "It keeps its" in told.verdict.sentence
    assert proves(world, told, "report-failed")


def test_what_amazon_serves_no_longer_is_expired(world: BenchWorld) -> None:
    """A window that was never loaded in time says so, and the session that gave it up proves it."""
    account = world.account()
    create_windows(world, account)
    [oldest] = world.query("SELECT min(window_date) AS day FROM report_windows")
    world.advance(days=2)
    create_windows(world, account)
    told = explained(world, account, oldest["day"])
    assert (told.verdict.cause, told.verdict.severity) == (Cause.EXPIRED, Severity.ERROR)
    assert proves(world, told, "windows-expired")


def _refuse_credentials(world: BenchWorld, _: Account) -> None:
    with world.engine.begin() as connection:
        set_credentials_need_attention(connection, "the refresh token was revoked.")


def _refuse_account(world: BenchWorld, account: Account) -> None:
    world.break_with("forbidden")
    world.ask(account, DAY)
    for _ in range(2):
        world.advance(hours=1)
        world.step()


@pytest.mark.parametrize(
    ("stop", "expected", "said"),
    [
        (BenchWorld.pause, Cause.ACCOUNT_PAUSED, "`bidbeacon accounts resume"),
        (
            BenchWorld.disable_at_amazon,
            Cause.ACCOUNT_DISABLED_AT_AMAZON,
            "refreshes resume when Amazon enables it",
        ),
        (_refuse_credentials, Cause.CREDENTIALS_NEED_ATTENTION, "revoked"),
        (_refuse_account, Cause.ACCOUNT_NEEDS_ATTENTION, "403"),
    ],
)
def test_a_stopped_account_is_why_a_due_window_is_stale(
    world: BenchWorld, stop: Callable[[BenchWorld, Account], None], expected: Cause, said: str
) -> None:
    """Who stopped it, and what brings it back."""
    account = world.account()
    create_windows(world, account)
    stop(world, account)
    verdict = explained(world, account).verdict
    assert expected == verdict.cause
    assert said in verdict.sentence


def test_fresh_data_of_a_stopped_account_is_fresh(world: BenchWorld) -> None:
    """Until its next refresh would be due; the sentence says that it will not come."""
    account = world.account()
    world.load(account, DAY)
    world.pause(account)
    assert "but not while the account is paused" in explained(world, account).verdict.sentence
    world.advance(days=3)
    assert Cause.ACCOUNT_PAUSED == cause(world, account)


def test_what_a_living_session_works_on_names_it(world: BenchWorld) -> None:
    """A request that is about to be sent again; when its session has ended, the next look takes it over."""
    account = world.account()
    world.break_with("throttle", operation="create_report", times=1)
    request_id = world.ask(account, DAY)
    with world.session() as session:
        with world.engine.begin() as connection:
            assert lock_request(connection, request_id, session.session_id) is not None
        told = explained(world, account).verdict
        assert (told.cause, told.sessions[-1]) == (Cause.BEING_WORKED_ON, session.session_id)
    ended = explained(world, account).verdict
    assert (ended.cause, ended.severity) == (Cause.ABANDONED, Severity.WAITING)
    assert "ended as succeeded" in ended.sentence
    world.execute("UPDATE report_requests SET locked_by = NULL WHERE id = :id", id=request_id)
    assert Cause.ANSWER_UNKNOWN == cause(world, account)


def test_a_dead_session_is_told_with_its_last_sign_of_life(world: BenchWorld) -> None:
    """Its lease has run out, nobody has closed it yet: the next look takes the request over."""
    account = world.account()
    request_id = world.ask(account, DAY)
    with world.session() as session:
        with world.engine.begin() as connection:
            assert lock_request(connection, request_id, session.session_id) is not None
        world.execute("UPDATE session_leases SET expires_at = now() - interval '1 second'")
        verdict = explained(world, account).verdict
    assert (verdict.cause, verdict.severity) == (Cause.ABANDONED, Severity.WARNING)
    for said in (
        f"{session.session_id}, which was working on its request, died",
        "Its last heartbeat was at",
    ):
        assert said in verdict.sentence
    assert session.session_id in verdict.sessions


def test_a_load_that_goes_on_names_its_session(world: BenchWorld) -> None:
    """While another transaction keeps the load waiting, the window is being loaded; afterwards it is fresh."""
    account = world.account()
    request_id = world.ask(account, DAY)
    world.advance(minutes=2)
    loader = threading.Thread(target=world.step)
    with world.engine.begin() as connection:
        lock_rows(connection, account)
        loader.start()
        _wait_until(lambda: world.request(request_id).loads == 1)
        verdict = explained(world, account).verdict
        assert (verdict.cause, verdict.sessions[-1]) == (
            Cause.BEING_LOADED,
            world.request(request_id).locked_by,
        )
    loader.join(timeout=30)
    assert Cause.FRESH == cause(world, account)


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        threading.Event().wait(0.02)


def test_a_window_wanted_by_hand_waits_like_a_due_one(world: BenchWorld) -> None:
    """Fresh, and wanted all the same: what it waits for is told, not that it is fresh."""
    account = world.account()
    world.load(account, DAY)
    world.execute(
        "UPDATE report_windows SET wanted_by = 'maria', wanted_at = now() WHERE load_count > 0"
    )
    verdict = explained(world, account).verdict
    assert verdict.cause == Cause.DUE
    assert verdict.sentence.startswith("It was requested manually: ")


def test_facts_that_fit_nothing_are_unknown(world: BenchWorld) -> None:
    """A window that is neither loaded nor due nor expired, which no code makes: no cause is invented."""
    account = world.account()
    create_windows(world, account)
    world.execute("UPDATE report_windows SET next_refresh_at = NULL")
    verdict = explained(world, account).verdict
    assert (verdict.cause, verdict.severity) == (Cause.UNKNOWN, Severity.ERROR)
    assert "matches no known cause: window missing" in verdict.sentence


def test_the_timeline_has_what_refers_to_the_window_and_nothing_else(world: BenchWorld) -> None:
    """Oldest first, each with its session's address; amounts as text, instants in ISO 8601."""
    account = world.account()
    world.load(account, DAY)
    world.load(account, DAY - timedelta(days=1))
    told = explanation_json(explained(world, account))
    assert ["queued", "requested", "loaded"] == [action["effect"] for action in told["timeline"]]
    assert all(action["url"].endswith(action["session_id"]) for action in told["timeline"])
    assert told["facts"]["window"]["spend"] == str(world.window(account, DAY).spend)
    assert told["facts"]["account"]["account_key"] == told["account"] == account.account_key
    assert told["at"] == world.context.now().isoformat()
