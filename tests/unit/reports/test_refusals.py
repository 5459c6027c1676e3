"""Which refusals of a report are believed, and which are confirmed first."""

import pytest

from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.requests.refusals import doubted, weighed
from bidbeacon_pipelines.requests.rules import TERMINAL_FAILURES, FailureKind, RequestFailure

REJECTED = RequestFailure(FailureKind.REJECTED, cause("request-refused"))
TOO_OLD = RequestFailure(FailureKind.TOO_OLD, cause("report-too-old"))


def kind_of(
    failure: RequestFailure, before: RequestFailure | None = None, *, is_part: bool = False
) -> FailureKind:
    """Return the kind that a failure is weighed as."""
    return weighed(failure, before, is_part=is_part).kind


def test_an_odd_rejection_is_believed_when_it_comes_twice_in_a_row() -> None:
    """The first one is to be confirmed; another refusal in between confirms nothing."""
    once = weighed(REJECTED, None, is_part=False)
    assert FailureKind.NO_REPORT == once.kind
    assert FailureKind.REJECTED == kind_of(REJECTED, once)
    assert FailureKind.NO_REPORT == kind_of(REJECTED, weighed(TOO_OLD, None, is_part=False))


def test_too_old_is_confirmed_but_of_a_part_of_a_refused_report() -> None:
    """The part is what confirms it."""
    assert FailureKind.TOO_OLD == kind_of(TOO_OLD, is_part=True)
    assert FailureKind.NO_REPORT == kind_of(TOO_OLD)
    assert FailureKind.TOO_OLD == kind_of(TOO_OLD, weighed(TOO_OLD, None, is_part=False))


@pytest.mark.parametrize("code", ["field-refused", "fields-refused-together"])
def test_what_amazon_says_of_fields_is_believed_at_once(code: str) -> None:
    """It is about the request itself."""
    assert FailureKind.REJECTED == kind_of(RequestFailure(FailureKind.REJECTED, cause(code)))


def test_a_doubted_refusal_is_asked_again_with_its_cause_kept() -> None:
    """No doubted kind ends a request; what Amazon said stays readable."""
    for kind in (FailureKind.REJECTED, FailureKind.TOO_OLD, FailureKind.NOT_AUTHORIZED):
        failure = RequestFailure(kind, cause("request-refused", detail={"reason": "no"}))
        assert doubted(failure).kind not in TERMINAL_FAILURES
        assert failure.cause == doubted(failure).cause


def test_other_failures_stay_what_they_are() -> None:
    """What isn't a refusal has rules of its own."""
    lost = RequestFailure(FailureKind.NO_REPORT, cause("not-found"))
    assert lost == weighed(lost, None, is_part=False) == doubted(lost)
