"""What jobs do when Amazon doesn't: failed reports, throttling, ended tokens and urls, broken files."""

from datetime import date, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.causes import without_detail
from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
from bidbeacon_pipelines.windows.make import keep_windows
from tests.postgres.job_world import DATASET, BenchWorld

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)


def test_a_failed_report_is_asked_for_again_with_growing_pauses(world: BenchWorld) -> None:
    """After one failure the request waits five minutes, and then gets its report; Amazon's reason is recorded."""
    world.break_with("report_ends", times=1, reason="Out of ink")
    account = world.account()
    request_id = world.load(account, DAY)
    request = world.request(request_id)
    assert (request.status, request.attempts, request.report_id) == ("planned", 1, None)
    assert request.next_step_at == world.context.now() + timedelta(minutes=5)
    [retried] = world.actions("request-retried")
    assert "Out of ink" in retried["cause"]["detail"]["reason"]
    world.step()
    assert len(world.accepted()) == 1
    world.advance(minutes=5)
    world.step()
    world.advance(minutes=2)
    world.step()
    assert (world.request(request_id).status, world.window(account, DAY).status) == (
        "loaded",
        "loaded",
    )


def test_after_five_failures_the_request_ends_with_amazons_reason(world: BenchWorld) -> None:
    """Five reports are asked for, no more; the window is failed and due again at its next offset."""
    world.break_with("report_ends", reason="Out of ink")
    account = world.account()
    request_id = world.load(account, DAY)
    for _ in range(20):
        world.advance(minutes=50)
        world.step()
    request, window = world.request(request_id), world.window(account, DAY)
    assert (request.status, request.attempts, world.reports_made()) == ("failed", 5, 5)
    assert {"code": "report-failed", "status": "FAILED"} == without_detail(request.cause or {})
    assert (window.status, window.request_id, window.cause) == ("failed", None, request.cause)
    assert window.next_refresh_at is not None
    assert (window.next_refresh_at - world.context.now()).days < 2
    assert len(world.actions("request-retried")) == 4
    assert len(world.actions("report-failed")) == 1


def test_a_report_that_may_have_been_accepted_is_not_asked_for_twice_at_once(
    world: BenchWorld,
) -> None:
    """After a 429 whose report was made all the same, nothing is sent before the grace of ten minutes is over."""
    world.break_with("accepted_429", times=1, retry_after=1)
    account = world.account()
    request_id = world.ask(account, DAY)
    request = world.request(request_id)
    assert (request.status, request.report_id, request.attempts) == ("sent", None, 0)
    assert request.next_step_at == world.context.now() + timedelta(minutes=10)
    for _ in range(3):
        world.advance(minutes=3)
        world.step()
        world.refresh(account)
    sent = [
        call for call in world.sandbox.state.ledger.calls("create_report") if call.status == 429
    ]
    assert len(sent) == 1
    waits = world.query(
        "SELECT DISTINCT request_id FROM report_windows WHERE dataset = 'daily_targets' AND window_date = :day AND account_id = :id",
        day=DAY,
        id=account.account_id,
    )
    assert {request_id} <= {row["request_id"] for row in waits}
    world.advance(minutes=2)
    world.step()
    assert (world.request(request_id).attempts, world.request(request_id).status) == (
        1,
        "in_flight",
    )


def test_amazons_wish_to_wait_is_heeded(world: BenchWorld) -> None:
    """With a Retry-After of an hour, an hour passes before the next attempt."""
    world.break_with("answer", "create_report", times=1, status=429, retry_after=3600)
    request_id = world.ask(world.account(), DAY)
    assert world.request(request_id).next_step_at == world.context.now() + timedelta(hours=1)


def test_a_duplicate_is_adopted(world: BenchWorld) -> None:
    """Amazon says that the report is being made already, and names it: it is taken over, and loaded."""
    world.break_with("accepted_429", times=1, retry_after=1)
    world.break_with("duplicate")
    world.break_with("report_ends", status="COMPLETED", seconds=1200)
    account, asked_at = world.account(), world.context.now()
    request_id = world.ask(account, DAY)
    world.advance(minutes=11)
    world.step()
    assert (world.request(request_id).status, world.reports_made()) == ("in_flight", 1)
    told = [
        (action["request_id"], action["report_id"]) for action in world.actions("report-adopted")
    ]
    assert [(request_id, world.request(request_id).report_id)] == told
    assert [] == world.actions("report-requested")
    world.advance(minutes=11)
    world.step()
    assert world.window(account, DAY).status == "loaded"
    assert (
        asked_at <= world.window(account, DAY).data_as_of < asked_at + timedelta(minutes=1)
    )  # as of its first create


