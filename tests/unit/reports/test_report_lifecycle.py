"""What is done next with a request, and that every request ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.requests.lifecycle import (
    Failure,
    FailureKind,
    GiveUp,
    Load,
    LookFor,
    Nothing,
    Poll,
    RequestState,
    RequestStatus,
    RetryLater,
    Send,
    Step,
    Wait,
    decide,
)
from bidbeacon_pipelines.requests.policy import LifecyclePolicy, next_poll_at
from bidbeacon_pipelines.requests.transitions import (
    Answer,
    Loaded,
    LoadFailed,
    NoAnswer,
    RateLimited,
    Refused,
    Reported,
    answered,
    given_up,
    loading,
    retried,
    sending,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
POLICY = LifecyclePolicy()
PLANNED = RequestState(status=RequestStatus.PLANNED, created_at=NOW)
SENT = sending(PLANNED, NOW, POLICY)
IN_FLIGHT = answered(SENT, Reported("rpt-1", "PENDING"), NOW, POLICY)
COMPLETED = answered(IN_FLIGHT, Reported("rpt-1", "COMPLETED"), NOW, POLICY)


def _minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def _after(request: RequestState, answer: Answer, at: datetime = NOW) -> RequestState:
    return answered(request, answer, at, POLICY)


def test_planned_request_is_sent() -> None:
    """A request that was only recorded is sent."""
    assert Send("first attempt") == decide(PLANNED, NOW, POLICY)


def test_attempt_counts_before_it_is_sent() -> None:
    """The state stored before sending has the attempt counted and its outcome open."""
    assert (RequestStatus.SENT, 1, NOW, None) == (
        SENT.status,
        SENT.attempts,
        SENT.sent_at,
        SENT.report_id,
    )


def test_sent_without_answer_is_looked_for_and_then_sent_again() -> None:
    """A request that may have been accepted is looked for, and sent again only after its grace."""
    reason = "it was sent, but no response arrived: Amazon may have accepted it"

    assert LookFor(NOW + _minutes(10), reason) == decide(SENT, NOW + _minutes(9.9), POLICY)
    assert Send("attempt 2: the last one failed") == decide(SENT, NOW + _minutes(10), POLICY)


def test_grace_counts_from_the_missing_answer() -> None:
    """A create that stood in our queue, or hung until its timeout, is left alone as long as one that failed at once."""
    unanswered = answered(SENT, NoAnswer(reason="timed out"), NOW + _minutes(1.5), POLICY)

    assert NOW + _minutes(11.5) == unanswered.next_step_at


def test_grace_grows_with_each_attempt() -> None:
    """While Amazon throttles, the times between two sendings grow, up to two hours."""
    graces = [POLICY.grace(attempt) / _minutes(1) for attempt in range(1, 7)]

    assert [10, 20, 40, 80, 120, 120] == graces


def test_unknown_outcomes_end_too() -> None:
    """After the last attempt without an answer the request is given up."""
    last = replace(SENT, attempts=5)
    step = decide(last, NOW + timedelta(days=1), POLICY)

    assert GiveUp("No response to the last one arrived. Given up after 5 attempts.") == step


def test_why_no_answer_came_is_told_at_the_end() -> None:
    """A request that is given up unanswered says what came instead; until then it is looked for and sent again."""
    unanswered = _after(SENT, NoAnswer(reason="the connection broke"))
    given_up_one = decide(replace(unanswered, attempts=5), NOW + timedelta(days=1), POLICY)

    assert isinstance(decide(unanswered, NOW, POLICY), LookFor)
    assert isinstance(decide(unanswered, NOW + _minutes(10), POLICY), Send)
    assert GiveUp("The connection broke. Given up after 5 attempts.") == given_up_one


def test_window_with_suspicious_reports_is_asked_for_ever_more_rarely() -> None:
    """Reports that go on looking wrong don't eat up the account's reports."""
    pauses = [POLICY.suspicious_pause(before) / _minutes(1) for before in (0, 1, 2, 3, 4, 500)]

    assert [15, 60, 240, 960, 1440, 1440] == pauses


def test_retry_after_delays_the_next_sending() -> None:
    """A longer wish of Amazon's counts more than our own grace."""
    throttled = _after(SENT, NoAnswer(NOW + _minutes(45)))

    assert NOW + _minutes(45) == throttled.next_step_at


