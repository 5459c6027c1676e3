"""When an alert is sent about a problem: when it begins, grows, lasts and ends; never twice, not too often, not in quiet hours. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bidbeacon_pipelines.problems.problem_rules import Problem

GREW_AFTER = timedelta(hours=1)
"""The shortest time from any message about a cause to one that there is more of it."""
BACK_AFTER = timedelta(hours=4)
"""The shortest time from a message that a cause is over to one that it is there again."""
REMIND_AFTER = timedelta(hours=24)
GROWN_BY = 2
"""A problem has grown when its count is so many times that of the last message."""
MOST_SINGLY = 5
"""More messages than this that wait for one receiver are sent as one."""
_MOST_LISTED = 20
_LONGEST_TITLE = 240


class Event(StrEnum):
    """The kind of a message: a problem began, grew, lasts or ended."""

    BEGAN = "began"
    GREW = "grew"
    LASTS = "lasts"
    ENDED = "ended"


_PREFIXES = {
    Event.BEGAN: "",
    Event.GREW: "More of it: ",
    Event.LASTS: "Still: ",
    Event.ENDED: "Over: ",
}


@dataclass(frozen=True)
class Alert:
    """The stored state of one cause, from when it was first seen until it is over.

    Attributes:
        problem: As it was last seen.
        began_at: When it was first seen.
        told_at: When the last message about this cause was written, of an earlier time that it was
            there too.
        told_count: How much of it there was then; None if no message was sent this time.
        gone_at: Since when it is not seen any more; None while it is.
        closed_at: When it was found to be over; a later occurrence is a new beginning.
    """

    problem: Problem
    began_at: datetime
    told_at: datetime | None = None
    told_count: int | None = None
    gone_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def is_announced(self) -> bool:
        """Whether a message was sent about it this time."""
        return self.told_count is not None


@dataclass(frozen=True)
class Message:
    """The text of an alert.

    Attributes:
        event: What it says of the problem.
        is_minor: Whether the problem is a warning.
        title: The cause, with the accounts that it concerns; one line.
        body: How much, since when, what helps or happens next, and where to look; before that the
            cause where the title cuts it off.
    """

    event: Event
    is_minor: bool
    title: str
    body: str


@dataclass(frozen=True)
class QuietHours:
    """Hours of each day without messages, such as 22:00 to 07:00 in a time zone; none if both are equal."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> "QuietHours":
        """Return the hours of a text such as `22:00-07:00`."""
        start, end = map(time.fromisoformat, text.split("-"))
        return cls(start, end, zone)

    def contain(self, now: datetime) -> bool:
        """Return whether an instant is in them."""
        local = now.astimezone(self.zone).time()
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


def update_alerts(
    problems: Iterable[Problem],
    known: Mapping[str, Alert],
    now: datetime,
    *,
    is_quiet: bool = False,
) -> list[tuple[Alert, Event | None]]:
    """Return the new state of each cause, and the event to send a message about; leave out causes that stay over.

    Args:
        problems: What is wrong now; no two have the same key.
        known: What was known of each cause, by its problem's key.
        now: The instant of the question.
        is_quiet: Whether no messages are sent now. They are sent later, except about causes that
            are over by then.
    """
    present = {problem.key: problem for problem in problems if not problem.is_recovered}
    seen = [
        _with_event(_see(problem, known.get(problem.key), now), now, is_quiet=is_quiet)
        for problem in present.values()
    ]
    gone = [alert for key, alert in known.items() if key not in present and alert.closed_at is None]
    return [*seen, *(_miss(alert, now, is_quiet=is_quiet) for alert in gone)]


def _see(problem: Problem, before: Alert | None, now: datetime) -> Alert:
    if before is None or before.closed_at is not None:
        return Alert(problem, began_at=now, told_at=None if before is None else before.told_at)
    return replace(before, problem=problem, gone_at=None)


def _with_event(alert: Alert, now: datetime, *, is_quiet: bool) -> tuple[Alert, Event | None]:
    event = None if is_quiet else _find_event(alert, now)
    return (alert if event is None else _announced(alert, now)), event


def _find_event(alert: Alert, now: datetime) -> Event | None:
    since_message = REMIND_AFTER if alert.told_at is None else now - alert.told_at
    if alert.told_count is None:
        has_lasted = now - alert.began_at >= alert.problem.tell_after
        return Event.BEGAN if has_lasted and since_message >= BACK_AFTER else None
    has_grown = 0 < GROWN_BY * alert.told_count <= (alert.problem.count or 0)
    if has_grown and since_message >= GREW_AFTER:
        return Event.GREW
    return Event.LASTS if since_message >= REMIND_AFTER else None


def _miss(alert: Alert, now: datetime, *, is_quiet: bool) -> tuple[Alert, Event | None]:
    gone_at = alert.gone_at or max(now, alert.began_at)
    gone, over = (
        replace(alert, gone_at=gone_at),
        replace(alert, gone_at=gone_at, closed_at=max(now, gone_at)),
    )
    if not alert.is_announced:
        return over, None
    if is_quiet or now - gone_at < alert.problem.settles_after:
        return gone, None
    return _announced(over, now), Event.ENDED


def _announced(alert: Alert, now: datetime) -> Alert:
    return replace(alert, told_at=now, told_count=alert.problem.count or 0)


def write_message(alert: Alert, event: Event, *, address: str, zone: ZoneInfo) -> Message:
    """Return the message about an event.

    Args:
        alert: As it is after the event.
        event: What to say.
        address: The page's, as people reach it.
        zone: The time zone that instants are shown in.
    """
    problem = alert.problem
    whole = f"{_PREFIXES[event]}{problem.whose + ': ' if problem.whose else ''}{' '.join(problem.cause.split())}"
    title = whole if len(whole) <= _LONGEST_TITLE else f"{whole[: _LONGEST_TITLE - 1]}…"
    extent = f"{problem.extent[:1].upper()}{problem.extent[1:]}"
    since = f"since {show_instant(problem.since or alert.began_at, zone)}"
    if event is Event.ENDED:
        since = f"{since}, over since {show_instant(alert.gone_at or alert.began_at, zone)}"
    lines = [f"{extent}, {since}."]
    if problem.to_do and event is not Event.ENDED:
        lines.append(f"What next: {problem.to_do}")
    lines.append(f"{address}{problem.link}")
    return Message(
        event, problem.is_minor, title, "\n".join(lines if title == whole else [whole, *lines])
    )


def bundle(messages: Sequence[Message], *, address: str) -> list[Message]:
    """Return the messages to send in place of many that wait: these, or one that lists them."""
    if len(messages) <= MOST_SINGLY:
        return list(messages)
    lines = [f"- {message.title}" for message in messages[:_MOST_LISTED]]
    more = len(messages) - _MOST_LISTED
    lines += [f"… and {more:,} more"] if more > 0 else []
    title = f"{len(messages):,} changes of what is wrong"
    return [_summary(messages, title, "\n".join([*lines, f"{address}/"]))]


def _summary(messages: Sequence[Message], title: str, body: str) -> Message:
    worst = [message for message in messages if message.event is not Event.ENDED] or messages
    return Message(worst[0].event, all(message.is_minor for message in worst), title, body)


def show_instant(instant: datetime, zone: ZoneInfo) -> str:
    """Return an instant as messages show it: "25 Jul 2026 12:00 UTC"."""
    local = instant.astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M} {local.tzname()}"
