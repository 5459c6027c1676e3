"""How long the steps of reports took in the last days, and what changed meanwhile."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.requests.trends_queries import (
    compare_weeks,
    count_rows,
    count_throttled,
    list_changes,
    list_steps,
    list_versions,
    prepare,
)
from bidbeacon_sessions.presentation import action_json, read_labels
from bidbeacon_sessions.sentences import format_duration

LENGTHS: Final = {7: timedelta(hours=6), 30: timedelta(days=1)}
"""The length of an interval, by the number of days that are shown."""
FEWEST_REPORTS: Final = 10
"""With fewer reports in one of two weeks, their times are not compared."""
CHANGED_BY: Final = 1.2
"""Smaller factors between two weeks count as equal."""
MOST_TEXTS: Final = 3
_HOUR: Final = timedelta(hours=1)
_STEPS: Final = {
    "due_to_created": "From due to created",
    "created_to_complete": "From created to complete",
    "ready_to_loaded": "From ready to loaded",
}

Values = Sequence[float | None]


@dataclass(frozen=True)
class Intervals:
    """Consecutive intervals of time; `now` is in the last one.

    Attributes:
        start: The start of the first interval.
        length: The length of each.
        count: How many there are.
        now: The present instant.
    """

    start: datetime
    length: timedelta
    count: int
    now: datetime

    @property
    def starts(self) -> list[datetime]:
        """The start of each interval."""
        return [self.start + place * self.length for place in range(self.count)]

    def hours(self, at: datetime) -> float:
        """Return how much of the interval that starts at `at` is over, in hours."""
        return min(self.length, self.now - at) / _HOUR


def intervals_of(days: int, now: datetime) -> Intervals:
    """Return the intervals of the last 7 or 30 days, up to the end of the present hour."""
    end = now.replace(minute=0, second=0, microsecond=0) + _HOUR
    length = LENGTHS[days]
    return Intervals(end - timedelta(days=days), length, timedelta(days=days) // length, now)


def read_trends(connection: Connection, days: int, now: datetime) -> dict[str, Any]:
    """Return the trends of the last 7 or 30 days as JSON data; see `docs/reference/http.md`."""
    intervals = intervals_of(days, now)
    start, length = intervals.start, intervals.length
    prepare(connection)
    weeks = compare_weeks(connection, now)
    steps = list_steps(connection, start, length)
    throttled = count_throttled(connection, start, length)
    answer = {
        "at": now,
        "days": days,
        "start": start,
        "seconds": length.total_seconds(),
        "sentence": weeks_sentence(weeks),
        "charts": [
            *(_chart_of_step(name, steps, intervals) for name in _STEPS),
            _chart_of_rows(count_rows(connection, start, length), intervals),
        ],
        "throttled": [
            {"creates": one.creates, "others": one.others} if one else None
            for one in map(throttled.get, intervals.starts)
        ],
        "reports": slowest_reports(weeks),
        "marks": fold_marks(_list_marks(connection, start), intervals),
    }
    plain: dict[str, Any] = msgspec.to_builtins(answer)
    return plain


def _chart_of_step(
    name: str, steps: Mapping[datetime, RowMapping], intervals: Intervals
) -> dict[str, Any]:
    rows = map(steps.get, intervals.starts)
    pairs = [(row and row[name]) or (None, None) for row in rows]
    values = [p50 for p50, _ in pairs]
    return {
        "name": name,
        "title": _STEPS[name],
        "values": values,
        "p95": [p95 for _, p95 in pairs],
        "text": newest_and_usual(values, format_duration, intervals.length),
    }


def _chart_of_rows(rows: Mapping[datetime, int], intervals: Intervals) -> dict[str, Any]:
    values = rows_an_hour(rows, intervals)
    return {
        "name": "rows_an_hour",
        "title": "Rows loaded an hour",
        "values": values,
        "p95": [],
        "text": newest_and_usual(values, "{:,.0f}".format, intervals.length),
    }


def rows_an_hour(rows: Mapping[datetime, int], intervals: Intervals) -> Values:
    """Return the rows an hour of each interval; None before the first load."""
    first = min(rows, default=intervals.now)
    return [
        rows.get(at, 0) / intervals.hours(at) if at >= first else None for at in intervals.starts
    ]


def newest_and_usual(
    values: Values, shown: Callable[[float], str], length: timedelta
) -> str | None:
    """Return the newest value and the median of the earlier ones as text; None without values."""
    *earlier, newest = values
    known = [value for value in earlier if value is not None]
    if newest is None and not known:
        return None
    text = "none" if newest is None else shown(newest)
    usual = f", usually {shown(statistics.median(known))}" if known else ""
    return f"Last {length / _HOUR:.0f} hours: {text}{usual}"


def weeks_sentence(weeks: Iterable[Mapping[Any, Any]]) -> str:
    """Return whether Amazon has become slower this week, as a sentence."""
    totals = {week["is_recent"]: week for week in weeks if week["dataset"] is None}
    recent, before = totals.get(True), totals.get(False)
    if recent is None:
        return "Amazon has completed no report in the last 7 days."
    took = f"took {format_duration(recent['took'][0])} (p50) for a report this week"
    if before is None:
        return f"Amazon {took}; no report was completed the week before."
    took = f"{took}, {format_duration(before['took'][0])} the week before"
    if min(recent["reports"], before["reports"]) < FEWEST_REPORTS:
        return f"Amazon {took}."
    return f"{_verdict(recent['took'][0], before['took'][0])}: it {took}."


def _verdict(recent: float, before: float) -> str:
    if recent > before * CHANGED_BY:
        return "Amazon has become slower"
    if before > recent * CHANGED_BY:
        return "Amazon has become faster"
    return "Amazon is as fast as before"


def slowest_reports(weeks: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    """Return the times of each report this week, and its p50 the week before; slowest first."""
    before = {
        (week["dataset"], week["report"]): week["took"][0]
        for week in weeks
        if not week["is_recent"]
    }
    found = [
        {
            "dataset": week["dataset"],
            "report": week["report"],
            "reports": week["reports"],
            "p50": week["took"][0],
            "p95": week["took"][1],
            "p50_before": before.get((week["dataset"], week["report"])),
        }
        for week in weeks
        if week["is_recent"] and week["dataset"] is not None
    ]
    return sorted(found, key=lambda one: (-one["p50"], one["dataset"], one["report"]))


def _list_marks(connection: Connection, start: datetime) -> list[tuple[datetime, str]]:
    changes = list_changes(connection, start)
    labels = read_labels(connection, changes)
    marks = [(one["at"], action_json(one, labels)["text"]) for one in changes]
    versions = list_versions(connection, start)
    return marks + [(one.at, f"BidBeacon {one.version} started") for one in versions]


def fold_marks(marks: Iterable[tuple[datetime, str]], intervals: Intervals) -> list[dict[str, Any]]:
    """Return the instants and texts of changes, oldest first, with one mark for each interval."""
    folded: dict[int, dict[str, Any]] = {}
    for at, text in sorted(marks):
        place = (at - intervals.start) // intervals.length
        mark = folded.setdefault(place, {"at": at, "texts": [], "more": 0})
        if len(mark["texts"]) < MOST_TEXTS:
            mark["texts"].append(text)
        else:
            mark["more"] += 1
    return list(folded.values())