def test_absurd_retry_after_is_cut() -> None:
    """A wish beyond the longest time a report may take is cut to it."""
    throttled = _after(SENT, NoAnswer(NOW + timedelta(days=400)))

    assert NOW + POLICY.max_pending == throttled.next_step_at


@pytest.mark.parametrize("word", ["PENDING", "PROCESSING", "IN_PROGRESS", "WARMING_UP", ""])
def test_words_without_an_end_wait(word: str) -> None:
    """Amazon's words for work in progress, and unknown ones, wait for the first poll."""
    pending = _after(SENT, Reported("rpt-1", word))
    first = NOW + POLICY.first_poll_after

    assert Wait(first, f"Amazon reports {word or 'nothing yet'}") == decide(pending, NOW, POLICY)
    assert Poll("rpt-1") == decide(pending, first, POLICY)


@pytest.mark.parametrize("word", ["COMPLETED", "completed", " Completed "])
def test_completed_report_is_loaded(word: str) -> None:
    """A completed report is loaded at once, however the word is written."""
    assert Load("rpt-1") == decide(_after(IN_FLIGHT, Reported("rpt-1", word)), NOW, POLICY)


def test_report_adopted_in_completed_state_is_loaded() -> None:
    """A report found to be complete when it is adopted needs no poll."""
    assert Load("rpt-9") == decide(_after(SENT, Reported("rpt-9", "COMPLETED")), NOW, POLICY)


@pytest.mark.parametrize("word", ["FAILED", "CANCELLED", "CANCELED", "EXPIRED"])
def test_report_that_ended_without_data_is_asked_for_again(word: str) -> None:
    """Failed, cancelled and expired reports are asked for again after a pause."""
    ended = _after(IN_FLIGHT, Reported("rpt-1", word, "INTERNAL_ERROR", "Report generation failed"))
    step = decide(ended, NOW, POLICY)

    reason = f"Amazon reported {word} (INTERNAL_ERROR: Report generation failed)"
    assert RetryLater(NOW + _minutes(5), reason) == step


def test_retried_request_starts_afresh_and_keeps_its_reason() -> None:
    """A retried request forgets the report, waits for its time, and still tells what went wrong."""
    failed = _after(IN_FLIGHT, Reported("rpt-1", "FAILED"))
    step = decide(failed, NOW, POLICY)
    assert isinstance(step, RetryLater)
    again = retried(failed, step)

    assert (RequestStatus.PLANNED, None, 1) == (again.status, again.report_id, again.attempts)
    assert Wait(NOW + _minutes(5), "Amazon reported FAILED (no reason given)") == decide(
        again, NOW, POLICY
    )
    assert Send("attempt 2") == decide(again, NOW + _minutes(5), POLICY)


def test_pauses_between_attempts_double_up_to_two_hours() -> None:
    """Each further attempt waits twice as long, and never more than two hours."""
    assert [5, 10, 20, 40, 80, 120] == [
        POLICY.retry_pause(attempts) / _minutes(1) for attempts in range(1, 7)
    ]


def test_fifth_failure_is_the_last_and_tells_amazons_reason() -> None:
    """After five failed reports the request ends with Amazon's reason."""
    failed = _after(
        replace(IN_FLIGHT, attempts=5),
        Reported("rpt-5", "FAILED", None, "Report generation failed"),
    )
    step = decide(failed, NOW, POLICY)

    expected = GiveUp(
        "Amazon reported FAILED (Report generation failed). Given up after 5 attempts."
    )
    assert expected == step
    assert Nothing(expected.reason) == decide(given_up(failed, expected), NOW, POLICY)


