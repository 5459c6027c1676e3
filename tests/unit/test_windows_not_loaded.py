"""The error that says which of the requested windows were not loaded, and why."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError

DAY = date(2026, 11, 16)
INK = cause("report-failed", status="FAILED", detail={"reason": "Out of ink."})


def error_of(*of_each_day: Cause) -> WindowNotLoadedError:
    """Return the error of days that follow each other."""
    causes = {DAY + timedelta(days=number): one for number, one in enumerate(of_each_day)}
    return WindowNotLoadedError("daily_targets", causes)


@pytest.mark.parametrize(
    ("count", "days"),
    [
        (1, "1 window was not loaded. 2026-11-16"),
        (120, "120 windows were not loaded. 2026-11-16, 2026-11-17, 2026-11-18 and 117 more"),
    ],
)
def test_a_cause_is_given_once_with_its_first_days(count: int, days: str) -> None:
    """With what helps."""
    assert str(error_of(*[INK] * count)) == (
        f"daily_targets: {days}: Amazon reported FAILED (Out of ink). "
        "Load the days again, or wait until they are due."
    )


def test_causes_that_differ_in_detail_only_are_one() -> None:
    """Whatever Amazon said of each day; the session's error has each once."""
    jam = cause("report-failed", status="FAILED", detail={"reason": "Jam"})
    cancelled = cause("report-failed", status="CANCELLED")
    error = error_of(INK, cancelled, jam)
    assert error.failure_cause["causes"] == [
        {"code": "report-failed", "status": "FAILED"},
        {"code": "report-failed", "status": "CANCELLED"},
    ]
    assert "2026-11-16, 2026-11-18: Amazon reported FAILED (Out of ink)." in str(error)


def test_of_many_causes_five_are_given() -> None:
    """The days of the others are counted."""
    many = [cause("field-refused", field=field) for field in "abcdefgh"]
    assert str(error_of(*many)).endswith("(and 3 more).")
