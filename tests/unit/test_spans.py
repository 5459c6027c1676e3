"""Where a session's time went: steps without gaps, own work and waiting told apart."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.actions import ReportProcessed, ReportRequested, WindowsQueued
from bidbeacon_sessions import Action
from bidbeacon_sessions.spans import MOST_STEPS, describe_time, divide_time
from tests.support.recorded_sessions import NOON


class OvenHeated(Action):
    """The oven was heated."""

    sentence = "Heated the oven"
    ends_wait_for = "the oven"
    own_seconds = "kneading"

    kneading: float = 0


class DoughMade(Action):
    """Dough was made."""

    sentence = "Made dough"


def row(number: int, action_type: str, seconds: float, **payload: Any) -> dict[str, Any]:
    """Return a stored action of so many seconds after the start."""
    at = NOON + timedelta(seconds=seconds)
    return {"ord": number, "type": action_type, "at": at, "payload": payload}


def session(seconds: float | None) -> dict[str, Any]:
    """Return the header of a session that ended after so many seconds, or goes on."""
    ended = None if seconds is None else NOON + timedelta(seconds=seconds)
    return {"started_at": NOON, "finished_at": ended}


def test_waiting_ends_with_an_action_and_own_work_comes_last() -> None:
    """The class of the action says what was waited for, and its payload how long the work afterwards took.

    Of each step: what was waited for, from when and how long, and the action that ended it.
    """
    actions = [row(1, "of-other-code", 2), row(2, "oven-heated", 12, kneading=3)]
    assert [
        (None, 0, 2, 1),
        ("the oven", 2, 7, 2),
        (None, 9, 3, 2),
        (None, 12, 1, None),
    ] == [tuple(step.values()) for step in describe_time(session(13), actions)["steps"]]


@pytest.mark.parametrize("payload", [{"kneading": 99}, {"kneading": "x"}, {"cut": {}}], ids=str)
def test_a_payload_that_does_not_fit_breaks_nothing(payload: dict[str, Any]) -> None:
    """Own work is at most the whole step, and what is not readable counts as waiting."""
    steps = describe_time(session(4), [row(1, "oven-heated", 4, **payload)])["steps"]
    assert [(0, 4)] == [(step["start"], step["seconds"]) for step in steps]


def test_a_report_tells_the_gate_amazon_and_the_load_apart() -> None:
    """Queued ends the wait for a free slot, requested and loaded that for Amazon, and loading is own work."""
    actions = [
        row(1, WindowsQueued.type, 10),
        row(2, ReportRequested.type, 11),
        row(3, ReportProcessed.type, 100, load_seconds=9),
    ]
    told = describe_time(session(100), actions)["sums"]
    sums = {one["waits_for"]: one["seconds"] for one in told}
    assert {None: 9, "a free report slot": 10, "Amazon": 81}.items() <= sums.items()


@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 500), st.integers(0, 60)), max_size=40))
def test_steps_follow_each_other_without_a_gap(drawn: list[tuple[bool, int, int]]) -> None:
    """Whatever the clock did between two actions: the steps cover the time once, and the longest are shown."""
    seconds, actions = 0, []
    for number, (waits, later, own) in enumerate(drawn, start=1):
        seconds += later
        action_type = "oven-heated" if waits else "dough-made"
        actions.append(row(number, action_type, seconds, kneading=own))
    end = 0.0
    for step in divide_time(NOON, None, actions):
        assert (end, True) == (step.start, step.seconds > 0)
        end = step.start + step.seconds
    assert max([0, *((action["at"] - NOON).total_seconds() for action in actions)]) == end
    time = describe_time(session(None), actions)
    assert len(time["steps"]) <= MOST_STEPS
    assert end == sum(one["seconds"] for one in time["sums"])
    assert end == sum(step["seconds"] for step in time["steps"]) + time["more"]["seconds"]
