"""When an alert is sent about a finding, and its text: when it begins, each day it lasts, and when it has ended. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.problems.findings import Acknowledgement, Finding

BACK_AFTER = timedelta(hours=4)
"""The shortest time from an alert that a finding has ended to one that it is there again."""
REMIND_AFTER = timedelta(hours=24)
_TICK = timedelta(microseconds=1)
"""A finding that is seen again at the instant at which it would end has not ended."""
_MOST_LISTED = 20
_LONGEST_TITLE = 240


class Event(StrEnum):
    """An event of a finding that an alert tells."""

    BEGAN = "began"
    STILL = "still"
    ENDED = "ended"


_PREFIXES = {Event.BEGAN: "", Event.STILL: "Still: ", Event.ENDED: "Over: "}


@dataclass(frozen=True)
class LastAlert:
    """The last alert about a finding that a receiver got."""

    event: Event
    at: datetime


@dataclass(frozen=True)
class Known:
    """A finding as stored.

    Attributes:
        finding: As it was last seen.
        began_at: When it was first seen this time.
        gone_at: Since when it is not seen any more; None while it is.
        acknowledged: Who has acknowledged it.
        told: The last alert about it, by the number of the receiver.
    """

    finding: Finding
    began_at: datetime
    gone_at: datetime | None = None
    acknowledged: Acknowledgement | None = None
    told: Mapping[int, LastAlert] = field(default_factory=dict)

    def has_ended(self, now: datetime) -> bool:
        """Return whether it is over: gone for as long as it takes to settle."""
        return self.gone_at is not None and now - self.gone_at >= self.finding.settles_after


@dataclass(frozen=True)
class Message:
    """The text of an alert; `event` and `is_minor` choose its colour."""

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


def with_findings(
    known: Mapping[str, Known], findings: Iterable[Finding], now: datetime
) -> list[Known]:
    """Return what is known of each finding after another look."""
    present = {one.key: one for one in findings if not one.is_recovered}
    seen = [_see(one, known.get(key), now) for key, one in present.items()]
    gone = [
        replace(one, gone_at=one.gone_at or now) for key, one in known.items() if key not in present
    ]
    return seen + gone


def _see(finding: Finding, before: Known | None, now: datetime) -> Known:
    if before is None or before.has_ended(now - _TICK):
        return Known(finding, began_at=now, told=before.told if before else {})
    given = before.acknowledged
    kept = given if given is not None and given.covers(finding) else None
    seen = replace(finding, acknowledged=kept)
    return replace(before, finding=seen, gone_at=None, acknowledged=kept)


def find_event(known: Known, receiver: int, now: datetime) -> Event | None:
    """Return what a receiver is to be told of a finding now, if anything."""
    told = known.told.get(receiver)
    is_told = told is not None and told.event is not Event.ENDED and told.at >= known.began_at
    if known.gone_at is not None:
        return Event.ENDED if is_told and known.has_ended(now) else None
    if known.acknowledged is not None:
        return None
    silent_for = REMIND_AFTER if told is None else now - told.at
    if is_told:
        return Event.STILL if silent_for >= REMIND_AFTER else None
    has_lasted = now - known.began_at >= known.finding.tell_after
    is_ripe = has_lasted and known.finding.severity in (Severity.WARNING, Severity.ERROR)
    return Event.BEGAN if is_ripe and silent_for >= BACK_AFTER else None


def write_digest(news: Sequence[tuple[Known, Event]], *, address: str, zone: ZoneInfo) -> Message:
    """Return the one message about all that a receiver is to be told now.

    Args:
        news: The findings with what to say of each, at least one.
        address: The page's, as people reach it.
        zone: The time zone that instants are shown in.
    """
    messages = [_write(known, event, address=address, zone=zone) for known, event in news]
    messages.sort(key=lambda one: (one.event is Event.ENDED, one.is_minor))
    worst = messages[0]
    if len(messages) == 1:
        return worst
    blocks = [f"{message.title}\n{message.body}" for message in messages[:_MOST_LISTED]]
    more = len(messages) - _MOST_LISTED
    blocks += [f"… and {more:,} more: {address}/"] if more > 0 else []
    title = f"{worst.title} (and {len(messages) - 1:,} more)"
    return replace(worst, title=title, body="\n\n".join(blocks))


def _write(known: Known, event: Event, *, address: str, zone: ZoneInfo) -> Message:
    finding = known.finding
    whose = f"{finding.whose}: " if finding.whose else ""
    whole = f"{_PREFIXES[event]}{whose}{' '.join(finding.sentence.split())}"
    title = whole if len(whole) <= _LONGEST_TITLE else f"{whole[: _LONGEST_TITLE - 1]}…"
    since = f"Since {show_instant(finding.since or known.began_at, zone)}"
    if event is Event.ENDED:
        since += f", over since {show_instant(known.gone_at or known.began_at, zone)}"
    lines = [f"{since}.", *(f"{effect.text}." for effect in finding.effects)]
    if event is not Event.ENDED:
        lines += [f"What next: {finding.advice}"] if finding.advice else []
        lines += _goes_on(finding, zone)
    lines.append(f"{address}{finding.link}")
    is_minor = finding.severity is not Severity.ERROR
    return Message(event, is_minor, title, "\n".join(lines if title == whole else [whole, *lines]))


def _goes_on(finding: Finding, zone: ZoneInfo) -> list[str]:
    if finding.next_at is None:
        return []
    attempt = f", {finding.attempt}" if finding.attempt else ""
    return [f"It goes on by itself at {show_instant(finding.next_at, zone)}{attempt}."]


def show_instant(instant: datetime, zone: ZoneInfo) -> str:
    """Return an instant as messages show it: "25 Jul 2026 12:00 UTC"."""
    local = instant.astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M} {local.tzname()}"
