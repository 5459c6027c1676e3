"""Trends of reports: intervals, what is newest and usual, and whether Amazon has become slower."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.requests.trends import (
    fold_marks,
    intervals_of,
    newest_and_usual,
    rows_an_hour,
    slowest_reports,
    weeks_sentence,
)
from bidbeacon_sessions.sentences import format_duration

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
SIX_HOURS = timedelta(hours=6)
WEEK = intervals_of(7, NOW)


def week(
    p50: float, *, is_recent: bool = True, reports: int = 20, dataset: str | None = None
) -> dict[str, Any]:
    """How long Amazon took for the reports of a week, of all datasets unless told otherwise."""
    took = [p50, 2 * p50]
    values = {"is_recent": is_recent, "dataset": dataset, "report": dataset and "SP"}
    return values | {"reports": reports, "took": took}


def before(p50: float, **more: Any) -> dict[str, Any]:
    """The same of the week before."""
    return week(p50, is_recent=False, **more)


@pytest.mark.parametrize(("days", "count"), [(7, 28), (30, 30)])
def test_intervals_end_with_the_present_hour(days: int, count: int) -> None:
    """The newest one is nearly over, so that its values can be compared with those of others."""
    intervals = intervals_of(days, NOW)
    starts = intervals.starts
    assert count == len(starts)
    assert NOW.replace(hour=15, minute=0) == starts[-1] + intervals.length
    assert timedelta(days=days) == starts[-1] + intervals.length - starts[0]


def test_rows_an_hour_begin_with_the_first_load() -> None:
    """Later intervals without loads have none; what is not over yet of the newest does not count."""
    first, second, newest = WEEK.starts[-3:]
    values = rows_an_hour({first: 600, newest: 1_100}, WEEK)
    assert [None] * 25 == values[:25]
    assert [100, 0, 200] == values[25:]
    assert [None] * 28 == rows_an_hour({}, WEEK)
    assert second - first == SIX_HOURS


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([60.0, None, 120.0, 180.0, 65.0], "Last 6 hours: 1 min 05 s, usually 2 min 00 s"),
        ([60.0, None], "Last 6 hours: none, usually 1 min 00 s"),
        ([None, 60.0], "Last 6 hours: 1 min 00 s"),
        ([None, None], None),
    ],
)
def test_a_chart_has_its_newest_and_its_usual_value(
    values: list[float | None], text: str | None
) -> None:
    """The median of all earlier ones is usual; a chart without values has no text."""
    assert text == newest_and_usual(values, format_duration, SIX_HOURS)


THIS_WEEK = "took 4 min 00 s (p50) for a report this week"


@pytest.mark.parametrize(
    ("weeks", "sentence"),
    [
        (
            [week(240), before(180)],
            f"Amazon has become slower: it {THIS_WEEK}, 3 min 00 s the week before.",
        ),
        (
            [week(240), before(300)],
            f"Amazon has become faster: it {THIS_WEEK}, 5 min 00 s the week before.",
        ),
        (
            [week(240), before(220)],
            f"Amazon is as fast as before: it {THIS_WEEK}, 3 min 40 s the week before.",
        ),
        (
            [week(240), before(60, reports=9)],
            f"Amazon {THIS_WEEK}, 1 min 00 s the week before.",
        ),
        ([week(240)], f"Amazon {THIS_WEEK}; no report was completed the week before."),
        ([before(240)], "Amazon has completed no report in the last 7 days."),
        (
            [week(60, dataset="daily_targets"), week(240), before(9, dataset="daily_targets")],
            f"Amazon {THIS_WEEK}; no report was completed the week before.",
        ),
    ],
)
def test_a_sentence_answers_whether_amazon_has_become_slower(
    weeks: list[dict[str, Any]], sentence: str
) -> None:
    """By the p50 of all reports of two weeks; a few reports prove no change."""
    assert sentence == weeks_sentence(weeks)


def test_the_slowest_report_is_first() -> None:
    """With what it took the week before, if it is known; the sum of all is left out."""
    weeks = [
        week(300),
        week(120, dataset="daily_campaigns"),
        before(90, dataset="daily_campaigns"),
        week(480, dataset="daily_targets"),
        before(60, dataset="daily_products"),
    ]
    shown = [(one["dataset"], one["p50"], one["p50_before"]) for one in slowest_reports(weeks)]
    assert [("daily_targets", 480, None), ("daily_campaigns", 120, 90)] == shown


def test_changes_of_an_interval_share_a_mark() -> None:
    """The first three are named, and the others are counted."""
    hours = timedelta(hours=1)
    marks = [(NOW - hours, "resumed"), *((NOW - 30 * hours, f"paused {n}") for n in range(5))]
    assert [
        {
            "at": NOW - 30 * hours,
            "texts": ["paused 0", "paused 1", "paused 2"],
            "more": 2,
        },
        {"at": NOW - hours, "texts": ["resumed"], "more": 0},
    ] == fold_marks(marks, WEEK)
