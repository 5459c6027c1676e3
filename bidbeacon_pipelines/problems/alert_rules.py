"""Rules for alerts, sent when a finding begins, each day while it lasts, and when it ends."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.problems.findings import ORDER, Finding

BACK_AFTER = timedelta(hours=4)
"""The shortest time between alerts that a finding ended and that it began again."""
REMIND_AFTER = timedelta(hours=24)
_TICK = timedelta(microseconds=1)
"""A finding has not ended if it reappears exactly when it would have ended."""
_MOST_LISTED = 20
_LONGEST_TITLE = 240


class AlertEvent(StrEnum):
    """The event that an alert reports about a finding: it began, still exists, or ended."""

    BEGAN = "began"
    STILL = "still"
    ENDED = "ended"


_PREFIXES = {AlertEvent.BEGAN: "", AlertEvent.STILL: "Still: ", AlertEvent.ENDED: "Over: "}


@dataclass(frozen=True)
class LastAlert:
    """The last alert about a finding that was sent to a receiver."""

    event: AlertEvent
    at: datetime


@dataclass(frozen=True)
class Acknowledgement:
    """A person's acknowledgement, with the severity and count of the finding at that time."""

    by: str
    at: datetime
    note: str
    severity: Severity
    count: int

    def covers(self, finding: Finding) -> bool:
        """Return whether the finding has neither worsened nor doubled since the acknowledgement."""
        is_worse = ORDER.index(finding.severity) > ORDER.index(self.severity)
        return not is_worse and (finding.count < 2 * self.count or not self.count)


@dataclass(frozen=True)
class KnownFinding:
    """A finding with its history, as stored in the database.

    Attributes:
        finding: The finding, as returned by the last check that found it.
        began_at: When a check first found it, or first found it again after it had ended.
        gone_at: The time of the first check without the finding; None if the last check found it.
        acknowledged: The acknowledgement; None if there is none, or if it no longer `covers` the
            finding.
        last_alerts: The last alert about it to each receiver, by the receiver's number.
    """

    finding: Finding
    began_at: datetime
    gone_at: datetime | None = None
    acknowledged: Acknowledgement | None = None
    last_alerts: Mapping[int, LastAlert] = field(default_factory=dict)

    @property
    def since(self) -> datetime:
        """The start of the problem; if that is unknown, when the finding was first found."""
        return self.finding.since or self.began_at

    def has_ended(self, now: datetime) -> bool:
        """Return whether the finding has been gone for at least its `settles_after`."""
        return self.gone_at is not None and now - self.gone_at >= self.finding.settles_after


News = Sequence[tuple[KnownFinding, AlertEvent]]
"""Findings to report to a receiver, each with its event."""


@dataclass(frozen=True)
class AlertMessage:
    """The text of an alert; `kind` is `failure` or `warning`, or `success` if a finding ended."""

    title: str
    body: str
    kind: str = "info"


def is_quiet(hours: str | None, zone: ZoneInfo, now: datetime) -> bool:
    """Return whether an instant is in the quiet hours, such as `22:00-07:00` (end excluded)."""
    if hours is None:
        return False
    start, end = map(time.fromisoformat, hours.split("-"))
    local = now.astimezone(zone).time()
    if start <= end:
        return start <= local < end
    return local >= start or local < end


def with_findings(
    known: Mapping[str, KnownFinding], findings: Iterable[Finding], now: datetime
) -> list[KnownFinding]:
    """Return all known findings, updated with the findings that a check has just returned."""
    present = {one.key: one for one in findings}
    seen = [_updated(one, known.get(key), now) for key, one in present.items()]
    gone = [
        replace(one, gone_at=one.gone_at or now) for key, one in known.items() if key not in present
    ]
    return seen + gone


def _updated(finding: Finding, before: KnownFinding | None, now: datetime) -> KnownFinding:
    if before is None or before.has_ended(now - _TICK):
        return KnownFinding(finding, began_at=now, last_alerts=before.last_alerts if before else {})
    given = before.acknowledged
    kept = given if given is not None and given.covers(finding) else None
    return replace(before, finding=finding, gone_at=None, acknowledged=kept)


def list_news(known: Iterable[KnownFinding], receiver: int, now: datetime) -> News:
    """Return the findings that an alert must report to a receiver now, each with its event."""
    return [(one, event) for one in known if (event := find_event(one, receiver, now))]


def find_event(known: KnownFinding, receiver: int, now: datetime) -> AlertEvent | None:
    """Return which event of a finding an alert must report to a receiver now, or None."""
    last = known.last_alerts.get(receiver)
    is_reported = last is not None and last.at >= known.began_at and last.event != AlertEvent.ENDED
    if known.gone_at is not None:
        return AlertEvent.ENDED if is_reported and known.has_ended(now) else None
    if known.acknowledged is not None:
        return None
    silent_for = REMIND_AFTER if last is None else now - last.at
    if is_reported:
        return AlertEvent.STILL if silent_for >= REMIND_AFTER else None
    has_lasted = now - known.began_at >= known.finding.alert_after
    is_ripe = has_lasted and known.finding.severity in (Severity.WARNING, Severity.ERROR)
    return AlertEvent.BEGAN if is_ripe and silent_for >= BACK_AFTER else None


def write_digest(news: News, *, address: str, zone: ZoneInfo) -> AlertMessage:
    """Return one message about one or more findings; the title is about the worst finding."""
    kinds = ("failure", "warning", "success")
    messages = [_write(known, event, address=address, zone=zone) for known, event in news]
    worst, *others = messages = sorted(messages, key=lambda one: kinds.index(one.kind))
    if not others:
        return worst
    blocks = [f"{message.title}\n{message.body}" for message in messages[:_MOST_LISTED]]
    more = len(messages) - _MOST_LISTED
    blocks += [f"… and {more:,} more: {address}/"] if more > 0 else []
    title = f"{worst.title} (and {len(others):,} more)"
    return replace(worst, title=title, body="\n\n".join(blocks))


def _write(known: KnownFinding, event: AlertEvent, *, address: str, zone: ZoneInfo) -> AlertMessage:
    finding, is_over = known.finding, event is AlertEvent.ENDED
    whole = f"{_PREFIXES[event]}{' '.join(finding.headline.split())}"
    title = whole if len(whole) <= _LONGEST_TITLE else f"{whole[: _LONGEST_TITLE - 1]}…"
    lines = [f"Since {_shown(known.since, zone)}.", *(f"{one.text}." for one in finding.effects)]
    if is_over:
        lines[0] += f" Over since {_shown(known.gone_at or known.began_at, zone)}."
    elif finding.advice:
        lines.append(f"What next: {finding.advice}")
    if finding.next_at is not None and not is_over:
        lines.append(f"It continues by itself at {_shown(finding.next_at, zone)}.")
    lines.append(f"{address}{finding.link}")
    if not is_over:
        lines.append(f"Cause: {finding.code}, see {address}/causes#{finding.code}")
    kind = "failure" if finding.severity is Severity.ERROR else "warning"
    body = "\n".join(lines if title == whole else [whole, *lines])
    return AlertMessage(title, body, "success" if is_over else kind)


def _shown(instant: datetime, zone: ZoneInfo) -> str:
    local = instant.astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M} {local.tzname()}"