@pytest.mark.parametrize("broken", [{"kind": "answer", "status": 401}, {"kind": "token"}])
def test_an_ended_token_is_renewed_in_the_middle(world: BenchWorld, broken: dict[str, Any]) -> None:
    """A poll that is answered with 401 goes on with a fresh token, and the report is loaded."""
    account = world.account()
    world.ask(account, DAY)
    tokens = len(world.accepted("token"))
    world.break_with(**broken, times=1, call="retrieve_report")
    world.advance(minutes=2)
    world.step()
    assert world.window(account, DAY).status == "loaded"
    assert len(world.accepted("token")) > tokens


def test_a_passing_problem_of_a_poll_costs_a_look_only(world: BenchWorld) -> None:
    """With Amazon down at the first look, the report is loaded at a later one; nothing was asked for twice."""
    account = world.account()
    world.ask(account, DAY)
    world.break_with("answer", "retrieve_report", times=2, status=500)
    world.advance(minutes=2)
    world.step()
    assert world.window(account, DAY).status == "requested"
    world.advance(minutes=2)
    world.step()
    assert (world.window(account, DAY).status, world.reports_made()) == ("loaded", 1)


def test_an_expired_url_is_signed_again(world: BenchWorld) -> None:
    """The download's 403 leads to another look at the report, whose fresh url works: all within one load."""
    world.break_with("urls", times=1, expired=True)
    account = world.account()
    request_id = world.load(account, DAY)
    assert (world.request(request_id).status, world.request(request_id).loads) == ("loaded", 1)
    assert (world.window(account, DAY).status, world.reports_made()) == ("loaded", 1)


def test_a_url_that_is_not_signed_again_has_the_report_made_anew(world: BenchWorld) -> None:
    """When two more looks bring no url that works, a new report is planned at once, and loaded when it is there."""
    world.break_with("urls", times=3, expired=True)
    account = world.account()
    request_id = world.load(account, DAY)
    request = world.request(request_id)
    assert (request.status, request.attempts, request.failure_kind) == (
        "planned",
        1,
        "report_expired",
    )
    assert request.next_step_at == world.context.now() + timedelta(minutes=5)
    world.advance(minutes=5)
    world.step()
    world.advance(minutes=2)
    world.step()
    assert (world.window(account, DAY).status, world.reports_made()) == ("loaded", 2)


@pytest.mark.parametrize(
    "broken", [{"kind": "file", "keep": 0.5}, {"kind": "parts", "missing": -1}]
)
def test_a_broken_file_leaves_the_data_and_is_fetched_again(
    world: BenchWorld, broken: dict[str, Any]
) -> None:
    """Rows and window stay as they were, the reason is recorded, and the next try loads."""
    account = world.account()
    world.load(account, DAY)
    before = world.query("SELECT *, xmin, ctid FROM daily_target_performance ORDER BY row_key")
    world.break_with(**broken, times=2)
    world.advance(days=1)
    world.load(account, DAY)
    assert before == world.query(
        "SELECT *, xmin, ctid FROM daily_target_performance ORDER BY row_key"
    )
    assert world.window(account, DAY).load_count == 1
    assert len(world.actions("request-retried")) == 1
    for _ in range(3):
        world.advance(minutes=8)
        world.step()
    assert world.window(account, DAY).load_count == 2
    assert list(world.context.downloads.iterdir()) == []


def test_rows_that_the_database_refuses_are_a_failed_try(world: BenchWorld) -> None:
    """The job goes on, the reason is the database's first line, and the next try waits."""
    world.execute("ALTER TABLE daily_target_performance ADD CONSTRAINT nothing_fits CHECK (false)")
    request_id = world.load(world.account(), DAY)
    request = world.request(request_id)
    assert (request.status, request.loads) == ("completed", 1)
    assert request.next_step_at is not None
    assert request.next_step_at > world.context.now()
    [retried] = world.actions("request-retried")
    assert "rows-refused-by-database" == retried["cause"]["code"]
    assert retried["cause"]["detail"]["reason"].startswith("new row for relation")
    assert "INSERT" not in str(retried["cause"])


