"""The life cycle of a report request: its next step, and its row after each change.

All functions are pure: they don't query the database, and return changed copies of rows. Each step
ends the request, or changes a counter or deadline that has a limit, so every request ends.
`NotMade` steps and throttled creates (429) are not counted as attempts.

    planned ──Create──▶ sent ──────▶ in_flight ──Poll…──▶ completed ──Load──▶ loaded
       ▲                 │               │                    │
       └─────Retry───────┴───────────────┴────────────────────┘ ──GiveUp──▶ failed
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bidbeacon_pipelines.causes import Cause, cause, with_detail

if TYPE_CHECKING:
    from bidbeacon_pipelines.requests.tables import ReportRequest

MAX_ATTEMPTS = 5
"""How many times a report is requested at most."""
MAX_LOADS = 3
"""How many times a completed report is loaded at most."""
MAX_PENDING = timedelta(hours=24)
"""How long a report may take before it is requested again; also the longest `Retry-After`."""
LATE_AFTER_USUAL = 4
"""A report is late after this multiple of its dataset's usual time, at least `LATE_AFTER`."""
LATE_AFTER = timedelta(minutes=30)
LONGEST_POLL_PAUSE = timedelta(minutes=15)
FIRST_RETRY_PAUSE = timedelta(minutes=5)
FIRST_GRACE = timedelta(minutes=10)
"""The first pause after a create with an unknown outcome; it doubles with each attempt."""
LONGEST_RETRY_PAUSE = timedelta(hours=2)
"""The longest pause between attempts."""
_SHORTEST_PAUSE = timedelta(seconds=1)
_GROWTH_STEPS = 20  # bounds the exponent: such pauses are cut anyway


class RequestStatus(StrEnum):
    """A request's status: `sent` until Amazon answers the create, `completed` until loaded."""

    PLANNED = "planned"
    SENT = "sent"
    IN_FLIGHT = "in_flight"
    COMPLETED = "completed"
    LOADED = "loaded"
    FAILED = "failed"


class FailureKind(StrEnum):
    """The kind of a report's failure, which decides the next step.

    A report is requested again if it does not exist, can't be loaded, or if Amazon failed to
    generate it. A report that is too large is split into shorter ones. `refusals` has the rules for
    refusals that have to be confirmed.
    """

    NO_REPORT = "no_report"
    REPORT_FAILED = "report_failed"
    OUTCOME_UNKNOWN = "outcome_unknown"
    TOO_OLD = "too_old"
    TOO_LARGE = "too_large"
    REJECTED = "rejected"
    ACCOUNT_DISABLED = "account_disabled"
    NOT_AUTHORIZED = "not_authorized"


NEEDS_ATTENTION = frozenset({FailureKind.ACCOUNT_DISABLED, FailureKind.NOT_AUTHORIZED})
TERMINAL_FAILURES = NEEDS_ATTENTION | {
    FailureKind.TOO_OLD,
    FailureKind.TOO_LARGE,
    FailureKind.REJECTED,
}
"""Failures that would occur again if the report was requested again."""


@dataclass(frozen=True)
class Polling:
    """The times at which a report is polled.

    The first poll is when reports of the dataset are usually ready. The second poll is `every`
    later. Each further pause is 1.5 times as long as the one before, up to 15 minutes.
    """

    first_after: timedelta = timedelta(minutes=3)
    every: timedelta = timedelta(seconds=60)

    def pause(self, polls: int) -> timedelta:
        """Return the pause before the next poll, after `polls` polls of the same report."""
        if polls == 0:
            return self.first_after
        grown = self.every * 1.5 ** min(polls - 1, _GROWTH_STEPS)
        return max(self.every, min(grown, LONGEST_POLL_PAUSE))


@dataclass(frozen=True)
class RequestFailure:
    """The last failure of a request.

    As the result of a step, it means that Amazon refused the step, or has no usable report.
    `not_before` is the earliest time of a retry, from Amazon's `Retry-After`, if any.
    """

    kind: FailureKind
    cause: Cause
    not_before: datetime | None = None


@dataclass(frozen=True)
class Create:
    """The step that stores the attempt, then requests the report from Amazon."""


@dataclass(frozen=True)
class Poll:
    """The step that retrieves the status of the report from Amazon."""


@dataclass(frozen=True)
class Load:
    """The step that stores the attempt, then downloads the report and loads it."""


@dataclass(frozen=True)
class Retry:
    """The step that abandons the current report; a new one is requested, not before `at`."""

    at: datetime
    failure: RequestFailure


@dataclass(frozen=True)
class GiveUp:
    """The step that ends the request as failed."""

    failure: RequestFailure


Step = Create | Poll | Load | Retry | GiveUp


@dataclass(frozen=True)
class Reported:
    """The result of a create or poll: Amazon is generating the report, or has completed it.

    Attributes:
        amazon_status: Amazon's status, unchanged.
        is_complete: Whether the report can be loaded.
        is_adopted: Whether Amazon was already generating the report before the create.
        made_at: When Amazon began to generate the report, if known; UTC.
    """

    report_id: str
    amazon_status: str
    is_complete: bool = False
    is_adopted: bool = False
    made_at: datetime | None = None


