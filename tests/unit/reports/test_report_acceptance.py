"""The guards between a report and the data it would replace."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.loading.acceptance import (
    Accept,
    BadRows,
    ProductTally,
    Refuse,
    Suspicious,
    Unconfirmed,
    Verdict,
    WindowTally,
    decide_load,
    is_too_bad,
    suspicious_pause,
)


def _decided(
    old: int,
    new: int,
    bad: int | BadRows = 0,
    earlier: str | None = None,
    *,
    read_rows: int | None = None,
    should_have_rows: bool = False,
    is_final: bool = False,
    is_accepted: bool = False,
) -> Verdict:
    read = new if read_rows is None else read_rows
    rows = ProductTally(old, new, read, 0, Decimal(0), Decimal(0))
    return decide_load(
        WindowTally({"SPONSORED_PRODUCTS": rows}),
        BadRows(wrong=bad) if isinstance(bad, int) else bad,
        bad_share_limit=0.02,
        earlier=earlier,
        digest="same",
        should_have_rows=should_have_rows,
        is_final=is_final,
        is_accepted=is_accepted,
    )


@pytest.mark.parametrize(
    ("old", "new"), [(0, 0), (0, 500), (500, 500), (500, 900), (500, 50), (10, 1), (9, 1), (1, 1)]
)
def test_report_that_kept_a_tenth_of_the_rows_is_loaded(old: int, new: int) -> None:
    """A report is loaded while it has at least a tenth of the rows that were there."""
    assert Accept() == _decided(old, new)


@pytest.mark.parametrize(("old", "new"), [(1, 0), (500, 0), (500, 49), (11, 1)])
def test_report_that_lost_more_is_suspicious(old: int, new: int) -> None:
    """An empty report, or one that lost more than 90 % of its rows, does not replace data."""
    expected = Suspicious(old, new)

    assert {"code": "rows-lost", "detail": {"new_rows": new, "old_rows": old}} == expected.cause
    assert expected == _decided(old, new)
    assert expected == _decided(old, new, earlier="other")


def test_rows_of_the_ad_product_that_lost_its_own_are_counted() -> None:
    """Most rows of a report may be of another one, which lost none."""
    rows = {"SPONSORED_PRODUCTS": (900, 900), "SPONSORED_BRANDS": (100, 1)}
    products = {
        name: ProductTally(old, new, new, 0, Decimal(0), Decimal(0))
        for name, (old, new) in rows.items()
    }
    tally = WindowTally(products)
    verdict = decide_load(tally, BadRows(), bad_share_limit=0.02, earlier=None, digest="")
    assert Suspicious(100, 1, ("SPONSORED_BRANDS",)) == verdict


def test_second_report_that_says_the_same_is_loaded() -> None:
    """What a second report confirms is true."""
    assert Accept() == _decided(500, 0, earlier="same")


@pytest.mark.parametrize(
    ("new", "bad", "refused"), [(98, 2, False), (97, 3, True), (0, 1, True), (9800, 201, True)]
)
def test_share_of_bad_rows_has_a_limit(new: int, bad: int, refused: bool) -> None:  # noqa: FBT001 - a table's column
    """Over 2 % of rows that can't be understood the report is refused; exactly 2 % is loaded."""
    assert refused == isinstance(_decided(0, new, bad), Refuse)


def test_refusal_tells_the_share() -> None:
    """A refusal says how many rows of how many are bad."""
    verdict = _decided(100, 97, 3)
    assert isinstance(verdict, Refuse)
    said = "3 of 100 rows (3.0%) failed validation (3 × wrong)."
    assert said == explain(verdict.cause).sentence


def test_refusal_tells_the_two_most_frequent_causes() -> None:
    """A person sees at once what is wrong with most rows."""
    bad = BadRows({"ad.id: missing": 3, "metric.clicks: missing": 42, "campaign.id: missing": 1})
    verdict = _decided(0, 54, bad)
    assert isinstance(verdict, Refuse)
    faults = verdict.cause["detail"]["faults"]
    assert ["42 × metric.clicks: missing", "3 × ad.id: missing"] == faults


def test_bad_rows_are_compared_with_rows_before_they_are_summed() -> None:
    """One bad row of 100 is 1 %, also where the 99 others are summed to one."""
    assert Accept() == _decided(0, 1, 1, read_rows=99)


@pytest.mark.parametrize(
    ("good", "undated", "refused"), [(98, 2, False), (97, 3, True), (0, 0, False)]
)
def test_rows_without_a_date_are_judged_once_for_the_report(
    good: int, undated: int, *, refused: bool
) -> None:
    """Their share of the whole report counts, however many windows it has."""
    bad = BadRows(wrong=undated)
    assert refused == is_too_bad(bad, good, 0.02)
    assert not refused or "rows-undated" == Refuse(bad, good, is_whole_report=True).cause["code"]


@pytest.mark.parametrize(
    ("earlier", "expected"), [(None, Unconfirmed), ("other", Unconfirmed), ("same", Accept)]
)
def test_silence_that_comes_twice_is_believed(earlier: str | None, expected: type[Verdict]) -> None:
    """A country that should have rows and has none is requested once more."""
    assert isinstance(_decided(0, 0, earlier=earlier, should_have_rows=True), expected)


@pytest.mark.parametrize(
    ("is_accepted", "expected"), [(False, Suspicious), (True, Accept)], ids=["asked", "accepted"]
)
def test_no_second_report_confirms_what_final_data_lost(
    *, is_accepted: bool, expected: type[Verdict]
) -> None:
    """Only a person does, for whom bad rows are refused all the same."""
    verdict = _decided(500, 0, 0, "same", is_final=True, is_accepted=is_accepted)
    assert isinstance(verdict, expected)
    bad = _decided(500, 0, 3, "same", read_rows=97, is_final=True, is_accepted=is_accepted)
    assert isinstance(bad, Refuse)


@given(old=st.integers(0, 10**6), new=st.integers(0, 10**6), bad=st.integers(0, 10**4))
def test_data_is_never_wiped_by_one_report(old: int, new: int, bad: int) -> None:
    """A window that had data keeps it where a single report has none."""
    verdict = _decided(old, 0, bad)

    assert not isinstance(verdict, Accept) or old == 0
    assert isinstance(_decided(old, new, bad), Refuse) == (bad * 100 > 2 * (new + bad))


def test_pause_after_suspicious_reports_grows_up_to_a_day() -> None:
    """Each is four times as long as the one before."""
    pauses = [suspicious_pause(count) / timedelta(minutes=1) for count in (*range(6), 500)]
    assert [15, 60, 240, 960, 1440, 1440, 1440] == pauses
