"""Explains a window that waits for a request: one rule for each status of a request. Pure."""

from datetime import timedelta
from uuid import UUID

from bidbeacon_pipelines.problems.verdicts import (
    Cause,
    KnownWindow,
    Severity,
    Verdict,
    when,
    when_created,
)
from bidbeacon_pipelines.requests.rules import MAX_ATTEMPTS, MAX_LOADS, MAX_PENDING, RequestStatus
from bidbeacon_pipelines.windows.facts import OpenRequest
from bidbeacon_sessions.sentences import without_stop

LATE_AFTER_USUAL = 4
"""A report is late when it takes so many times the usual time of its dataset …"""
LATE_AFTER = timedelta(minutes=30)
"""… and longer than this in any case."""


def explain_request(known: KnownWindow, request: OpenRequest) -> Verdict | None:
    """Return the verdict on a window that waits for a request; None if the facts contradict each other."""
    if request.locked_by is not None:
        return _worked_on(known, request) if request.lock_is_alive else _abandoned(known, request)
    match request.status:
        case RequestStatus.PLANNED:
            return _retrying(known, request) if request.failure_reason else _planned(known, request)
        case RequestStatus.SENT:
            return _answer_unknown(known, request)
        case RequestStatus.IN_FLIGHT:
            return _in_flight(known, request)
        case RequestStatus.COMPLETED:
            return _completed(known, request)
    return None


def _worked_on(known: KnownWindow, request: OpenRequest) -> Verdict:
    loading = request.status == RequestStatus.COMPLETED and request.loads > 0
    cause = Cause.BEING_LOADED if loading else Cause.BEING_WORKED_ON
    what = (
        f"Report {request.report_id} is being loaded"
        if loading
        else "Its request is being worked on"
    )
    sentence = (
        f"{what} right now by session {request.locked_by}. {known.kept}; no action is needed."
    )
    proofs = (*known.proven_by("queued", "requested"), request.locked_by)
    return Verdict(cause, Severity.WAITING, sentence, known.now, _known(*proofs))


def _abandoned(known: KnownWindow, request: OpenRequest) -> Verdict:
    """A lock whose lease has expired delays nothing: the next process that polls takes the request over."""
    seen = (
        ""
        if request.heartbeat_at is None
        else f" Its last heartbeat was at {when(request.heartbeat_at)}."
    )
    dead = request.session_status in {None, "running", "crashed"}
    outcome = "died" if dead else f"ended as {request.session_status}"
    sentence = (
        f"Session {request.locked_by}, which was working on its request, {outcome}.{seen} "
        f"The next run continues it from there ({request.status.replace('_', ' ')}), {_look(known, request)}. {known.kept}."
    )
    severity = Severity.WARNING if dead else Severity.WAITING
    proofs = (*known.proven_by("requested", "retried"), request.locked_by)
    return Verdict(
        Cause.ABANDONED, severity, sentence, request.next_step_at or known.now, _known(*proofs)
    )


def _planned(known: KnownWindow, request: OpenRequest) -> Verdict:
    patient = request.next_step_at is not None and request.next_step_at > known.now
    held_back = "; Amazon asked us to slow down" if patient else ""
    sentence = (
        f"A request for {_days(request)} was stored at {when(request.created_at)} and has not been sent yet{held_back}: "
        f"it is sent {_create(known, request)}. {known.kept}."
    )
    return Verdict(
        Cause.REQUESTED,
        Severity.WAITING,
        sentence,
        request.next_step_at or known.now,
        known.proven_by("queued"),
    )


def _retrying(known: KnownWindow, request: OpenRequest) -> Verdict:
    sentence = (
        f"Attempt {request.attempts} of {MAX_ATTEMPTS} failed: {without_stop(request.failure_reason or '')}. "
        f"It is requested again {_create(known, request)}. {known.kept}."
    )
    at = request.next_step_at or known.now
    return Verdict(
        Cause.RETRYING,
        Severity.WARNING,
        sentence,
        at,
        known.proven_by("queued", "requested", "retried"),
    )


