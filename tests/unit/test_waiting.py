"""Tests of how tests wait."""

import pytest

from tests.support.waiting import wait_until


def test_waiting_in_vain_fails() -> None:
    """With what was waited for and the last value, so that the reader sees how far it got."""
    with pytest.raises(AssertionError, match=r"not true after 0 s: the loaf is baked; found: \[\]"):
        wait_until(list, "the loaf is baked", seconds=0)
