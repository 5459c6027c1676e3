"""The life cycle of a report request: the one function that decides its next step, and why.

Pure: from a request's state and the time to a step. `reports.transitions` applies Amazon's response
    to the state. A step that isn't terminal always moves a bounded counter or a deadline, so every
    request ends.

    planned ──Send──▶ sent ──────▶ in_flight ──Poll…──▶ completed ──Load──▶ loaded
       ▲               │ LookFor       │                    │
       └──RetryLater───┴───────────────┴────────────────────┘ ──GiveUp──▶ failed
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bidbeacon_pipelines.requests.policy import LifecyclePolicy, next_poll_at
from bidbeacon_sessions.sentences import join_sentences


class RequestStatus(StrEnum):
    """Where a request is."""

    PLANNED = "planned"
    """Recorded, not sent (or to be sent again)."""
    SENT = "sent"
    """Sent, and nothing is known of the outcome: Amazon may have accepted it."""
    IN_FLIGHT = "in_flight"
    """Amazon gave a report id and works on it."""
    COMPLETED = "completed"
    """Amazon has the report ready; it isn't loaded."""
    LOADED = "loaded"
    """End: its windows were dealt with."""
    FAILED = "failed"
    """End: given up, with a reason."""


class FailureKind(StrEnum):
    """What went wrong with a report, as far as it decides what happens next."""

    REPORT_FAILED = "report_failed"
    REPORT_CANCELLED = "report_cancelled"
    REPORT_EXPIRED = "report_expired"
    NOT_FOUND = "not_found"
    NOT_SENT = "not_sent"
    OUTCOME_UNKNOWN = "outcome_unknown"
    STUCK = "stuck"
    UNREADABLE = "unreadable"
    TOO_OLD = "too_old"
    TOO_LARGE = "too_large"
    """Amazon makes no report of so many days; the same days are asked for in several: `reports.splitting`."""
    REJECTED = "rejected"
    ACCOUNT_DISABLED = "account_disabled"
    """By us or by Amazon: nothing is asked for it."""
    NOT_AUTHORIZED = "not_authorized"
    TOO_OLD_ONCE = "too_old_once"
    REJECTED_ONCE = "rejected_once"
    NOT_AUTHORIZED_ONCE = "not_authorized_once"
    """The last three are refusals that aren't believed yet: `reports.refusals`."""


TERMINAL_FAILURES = frozenset(
    {
        FailureKind.TOO_OLD,
        FailureKind.TOO_LARGE,
        FailureKind.REJECTED,
        FailureKind.ACCOUNT_DISABLED,
        FailureKind.NOT_AUTHORIZED,
    }
)
"""Asking again would bring the same answer."""


@dataclass(frozen=True)
class Failure:
    """What went wrong.

    Attributes:
        kind: Decides whether it is retried.
        reason: A sentence for a person; Amazon's own words where it gave some.
        code: Amazon's code, if any.
        not_before: From `Retry-After`, if any.
    """

    kind: FailureKind
    reason: str
    code: str | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RequestState:
    """All that the decision needs to know of a request; instants are aware UTC.

    Attributes:
        status: Where it is.
        created_at: When it was recorded.
        attempts: How many times a report was requested, counted before sending.
        sent_at: When the last one was sent.
        report_id: Amazon's id of the last one, once known.
        amazon_status: Amazon's own word for its state, as it came.
        polls: How many times the last one was polled.
        loads: How many times loading it was begun.
        next_step_at: Nothing is sent, polled or loaded before this.
        failure: What last went wrong. In a planned request it is history, in a sent one it may be
            why its outcome is unknown; in the
            others it waits for a decision.
    """

    status: RequestStatus
    created_at: datetime
    attempts: int = 0
    sent_at: datetime | None = None
    report_id: str | None = None
    amazon_status: str | None = None
    polls: int = 0
    loads: int = 0
    next_step_at: datetime | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Send:
    """Record the attempt, then request the report."""

    reason: str


@dataclass(frozen=True)
class LookFor:
    """Look for the report that Amazon may have made, and adopt it; it isn't sent again before `resend_at`."""

    resend_at: datetime
    reason: str


@dataclass(frozen=True)
class Wait:
    """Do nothing before this instant."""

    until: datetime
    reason: str


@dataclass(frozen=True)
class Poll:
    """Poll the report."""

    report_id: str


@dataclass(frozen=True)
class Load:
    """Download the report and load it."""

    report_id: str


@dataclass(frozen=True)
class RetryLater:
    """Drop this report and request a new one, not before this instant."""

    at: datetime
    reason: str


@dataclass(frozen=True)
class GiveUp:
    """End the request as failed.

    Attributes:
        reason: Why, for a person.
        needs_person: Whether the account is blocked until someone acts.
        kind: What is wrong, if the report did not fail: its account was stopped.
    """

    reason: str
    needs_person: bool = False
    kind: FailureKind | None = None


