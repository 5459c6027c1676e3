"""Turns Amazon's responses and API errors into results of steps, for `rules.apply`."""

from datetime import datetime, timedelta

import psycopg
from sqlalchemy.exc import DataError, IntegrityError

from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    NotFound,
    NotWritten,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ReportChanged,
    Throttled,
    TooLarge,
    TooOld,
    UrlExpired,
)
from bidbeacon_pipelines.amazon_ads.failures import TOO_LARGE
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportStatus
from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.database.engine import first_line
from bidbeacon_pipelines.requests.rules import (
    FailureKind,
    NoAnswer,
    NotMade,
    Reported,
    RequestFailure,
    Result,
)
from bidbeacon_pipelines.values.decode import BrokenPartError

LOAD_ERRORS = (
    AdsApiError,
    BrokenPartError,
    DataError,
    IntegrityError,
    psycopg.DataError,
    psycopg.IntegrityError,
)
"""Expected errors of a load; see `of_failed_load`."""
_KINDS: dict[type[AdsApiError], FailureKind] = {
    TooOld: FailureKind.TOO_OLD,
    TooLarge: FailureKind.TOO_LARGE,
    AuthError: FailureKind.NOT_AUTHORIZED,
    Rejected: FailureKind.REJECTED,
}
"""The kind of failure by class of error; the first class that matches decides."""


def not_before(error: AdsApiError, now: datetime) -> datetime | None:
    """Return the earliest time of a retry, from Amazon's `Retry-After`; None if it is missing."""
    return None if error.retry_after is None else now + timedelta(seconds=error.retry_after)


def of_report(report: Report, *, adopted: bool = False) -> Reported | RequestFailure:
    """Return the result for a report's status; an unknown status counts as still generating.

    `adopted` is whether Amazon was already generating the report before the create.
    """
    is_complete = report.status is ReportStatus.COMPLETED
    if is_complete or not report.is_terminal:
        status = (report.raw_status, is_complete)
        return Reported(report.report_id, *status, adopted, report.created_at)
    why = ": ".join(filter(None, [report.failure_code, report.failure_reason]))
    detail = {"reason": why or "no reason given", "amazon_code": report.failure_code}
    if TOO_LARGE.search(why):
        return RequestFailure(FailureKind.TOO_LARGE, cause("report-too-large", detail=detail))
    has_failed = report.status is ReportStatus.FAILED
    kind = FailureKind.REPORT_FAILED if has_failed else FailureKind.NO_REPORT
    return RequestFailure(kind, cause("report-failed", status=str(report.status), detail=detail))


def failure_from(error: AdsApiError, now: datetime) -> RequestFailure:
    """Return the failure for an error; its kind depends on the error's class."""
    kinds = (kind for of, kind in _KINDS.items() if isinstance(error, of))
    kind = next(kinds, FailureKind.NO_REPORT)
    return RequestFailure(kind, error.failure_cause, not_before(error, now))


def no_answer(error: AdsApiError, now: datetime) -> NoAnswer:
    """Return the result of a step whose outcome is unknown because of an error."""
    return NoAnswer(error.failure_cause, not_before(error, now))


def of_failed_create(error: AdsApiError, now: datetime) -> Result:
    """Return the result of a failed create; callers handle `DuplicateReport` and `AuthError`."""
    match error:
        case OutcomeUnknown():
            is_throttled = isinstance(error.cause, Throttled)
            return NoAnswer(error.failure_cause, not_before(error, now), is_throttled)
        case Throttled():  # before the create itself, whose own 429 leaves its outcome unknown
            return NotMade(not_before(error, now) or now, error.failure_cause)
        case _:
            return failure_from(error, now)


def of_failed_poll(error: AdsApiError, now: datetime) -> Result:
    """Return the result of a failed poll; callers handle `AuthError`."""
    match error:
        case NotFound():
            return RequestFailure(FailureKind.NO_REPORT, error.failure_cause)
        case RateLimited():
            return NotMade(not_before(error, now) or now, error.failure_cause)
        case _:
            return no_answer(error, now)


def of_failed_load(error: Exception, now: datetime, again_at: datetime) -> Result:
    """Return the result of a load that failed with `error`; callers handle `AuthError`.

    After a 429 without `Retry-After`, or if a file can't be written, the load is repeated at
    `again_at`.
    """
    match error:
        case Throttled() | NotWritten():
            return NotMade(not_before(error, now) or again_at, error.failure_cause)
        case ReportChanged(report=report) if report.status is not ReportStatus.COMPLETED:
            return of_report(report)
        case UrlExpired() | NotFound():  # of the report; a missing file is another error
            return RequestFailure(FailureKind.NO_REPORT, error.failure_cause)
        case AdsApiError():
            return no_answer(error, now)
        case BrokenPartError():
            return NoAnswer(error.failure_cause)
        case _:
            detail = {"reason": first_line(error)}
            return NoAnswer(cause("rows-refused-by-database", detail=detail))
