"""The gate through which reports of one client id and region are created: how it learns Amazon's limits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.requests import gate_rules as gates
from bidbeacon_pipelines.requests.tables import ReportGate

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NEW = ReportGate(
    in_flight_limit=2.0,
    pace=gates.SHORTEST_PACE,
    next_create_at=NOW,
    refusals=0,
    refused_count=0,
    closed_for=timedelta(0),
)


def may_create(gate: ReportGate, in_flight: int, now: datetime = NOW) -> bool:
    """Return whether a report may be created now."""
    return gates.time_to_next_create(gate, in_flight, now) == timedelta(0)


def test_two_reports_are_in_flight_at_first() -> None:
    """Nothing is known yet: a third report has to wait."""
    assert [True, True, False] == [may_create(NEW, in_flight) for in_flight in range(3)]


def test_creates_keep_their_pace() -> None:
    """After one create the next waits for the pace, however many places are free."""
    gate = gates.entered(NEW.with_changes(in_flight_limit=9.0, pace=10 * SECOND), NOW)
    assert [False, True] == [may_create(gate, 0, NOW + seconds * SECOND) for seconds in (9, 10)]


def test_the_pace_counts_from_the_answer() -> None:
    """A create that waited for its token goes out late; the next one is a pace behind it all the same."""
    began, late = gates.entered(NEW, NOW), NOW + SECOND
    for gate in (gates.accepted(began, 1, late), gates.answered(began, late)):
        assert late + gates.SHORTEST_PACE == gate.next_create_at


def test_a_refused_create_halves_the_limit_and_closes_the_gate_for_minutes() -> None:
    """Nothing is created for 2 to 5 minutes, and half as much at once afterwards, but never less than one."""
    for jitter, closure in enumerate(gates.FIRST_CLOSURE):
        closed = gates.refused(NEW.with_changes(in_flight_limit=5.0), NOW, jitter=jitter)
        assert (2.5, NOW + closure) == (closed.in_flight_limit, closed.next_create_at)
        assert 2 * gates.SHORTEST_PACE == closed.pace
    assert 1 == gates.refused(NEW.with_changes(in_flight_limit=1.0), NOW, jitter=0).in_flight_limit


def test_refusals_in_a_row_close_it_twice_as_long_up_to_an_hour() -> None:
    """2, 4, 8, 16, 32 minutes, and then an hour each time."""
    gate, closures = NEW, []
    for _ in range(7):
        gate = gates.refused(gate, NOW, jitter=0)
        closures.append((gate.next_create_at - NOW) / MINUTE)
    assert [2, 4, 8, 16, 32, 60, 60] == closures
    assert gates.LONGEST_PACE >= gate.pace


def test_a_closed_gate_opens_for_one_probe() -> None:
    """When the time is over one create goes alone; the others wait for its answer, or two minutes where none comes."""
    gate = gates.refused(NEW.with_changes(in_flight_limit=8.0), NOW, jitter=0)
    opens = gate.next_create_at
    assert may_create(gate, 0, opens)
    probing = gates.entered(gate, opens)
    assert not may_create(probing, 1, opens + gates.PROBE_LASTS - SECOND)
    assert may_create(probing, 1, opens + gates.PROBE_LASTS)
    opened = gates.accepted(probing, 1, opens + 5 * SECOND)
    assert (0, opens + 5 * SECOND + opened.pace) == (opened.refusals, opened.next_create_at)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (30 * SECOND, 2 * MINUTE),
        (3 * HOUR, 3 * HOUR),
        (timedelta(days=9), gates.LONGEST_REQUESTED_CLOSURE),
    ],
)
def test_amazons_wish_is_heeded_where_it_is_longer(wish: timedelta, expected: timedelta) -> None:
    """A `Retry-After` lengthens the closure, up to a day."""
    assert NOW + expected == gates.refused(NEW, NOW, jitter=0, not_before=NOW + wish).next_create_at


def test_ten_accepted_creates_at_the_limit_make_room_for_one_more() -> None:
    """Only creates that fill the last place raise the limit: others say nothing about it."""
    gate = NEW
    for _ in range(10):
        gate = gates.accepted(gate, 1, NOW)
    assert 2 == int(gate.in_flight_limit)
    for _ in range(10):
        gate = gates.accepted(gate, int(gate.in_flight_limit), NOW)
    assert 3 == int(gate.in_flight_limit)


@given(st.lists(st.one_of(st.just("accepted"), st.floats(0, 1)), max_size=60))
def test_limits_stay_within_their_bounds(answers: list[str | float]) -> None:
    """Whatever Amazon answers, at least one report may be in flight, and the gate opens again within an hour."""
    gate = NEW
    for answer in answers:
        gate = gates.entered(gate, NOW)
        if isinstance(answer, str):
            gate = gates.accepted(gate, int(gate.in_flight_limit), NOW)
        else:
            gate = gates.refused(gate, NOW, jitter=answer)
        assert 1 <= int(gate.in_flight_limit) <= gates.LARGEST_LIMIT
        assert gates.SHORTEST_PACE <= gate.pace <= gates.LONGEST_PACE
        assert gate.next_create_at <= NOW + gates.LONGEST_CLOSURE