@dataclass(frozen=True)
class Nothing:
    """The request has ended."""

    reason: str


Step = Send | LookFor | Wait | Poll | Load | RetryLater | GiveUp | Nothing


def decide(request: RequestState, now: datetime, policy: LifecyclePolicy) -> Step:
    """Return what to do with a request now.

    Args:
        request: What is known of it.
        now: The time.
        policy: The retry policy.
    """
    match request.status:
        case RequestStatus.LOADED:
            return Nothing("its report is loaded")
        case RequestStatus.FAILED:
            return Nothing(request.failure.reason if request.failure else "it was given up")
        case RequestStatus.PLANNED:
            return _planned(request, now, policy)
        case RequestStatus.SENT if _is_unanswered(request):
            return _sent(request, now, policy)
        case _ if request.failure is not None:
            return _failed(request, request.failure, now, policy)
    return _awaited(request, now, policy)


def _awaited(request: RequestState, now: datetime, policy: LifecyclePolicy) -> Step:
    if request.status is RequestStatus.SENT:
        return _sent(request, now, policy)
    if request.report_id is None:
        return _failed(
            request, Failure(FailureKind.NOT_FOUND, "Amazon gave no report id"), now, policy
        )
    if request.status is RequestStatus.IN_FLIGHT:
        return _in_flight(request, request.report_id, now, policy)
    return _completed(request, request.report_id, now, policy)


def _planned(request: RequestState, now: datetime, policy: LifecyclePolicy) -> Step:
    if request.attempts >= policy.max_attempts:
        return GiveUp(
            _after_attempts(
                request, request.failure.reason if request.failure else "no report came"
            )
        )
    if request.next_step_at is not None and now < request.next_step_at:
        return Wait(
            request.next_step_at, request.failure.reason if request.failure else "planned for later"
        )
    return Send("first attempt" if request.attempts == 0 else f"attempt {request.attempts + 1}")


def _sent(request: RequestState, now: datetime, policy: LifecyclePolicy) -> Step:
    sent_at = request.sent_at or request.created_at
    resend_at = request.next_step_at or sent_at + policy.grace(request.attempts)
    if now < resend_at:
        return LookFor(
            resend_at, "it was sent, but no response arrived: Amazon may have accepted it"
        )
    if request.attempts < policy.max_attempts:
        return Send(f"attempt {request.attempts + 1}: the last one failed")
    reason = request.failure.reason if request.failure else "no response to the last one arrived"
    return GiveUp(_after_attempts(request, reason))


def _is_unanswered(request: RequestState) -> bool:
    return request.failure is not None and request.failure.kind is FailureKind.OUTCOME_UNKNOWN


def _in_flight(
    request: RequestState, report_id: str, now: datetime, policy: LifecyclePolicy
) -> Step:
    """Poll when it is time; give up a late report only after a poll shortly before the deadline."""
    sent_at = request.sent_at or request.created_at
    deadline = sent_at + policy.max_pending
    poll_at = request.next_step_at or next_poll_at(policy, request.polls, sent_at)
    if now >= deadline and poll_at > deadline:
        late = f"still {request.amazon_status or 'without a status'} after {_hours(policy.max_pending)}"
        return _failed(request, Failure(FailureKind.STUCK, late), now, policy)
    if now < poll_at:
        return Wait(poll_at, f"Amazon reports {request.amazon_status or 'nothing yet'}")
    return Poll(report_id)


def _completed(
    request: RequestState, report_id: str, now: datetime, policy: LifecyclePolicy
) -> Step:
    if request.loads >= policy.max_loads:
        unreadable = f"it could not be loaded in {request.loads} attempts"
        return _failed(request, Failure(FailureKind.UNREADABLE, unreadable), now, policy)
    if request.next_step_at is not None and now < request.next_step_at:
        return Wait(request.next_step_at, "the last attempt to load it failed")
    return Load(report_id)


def _failed(
    request: RequestState, failure: Failure, now: datetime, policy: LifecyclePolicy
) -> Step:
    if failure.kind in TERMINAL_FAILURES:
        return GiveUp(failure.reason, needs_person=failure.kind is FailureKind.NOT_AUTHORIZED)
    if request.attempts >= policy.max_attempts:
        return GiveUp(_after_attempts(request, failure.reason))
    at = now + policy.retry_pause(request.attempts)
    return RetryLater(max(at, failure.not_before or at), failure.reason)


def _after_attempts(request: RequestState, reason: str) -> str:
    said = f"{reason[:1].upper()}{reason[1:]}"
    return join_sentences(said, f"Given up after {request.attempts} attempts.")


def _hours(duration: timedelta) -> str:
    return f"{duration / timedelta(hours=1):g} hours"
