"""Tests of how tests wait."""

from types import SimpleNamespace

import pytest

from tests.support.waiting import wait_until


def test_what_never_came_true_is_in_the_failure() -> None:
    """With the last value, so that the reader sees how far it got."""
    with pytest.raises(AssertionError, match=r"not true after 0 s: the loaf is baked; found: \[\]"):
        wait_until(list, "the loaf is baked", seconds=0)


def test_a_condition_without_a_name_is_quoted() -> None:
    """Its source says what was waited for."""
    oven = SimpleNamespace(is_hot=False)
    with pytest.raises(AssertionError, match=r"lambda: oven\.is_hot"):
        wait_until(lambda: oven.is_hot, seconds=0)


def test_waiting_ends_when_the_condition_holds() -> None:
    """It is asked again and again."""
    answers = iter([False, False, True])
    assert 0 < wait_until(lambda: next(answers), seconds=30) < 30
