"""The two rules of a request: what is done next with its row, and what its row is afterwards."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import CheckConstraint

from bidbeacon_pipelines.causes import Cause, cause, explain
from bidbeacon_pipelines.requests import rules
from bidbeacon_pipelines.requests.tables import ReportRequest

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = date(2026, 1, 30)
INK = cause("report-failed", status="FAILED", detail={"reason": "Out of ink"})
GONE = cause("unreachable")
BUSY = cause("throttled")
A_DAY = timedelta(days=1)


def minutes(count: float) -> timedelta:
    """Return a duration."""
    return timedelta(minutes=count)


def after(
    row: ReportRequest, *changes: rules.Step | rules.Result, at: datetime = NOW
) -> ReportRequest:
    """Return a request after steps and results that all come at one instant."""
    for change in changes:
        row = rules.apply(row, change, at)
    return row


PLANNED = ReportRequest(
    id=7,
    account_id="amzn1.ads-account.g.1",
    dataset="daily_targets",
    report="SP",
    start_date=DAY,
    end_date=DAY,
    status="planned",
    attempts=0,
    polls=0,
    loads=0,
    created_at=NOW,
)
SENT = after(PLANNED, rules.Create())
IN_FLIGHT = after(SENT, rules.Reported("rpt-1", "PENDING"))
COMPLETED = after(IN_FLIGHT, rules.Reported("rpt-1", "COMPLETED", is_complete=True))


def test_attempt_is_counted_before_it_is_sent() -> None:
    """The row that is stored before a create has the attempt counted and its outcome open."""
    assert rules.Create() == rules.next_step(PLANNED, NOW)
    assert ("sent", 1, NOW, None) == (SENT.status, SENT.attempts, SENT.sent_at, SENT.report_id)


@pytest.mark.parametrize(
    ("row", "changes", "waits", "then"),
    [
        (SENT, [], minutes(10), rules.Create()),
        (SENT, [rules.NoAnswer(BUSY, NOW + minutes(45))], minutes(45), rules.Create()),
        (SENT, [rules.NoAnswer(BUSY, NOW + 9 * A_DAY)], rules.MAX_PENDING, rules.Create()),
        (SENT, [rules.NotMade(NOW + minutes(10), BUSY)], minutes(10), rules.Create()),
        (SENT, [rules.NotMade(NOW)], timedelta(seconds=1), rules.Create()),
        (IN_FLIGHT, [], minutes(3), rules.Poll()),
        (IN_FLIGHT, [rules.Reported("rpt-1", "PENDING")], minutes(1), rules.Poll()),
        (IN_FLIGHT, [rules.NoAnswer(GONE)], minutes(1), rules.Poll()),
        (IN_FLIGHT, [rules.NoAnswer(BUSY, NOW + minutes(7))], minutes(7), rules.Poll()),
        (IN_FLIGHT, [rules.NotMade(NOW + minutes(7))], minutes(7), rules.Poll()),
        (COMPLETED, [rules.Load(), rules.NoAnswer(GONE)], minutes(1), rules.Load()),
        (COMPLETED, [rules.Load(), rules.NotMade(NOW + minutes(2))], minutes(2), rules.Load()),
    ],
)
def test_request_waits_for_its_time(
    row: ReportRequest,
    changes: list[rules.Step | rules.Result],
    waits: timedelta,
    then: rules.Step,
) -> None:
    """Nothing is done before a pause is over, or Amazon's `Retry-After` of at most a day."""
    row = after(row, *changes)
    assert rules.next_step(row, NOW + waits - timedelta(microseconds=1)) is None
    assert then == rules.next_step(row, NOW + waits)


def test_unknown_outcome_is_waited_for_from_the_missing_answer_on() -> None:
    """The attempt may have been queued since it was stored."""
    unanswered = NOW + minutes(1.5)
    row = after(SENT, rules.NoAnswer(GONE), at=unanswered)
    assert unanswered + minutes(10) == row.next_step_at


