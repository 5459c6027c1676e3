"""Which reports to ask for: due windows of one dataset and account, covered with as few requests as possible.

The cover is greedy from the newest due day: each request reaches back as far as Amazon's longest period allows, over
days that aren't due, but never over a day that another request has in flight. That is the least number of requests
(an interval cover of points; a day in flight cuts the line in two).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.reports.windows import oldest_served

OLDEST_WAITS_AT_MOST = 10
"""Requests that may go before the one that holds the window that has been due for the longest time."""


@dataclass(frozen=True)
class PlannableWindow:
    """What planning must know of one window.

    Attributes:
        window_date: Account-local day.
        due: Whether a refresh of it is due.
        in_flight: Whether a request that covers it is under way.
        due_since: When it fell due; None where unknown or not due.
    """

    window_date: date
    due: bool
    in_flight: bool
    due_since: datetime | None = None


@dataclass(frozen=True)
class PlannedRequest:
    """One report to ask for: the inclusive range of days and why each is in it.

    Attributes:
        start: First day.
        end: Last day.
        wanted: Days that someone asked for by hand, ascending.
        due: Days that are due, ascending; a day can be both.
        bridged: Days between these that are neither and come along, ascending.
        holds_oldest: Whether it holds the window that has been due for the longest time.
    """

    start: date
    end: date
    wanted: tuple[date, ...]
    due: tuple[date, ...]
    bridged: tuple[date, ...]
    holds_oldest: bool

    @property
    def windows(self) -> tuple[date, ...]:
        """Every day of the range, ascending; none of them is in another request."""
        return _days(self.start, self.end)

    @property
    def by_hand(self) -> bool:
        """Whether someone waits for it."""
        return bool(self.wanted)

    @property
    def reason(self) -> str:
        """Why it is asked for, in words."""
        counts = (
            (len(self.wanted), "asked for by hand"),
            (len(self.due), "due"),
            (len(self.bridged), "bridged"),
        )
        return ", ".join(f"{count} {what}" for count, what in counts if count)


@dataclass(frozen=True)
class SkippedWindow:
    """A window that is due or asked for and yet is not in the plan, with its reason."""

    window_date: date
    reason: str


@dataclass(frozen=True)
class Plan:
    """What to ask for now.

    Attributes:
        requests: In the order in which to send them, at most as many as there are free slots.
        waiting: Days that are due or asked for but found no free slot, ascending.
        skipped: Days that can't be asked for, with reasons, ascending.
    """

    requests: tuple[PlannedRequest, ...]
    waiting: tuple[date, ...]
    skipped: tuple[SkippedWindow, ...]


def plan_requests(
    dataset: Dataset,
    windows: Iterable[PlannableWindow],
    *,
    today: date,
    free_slots: int,
    wanted: Collection[date] = (),
    requests_since_oldest: int = 0,
    longest_period_days: int | None = None,
) -> Plan:
    """Cover what is due or wanted with as few requests as possible, and put them in order.

    Requests asked for by hand go first, then the newest; but the request with the window that has been due for the
    longest time never has more than ten others before it.

    Args:
        dataset: Whose limits count.
        windows: At least every window that is due or in flight; a served day that isn't given counts as neither.
        today: The account's local date.
        free_slots: How many requests may be sent now.
        wanted: Days asked for by hand; they need not be due.
        requests_since_oldest: Requests sent for this dataset and account since the last that held the longest due one.
        longest_period_days: The most days of a request, where Amazon has refused more; None for the dataset's own.
    """
    by_date = {window.window_date: window for window in windows}
    due = {day for day, window in by_date.items() if window.due}
    asked = sorted(due | set(wanted))
    served = (oldest_served(dataset, today), today)
    reasons = {day: _why_not(dataset, day, by_date.get(day), served) for day in asked}
    targets = [day for day in asked if reasons[day] is None]
    oldest = _longest_due([by_date[day] for day in targets if day in due])
    in_flight = {day for day, window in by_date.items() if window.in_flight}
    covers = _cover(targets, in_flight, longest_period_days or dataset.longest_period_days)
    requests = [_request(cover, set(wanted), due, oldest) for cover in covers]
    sent = _in_order(requests, requests_since_oldest)[: max(free_slots, 0)]
    covered = {day for request in sent for day in (*request.wanted, *request.due)}
    return Plan(
        requests=tuple(sent),
        waiting=tuple(day for day in targets if day not in covered),
        skipped=tuple(SkippedWindow(day, reason) for day, reason in reasons.items() if reason is not None),
    )


def _why_not(
    dataset: Dataset, day: date, window: PlannableWindow | None, served: tuple[date, date]
) -> str | None:
    if window is not None and window.in_flight:
        return "a request that covers it is in flight"
    first, last = served
    return None if first <= day <= last else f"Amazon serves {dataset.name} from {first} to {last}"


def _longest_due(due: Sequence[PlannableWindow]) -> date | None:
    never = datetime.max.replace(tzinfo=UTC)
    return min(((w.due_since or never, w.window_date) for w in due), default=(never, None))[1]


def _cover(targets: Sequence[date], in_flight: Collection[date], longest_days: int) -> Iterator[list[date]]:
    """Split ascending targets into the groups that one request each can cover, newest group first, newest day first."""
    group: list[date] = []
    for day in reversed(targets):
        if group and not _fits(day, group, in_flight, longest_days):
            yield group
            group = []
        group.append(day)
    if group:
        yield group


def _fits(day: date, group: Sequence[date], in_flight: Collection[date], longest_days: int) -> bool:
    newest, oldest_yet = group[0], group[-1]
    return (newest - day).days < longest_days and not any(day < other < oldest_yet for other in in_flight)


def _request(
    cover: Sequence[date], wanted: Collection[date], due: Collection[date], oldest: date | None
) -> PlannedRequest:
    days = _days(min(cover), max(cover))
    return PlannedRequest(
        start=days[0],
        end=days[-1],
        wanted=tuple(day for day in days if day in wanted),
        due=tuple(day for day in days if day in due),
        bridged=tuple(day for day in days if day not in wanted and day not in due),
        holds_oldest=oldest in days,
    )


def _in_order(requests: Sequence[PlannedRequest], requests_since_oldest: int) -> list[PlannedRequest]:
    """Order newest-first requests: by hand first, and the one with the longest due window not later than its turn."""
    ordered = sorted(requests, key=lambda request: not request.by_hand)
    turn = max(0, OLDEST_WAITS_AT_MOST - requests_since_oldest)
    late = next((n for n, request in enumerate(ordered) if request.holds_oldest and n > turn), None)
    if late is not None:
        ordered.insert(turn, ordered.pop(late))
    return ordered


def _days(start: date, end: date) -> tuple[date, ...]:
    return tuple(start + timedelta(days=n) for n in range((end - start).days + 1))