@pytest.mark.parametrize(
    "kind", [FailureKind.TOO_OLD, FailureKind.REJECTED, FailureKind.ACCOUNT_DISABLED]
)
@pytest.mark.parametrize(
    "request_state", [SENT, IN_FLIGHT, COMPLETED], ids=lambda state: state.status
)
def test_refusal_that_would_come_again_is_terminal(
    kind: FailureKind, request_state: RequestState
) -> None:
    """What Amazon refuses for good ends the request at once, with a reason that a person can read."""
    refused = _after(request_state, Refused(Failure(kind, "the period is older than 15 months")))

    assert GiveUp("the period is older than 15 months") == decide(refused, NOW, POLICY)


def test_trouble_with_rights_needs_a_person() -> None:
    """Without rights the request ends and the account is marked as needing someone."""
    refused = _after(
        SENT, Refused(Failure(FailureKind.NOT_AUTHORIZED, "the refresh token was revoked"))
    )

    assert GiveUp("the refresh token was revoked", needs_person=True) == decide(
        refused, NOW, POLICY
    )


@pytest.mark.parametrize(
    "kind", [FailureKind.NOT_FOUND, FailureKind.NOT_SENT, FailureKind.UNREADABLE]
)
def test_passing_trouble_is_tried_again(kind: FailureKind) -> None:
    """A report Amazon doesn't know any more, or that never went out, is asked for again."""
    refused = _after(SENT, Refused(Failure(kind, "it broke")))

    assert RetryLater(NOW + _minutes(5), "it broke") == decide(refused, NOW, POLICY)


def test_refusal_with_retry_after_is_heeded() -> None:
    """Where Amazon names a time with its refusal, it isn't asked before."""
    failure = Failure(FailureKind.NOT_SENT, "throttled", not_before=NOW + _minutes(90))

    assert RetryLater(NOW + _minutes(90), "throttled") == decide(
        _after(SENT, Refused(failure)), NOW, POLICY
    )


def test_report_pending_for_a_day_is_asked_for_again() -> None:
    """A report that was looked at until a day had passed is given up and asked for again."""
    deadline = NOW + POLICY.max_pending
    looked_at = _after(IN_FLIGHT, Reported("rpt-1", "PROCESSING"), deadline - _minutes(0.5))

    assert isinstance(decide(looked_at, deadline - _minutes(0.25), POLICY), Wait)
    expected = RetryLater(deadline + _minutes(6), "still PROCESSING after 24 hours")
    assert expected == decide(looked_at, deadline + _minutes(1), POLICY)


def test_late_report_is_looked_at_once_more_after_an_outage() -> None:
    """A report nobody looked at for two days is polled before it is given up: it may be complete."""
    later = NOW + timedelta(days=2)

    assert Poll("rpt-1") == decide(IN_FLIGHT, later, POLICY)
    still_pending = _after(IN_FLIGHT, Reported("rpt-1", "PENDING"), later)
    assert isinstance(decide(still_pending, later, POLICY), RetryLater)
    assert Load("rpt-1") == decide(
        _after(IN_FLIGHT, Reported("rpt-1", "COMPLETED"), later), later, POLICY
    )


def test_create_that_was_kept_back_is_no_attempt() -> None:
    """What our own queue didn't let out is sent later, with all of its attempts left; it is never sent at once again."""
    held_back = _after(SENT, RateLimited(NOW + _minutes(10)))
    at_once = _after(SENT, RateLimited(NOW))

    assert SENT.attempts - 1 == held_back.attempts
    assert isinstance(decide(held_back, NOW + _minutes(9), POLICY), Wait)
    assert isinstance(decide(held_back, NOW + _minutes(10), POLICY), Send)
    assert isinstance(decide(at_once, NOW, POLICY), Wait)


def test_failed_poll_is_repeated_later() -> None:
    """A poll that got no answer says nothing about the report; Amazon's wish for a pause is heeded."""
    plain = _after(IN_FLIGHT, NoAnswer())
    throttled = _after(IN_FLIGHT, NoAnswer(NOW + _minutes(7)))

    assert (1, NOW + _minutes(1)) == (plain.polls, plain.next_step_at)
    assert Wait(NOW + _minutes(7), "Amazon reports PENDING") == decide(throttled, NOW, POLICY)