@pytest.mark.parametrize("before", [SENT, IN_FLIGHT], ids=lambda row: row.status)
def test_completed_report_is_loaded(before: ReportRequest) -> None:
    """It is loaded at once, also where it is adopted in that state; until then Amazon's word is kept."""
    assert "PENDING" == IN_FLIGHT.amazon_status
    completed = after(before, rules.Reported("rpt-1", "COMPLETED", is_complete=True))
    assert ("completed", "COMPLETED") == (completed.status, completed.amazon_status)
    assert rules.Load() == rules.next_step(completed, NOW)


def test_adopted_report_is_as_old_as_amazon_says() -> None:
    """Its data may be older than the create that found it; a report of ours is as of our create."""
    begun: Any = {"made_at": NOW - minutes(5)}
    adopted = after(SENT, rules.Reported("rpt-1", "PENDING", is_adopted=True, **begun))
    assert NOW - minutes(5) == adopted.sent_at
    assert NOW == after(SENT, rules.Reported("rpt-1", "PENDING", **begun)).sent_at


BROKEN = rules.RequestFailure(rules.FailureKind.REPORT_FAILED, INK)


@pytest.mark.parametrize(
    ("row", "kind", "why"),
    [
        (after(IN_FLIGHT, BROKEN), "report_failed", INK),
        (after(SENT, rules.RequestFailure(rules.FailureKind.NO_REPORT, GONE)), "no_report", GONE),
        (COMPLETED.with_changes(loads=3), "no_report", cause("report-not-loaded", loads=3)),
        (after(COMPLETED.with_changes(loads=3), rules.NoAnswer(GONE)), "no_report", GONE),
    ],
)
def test_failed_report_is_requested_again(row: ReportRequest, kind: str, why: Cause) -> None:
    """After a pause, with a new report, and with the cause kept until then."""
    step = rules.next_step(row, NOW)
    assert isinstance(step, rules.Retry)
    assert (NOW + minutes(5), kind, why) == (step.at, step.failure.kind, step.failure.cause)
    again = after(row, step)
    assert ("planned", None, why) == (again.status, again.report_id, again.cause)
    assert (0, 0) == (again.polls, again.loads)
    assert rules.next_step(again, NOW) is None
    assert rules.Create() == rules.next_step(again, NOW + minutes(5))


def test_retry_after_of_a_refusal_is_heeded() -> None:
    """Where Amazon names a time with its refusal, it isn't asked before."""
    refusal = rules.RequestFailure(rules.FailureKind.NO_REPORT, GONE, not_before=NOW + minutes(90))
    step = rules.next_step(after(SENT, refusal), NOW)
    assert isinstance(step, rules.Retry)
    assert NOW + minutes(90) == step.at


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (SENT.with_changes(attempts=5), "report-unanswered"),
        (after(SENT.with_changes(attempts=5), rules.NoAnswer(GONE)), "unreachable"),
        (after(IN_FLIGHT.with_changes(attempts=5), BROKEN), "report-failed"),
    ],
)
def test_fifth_attempt_is_the_last(row: ReportRequest, code: str) -> None:
    """The request ends with what went wrong last."""
    step = rules.next_step(row, NOW + timedelta(hours=3))
    assert isinstance(step, rules.GiveUp)
    why, needs_attention = step.failure.cause, step.failure.kind in rules.NEEDS_ATTENTION
    assert (code, False) == (why["code"], needs_attention)
    assert explain(why).advice.startswith("Given up after 5 attempts.")
    ended = after(row, step)
    assert ("failed", NOW, why) == (ended.status, ended.finished_at, ended.cause)
    assert rules.next_step(ended, NOW) is None


