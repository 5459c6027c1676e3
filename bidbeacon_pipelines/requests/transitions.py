"""How a request's state changes: by a step that is about to be taken, and by Amazon's response.

The counterpart of `lifecycle.decide`; pure as well. The caller stores each new state before it goes
on, a `sending` and a `loading` before it acts: so a process that dies in between has still counted
the attempt.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bidbeacon_pipelines.requests.lifecycle import (
    Failure,
    FailureKind,
    GiveUp,
    RequestState,
    RequestStatus,
    RetryLater,
)
from bidbeacon_pipelines.requests.policy import LifecyclePolicy, next_poll_at
from bidbeacon_sessions.sentences import join_sentences

COMPLETED_WORDS = frozenset({"COMPLETED", "SUCCESS"})
FAILURE_WORDS = {
    "FAILED": FailureKind.REPORT_FAILED,
    "FAILURE": FailureKind.REPORT_FAILED,
    "CANCELLED": FailureKind.REPORT_CANCELLED,
    "CANCELED": FailureKind.REPORT_CANCELLED,
    "EXPIRED": FailureKind.REPORT_EXPIRED,
}
"""Amazon's words that end a report; every word in neither list waits."""

_SHORTEST_PAUSE = timedelta(seconds=1)


@dataclass(frozen=True)
class Reported:
    """Amazon reported a report's status, after a create or a poll, or when it was adopted.

    Attributes:
        adopted: The report was already being made and was adopted.
        too_large: It failed because it would be too large.
        made_at: When Amazon began to make it, where Amazon says so; UTC.
    """

    report_id: str
    amazon_status: str
    failure_code: str | None = None
    failure_reason: str | None = None
    adopted: bool = False
    too_large: bool = False
    made_at: datetime | None = None


@dataclass(frozen=True)
class NoAnswer:
    """The call got no usable response: throttled, 5xx, or the connection broke.

    After a create, Amazon may have accepted it anyway; after a poll, the report may be fine.

    Attributes:
        not_before: From `Retry-After`, if any.
        reason: What happened instead, in words.
        cause: A short name of it, to group by: "HTTP 429"; None if nothing is counted.
        is_throttled: Whether Amazon throttled the create (429): that is not a failed attempt; the
            region's gate pauses.
    """

    not_before: datetime | None = None
    reason: str = "no answer is known"
    cause: str | None = None
    is_throttled: bool = False


@dataclass(frozen=True)
class RateLimited:
    """Amazon throttles us, and what we wanted was certainly not done: it isn't counted as an attempt.

    Our own rate limits stopped a create or a poll before it was sent, since Amazon had asked us to
    pause; or the token, or a file of a completed report, was refused with 429.

    Attributes:
        not_before: When the pause ends.
        reason: What it waits for, in words.
        cause: A short name of it, to group by.
    """

    not_before: datetime
    reason: str = "our rate limits paused it"
    cause: str | None = None


@dataclass(frozen=True)
class NoToken:
    """Our credentials are refused, so nothing was sent; the request waits until they are accepted.

    Attributes:
        not_before: When it was noticed.
        reason: The message of the token endpoint.
    """

    not_before: datetime
    reason: str


@dataclass(frozen=True)
class RowsLocked:
    """Another job has locked the account's rows for longer than a load waits: nothing was loaded, and nothing failed.

    Attributes:
        not_before: When it is tried again.
    """

    not_before: datetime


@dataclass(frozen=True)
class LoadFailed:
    """Download or decoding failed (expired url, broken part); the old data is untouched.

    Attributes:
        reason: What went wrong, in words.
        not_before: From `Retry-After`, if any.
    """

    reason: str
    not_before: datetime | None = None


@dataclass(frozen=True)
class Loaded:
    """All windows of the report have ended: loaded, suspicious or refused."""


@dataclass(frozen=True)
class Refused:
    """Amazon or the load refused; the failure's kind decides about a retry."""

    failure: Failure


Answer = Reported | NoAnswer | RateLimited | NoToken | RowsLocked | LoadFailed | Loaded | Refused


def sending(request: RequestState, now: datetime, policy: LifecyclePolicy) -> RequestState:
    """Return the state to store before a report is requested: one attempt more, outcome unknown."""
    attempts = request.attempts + 1
    return RequestState(
        status=RequestStatus.SENT,
        created_at=request.created_at,
        attempts=attempts,
        sent_at=now,
        next_step_at=now + policy.grace(attempts),
    )


def loading(request: RequestState) -> RequestState:
    """Return the state to store before a completed report is loaded: one load attempt more."""
    return replace(request, loads=request.loads + 1)


def retried(request: RequestState, step: RetryLater) -> RequestState:
    """Return the state of a request whose report is dropped and requested again later; the failure is kept."""
    return replace(
        request,
        status=RequestStatus.PLANNED,
        report_id=None,
        amazon_status=None,
        polls=0,
        loads=0,
        next_step_at=step.at,
        failure=request.failure or Failure(FailureKind.STUCK, step.reason),
    )