@dataclass(frozen=True)
class NoAnswer:
    """The result of a step that was tried but failed, or had no usable answer.

    After a create, Amazon may have accepted the report anyway. After a poll, the report may be
    fine. After a failed download or load, the old data is unchanged. A create that Amazon throttled
    (429) is not counted as an attempt.
    """

    cause: Cause
    not_before: datetime | None = None
    is_throttled: bool = False


@dataclass(frozen=True)
class NotMade:
    """The result of a step that was certainly not taken; it does not count as an attempt.

    Possible causes are our own rate limits, a 429 for an access token or a download, refused
    credentials, account rows that another job has locked, and a file that this host can't write.
    `cause` is None if another action of the session has recorded the cause.
    """

    not_before: datetime
    cause: Cause | None = None


@dataclass(frozen=True)
class Loaded:
    """The result of a load: each window of the report is loaded, suspicious or refused."""


Result = Reported | RequestFailure | NoAnswer | NotMade | Loaded


def failure_of(row: "ReportRequest") -> RequestFailure | None:
    """Return the last failure of a request; None if there is none or a new attempt has begun."""
    if row.failure_kind is None:
        return None
    return RequestFailure(
        FailureKind(row.failure_kind), row.cause or cause("other"), row.next_step_at
    )


def next_step(row: "ReportRequest", now: datetime) -> Step | None:
    """Return the next step of a request; None if it has ended or has to wait."""
    failure = failure_of(row)
    match row.status:
        case RequestStatus.LOADED | RequestStatus.FAILED:
            return None
        case RequestStatus.PLANNED:
            return _creation(row, now)
        case RequestStatus.SENT if failure is None or failure.kind is FailureKind.OUTCOME_UNKNOWN:
            return _creation(row, now)
    failure = failure or _found_wrong(row, now)
    if failure is not None:
        return _retry_or_end(row, failure, now)
    if _is_ahead(row.next_step_at, now):
        return None
    return Poll() if row.status == RequestStatus.IN_FLIGHT else Load()


def apply(
    row: "ReportRequest", change: Step | Result, now: datetime, polling: Polling | None = None
) -> "ReportRequest":
    """Return the row as changed by a step that begins, or by the result of a step.

    The caller stores each row before it continues. Before it takes a `Create` or `Load` step, it
    stores the row as changed by this step, so that the attempt counts even if the process dies.
    `polling` has the times of the report's next polls.
    """
    if isinstance(change, Create | Poll | Load | Retry | GiveUp):
        after = _after_step(row, change, now)
    else:
        after = _after_result(row, change, now, polling or Polling())
    if after.cause is None or after.first_failed_at is not None:
        return after
    return after.with_changes(first_failed_at=now)


def retry_pause(attempts: int) -> timedelta:
    """Return the pause before a report is requested again, after `attempts` failed attempts."""
    return _doubled(FIRST_RETRY_PAUSE, attempts)


def grace(attempts: int) -> timedelta:
    """Return the pause before a create with an unknown outcome is repeated."""
    return _doubled(FIRST_GRACE, attempts)


def _creation(row: "ReportRequest", now: datetime) -> Step | None:
    if _is_ahead(row.next_step_at, now):
        return None
    if row.attempts < MAX_ATTEMPTS:
        return Create()
    unanswered = RequestFailure(FailureKind.NO_REPORT, cause("report-unanswered"))
    return _after_attempts(row, failure_of(row) or unanswered)


def _found_wrong(row: "ReportRequest", now: datetime) -> RequestFailure | None:
    """Return the failure of a report that took too long or can't be loaded, or None."""
    if row.status == RequestStatus.COMPLETED:
        if row.loads < MAX_LOADS:
            return None
        return RequestFailure(FailureKind.NO_REPORT, cause("report-not-loaded", loads=row.loads))
    deadline = (row.sent_at or row.created_at) + MAX_PENDING
    if now < deadline or row.next_step_at is None or row.next_step_at <= deadline:
        return None
    hours = MAX_PENDING // timedelta(hours=1)
    late = cause("report-stuck", status=row.amazon_status or "without a status", hours=hours)
    return RequestFailure(FailureKind.NO_REPORT, late)


def _retry_or_end(row: "ReportRequest", failure: RequestFailure, now: datetime) -> Step:
    if failure.kind in TERMINAL_FAILURES:
        return GiveUp(failure)
    if row.attempts >= MAX_ATTEMPTS:
        return _after_attempts(row, failure)
    at = now + retry_pause(row.attempts)
    return Retry(_latest(at, failure.not_before, now), failure)


def _after_attempts(row: "ReportRequest", failure: RequestFailure) -> GiveUp:
    return GiveUp(replace(failure, cause=with_detail(failure.cause, attempts=row.attempts)))