def test_one_requests_trouble_does_not_keep_the_others_waiting(world: BenchWorld) -> None:
    """A request of a dataset that nobody knows any more fails the job, after the request behind it is loaded."""
    account = world.account("DE")
    broken = world.ask(world.account("US"), DAY)
    world.ask(account, DAY)
    world.execute("UPDATE report_requests SET dataset = 'forgotten' WHERE id = :id", id=broken)
    world.advance(minutes=2)
    with pytest.raises(LookupError, match="forgotten"):
        world.step()
    assert world.window(account, DAY).status == "loaded"


def test_oldest_day_that_amazon_calls_too_old_is_left_out_of_the_next_report(
    world: BenchWorld,
) -> None:
    """With the sandbox three days ahead of us the oldest day is refused: one call, no second attempt. The other day is requested again without it."""
    account = world.account()
    with world.session() as session:
        keep_windows(world.context, session, account, DATASET)
    [oldest] = world.query("SELECT min(window_date) AS day FROM report_windows")
    now = world.context.now()
    world.sandbox.state.clock.advance(3 * 86_400)
    object.__setattr__(world.context, "clock", lambda: now)
    request_id = world.ask(account, oldest["day"], oldest["day"] + timedelta(days=1))
    request = world.request(request_id)
    assert (request.status, request.failure_kind, request.attempts) == ("failed", "too_old", 1)
    assert now + timedelta(days=1) == world.window(account, oldest["day"]).next_refresh_at
    [part] = world.query(
        "SELECT start_date, end_date FROM report_requests WHERE narrows = :id", id=request_id
    )
    assert {oldest["day"] + timedelta(days=1)} == set(part.values())


def test_a_revoked_token_stops_all_accounts_until_a_person_acts(world: BenchWorld) -> None:
    """One call finds it out; afterwards no refresh asks for anything."""
    account = world.account()
    world.context.client._auth._token = None
    world.break_with("token", what="revoked")
    request_id = world.ask(account, DAY)
    calls = len(world.sandbox.state.ledger.calls())
    assert (world.request(request_id).status, world.request(request_id).attempts) == ("planned", 0)
    assert "token-revoked" == (world.account().needs_attention or {})["code"]
    assert len(world.actions("credentials-refused")) == 1
    for _ in range(3):
        world.advance(hours=12)
        world.refresh(account)
        world.step()
    assert calls == len(world.sandbox.state.ledger.calls())
    assert {"the account needs attention"} == {
        action["reason"] for action in world.actions("window-skipped")
    }


def test_a_report_that_is_never_done_is_asked_for_anew_after_a_day(world: BenchWorld) -> None:
    """A report that stays PENDING is looked at less and less often, and given up after 24 hours."""
    world.break_with("report_ends", times=1, status="PENDING")
    request_id = world.ask(world.account(), DAY)
    for _ in range(26):
        world.advance(hours=1)
        world.step()
    assert world.request(request_id).attempts == 2
    looks = [
        call for call in world.sandbox.state.ledger.calls("retrieve_report") if call.status == 207
    ]
    assert 24 <= len(looks) <= 26


def test_a_request_that_something_unforeseen_goes_wrong_with_rests(world: BenchWorld) -> None:
    """It fails the look that meets it, and no other for five minutes; other reports are loaded by the same look."""
    account = world.account()
    odd, good = world.ask(account, DAY), world.ask(account, DAY - timedelta(days=1))
    world.execute(
        "UPDATE report_requests SET dataset = 'of_another_version' WHERE id = :id", id=odd
    )
    world.advance(minutes=2)
    with pytest.raises(UnknownDatasetError):
        world.step()
    assert ("in_flight", None, "loaded") == (
        world.request(odd).status,
        world.request(odd).locked_by,
        world.request(good).status,
    )
    world.step()
    world.advance(minutes=5)
    with pytest.raises(UnknownDatasetError):
        world.step()