def given_up(request: RequestState, step: GiveUp) -> RequestState:
    """Return the state of a request that ends without its report; the failure's reason is the step's."""
    failure = request.failure or Failure(FailureKind.STUCK, step.reason)
    if step.kind is not None:
        failure = Failure(step.kind, step.reason)
    return replace(
        request,
        status=RequestStatus.FAILED,
        next_step_at=None,
        failure=replace(failure, reason=step.reason),
    )


def answered(
    request: RequestState, answer: Answer, now: datetime, policy: LifecyclePolicy
) -> RequestState:
    """Apply the result of a step to the state; `lifecycle.decide` then decides the next step."""
    match answer:
        case Reported():
            return _reported(request, answer, now, policy)
        case NoAnswer():
            return _unanswered(request, answer, now, policy)
        case RateLimited(not_before=at) | NoToken(not_before=at) | RowsLocked(not_before=at):
            return _not_made(request, at, now, policy)
        case LoadFailed():
            return _not_loaded(request, answer, now, policy)
        case Loaded():
            return replace(request, status=RequestStatus.LOADED, next_step_at=None, failure=None)
        case Refused(failure=failure):
            return replace(request, failure=_patient(failure, now, policy))


def _reported(
    request: RequestState, answer: Reported, now: datetime, policy: LifecyclePolicy
) -> RequestState:
    word = answer.amazon_status.strip().upper()
    known = replace(
        request, report_id=answer.report_id, amazon_status=answer.amazon_status, failure=None
    )
    if answer.adopted:
        known = replace(known, sent_at=_earliest(request.sent_at, answer.made_at))
    if word in COMPLETED_WORDS:
        return replace(known, status=RequestStatus.COMPLETED, next_step_at=None)
    if word in FAILURE_WORDS:
        kind = FailureKind.TOO_LARGE if answer.too_large else FAILURE_WORDS[word]
        failure = Failure(kind, _amazons_reason(answer), answer.failure_code)
        return replace(known, status=RequestStatus.IN_FLIGHT, failure=failure)
    if request.status is RequestStatus.IN_FLIGHT:
        return _polled(known, None, now, policy)
    first = next_poll_at(policy, 0, request.sent_at or now)
    return replace(known, status=RequestStatus.IN_FLIGHT, next_step_at=first)


def _earliest(sent_at: datetime | None, made_at: datetime | None) -> datetime | None:
    """Return the instant that an adopted report's data is as of: it may be older than the create that found it."""
    return min((at for at in (sent_at, made_at) if at is not None), default=None)


def _unanswered(
    request: RequestState, answer: NoAnswer, now: datetime, policy: LifecyclePolicy
) -> RequestState:
    if request.status is not RequestStatus.SENT:
        return _polled(request, answer.not_before, now, policy)
    # From now on, not from when the attempt was stored: it may have stood in our queue since.
    return replace(
        request,
        attempts=request.attempts - answer.is_throttled,
        next_step_at=_latest(now + policy.grace(request.attempts), answer.not_before, now, policy),
        failure=Failure(FailureKind.OUTCOME_UNKNOWN, answer.reason),
    )


def _not_made(
    request: RequestState, not_before: datetime, now: datetime, policy: LifecyclePolicy
) -> RequestState:
    """Uncount an attempt, or a load attempt, that was not made."""
    kept = replace(request, next_step_at=_latest(now + _SHORTEST_PAUSE, not_before, now, policy))
    match request.status:
        case RequestStatus.SENT:
            return replace(
                kept, status=RequestStatus.PLANNED, attempts=request.attempts - 1, sent_at=None
            )
        case RequestStatus.COMPLETED:
            return replace(kept, loads=request.loads - 1)
        case _:
            return kept


def _not_loaded(
    request: RequestState, answer: LoadFailed, now: datetime, policy: LifecyclePolicy
) -> RequestState:
    if request.loads >= policy.max_loads:
        failure = Failure(
            FailureKind.UNREADABLE,
            join_sentences(answer.reason, f"It could not be loaded in {request.loads} attempts."),
        )
        return replace(request, failure=failure)
    again = now + policy.poll_pause(request.loads or 1)
    return replace(request, next_step_at=_latest(again, answer.not_before, now, policy))


def _polled(
    request: RequestState, not_before: datetime | None, now: datetime, policy: LifecyclePolicy
) -> RequestState:
    polls = request.polls + 1
    again = next_poll_at(policy, polls, now)
    return replace(request, polls=polls, next_step_at=_latest(again, not_before, now, policy))


def _amazons_reason(answer: Reported) -> str:
    failure = ": ".join(part for part in (answer.failure_code, answer.failure_reason) if part)
    return f"Amazon reported {answer.amazon_status} ({failure or 'no reason given'})"


def _patient(failure: Failure, now: datetime, policy: LifecyclePolicy) -> Failure:
    if failure.not_before is None:
        return failure
    return replace(failure, not_before=_latest(now, failure.not_before, now, policy))


def _latest(
    ours: datetime, wished: datetime | None, now: datetime, policy: LifecyclePolicy
) -> datetime:
    """Return Amazon's instant if it is later than ours, but at most the longest time a report may take."""
    longest: timedelta = policy.max_pending
    return ours if wished is None else max(ours, min(wished, now + longest))
