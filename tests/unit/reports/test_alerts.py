"""When an alert about a finding is sent, and its words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.problems import alert_rules
from bidbeacon_pipelines.problems.alert_rules import AlertEvent
from bidbeacon_pipelines.problems.findings import Effect, Finding

NOON = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = "22:00-07:00"
PROBLEM = Finding(
    key="report-failed-1",
    code="report-failed",
    severity=Severity.ERROR,
    sentence="Out of ink.",
    advice="Buy some.",
    effects=(Effect("2 windows failed, in daily_targets", "/coverage?state=failed", 2),),
    names=("Acme Merch · US",),
    accounts=1,
    since=NOON - timedelta(hours=3),
    link="/coverage?state=failed",
)
WAITING = replace(PROBLEM, severity=Severity.WAITING)


class Watch:
    """Checks again and again, and keeps what one receiver was sent."""

    def __init__(self) -> None:
        self.known: dict[str, alert_rules.KnownFinding] = {}
        self.sent: list[AlertEvent] = []

    def check(self, minutes: float, *findings: Finding) -> list[AlertEvent]:
        """Check so many minutes after noon; return the events that are sent."""
        now, sent = NOON + timedelta(minutes=minutes), []
        for one in alert_rules.with_findings(self.known, findings, now):
            event = alert_rules.find_event(one, 1, now)
            alerts = one.last_alerts if event is None else {1: alert_rules.LastAlert(event, now)}
            self.known[one.finding.key] = replace(one, last_alerts=alerts)
            sent += [] if event is None else [event]
        self.sent += sent
        return sent

    def acknowledge(self) -> None:
        """Acknowledge the finding as it is known."""
        known = self.known[PROBLEM.key]
        severity, count = known.finding.severity, known.finding.count
        given = alert_rules.Acknowledgement("Ann", NOON, "", severity, count)
        self.known[PROBLEM.key] = replace(known, acknowledged=given)


@pytest.fixture
def watch() -> Watch:
    """Return a watch that has not checked yet."""
    return Watch()


def grown(count: int) -> Finding:
    """Return the finding with so much of it."""
    return replace(PROBLEM, effects=(Effect("…", "/", count),))


def test_a_problem_is_alerted_when_it_begins_and_when_it_ends(watch: Watch) -> None:
    """Once each, however often it is checked."""
    assert [AlertEvent.BEGAN] == watch.check(0, PROBLEM)
    assert [] == watch.check(1, PROBLEM)
    assert [AlertEvent.ENDED] == watch.check(2)
    assert [] == watch.check(3)


def test_what_usually_passes_is_not_alerted_until_it_is_a_warning(watch: Watch) -> None:
    """And its end is alerted only where it was."""
    assert [] == watch.check(0, WAITING) == watch.check(1)
    assert [] == watch.check(2, WAITING)
    assert [AlertEvent.BEGAN] == watch.check(3, PROBLEM)
    assert [] == watch.check(4, WAITING)
    assert [AlertEvent.ENDED] == watch.check(5)


def test_what_is_acknowledged_is_not_alerted_until_it_changes(watch: Watch) -> None:
    """Worse, or twice as large, it is alerted as before; its end is alerted in any case, and then the next time is a new one."""
    watch.check(0, PROBLEM)
    watch.acknowledge()
    assert [] == watch.check(24 * 60 + 1, grown(3))
    assert [AlertEvent.STILL] == watch.check(24 * 60 + 2, grown(4))
    watch.acknowledge()
    assert [AlertEvent.ENDED] == watch.check(24 * 60 + 3)
    assert [] == watch.check(24 * 60 + 4, PROBLEM)
    assert [AlertEvent.BEGAN] == watch.check(28 * 60 + 4, PROBLEM)


def test_a_finding_that_gets_worse_is_not_acknowledged_any_more(watch: Watch) -> None:
    """Somebody who accepted a warning has not accepted an error."""
    watch.check(0, replace(PROBLEM, severity=Severity.WARNING))
    watch.acknowledge()
    watch.check(1, PROBLEM)
    assert watch.known[PROBLEM.key].acknowledged is None


def test_a_problem_that_lasts_is_alerted_once_a_day(watch: Watch) -> None:
    """Three days of it are the beginning and three reminders, the last one as it is over 72 hours old."""
    for minutes in range(0, 72 * 60 + 1, 10):
        watch.check(minutes, PROBLEM)
    assert [AlertEvent.BEGAN, *[AlertEvent.STILL] * 3] == watch.sent


def test_what_comes_and_goes_is_alerted_every_four_hours_at_most(watch: Watch) -> None:
    """A day of a problem that is there every other minute."""
    for minutes in range(24 * 60):
        watch.check(minutes, *([PROBLEM] if minutes % 2 == 0 else []))
    assert [AlertEvent.BEGAN, AlertEvent.ENDED] * 6 == watch.sent


def test_what_comes_back_and_stays_is_alerted_later(watch: Watch) -> None:
    """Four hours after it was said to be over."""
    watch.check(0, PROBLEM)
    watch.check(1)
    assert [] == watch.check(2, PROBLEM) == watch.check(240, PROBLEM)
    assert [AlertEvent.BEGAN] == watch.check(241, PROBLEM)


def test_what_settles_is_not_over_at_once(watch: Watch) -> None:
    """Windows that are asked for again leave their state meanwhile: that is neither an end nor a new beginning."""
    settling = replace(PROBLEM, settles_after=timedelta(hours=2))
    watch.check(0, settling)
    assert [] == watch.check(10) == watch.check(129)
    assert [] == watch.check(130, settling) == watch.check(131)
    assert [] == watch.check(250)
    assert [AlertEvent.ENDED] == watch.check(251)


def test_what_usually_passes_is_alerted_when_it_stays(watch: Watch) -> None:
    """A run that failed is followed by another within minutes; where that one went well, nothing is said."""
    passing = replace(PROBLEM, alert_after=timedelta(minutes=15))
    assert [] == watch.check(0, passing) == watch.check(14, passing) == watch.check(15)
    assert [] == watch.check(20, passing) == watch.check(34, passing)
    assert [AlertEvent.BEGAN] == watch.check(35, passing)


@pytest.mark.parametrize(
    ("hours", "local", "expected"),
    [
        (NIGHT, "2026-07-25T21:59", False),
        (NIGHT, "2026-07-25T22:00", True),
        (NIGHT, "2026-07-25T00:30", True),
        (NIGHT, "2026-07-25T06:59", True),
        (NIGHT, "2026-07-25T07:00", False),
        (NIGHT, "2026-03-28T06:30", True),
        (NIGHT, "2026-03-29T07:30", False),
        ("12:00-13:30", "2026-07-25T12:00", True),
        ("12:00-12:00", "2026-07-25T12:00", False),
    ],
)
def test_quiet_hours_are_of_the_zone_that_is_set(hours: str, local: str, *, expected: bool) -> None:
    """Over midnight and over a change of the clock; the end is not one of them, and where both times are the same there are none."""
    now = datetime.fromisoformat(local).replace(tzinfo=BERLIN)
    assert expected == alert_rules.is_quiet(hours, BERLIN, now.astimezone(UTC))


def write(*news: tuple[Finding, AlertEvent]) -> alert_rules.AlertMessage:
    """Return the digest about findings that were first seen at noon."""
    gone_at = NOON + timedelta(hours=1)
    known = [(alert_rules.KnownFinding(one, NOON, gone_at=gone_at), event) for one, event in news]
    return alert_rules.write_digest(known, address="https://beacon.example", zone=BERLIN)


def test_a_message_says_whose_what_since_when_and_what_next() -> None:
    """Account and cause come first, then what it did, what helps and a link; times are in the zone that was set."""
    retried = replace(PROBLEM, next_at=NOON + timedelta(minutes=5))
    message = write((retried, AlertEvent.BEGAN))
    assert "Acme Merch · US: Out of ink." == message.title
    assert [
        "Since 25 Jul 2026 11:00 CEST.",
        "2 windows failed, in daily_targets.",
        "What next: Buy some.",
        "It continues by itself at 25 Jul 2026 14:05 CEST.",
        "https://beacon.example/coverage?state=failed",
        "Cause: report-failed, see https://beacon.example/causes#report-failed",
    ] == message.body.splitlines()


def test_the_end_is_alerted_with_when_it_was() -> None:
    """Without what would have helped."""
    message = write((PROBLEM, AlertEvent.ENDED))
    assert "Over: Acme Merch · US: Out of ink." == message.title
    assert "Over since 25 Jul 2026 15:00 CEST" in message.body
    assert "Buy some" not in message.body


def test_a_receiver_gets_one_digest_with_the_worst_first() -> None:
    """News are worse than what has ended, and errors than warnings; the title counts the others."""
    minor = replace(PROBLEM, key="minor", severity=Severity.WARNING, sentence="Low on ink.")
    message = write(
        (PROBLEM, AlertEvent.ENDED),
        (minor, AlertEvent.STILL),
        (PROBLEM, AlertEvent.BEGAN),
    )
    assert "Acme Merch · US: Out of ink. (and 2 more)" == message.title
    assert "failure" == message.kind
    assert [
        "Acme Merch · US: Out of ink.",
        "Still: Acme Merch · US: Low on ink.",
        "Over: Acme Merch · US: Out of ink.",
    ] == [block.splitlines()[0] for block in message.body.split("\n\n")]


def test_a_long_cause_is_whole_in_the_body() -> None:
    """And cut off in the title, which is one line in any case."""
    long = replace(PROBLEM, names=(), sentence="word\nand " * 100)
    message = write((long, AlertEvent.BEGAN))
    assert (240, "…", 1) == (len(message.title), message.title[-1], len(message.title.splitlines()))
    assert ("word and " * 100).strip() == message.body.splitlines()[0]


def test_a_digest_lists_twenty_findings_and_counts_the_others() -> None:
    """The page has all of them."""
    message = write(*[(replace(PROBLEM, key=str(n)), AlertEvent.BEGAN) for n in range(25)])
    assert 21 == len(message.body.split("\n\n"))
    assert "… and 5 more: https://beacon.example/" == message.body.splitlines()[-1]
