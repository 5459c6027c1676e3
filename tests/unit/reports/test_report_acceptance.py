"""The guards between a report and the data it would replace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.reports.acceptance import Accept, HeldReport, Hold, Refuse, Verdict, decide_load


def _decided(old: int, new: int, bad: int = 0, held: str | None = None) -> Verdict:
    return decide_load(
        old,
        new,
        bad,
        bad_share_limit=0.02,
        held_before=None if held is None else HeldReport(held, rows=new),
        digest="same",
    )


@pytest.mark.parametrize(
    ("old", "new"), [(0, 0), (0, 500), (500, 500), (500, 900), (500, 50), (10, 1), (9, 1), (1, 1)]
)
def test_report_that_kept_a_tenth_of_the_rows_is_loaded(old: int, new: int) -> None:
    """A report is loaded while it has at least a tenth of the rows that were there."""
    assert Accept(f"{new} rows in place of {old}") == _decided(old, new)


@pytest.mark.parametrize(("old", "new"), [(1, 0), (500, 0), (500, 49), (11, 1)])
def test_report_that_lost_more_is_held(old: int, new: int) -> None:
    """An empty report, or one that lost more than 90 % of its rows, does not replace data."""
    expected = Hold(f"{new} rows where {old} were: waiting for a second report that says the same")

    assert expected == _decided(old, new)
    assert expected == _decided(old, new, held="other")


def test_second_report_that_says_the_same_is_loaded() -> None:
    """What a second report confirms is true."""
    expected = Accept("0 rows in place of 500: a second report says the same")

    assert expected == _decided(500, 0, held="same")


@pytest.mark.parametrize(
    ("new", "bad", "refused"), [(98, 2, False), (97, 3, True), (0, 1, True), (9800, 201, True)]
)
def test_share_of_bad_rows_has_a_limit(new: int, bad: int, refused: bool) -> None:  # noqa: FBT001 - a table's column
    """Over 2 % of rows that can't be understood the report is refused; exactly 2 % is loaded."""
    assert refused == isinstance(_decided(0, new, bad), Refuse)


def test_refusal_tells_the_share() -> None:
    """A refusal says how many rows of how many are bad."""
    assert Refuse("3 of 100 rows (3.0%) can't be understood") == _decided(100, 97, 3)


@given(old=st.integers(0, 10**6), new=st.integers(0, 10**6), bad=st.integers(0, 10**4))
def test_data_is_never_wiped_by_one_report(old: int, new: int, bad: int) -> None:
    """A window that had data keeps it where a single report has none."""
    verdict = _decided(old, 0, bad)

    assert not isinstance(verdict, Accept) or old == 0
    assert isinstance(_decided(old, new, bad), Refuse) == (bad * 100 > 2 * (new + bad))
