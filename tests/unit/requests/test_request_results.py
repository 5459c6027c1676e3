"""What Amazon's responses and the client's errors mean for a request."""

from datetime import UTC, datetime, timedelta

import pytest

from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    OutcomeUnknown,
    Throttled,
    Unavailable,
)
from bidbeacon_pipelines.amazon_ads.reports import Report
from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.requests.results import (
    of_failed_create,
    of_failed_load,
    of_failed_poll,
    of_report,
)
from bidbeacon_pipelines.requests.rules import (
    FailureKind,
    NoAnswer,
    NotMade,
    Reported,
    RequestFailure,
)
from bidbeacon_pipelines.values.decode import BrokenPartError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.mark.parametrize("word", ["IN_PROGRESS", "WARMING_UP"])
def test_status_that_ends_nothing_is_kept_as_it_came(word: str) -> None:
    """A word that is not known counts as being made."""
    assert Reported("rpt-1", word) == of_report(Report(report_id="rpt-1", raw_status=word))


def test_adopted_report_says_when_it_was_begun() -> None:
    """Its data may be older than the create that found it."""
    report = Report(report_id="rpt-1", raw_status="COMPLETED", created_at=NOW)
    expected = Reported("rpt-1", "COMPLETED", is_complete=True, is_adopted=True, made_at=NOW)
    assert expected == of_report(report, adopted=True)


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [(None, None, "no reason given"), ("BROKEN", "It broke", "BROKEN: It broke")],
)
def test_failed_report_is_a_failure(code: str | None, reason: str | None, said: str) -> None:
    """With Amazon's reason and code."""
    report = Report(report_id="r", raw_status="FAILED", failure_code=code, failure_reason=reason)
    detail = {"reason": said, "amazon_code": code}
    why = cause("report-failed", status="FAILED", detail=detail)
    assert RequestFailure(FailureKind.REPORT_FAILED, why) == of_report(report)


def test_a_report_that_is_too_large_says_so_in_words() -> None:
    """Amazon has no code for it."""
    large = "Report too large"
    report = Report(report_id="r", raw_status="FAILED", failure_reason=large)
    why = cause("report-too-large", detail={"reason": large})
    assert RequestFailure(FailureKind.TOO_LARGE, why) == of_report(report)


def test_throttled_create_may_have_been_accepted() -> None:
    """Only the create's own 429 leaves its outcome unknown; that of the token stops it before."""
    error = Throttled("slow down", retry_after=60)
    unknown = of_failed_create(OutcomeUnknown(error), NOW)
    assert isinstance(unknown, NoAnswer)
    assert (LATER, True) == (unknown.not_before, unknown.is_throttled)
    assert NotMade(LATER, error.failure_cause) == of_failed_create(error, NOW)


@pytest.mark.parametrize("error", [Unavailable("busy"), Throttled("slow down")])
def test_poll_without_answer_says_nothing_of_the_report(error: AdsApiError) -> None:
    """It is polled again later."""
    assert NoAnswer(error.failure_cause) == of_failed_poll(error, NOW)


def test_throttled_load_was_not_tried() -> None:
    """A file that is refused with 429 is no failed load; one that is cut short is."""
    slow = Throttled("slow down")
    assert NotMade(LATER, slow.failure_cause) == of_failed_load(slow, NOW, LATER)
    broken = BrokenPartError("part 1", 0, "a cut")
    assert NoAnswer(broken.failure_cause) == of_failed_load(broken, NOW, LATER)
