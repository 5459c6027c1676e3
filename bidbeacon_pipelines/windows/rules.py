"""Rules for which windows exist, and when each falls due. Pure: no function reads a clock.

A window is one calendar day of one report of an account. Days are dates in the account's time zone;
instants are aware UTC datetimes.

Source of the rules: Amazon's retention and restatement periods. Daily rows are served for 15
months, at most 120 days in one report; hourly rows for 14 days, at most 14 in one report.
Conversions are restated for up to 60 days.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.datasets.registry import Dataset, DatasetReport

if TYPE_CHECKING:
    from bidbeacon_pipelines.windows.tables import ReportWindow

EDGE_SAFETY = timedelta(days=1)
"""The oldest served day is not requested: Amazon's calendar may be ahead of the account's."""

RETRIED_FOR = timedelta(days=7)
"""How long the last refresh of a window is retried, once a day, if it fails."""

UNDOUBTED_DAYS: Final = 30
UNDOUBTED_DAYS_OF_HOURS: Final = 12
"""Amazon is assumed, without proof, to serve daily or hourly data up to this age in days."""

UNDECIDED: dict[str, Any] = dict.fromkeys(("decision", "decided_by", "decided_at"))
"""The column values of a window without a decision."""

NOT_SUSPICIOUS: dict[str, Any] = {
    "suspicious_digest": None,
    "suspicious_rows": None,
    "suspicious_spend": None,
    "suspicious_count": 0,
} | UNDECIDED
"""The column values of a window whose last report was not suspicious."""


@dataclass(frozen=True)
class MissedOffsets:
    """The refresh offsets (days after a window's day) that are due and not covered by data.

    Attributes:
        serves: The latest offset, which the next refresh serves; None if nothing is due.
        skipped: The earlier offsets, ascending; the next refresh makes them unnecessary.
    """

    serves: int | None
    skipped: tuple[int, ...]


def local_date(now: datetime, time_zone: str) -> date:
    """Return the calendar date of an instant in a time zone.

    Raises:
        ValueError: `now` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError(f"expected an aware datetime, got: {now.isoformat()}")
    return now.astimezone(_zone(time_zone)).date()


def start_of_day(day: date, time_zone: str) -> datetime:
    """Return the first instant of a local day, in UTC.

    If the clock skips midnight (Africa/Cairo in spring), this is the instant of the clock change:
    Python reads a skipped local time with the UTC offset before the change. If midnight occurs
    twice, this is the first. Valid for every time zone since 1975.
    """
    return datetime.combine(day, time.min, _zone(time_zone)).astimezone(UTC)


def oldest_served(dataset: Dataset, today: date, history_days: int | None = None) -> date:
    """Return the oldest day to request on the local date `today`.

    That is the day after the oldest day that Amazon serves, for safety (`EDGE_SAFETY`). Months are
    counted back to the same day of the month, or to the last day of a shorter month. `history_days`
    overrides the registry's history.
    """
    days = history_days or dataset.history_days
    if days is not None:
        return today - timedelta(days=days) + EDGE_SAFETY
    return _months_before(today, dataset.history_months or 0) + EDGE_SAFETY


def oldest_of(reports: Iterable[DatasetReport], today: date) -> date:
    """Return the oldest day to request for any of the reports: the earliest `oldest_served`."""
    return min(oldest_served(one.dataset, today, one.history_days) for one in reports)


def expires_at(
    dataset: Dataset, window_date: date, time_zone: str, history_days: int | None = None
) -> datetime:
    """Return when a window expires, in UTC: as soon as `oldest_served` is later than its day."""
    days = history_days or dataset.history_days
    if days is not None:
        return start_of_day(window_date + timedelta(days=days), time_zone)
    return start_of_day(_months_after(window_date, dataset.history_months or 0), time_zone)


def window_dates(reports: Iterable[DatasetReport], today: date) -> list[date]:
    """Return the days of a dataset's windows up to the local date `today`, oldest first.

    They are the same for each report of the dataset. If Amazon no longer serves a day for one of
    the reports, the window of this report is expired.
    """
    oldest = oldest_of(reports, today)
    return [oldest + timedelta(days=n) for n in range((today - oldest).days + 1)]


def due_at(window_date: date, offset_days: int, time_zone: str) -> datetime:
    """Return when a refresh is due, in UTC: local midnight `offset_days` after a window's day."""
    return start_of_day(window_date + timedelta(days=offset_days), time_zone)


def next_refresh_at(
    dataset: Dataset, window_date: date, time_zone: str, data_as_of: datetime | None
) -> datetime | None:
    """Return the due time of a window's first refresh after `data_as_of`, in UTC.

    It is in the past for an overdue window, and None after the last refresh. `data_as_of` is when
    the loaded report was requested; None if no report was loaded.
    """
    return next((at for _, at in _open_offsets(dataset, window_date, time_zone, data_as_of)), None)


def again_after_failure(
    dataset: Dataset,
    window_date: date,
    time_zone: str,
    failed_at: datetime,
    *,
    has_data: bool,
    ended_at: Iterable[datetime] = (),
) -> datetime | None:
    """Return when a window is due again after its report failed; None if its data is final.

    A window with data is due at its next refresh offset. After the last offset, it is due once a
    day for a week. A window without data is due at its next refresh offset, or a day after the
    failure if that is earlier. `ended_at` are the times at which earlier reports of the day ended.
    The week begins at the first of these times after the last offset, or at `failed_at` if there is
    none.
    """
    at = next_refresh_at(dataset, window_date, time_zone, failed_at)
    tomorrow = failed_at + timedelta(days=1)
    if not has_data:
        return min(at or tomorrow, tomorrow)
    if at is not None:
        return at
    last = due_at(window_date, max(dataset.refresh_offsets), time_zone)
    failing_since = min((ended for ended in ended_at if ended >= last), default=failed_at)
    return tomorrow if tomorrow - failing_since <= RETRIED_FOR else None


def loaded(
    window: "ReportWindow", data_as_of: datetime, next_refresh_at: datetime | None
) -> "ReportWindow":
    """Return a copy of a window as it is after its report was loaded."""
    return window.with_changes(
        status="loaded",
        data_as_of=data_as_of,
        next_refresh_at=next_refresh_at,
        cause=None,
        **NOT_SUSPICIOUS,
    )


def failed(window: "ReportWindow", cause: Cause, again_at: datetime | None) -> "ReportWindow":
    """Return a copy of a window as it is after its report failed or was refused.

    The window is due again at `again_at`. If that is None and the window has data, its status is
    `loaded` and its data is final. A loaded window with status `not_served` keeps this status.
    """
    if is_unproven(window):
        return put_back(window, None)
    if again_at is None and window.data_as_of is not None:
        return loaded(window, window.data_as_of, None).with_changes(cause=cause)
    return window.with_changes(status="failed", next_refresh_at=again_at, cause=cause)


def is_unproven(window: "ReportWindow") -> bool:
    """Return whether a window has no rows, and Amazon is not proven to serve days of its age."""
    return window.not_served_since is not None and window.data_as_of is not None


def is_final(dataset: Dataset, window: "ReportWindow", time_zone: str) -> bool:
    """Return whether a window's data is final: it needs no further refresh."""
    as_of, day = window.data_as_of, window.window_date
    if as_of is None:
        return False
    is_over = window.next_refresh_at is None
    return is_over or next_refresh_at(dataset, day, time_zone, as_of) is None


def awaits_decision(window: "ReportWindow") -> bool:
    """Return whether a person has to decide about a suspicious report of final data."""
    return window.suspicious_digest is not None and window.next_refresh_at is None


def needs_report(window: "ReportWindow", now: datetime) -> bool:
    """Return whether a window needs a report: it is due, wanted, without data or suspicious."""
    is_due = window.next_refresh_at is not None and window.next_refresh_at <= now
    is_suspicious = window.suspicious_digest is not None and not awaits_decision(window)
    is_open = window.data_as_of is None or is_suspicious
    return is_due or is_open or window.wanted_by is not None


def put_back(window: "ReportWindow", at: datetime | None) -> "ReportWindow":
    """Return a copy of a window with its status from before a request that loaded nothing.

    The window is due at the instant `at`, unless a person has to decide about it, or it was loaded
    and is not served.
    """
    status = "missing" if window.data_as_of is None else "loaded"
    if window.not_served_since is not None:
        again_at = None if is_unproven(window) else at
        return window.with_changes(status="not_served", next_refresh_at=again_at)
    if awaits_decision(window):
        return window.with_changes(status=status)
    cause = None if window.suspicious_digest is None else window.cause
    return window.with_changes(status=status, next_refresh_at=at, cause=cause)


def missed_offsets(
    dataset: Dataset, window_date: date, time_zone: str, data_as_of: datetime | None, now: datetime
) -> MissedOffsets:
    """Return the due refresh offset that a refresh serves now, and those that it skips."""
    due = [
        days for days, at in _open_offsets(dataset, window_date, time_zone, data_as_of) if at <= now
    ]
    return MissedOffsets(serves=due[-1] if due else None, skipped=tuple(due[:-1]))


def _open_offsets(
    dataset: Dataset, window_date: date, time_zone: str, data_as_of: datetime | None
) -> Iterator[tuple[int, datetime]]:
    for offset in dataset.refresh_offsets:
        at = due_at(window_date, offset, time_zone)
        if data_as_of is None or at > data_as_of:
            yield offset, at


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)  # ZoneInfo's own cache keeps only eight zones


def _months_after(day: date, months: int) -> date:
    """Return the same day `months` later; if it does not exist, the first of the next month."""
    year, month_index = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month_index + 1, 1)
    return first + timedelta(days=min(day.day - 1, monthrange(year, month_index + 1)[1]))


def _months_before(day: date, months: int) -> date:
    year, month_index = divmod(day.year * 12 + day.month - 1 - months, 12)
    month = month_index + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
