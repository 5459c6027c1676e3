"""Converts stored requests and responses of Amazon into the state that decisions are made on."""

from collections import Counter
from datetime import datetime
from typing import Any

from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    Rejected,
    TooLarge,
    TooOld,
)
from bidbeacon_pipelines.amazon_ads.failures import TOO_LARGE
from bidbeacon_pipelines.amazon_ads.ledger import Tries
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportStatus
from bidbeacon_pipelines.requests import transitions
from bidbeacon_pipelines.requests.lifecycle import (
    Failure,
    FailureKind,
    RequestState,
    RequestStatus,
)
from bidbeacon_pipelines.requests.queries import (
    Request,
)


def failure_kind(error: AdsApiError) -> FailureKind:
    """Return what an error of the client means for its request."""
    match error:
        case TooOld():
            return FailureKind.TOO_OLD
        case TooLarge():
            return FailureKind.TOO_LARGE
        case AuthError():
            return FailureKind.NOT_AUTHORIZED
        case Rejected():
            return FailureKind.REJECTED
        case _:
            return FailureKind.NOT_SENT


def reported(report: Report, *, adopted: bool = False) -> transitions.Reported:
    """Return the status that Amazon reported; an unknown word is kept as it came."""
    word = report.raw_status if report.status is ReportStatus.UNKNOWN else report.status.value
    failure = f"{report.failure_code or ''} {report.failure_reason or ''}"
    return transitions.Reported(
        report.report_id,
        word,
        report.failure_code,
        report.failure_reason,
        adopted,
        too_large=TOO_LARGE.search(failure) is not None,
        made_at=report.created_at,
    )


def state_of(request: Request) -> RequestState:
    """Return the state that a stored request is in."""
    failure = None
    if request.failure_kind is not None:
        kind = FailureKind(request.failure_kind)
        failure = Failure(kind, request.failure_reason or kind.value, request.failure_code)
    return RequestState(
        status=RequestStatus(request.status),
        created_at=request.created_at,
        attempts=request.attempts,
        sent_at=request.sent_at,
        report_id=request.report_id,
        amazon_status=request.amazon_status,
        polls=request.polls,
        loads=request.loads,
        next_step_at=request.next_step_at,
        failure=failure,
    )


def tries_before(state: RequestState) -> Tries:
    """Return the previous attempts of a request, for the log of its next one, if the outcome of the last one is unknown.

    It has rested since the last one was stored, including its time in our own queue.
    """
    is_unknown = state.failure is not None and state.failure.kind is FailureKind.OUTCOME_UNKNOWN
    if not is_unknown or state.sent_at is None or state.next_step_at is None:
        return Tries()
    rested = (state.next_step_at - state.sent_at).total_seconds()
    return Tries(
        rests={"create_report": max(0.0, rested)},
        made=Counter(create_report=max(state.attempts, 1)),
    )


def columns_of(state: RequestState, now: datetime) -> dict[str, Any]:
    """Return the columns that store a state; `now` ends a request that has ended."""
    ended = state.status in {RequestStatus.LOADED, RequestStatus.FAILED}
    failure = state.failure
    return {
        "status": state.status.value,
        "attempts": state.attempts,
        "sent_at": state.sent_at,
        "report_id": state.report_id,
        "amazon_status": state.amazon_status,
        "polls": state.polls,
        "loads": state.loads,
        "next_step_at": state.next_step_at,
        "failure_kind": failure.kind.value if failure else None,
        "failure_code": failure.code if failure else None,
        "failure_reason": failure.reason if failure else None,
        "finished_at": now if ended else None,
    }