def test_load_that_keeps_failing_makes_a_new_report() -> None:
    """A completed report is tried three times; then a new one is asked for."""
    once = _after(loading(COMPLETED), LoadFailed("part 2 is cut short"))
    crashed = replace(COMPLETED, loads=3)
    failed = _after(crashed, LoadFailed("part 2 is cut short"))

    assert Wait(NOW + _minutes(1), "the last attempt to load it failed") == decide(
        once, NOW, POLICY
    )
    assert Load("rpt-1") == decide(once, NOW + _minutes(1), POLICY)
    assert RetryLater(
        NOW + _minutes(5), "part 2 is cut short. It could not be loaded in 3 attempts."
    ) == decide(failed, NOW, POLICY)
    assert RetryLater(NOW + _minutes(5), "it could not be loaded in 3 attempts") == decide(
        crashed, NOW, POLICY
    )


@pytest.mark.parametrize("status", [RequestStatus.LOADED, RequestStatus.FAILED])
def test_ended_request_needs_nothing(status: RequestStatus) -> None:
    """A request that has ended is left alone."""
    assert isinstance(decide(replace(COMPLETED, status=status), NOW, POLICY), Nothing)


def test_loaded_report_ends_its_request() -> None:
    """After the load there is nothing left to do."""
    assert Nothing("its report is loaded") == decide(_after(COMPLETED, Loaded()), NOW, POLICY)


@pytest.mark.parametrize("status", [RequestStatus.IN_FLIGHT, RequestStatus.COMPLETED])
def test_state_without_report_id_is_asked_for_again(status: RequestStatus) -> None:
    """A state that can't be polled for want of an id doesn't get stuck."""
    broken = replace(COMPLETED, status=status, report_id=None)

    assert RetryLater(NOW + _minutes(5), "Amazon gave no report id") == decide(broken, NOW, POLICY)


@pytest.mark.parametrize(
    ("polls", "pause"),
    [
        (0, 180),
        (1, 60),
        (2, 90),
        (3, 135),
        (4, 202.5),
        (5, 303.75),
        (7, 683.4375),
        (8, 900),
        (500, 900),
    ],
)
def test_poll_pauses(polls: int, pause: float) -> None:
    """The first poll comes when reports usually are done, then the pauses grow from a minute to 15."""
    assert NOW + timedelta(seconds=pause) == next_poll_at(POLICY, polls, NOW)


def test_slow_polling_stays_slow() -> None:
    """Where polls are set to be rarer than every 15 minutes, the setting wins."""
    slow = LifecyclePolicy(poll_every=_minutes(30))

    assert [_minutes(30)] * 3 == [slow.poll_pause(polls) for polls in (1, 2, 9)]


@pytest.mark.parametrize(
    "change",
    [
        {"poll_every": timedelta(0)},
        {"max_pending": timedelta(0)},
        {"max_attempts": 0},
        {"max_loads": 0},
        {"first_poll_after": timedelta(days=2)},
    ],
    ids=str,
)
def test_policy_without_an_end_is_refused(change: dict[str, Any]) -> None:
    """A policy under which a request might not end, or is never polled, can't be made."""
    with pytest.raises(ValueError, match="expected"):
        replace(POLICY, **change)


WORDS = st.sampled_from(
    ["PENDING", "PROCESSING", "ODD", "COMPLETED", "FAILED", "CANCELLED", "EXPIRED"]
)
KINDS = st.sampled_from(FailureKind)
INSTANTS = st.timedeltas(timedelta(days=-400), timedelta(days=400)).map(lambda offset: NOW + offset)
FAILURES = st.builds(Failure, kind=KINDS, reason=st.just("why"), not_before=st.none() | INSTANTS)
REFUSALS = st.builds(Refused, failure=FAILURES)
SAID = (
    st.builds(Reported, report_id=st.just("rpt"), amazon_status=WORDS)
    | st.builds(NoAnswer, not_before=st.none() | INSTANTS)
    | REFUSALS
)
LOADS = st.sampled_from([Loaded(), LoadFailed("broken")]) | REFUSALS
STEPS_A_DAY = 2 * (24 * 4 + 20)
"""Waits and polls, with pauses of 15 minutes after the first ones."""