def _after_step(row: "ReportRequest", step: Step, now: datetime) -> "ReportRequest":
    match step:
        case Create():
            attempts = row.attempts + 1
            again_at = now + grace(attempts)
            sent = {"status": RequestStatus.SENT.value, "attempts": attempts}
            return row.with_changes(**sent, **_sent(row, now), **_failed(None, again_at))
        case Poll():
            return row
        case Load():
            return row.with_changes(loads=row.loads + 1)
        case Retry(at=at, failure=failure):
            unknown = {"report_id": None, "amazon_status": None, "completed_at": None}
            nothing = unknown | {"polls": 0, "loads": 0}
            planned = RequestStatus.PLANNED.value
            return row.with_changes(status=planned, **nothing, **_failed(failure, at))
        case GiveUp(failure=failure):
            ended = {"status": RequestStatus.FAILED.value, "finished_at": now}
            return row.with_changes(**ended, **_failed(failure, None))


def _after_result(
    row: "ReportRequest", result: Result, now: datetime, polling: Polling
) -> "ReportRequest":
    match result:
        case Reported():
            return _reported(row, result, now, polling)
        case NoAnswer():
            return _unanswered(row, result, now, polling)
        case NotMade(not_before=at):
            return _not_made(row, _latest(now + _SHORTEST_PAUSE, at, now))
        case RequestFailure(not_before=at):
            return row.with_changes(**_failed(result, at and _latest(now, at, now)))
        case Loaded():
            ended = {"status": RequestStatus.LOADED.value, "finished_at": now}
            return row.with_changes(**ended, **_failed(None, None))


def _reported(
    row: "ReportRequest", report: Reported, now: datetime, polling: Polling
) -> "ReportRequest":
    made_at = report.made_at if report.is_adopted else None
    sent_at = min(at for at in (row.sent_at, made_at, now) if at is not None)
    known = row.with_changes(
        report_id=report.report_id, amazon_status=report.amazon_status, **_sent(row, sent_at)
    )
    if report.is_complete:
        complete = {"status": RequestStatus.COMPLETED.value, "completed_at": now}
        return known.with_changes(**complete, **_failed(None, None))
    if row.status == RequestStatus.IN_FLIGHT:
        return _polled(known, None, now, polling)
    first_poll = _failed(None, now + polling.pause(0))
    return known.with_changes(status=RequestStatus.IN_FLIGHT.value, **first_poll)


def _unanswered(
    row: "ReportRequest", answer: NoAnswer, now: datetime, polling: Polling
) -> "ReportRequest":
    match row.status:
        case RequestStatus.IN_FLIGHT:
            return _polled(row, answer.not_before, now, polling)
        case RequestStatus.COMPLETED if row.loads >= MAX_LOADS:
            failure = RequestFailure(FailureKind.NO_REPORT, answer.cause)
            return row.with_changes(**_failed(failure, None))
        case RequestStatus.COMPLETED:
            again_at = now + polling.pause(row.loads or 1)
            return row.with_changes(next_step_at=_latest(again_at, answer.not_before, now))
    # From now on, not from when the attempt was stored: the call may have been queued since.
    again_at = _latest(now + grace(row.attempts), answer.not_before, now)
    unknown = RequestFailure(FailureKind.OUTCOME_UNKNOWN, answer.cause)
    attempts = row.attempts - answer.is_throttled
    return row.with_changes(attempts=attempts, **_failed(unknown, again_at))


def _polled(
    row: "ReportRequest", not_before: datetime | None, now: datetime, polling: Polling
) -> "ReportRequest":
    polls = row.polls + 1
    again_at = _latest(now + polling.pause(polls), not_before, now)
    return row.with_changes(polls=polls, **_failed(None, again_at))


def _not_made(row: "ReportRequest", again_at: datetime) -> "ReportRequest":
    """Return the row of a request whose step could not be taken and is due at `again_at`."""
    changes: dict[str, Any] = {}
    if row.status == RequestStatus.SENT:
        changes = {"status": RequestStatus.PLANNED.value, "attempts": row.attempts - 1}
        changes |= {"sent_at": None, "late_at": None}
    elif row.status == RequestStatus.COMPLETED:
        changes = {"loads": row.loads - 1}
    return row.with_changes(next_step_at=again_at, **changes)


def _sent(row: "ReportRequest", at: datetime) -> dict[str, Any]:
    usual: timedelta = LATE_AFTER_USUAL * row.dataset_report.dataset.usual_latency
    return {"sent_at": at, "late_at": at + max(LATE_AFTER, usual)}


def _failed(failure: RequestFailure | None, next_step_at: datetime | None) -> dict[str, Any]:
    return {
        "failure_kind": failure and failure.kind.value,
        "cause": failure and failure.cause,
        "next_step_at": next_step_at,
    }


def _is_ahead(at: datetime | None, now: datetime) -> bool:
    return at is not None and at > now


def _latest(ours: datetime, not_before: datetime | None, now: datetime) -> datetime:
    """Return the later of `ours` and `not_before`; limit `not_before` to `now + MAX_PENDING`."""
    return ours if not_before is None else max(ours, min(not_before, now + MAX_PENDING))


def _doubled(first: timedelta, attempts: int) -> timedelta:
    doublings = min(max(attempts - 1, 0), _GROWTH_STEPS)
    return min(first * (1 << doublings), LONGEST_RETRY_PAUSE)