@pytest.mark.parametrize(
    ("kind", "needs_attention"),
    [
        (rules.FailureKind.TOO_OLD, False),
        (rules.FailureKind.TOO_LARGE, False),
        (rules.FailureKind.REJECTED, False),
        (rules.FailureKind.ACCOUNT_DISABLED, True),
        (rules.FailureKind.NOT_AUTHORIZED, True),
    ],
)
@pytest.mark.parametrize("before", [SENT, IN_FLIGHT, COMPLETED], ids=lambda row: row.status)
def test_refusal_that_would_come_again_ends_the_request(
    before: ReportRequest, kind: rules.FailureKind, *, needs_attention: bool
) -> None:
    """At once, with its cause; some need a person."""
    assert needs_attention == (kind in rules.NEEDS_ATTENTION)
    step = rules.next_step(after(before, rules.RequestFailure(kind, INK)), NOW)
    assert isinstance(step, rules.GiveUp)
    assert (kind, INK) == (step.failure.kind, step.failure.cause)
    assert INK == after(before, step).cause


def test_throttled_create_is_no_attempt() -> None:
    """Neither is one that our own rate limits held back; its report may exist only if it was sent."""
    throttled = after(SENT, rules.NoAnswer(GONE, is_throttled=True))
    held_back = after(SENT, rules.NotMade(NOW, GONE))
    assert ("sent", 0, NOW) == (throttled.status, throttled.attempts, throttled.sent_at)
    assert ("planned", 0, None) == (held_back.status, held_back.attempts, held_back.sent_at)


def test_load_that_was_not_begun_is_no_load() -> None:
    """A load counts before it begins, and not where another job had locked the rows."""
    begun = after(COMPLETED, rules.Load())
    assert (1, 0) == (begun.loads, after(begun, rules.NotMade(NOW)).loads)


def test_loaded_report_ends_its_request() -> None:
    """After the load there is nothing left to do."""
    loaded = after(COMPLETED, rules.Load(), rules.Loaded())
    assert rules.next_step(loaded, NOW) is None
    assert ("loaded", NOW) == (loaded.status, loaded.finished_at)


def test_report_pending_for_a_day_is_requested_again() -> None:
    """It is polled until a day has passed, and once more where nobody has polled it for long."""
    deadline = NOW + rules.MAX_PENDING
    polled = after(IN_FLIGHT, rules.Reported("rpt-1", "PROCESSING"), at=deadline - minutes(0.5))
    step = rules.next_step(polled, deadline + minutes(1))
    assert isinstance(step, rules.Retry)
    assert cause("report-stuck", status="PROCESSING", hours=24) == step.failure.cause
    assert rules.Poll() == rules.next_step(IN_FLIGHT, NOW + timedelta(days=2))


@pytest.mark.parametrize(
    ("pause", "expected"),
    [
        (rules.Polling().pause, [3, 1, 1.5, 2.25, 3.375, 5.0625]),
        (lambda polls: rules.Polling().pause(polls + 8), [15, 15, 15, 15, 15, 15]),
        (lambda polls: rules.Polling(every=minutes(30)).pause(polls + 1), [30, 30, 30, 30, 30, 30]),
        (lambda attempts: rules.retry_pause(attempts + 1), [5, 10, 20, 40, 80, 120]),
        (lambda attempts: rules.grace(attempts + 1), [10, 20, 40, 80, 120, 120]),
    ],
)
def test_pauses_grow_up_to_a_limit(pause: Any, expected: list[float]) -> None:
    """Polls: first when reports usually are ready, then from a minute to 15, or as rarely as set; the others in minutes."""
    assert expected == [pause(count) / minutes(1) for count in range(6)]
    assert pause(500) <= timedelta(days=1)


def test_every_status_is_known_to_the_table() -> None:
    """The table's CHECK lists the same words."""
    table = ReportRequest.metadata.tables[ReportRequest.__tablename__]
    checks = [one for one in table.constraints if isinstance(one, CheckConstraint)]
    [known] = [one for one in checks if str(one.name).endswith("status_known")]
    assert all(f"'{status}'" in str(known.sqltext) for status in rules.RequestStatus)
