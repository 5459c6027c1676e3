"""When a request that ended without a report is asked for again in shorter periods."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS
from bidbeacon_pipelines.requests.rules import Failure, FailureKind
from bidbeacon_pipelines.requests.splitting import longest_period, shorter_period


@pytest.mark.parametrize(
    ("kind", "days", "longest", "expected"),
    [
        (FailureKind.TOO_LARGE, 120, 120, 60),
        (FailureKind.TOO_LARGE, 7, 120, 3),
        (FailureKind.TOO_LARGE, 2, 120, 1),
        (FailureKind.TOO_LARGE, 1, 120, None),
        (FailureKind.REPORT_FAILED, 120, 120, 60),
        (FailureKind.REPORT_FAILED, 30, 30, 15),
        (FailureKind.REPORT_FAILED, 119, 120, None),
        (FailureKind.STUCK, 120, 120, None),
        (FailureKind.TOO_OLD, 120, 120, None),
    ],
)
def test_shorter_period(kind: FailureKind, days: int, longest: int, expected: int | None) -> None:
    """What is too large is halved, down to a day; so is the longest period where it failed in every attempt."""
    assert expected == shorter_period(Failure(kind, "because"), days=days, longest_days=longest)


def test_no_failure_splits_nothing() -> None:
    """A request that ended for another reason than a failure is not split."""
    assert shorter_period(None, days=120, longest_days=120) is None


@pytest.mark.parametrize(
    ("days_ago", "expected"),
    [(0, 15), (27, 15), (28, 30), (55, 30), (56, 60), (84, 120), (4_000, 120), (-3, 15)],
)
def test_a_learned_period_grows_back(days_ago: int, expected: int) -> None:
    """It doubles every four weeks, up to Amazon's own limit; a clock that was wrong shortens nothing."""
    today = date(2026, 6, 1)
    learned = {"daily_targets": (15, today - timedelta(days=days_ago))}
    assert expected == longest_period(DAILY_TARGETS, learned, today)


def test_nothing_learned_is_amazons_limit() -> None:
    """Another dataset's limit says nothing."""
    today = date(2026, 6, 1)
    assert 120 == longest_period(DAILY_TARGETS, {"hourly_targets": (7, today)}, today)