def _answer_unknown(known: KnownWindow, request: OpenRequest) -> Verdict:
    sentence = (
        f"It was requested at {when(request.sent_at or request.created_at)}, but no response arrived: Amazon may have accepted it. "
        f"Attempt {request.attempts} of {MAX_ATTEMPTS}; it is sent again {_create(known, request)}. {known.kept}."
    )
    at = request.next_step_at or known.now
    return Verdict(
        Cause.ANSWER_UNKNOWN, Severity.WARNING, sentence, at, known.proven_by("queued", "retried")
    )


def _in_flight(known: KnownWindow, request: OpenRequest) -> Verdict:
    sent_at = request.sent_at or request.created_at
    late = known.now - sent_at > max(LATE_AFTER, LATE_AFTER_USUAL * known.dataset.usual_latency)
    given_up = f"; it is given up and requested again at {when(sent_at + MAX_PENDING)}"
    sentence = (
        f"Report {request.report_id} for {_days(request)} has been in flight since {when(sent_at)}"
        f"{', far longer than usual' if late else ''}: Amazon reports {request.amazon_status or 'no status yet'}. "
        f"The next check is {_look(known, request)}{given_up if late else ''}.{_throttling(known)} {known.kept}."
    )
    return Verdict(
        Cause.LATE_AT_AMAZON if late else Cause.IN_FLIGHT,
        Severity.WARNING if late else Severity.WAITING,
        sentence,
        request.next_step_at or known.now,
        known.proven_by("requested", "adopted", "pending"),
    )


def _completed(known: KnownWindow, request: OpenRequest) -> Verdict:
    if request.loads == 0:
        sentence = f"Report {request.report_id} is complete at Amazon; it is loaded {_look(known, request)}.{_throttling(known)} {known.kept}."
        return Verdict(
            Cause.READY_TO_LOAD, Severity.WAITING, sentence, known.now, known.proven_by("requested")
        )
    retried = [
        reference.reason
        for reference in known.facts.references
        if reference.effect == "retried" and reference.reason
    ]
    reason = f": {without_stop(retried[-1])}" if retried else ""
    sentence = (
        f"Report {request.report_id} is complete at Amazon, but attempt {request.loads} of {MAX_LOADS} to load it "
        f"failed{reason}. It is retried {_look(known, request)}. {known.kept}."
    )
    at = request.next_step_at or known.now
    return Verdict(
        Cause.LOAD_RETRYING, Severity.WARNING, sentence, at, known.proven_by("requested", "retried")
    )


def _throttling(known: KnownWindow) -> str:
    """Return a sentence where Amazon throttled polls or downloads of the account's reports lately; otherwise nothing."""
    throttling = known.facts.throttling
    if throttling is None:
        return ""
    paused = throttling.paused_until
    until = "" if paused is None else f"; none is sent before {when(paused)}"
    return (
        f" Amazon throttles polls of this ads account: {throttling.count:,} × 429 in the last hour"
        f"{until}."
    )


def _look(known: KnownWindow, request: OpenRequest) -> str:
    """Return when the next step is taken by the shared polling, which runs at most once a minute."""
    at = request.next_step_at
    return "within two minutes" if at is None or at <= known.now else f"at {when(at)}"


def _create(known: KnownWindow, request: OpenRequest) -> str:
    """Return when it is sent: after its own pause, and as the gate allows."""
    at = request.next_step_at
    return when_created(known.facts.gate) if at is None or at <= known.now else f"at {when(at)}"


def _days(request: OpenRequest) -> str:
    count = (request.end_date - request.start_date).days + 1
    return (
        f"{request.start_date}"
        if count == 1
        else f"the {count} days {request.start_date} to {request.end_date}"
    )


def _known(*sessions: UUID | None) -> tuple[UUID, ...]:
    return tuple(dict.fromkeys(session for session in sessions if session is not None))
