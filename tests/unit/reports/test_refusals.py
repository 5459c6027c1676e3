"""Which refusals of a report are believed, and which are confirmed first."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset, get_dataset
from bidbeacon_pipelines.requests.refusals import doubted, is_surely_served, weighed
from bidbeacon_pipelines.requests.rules import TERMINAL_FAILURES, Failure, FailureKind
from bidbeacon_pipelines.windows.rules import oldest_served

TODAY = date(2026, 3, 15)
REJECTED = Failure(FailureKind.REJECTED, cause("request-refused"))
TOO_OLD = Failure(FailureKind.TOO_OLD, cause("report-too-old"))


def kind_of(
    failure: Failure, before: Failure | None = None, *, surely_served: bool = True
) -> FailureKind:
    """Return the kind that a failure is weighed as."""
    return weighed(failure, before, surely_served=surely_served).kind


def test_an_odd_rejection_is_believed_when_it_comes_twice_in_a_row() -> None:
    """The first one is to be confirmed; another kind of doubt in between confirms nothing."""
    once = weighed(REJECTED, None, surely_served=True)
    assert FailureKind.REJECTED_ONCE == once.kind
    assert FailureKind.REJECTED == kind_of(REJECTED, once)
    assert FailureKind.REJECTED_ONCE == kind_of(
        REJECTED, weighed(TOO_OLD, None, surely_served=True)
    )


def test_too_old_is_confirmed_only_of_days_that_amazon_surely_serves() -> None:
    """At the old end of history Amazon is believed at once, and never asked again."""
    assert FailureKind.TOO_OLD == kind_of(TOO_OLD, surely_served=False)
    assert FailureKind.TOO_OLD_ONCE == kind_of(TOO_OLD)
    assert FailureKind.TOO_OLD == kind_of(TOO_OLD, weighed(TOO_OLD, None, surely_served=True))


@pytest.mark.parametrize("code", ["field-refused", "fields-refused-together"])
def test_what_amazon_says_of_fields_is_believed_at_once(code: str) -> None:
    """It is about the request itself."""
    assert FailureKind.REJECTED == kind_of(Failure(FailureKind.REJECTED, cause(code)))


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_the_last_week_of_history_is_not_surely_served(dataset: Dataset) -> None:
    """A week younger than the oldest day is; a day less is not."""
    oldest = oldest_served(dataset, TODAY)
    assert is_surely_served(dataset, oldest + timedelta(days=7), TODAY)
    assert not is_surely_served(dataset, oldest + timedelta(days=6), TODAY)


def test_a_doubted_refusal_is_asked_again_with_its_cause_kept() -> None:
    """No doubted kind ends a request; what Amazon said stays readable."""
    for kind in (FailureKind.REJECTED, FailureKind.TOO_OLD, FailureKind.NOT_AUTHORIZED):
        failure = Failure(kind, cause("request-refused", detail={"reason": "no"}))
        assert doubted(failure).kind not in TERMINAL_FAILURES
        assert failure.cause == doubted(failure).cause


def test_other_failures_stay_what_they_are() -> None:
    """What isn't a refusal has rules of its own."""
    lost = Failure(FailureKind.NOT_FOUND, cause("not-found"))
    assert lost == weighed(lost, None, surely_served=True) == doubted(lost)


def test_a_dataset_of_days_serves_last_year() -> None:
    """The rule asks the dataset, not a fixed number of days."""
    assert is_surely_served(get_dataset("daily_targets"), date(2025, 3, 15), TODAY)
