"""A request at random, with crashes at every place and a clock that jumps: it always ends, and is never requested twice at once."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.requests import rules
from bidbeacon_pipelines.requests.tables import ReportRequest
from tests.unit.requests.test_request_rules import NOW, PLANNED

MOST_STEPS = rules.MAX_ATTEMPTS * 2 * (24 * 4 + 40)
"""Waits and polls of all attempts, with pauses of 15 minutes after the first ones."""
INSTANTS = st.timedeltas(timedelta(days=-40), timedelta(days=40)).map(lambda offset: NOW + offset)
NOT_BEFORE = st.none() | INSTANTS
WHY = cause("unreachable")
FAILURES = st.builds(
    rules.RequestFailure,
    st.sampled_from(rules.FailureKind),
    cause=st.just(WHY),
    not_before=NOT_BEFORE,
)
RESULTS = (
    st.builds(rules.Reported, st.just("rpt"), st.just("PENDING"), is_complete=st.booleans())
    | st.builds(rules.NoAnswer, st.just(WHY), NOT_BEFORE)
    | st.builds(rules.NotMade, INSTANTS)
    | FAILURES
)


class OneRequest(RuleBasedStateMachine):
    """One stored request. A crash loses what wasn't stored; the next run decides anew from what was."""

    def __init__(self) -> None:
        super().__init__()
        self.row, self.now = PLANNED, NOW
        self.end: ReportRequest | None = None
        self.is_in_flight = False
        self.unanswered_until = NOW

    @rule(result=RESULTS, loaded=st.booleans())
    def go_on(self, result: rules.Result, *, loaded: bool) -> None:
        """Take the next step, with any result; wait where there is none."""
        step = rules.next_step(self.row, self.now)
        if step is None and self.row.next_step_at is not None:
            self.now = max(self.now, self.row.next_step_at)
        if step is None:
            return
        self.begin()
        if isinstance(step, rules.Create | rules.Poll | rules.Load):
            found = rules.Loaded() if loaded and isinstance(step, rules.Load) else result
            self.row = rules.apply(self.row, found, self.now)
            self.is_in_flight = self.row.report_id is not None and self.row.failure_kind is None
            if not isinstance(result, rules.NoAnswer):
                self.unanswered_until = self.now

    @rule()
    def begin(self) -> None:
        """Begin the next step, and die before its result is stored."""
        step = rules.next_step(self.row, self.now)
        if isinstance(step, rules.Create):
            assert not self.is_in_flight, "requested twice"
            assert self.now >= self.unanswered_until, "requested again within its grace"
            self.unanswered_until = self.now + rules.grace(self.row.attempts + 1)
        if isinstance(step, rules.Retry | rules.GiveUp):
            self.is_in_flight = False
        if step is not None:
            self.row = rules.apply(self.row, step, self.now)

    @rule(by=st.timedeltas(timedelta(0), timedelta(days=30)))
    def be_away(self, by: timedelta) -> None:
        """Let time pass while no process looks."""
        self.now += by

    @rule(by=st.timedeltas(timedelta(0), timedelta(days=30)))
    def set_back(self, by: timedelta) -> None:
        """Set the clock back: nothing is known of graces then."""
        self.now -= by
        self.unanswered_until = self.now

    @invariant()
    def an_end_is_for_ever(self) -> None:
        """Once it has ended nothing is to be done; a failure has its cause."""
        if self.row.status in {"loaded", "failed"}:
            self.end = self.end or self.row
            assert rules.next_step(self.row, self.now) is None
            assert self.row.finished_at is not None
            assert self.row.status == "loaded" or self.row.cause
        assert self.end is None or self.end is self.row

    @invariant()
    def counters_are_bounded(self) -> None:
        """Five attempts and three loads of each are the most."""
        assert 0 <= self.row.attempts <= rules.MAX_ATTEMPTS
        assert 0 <= self.row.loads <= rules.MAX_LOADS

    def teardown(self) -> None:
        """From wherever it is, it ends, though no report is ever ready and no file can be loaded."""
        for _ in range(MOST_STEPS):
            if self.row.finished_at is not None:
                return
            step = rules.next_step(self.row, self.now)
            if step is not None:
                self.row = rules.apply(self.row, step, self.now)
            if isinstance(step, rules.Create | rules.Poll):
                self.row = rules.apply(self.row, rules.Reported("rpt", "PENDING"), self.now)
            elif isinstance(step, rules.Load):
                self.row = rules.apply(self.row, rules.NoAnswer(WHY), self.now)
            elif step is None:
                assert self.row.next_step_at is not None
                assert self.row.next_step_at > self.now
                self.now = self.row.next_step_at
        assert self.row.finished_at is not None, f"no end in sight: {self.row.status}"


TestOneRequest = OneRequest.TestCase
TestOneRequest.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
