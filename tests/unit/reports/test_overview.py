"""Tests of the summary of all accounts' windows, by state and by cause."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from bidbeacon_pipelines.problems.overview import Group, find_problems, summarize_datasets
from bidbeacon_pipelines.windows.coverage_rules import WindowSigns, WindowState

NOON = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
FAILED = WindowSigns("failed")
LATE = WindowSigns("loaded", is_due=True, is_overdue=True)


def group(
    signs: WindowSigns = FAILED,
    windows: int = 1,
    reason: str | None = None,
    *,
    dataset: str = "daily_targets",
    hours: int = 0,
) -> Group:
    """Return windows of one dataset, which have been so for some hours."""
    since = NOON - timedelta(hours=hours)
    return Group(dataset, signs, windows, windows, since, ("US.a",), date(2026, 7, 20), reason)


def test_what_has_no_sign_is_fresh() -> None:
    """Of all windows of a dataset, those that are in no group."""
    [told] = summarize_datasets({"daily_targets": 100}, [group(windows=2), group(LATE, 3)])
    assert {WindowState.FRESH: 95, WindowState.FAILED: 2, WindowState.LATE: 3} == told.states


def test_a_cause_is_one_problem_in_all_datasets() -> None:
    """Since when the first is so, with the dataset that has the most windows first."""
    few = group(windows=2, reason="43 of 1,500 rows failed validation", hours=9)
    many = group(
        windows=5, reason="7 of 90 rows failed validation", dataset="daily_products", hours=3
    )
    [told] = find_problems([few, many])
    assert (7, NOON - timedelta(hours=9)) == (told.windows, told.since)
    assert ["daily_products", "daily_targets"] == list(told.datasets)
    assert told.window_date is None


def test_the_worst_state_comes_first() -> None:
    """Failed before late, however many; a single window is named."""
    failed, late = find_problems([group(LATE, 90), group()])
    assert (WindowState.FAILED, ("US.a",), date(2026, 7, 20)) == (
        failed.state,
        failed.account_keys,
        failed.window_date,
    )
    assert (WindowState.LATE, None) == (late.state, late.window_date)


def test_what_waits_is_no_problem() -> None:
    """Nor is what is expired: nothing can be done about it."""
    due = WindowSigns("loaded", is_due=True)
    assert [] == find_problems(
        [group(due), group(WindowSigns("requested")), group(WindowSigns("expired"))]
    )


def test_paused_and_disabled_accounts_have_no_problems() -> None:
    """Their windows are counted all the same."""
    stopped = replace(group(windows=2), is_stopped=True)
    assert [] == find_problems([stopped])
    [told] = summarize_datasets({"daily_targets": 5}, [stopped])
    assert 2 == told.states[WindowState.FAILED]
