"""A request driven at random, with crashes at every place and a clock that jumps: what must hold all the time."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

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
from bidbeacon_pipelines.requests.policy import LifecyclePolicy
from bidbeacon_pipelines.requests.transitions import (
    COMPLETED_WORDS,
    FAILURE_WORDS,
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

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
POLICY = LifecyclePolicy()
ENDS = {RequestStatus.LOADED, RequestStatus.FAILED}
MOST_STEPS = POLICY.max_attempts * 2 * (24 * 4 + 40)
"""Waits and polls of all attempts, with pauses of 15 minutes after the first ones."""

INSTANTS = st.timedeltas(timedelta(days=-40), timedelta(days=40)).map(lambda offset: START + offset)
NOT_BEFORE = st.none() | INSTANTS
REFUSALS = st.builds(
    Refused,
    failure=st.builds(
        Failure, kind=st.sampled_from(FailureKind), reason=st.just("why"), not_before=NOT_BEFORE
    ),
)
WORDS = st.sampled_from(["PENDING", "PROCESSING", "ODD", *COMPLETED_WORDS, *FAILURE_WORDS])
REPORTS = st.builds(Reported, report_id=st.just("rpt"), amazon_status=WORDS)
DONE = st.just(Reported("rpt", "COMPLETED"))
NO_ANSWERS = st.builds(NoAnswer, not_before=NOT_BEFORE)
TO_A_CREATE = REPORTS | NO_ANSWERS | REFUSALS | st.builds(RateLimited, not_before=INSTANTS)
TO_A_POLL = DONE | REPORTS | NO_ANSWERS | REFUSALS
TO_A_LOAD = st.sampled_from([Loaded(), LoadFailed("cut short")]) | REPORTS | REFUSALS


@dataclass(frozen=True)
class Sent:
    """What is known of the last create: when it went out, as the stored state counted it, and whether its fate is open."""

    attempt: int
    at: datetime
    open: bool


class OneRequest(RuleBasedStateMachine):
    """One stored request.

    A crash loses what wasn't stored; the next run decides anew from what was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stored = RequestState(status=RequestStatus.PLANNED, created_at=START)
        self.now = START
        self.known_in_flight = False
        self.sent: Sent | None = None
        self.end: RequestState | None = None

    @rule(to_a_create=TO_A_CREATE, to_a_poll=TO_A_POLL, to_a_load=TO_A_LOAD)
    def go_on(self, to_a_create: Answer, to_a_poll: Answer, to_a_load: Answer) -> None:
        """Do what is to be done now, with what Amazon says to it."""
        match decide(self.stored, self.now, POLICY):
            case Send():
                self.send()
                self.hear(to_a_create)
            case Poll():
                self.hear(to_a_poll)
            case Load():
                self.stored = loading(self.stored)
                self.hear(to_a_load)
            case RetryLater() | GiveUp() as step:
                self.turn(step)
            case Wait() | LookFor() as step:
                self.now = _until(step, self.now)

    @rule()
    def crash(self) -> None:
        """Begin what is to be done now, and die before anything of the answer is stored."""
        match decide(self.stored, self.now, POLICY):
            case Send():
                self.send()
            case Load():
                self.stored = loading(self.stored)

    @rule(by=st.timedeltas(timedelta(days=-30), timedelta(days=30)))
    def jump(self, by: timedelta) -> None:
        """Set the clock, or be away for long."""
        self.now += by

    def send(self) -> None:
        """Store that a report is being asked for, and ask: Amazon may accept it from here on."""
        assert not self.known_in_flight, "asked twice for what is in flight"
        if self.sent is not None and self.sent.open:
            patience = POLICY.grace(self.sent.attempt)
            assert not self.sent.at <= self.now < self.sent.at + patience, (
                "asked again within its grace"
            )
        self.stored = sending(self.stored, self.now, POLICY)
        self.sent = Sent(self.stored.attempts, self.now, open=True)

    def hear(self, answer: Answer) -> None:
        """Store what came of a step."""
        self.stored = answered(self.stored, answer, self.now, POLICY)
        if isinstance(answer, Reported):
            self.known_in_flight = answer.amazon_status not in FAILURE_WORDS
        elif isinstance(answer, Loaded | Refused):
            self.known_in_flight = False
        if self.sent is not None:
            self.sent = replace(self.sent, open=self.sent.open and isinstance(answer, NoAnswer))

    def turn(self, step: RetryLater | GiveUp) -> None:
        """Forget the report and ask again later, or end."""
        if isinstance(step, RetryLater):
            self.stored = retried(self.stored, step)
        else:
            self.stored = given_up(self.stored, step)
        self.known_in_flight = False

    @invariant()
    def an_end_is_for_ever(self) -> None:
        """Once it has ended, nothing is to be done and nothing changes; a failure has its reason."""
        if self.stored.status in ENDS:
            self.end = self.end or self.stored
            assert isinstance(decide(self.stored, self.now, POLICY), Nothing)
            assert self.stored.status is RequestStatus.LOADED or (
                self.stored.failure is not None and self.stored.failure.reason
            )
        assert self.end is None or self.end == self.stored

    @invariant()
    def counters_are_bounded(self) -> None:
        """Five attempts and three loads of each are the most."""
        assert 0 <= self.stored.attempts <= POLICY.max_attempts
        assert self.stored.loads <= POLICY.max_loads

    def teardown(self) -> None:
        """From wherever it is, it ends, though Amazon never says that the report is done."""
        assert _run_to_end(self.stored, self.now).status in ENDS


def _until(step: Step, now: datetime) -> datetime:
    until = (
        step.until
        if isinstance(step, Wait)
        else step.resend_at
        if isinstance(step, LookFor)
        else now
    )
    assert until > now
    return until


def _run_to_end(request: RequestState, now: datetime) -> RequestState:
    for _ in range(MOST_STEPS):
        step = decide(request, now, POLICY)
        if isinstance(step, Nothing):
            return request
        if isinstance(step, Wait | LookFor):
            now = _until(step, now)
        else:
            request = _taken(request, step, now)
    raise AssertionError(f"no end in sight: {request}")


def _taken(request: RequestState, step: Step, now: datetime) -> RequestState:
    """Take a step of a request whose report is never done, and can't be loaded."""
    match step:
        case Send():
            return answered(sending(request, now, POLICY), Reported("rpt", "PENDING"), now, POLICY)
        case Load():
            return answered(loading(request), LoadFailed("cut short"), now, POLICY)
        case RetryLater():
            return retried(request, step)
        case GiveUp():
            return given_up(request, step)
    return answered(request, Reported("rpt", "PENDING"), now, POLICY)


TestOneRequest = OneRequest.TestCase
TestOneRequest.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    "status", [RequestStatus.PLANNED, RequestStatus.SENT, RequestStatus.IN_FLIGHT]
)
def test_a_clock_set_back_delays_and_breaks_nothing(status: RequestStatus) -> None:
    """With all of its instants a month ahead, a request waits until then, and ends."""
    ahead = START + timedelta(days=30)
    request = RequestState(
        status=status,
        created_at=ahead,
        attempts=1,
        sent_at=ahead,
        report_id="rpt" if status is RequestStatus.IN_FLIGHT else None,
        next_step_at=ahead,
    )

    assert isinstance(decide(request, START, POLICY), Wait | LookFor)
    assert RequestStatus.FAILED is _run_to_end(request, START).status