def _advance(request: RequestState, step: Step, now: datetime, answer: Answer) -> RequestState:
    match step:
        case RetryLater():
            return retried(request, step)
        case GiveUp():
            return given_up(request, step)
        case Send():
            return answered(sending(request, now, POLICY), answer, now, POLICY)
        case Load():
            return answered(loading(request), answer, now, POLICY)
    return answered(request, answer, now, POLICY)


def _run_to_end(said: list[Answer], loads: list[Answer]) -> RequestState:
    """Take every step as it comes, with these answers over and over, until nothing is left to do."""
    request, now, saying, loading_ends = PLANNED, NOW, cycle(said), cycle(loads)
    for _ in range(POLICY.max_attempts * STEPS_A_DAY):
        step = decide(request, now, POLICY)
        if isinstance(step, Nothing):
            return request
        if isinstance(step, Wait | LookFor):
            until = step.until if isinstance(step, Wait) else step.resend_at
            assert until > now
            now = until
        else:
            answer = next(loading_ends if isinstance(step, Load) else saying)
            request = _advance(request, step, now, answer)
    raise AssertionError(f"no end in sight: {request}")


@given(said=st.lists(SAID, min_size=1, max_size=8), loads=st.lists(LOADS, min_size=1, max_size=4))
def test_every_request_ends(said: list[Answer], loads: list[Answer]) -> None:
    """Whatever Amazon answers, a request ends within a bounded number of steps, with a reason where it failed."""
    request = _run_to_end(said, loads)

    assert request.status in {RequestStatus.LOADED, RequestStatus.FAILED}
    assert 1 <= request.attempts <= POLICY.max_attempts
    assert request.status is RequestStatus.LOADED or (
        request.failure is not None and request.failure.reason
    )


@pytest.mark.parametrize(
    "always",
    [
        Reported("rpt", "PENDING"),
        Reported("rpt", "FAILED"),
        NoAnswer(),
        Refused(Failure(FailureKind.NOT_FOUND, "unknown id")),
        Refused(Failure(FailureKind.NOT_SENT, "no connection")),
    ],
    ids=repr,
)
def test_the_same_answer_for_ever_ends_in_failure(always: Answer) -> None:
    """Where Amazon says the same for ever, the request fails after all its attempts."""
    request = _run_to_end([always], [Loaded()])

    assert (RequestStatus.FAILED, POLICY.max_attempts) == (request.status, request.attempts)


def test_report_that_never_loads_ends_in_failure() -> None:
    """Where no completed report can be loaded, the request fails after all its attempts."""
    request = _run_to_end([Reported("rpt", "COMPLETED")], [LoadFailed("part 1 is cut short")])

    assert request.failure is not None
    assert (
        "Part 1 is cut short. It could not be loaded in 3 attempts. Given up after 5 attempts."
        == request.failure.reason
    )


STATES = st.builds(
    RequestState,
    status=st.sampled_from(RequestStatus),
    created_at=st.just(NOW),
    attempts=st.integers(0, 6),
    sent_at=st.none() | INSTANTS,
    report_id=st.none() | st.just("rpt"),
    amazon_status=st.none() | WORDS,
    polls=st.integers(0, 300),
    loads=st.integers(0, 4),
    next_step_at=st.none() | INSTANTS,
    failure=st.none() | FAILURES,
)


@given(request_state=STATES)
def test_any_stored_state_has_a_next_step(request_state: RequestState) -> None:
    """Also from states that should not be, there is a step, and it never polls, sends or loads before its time."""
    step = decide(request_state, NOW, POLICY)
    early = request_state.next_step_at is not None and request_state.next_step_at > NOW

    assert not (early and isinstance(step, Send | Poll | Load))
    assert not isinstance(step, Wait) or step.until > NOW
