"""What a load records: an action for each account's rows, and one for each cause that windows were left for."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from bidbeacon_pipelines.actions import (
    ReportFailed,
    ReportProcessed,
    ReportSuspicious,
    SkipReason,
    WindowSkipped,
)
from bidbeacon_pipelines.datasets.registry import DatasetReport, get_dataset
from bidbeacon_pipelines.loading.acceptance import BadRows, Refuse, Suspicious
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.loading.load_actions import LoadFacts, actions_of_load
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_sessions import Action
from bidbeacon_sessions.actions import render_action
from bidbeacon_sessions.sentences import plain_text

FIRST = date(2026, 3, 1)
AS_OF = datetime(2026, 3, 3, tzinfo=UTC)
MISSING, NEGATIVE = "metric.clicks: missing", "metric.clicks: negative"


def recorded(results: Mapping[str, LoadResult], dataset: str = "daily_targets") -> list[Action]:
    """Return what the load of a report of two countries records."""
    report = DatasetReport(get_dataset(dataset), ("SPONSORED_PRODUCTS",))
    scope = ReportScope(report, 7, AS_OF, (FIRST, FIRST), uuid4())
    currencies = {"US.1": "USD", "DE.1": "EUR"}
    facts = LoadFacts(scope, "acme.1kc1bk21", "rpt-1", currencies, 1, 9, 0.5)
    return actions_of_load(results, facts)


def refused(days: int, fault: str = MISSING, *, start: date = FIRST) -> dict[date, Refuse]:
    """Return verdicts on following days, each with another number of bad rows of one fault."""
    return {start + timedelta(days=n): Refuse(BadRows({fault: 3 + n % 2}), 97) for n in range(days)}


def text_of(action: Action) -> str:
    """Return an action's sentence."""
    return plain_text(render_action(action.type, action.model_dump(mode="json")))


def test_a_report_is_refused_in_one_action_however_many_days_it_has() -> None:
    """The counts of its days are added up."""
    [action] = recorded({"US.1": LoadResult(refused=refused(120))})
    assert (
        "Report of daily_targets failed for 120 days: 420 of 12,060 rows (3.5%) failed validation "
        "(420 × metric.clicks: missing). 2026-03-01 … 2026-06-28 (report rpt-1)"
    ) == text_of(action)


@pytest.mark.parametrize(
    ("dataset", "spend"),
    [("daily_targets", ", spend 0.00 USD,"), ("daily_purchased_products", "")],
)
def test_spend_is_said_of_a_dataset_that_has_some(dataset: str, spend: str) -> None:
    """Also where it is 0; of a dataset without spend nothing is said."""
    [action] = recorded({"US.1": LoadResult(loaded=[FIRST], rows=3)}, dataset)
    assert f"Loaded 3 rows of {dataset}{spend} for 1 window 2026-03-01" == text_of(action)


def test_days_that_are_refused_for_invalid_rows_are_one_action_whatever_the_fault() -> None:
    """It names the most frequent ones."""
    other = FIRST + timedelta(days=9)
    days = refused(2) | refused(1, NEGATIVE, start=other)
    [action] = recorded({"US.1": LoadResult(refused=days)})
    assert isinstance(action, ReportFailed)
    faults = action.cause["detail"]["faults"]
    assert ["7 × metric.clicks: missing", "3 × metric.clicks: negative"] == faults


def test_one_cause_in_several_countries_is_one_action_with_the_windows_of_each() -> None:
    """So a filter by an account or a window finds it."""
    results = {"DE.1": LoadResult(refused=refused(2)), "US.1": LoadResult(refused=refused(1))}
    [action] = recorded(results)
    assert isinstance(action, ReportFailed)
    assert "acme.1kc1bk21" == action.account
    assert [("DE.1", "2026-03-01"), ("DE.1", "2026-03-02"), ("US.1", "2026-03-01")] == [
        (reference.account, reference.window) for reference in action.references()
    ]


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Suspicious(300, 1), (None, 3, 900)),
        (Suspicious(100, 1, ("SPONSORED_BRANDS",)), (["Sponsored Brands"], 3, 300)),
    ],
)
def test_suspicious_days_are_added_up(
    verdict: Suspicious, told: tuple[list[str] | None, int, int]
) -> None:
    """In all, or of the ad product that lost its rows."""
    days = [FIRST + timedelta(days=n) for n in range(3)]
    result = LoadResult(suspicious=dict.fromkeys(days, verdict))
    [action] = recorded({"US.1": result})
    assert isinstance(action, ReportSuspicious)
    counts = action.cause["detail"]
    assert days == action.windows
    assert told == (action.cause.get("ad_products"), counts["new_rows"], counts["old_rows"])


def test_only_the_last_action_ends_the_request() -> None:
    """What was loaded in one country comes before what was refused in another."""
    results = {"DE.1": LoadResult(refused=refused(2)), "US.1": LoadResult(loaded=[FIRST])}
    loaded, failed = recorded(results)
    assert isinstance(loaded, ReportProcessed)
    assert isinstance(failed, ReportFailed)
    assert (True, False) == (loaded.more_countries, failed.more_countries)


@pytest.mark.parametrize(
    ("reason", "verb"),
    [
        (SkipReason.WAITS_FOR_AMAZON, "Waiting with"),
        (SkipReason.WAITS_FOR_COUNTRIES, "Waiting with"),
        (SkipReason.WORKED_ON_ELSEWHERE, "Waiting with"),
        (SkipReason.NOT_OVER, "Skipped"),
        (SkipReason.ALREADY_FRESH, "Skipped"),
    ],
)
def test_windows_that_are_loaded_later_wait_and_are_not_skipped(
    reason: SkipReason, verb: str
) -> None:
    """The sentence says so; the milestone is the same."""
    skipped = WindowSkipped(
        account="US.1", dataset="daily_targets", windows=[FIRST], reason=reason, detail="why"
    )
    expected = f"{verb} 1 window of daily_targets: {reason} 2026-03-01 (why)"
    assert ("window-skipped", expected) == (skipped.type, text_of(skipped))
