"""When a request that ended without a report is asked for again in shorter periods."""

import pytest

from bidbeacon_pipelines.reports.lifecycle import Failure, FailureKind
from bidbeacon_pipelines.reports.splitting import shorter_period


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
