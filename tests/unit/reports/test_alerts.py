"""Tests of when somebody is told of a problem, and in which words."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bidbeacon_pipelines.problems.alert_rules import (
    MOST_SINGLY,
    Alert,
    Event,
    Message,
    QuietHours,
    bundle,
    update_alerts,
    write_message,
)
from bidbeacon_pipelines.problems.problem_rules import Problem, shape_of

NOON = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
PROBLEM = Problem(
    key="failed: out of ink",
    kind="failed",
    cause="Out of ink",
    count=2,
    noun="window",
    names=("Acme Merch · US",),
    accounts=1,
    datasets=("daily_targets",),
    since=NOON - timedelta(hours=3),
    link="/coverage?state=failed",
)


class Watch:
    """Looks again and again, and keeps what was said."""

    def __init__(self) -> None:
        self.known: dict[str, Alert] = {}
        self.said: list[Event] = []

    def look(self, minutes: float, *problems: Problem, is_quiet: bool = False) -> list[Event]:
        """Look so many minutes after noon; return what is said."""
        updates = update_alerts(
            problems, self.known, NOON + timedelta(minutes=minutes), is_quiet=is_quiet
        )
        self.known |= {alert.problem.key: alert for alert, _ in updates}
        events = [event for _, event in updates if event is not None]
        self.said += events
        return events


@pytest.fixture
def watch() -> Watch:
    """Return a watch that has not looked yet."""
    return Watch()


def grown(count: int) -> Problem:
    """Return the problem with so much of it."""
    return replace(PROBLEM, count=count)


def test_a_problem_is_told_when_it_begins_and_when_it_ends(watch: Watch) -> None:
    """Once each, however often one looks."""
    assert [Event.BEGAN] == watch.look(0, PROBLEM)
    assert [] == watch.look(1, PROBLEM)
    assert [Event.ENDED] == watch.look(2)
    assert [] == watch.look(3)


def test_growth_is_told_when_it_has_doubled_and_once_an_hour(watch: Watch) -> None:
    """Less than twice as much is not worth a message."""
    watch.look(0, PROBLEM)
    assert [] == watch.look(30, grown(40))
    assert [] == watch.look(61, grown(3))
    assert [Event.GREW] == watch.look(62, grown(4))
    assert [] == watch.look(123, grown(7))
    assert [Event.GREW] == watch.look(124, grown(8))


def test_a_problem_that_lasts_is_told_once_a_day(watch: Watch) -> None:
    """Three days of it are the beginning and three reminders, the last one as it is over 72 hours old."""
    for minutes in range(0, 72 * 60 + 1, 10):
        watch.look(minutes, PROBLEM)
    assert [Event.BEGAN, *[Event.LASTS] * 3] == watch.said


def test_what_comes_and_goes_is_told_every_four_hours_at_most(watch: Watch) -> None:
    """A day of a problem that is there every other minute."""
    for minutes in range(24 * 60):
        watch.look(minutes, *([PROBLEM] if minutes % 2 == 0 else []))
    assert [Event.BEGAN, Event.ENDED] * 6 == watch.said


def test_what_comes_back_and_stays_is_told_later(watch: Watch) -> None:
    """Four hours after it was said to be over."""
    watch.look(0, PROBLEM)
    watch.look(1)
    assert [] == watch.look(2, PROBLEM) == watch.look(240, PROBLEM)
    assert [Event.BEGAN] == watch.look(241, PROBLEM)


def test_what_settles_is_not_over_at_once(watch: Watch) -> None:
    """Windows that are asked for again leave their state meanwhile: that is neither an end nor a new beginning."""
    settling = replace(PROBLEM, settles_after=timedelta(hours=2))
    watch.look(0, settling)
    assert [] == watch.look(10) == watch.look(129)
    assert [] == watch.look(130, settling) == watch.look(131)
    assert [] == watch.look(250)
    assert [Event.ENDED] == watch.look(251)


def test_what_usually_passes_is_told_when_it_stays(watch: Watch) -> None:
    """A run that failed is followed by another within minutes; where that one went well, nothing is said."""
    passing = replace(PROBLEM, tell_after=timedelta(minutes=15))
    assert [] == watch.look(0, passing) == watch.look(14, passing) == watch.look(15)
    assert [] == watch.look(20, passing) == watch.look(34, passing)
    assert [Event.BEGAN] == watch.look(35, passing)


def test_what_is_recovered_is_no_problem_any_more(watch: Watch) -> None:
    """The page still shows it; it is told as over."""
    watch.look(0, PROBLEM)
    assert [Event.ENDED] == watch.look(5, replace(PROBLEM, is_recovered=True))


def test_in_quiet_hours_messages_wait(watch: Watch) -> None:
    """Afterwards comes what is still so, in one message for each cause."""
    assert [] == watch.look(0, PROBLEM, is_quiet=True) == watch.look(1, grown(50), is_quiet=True)
    assert [Event.BEGAN] == watch.look(2, grown(50))


def test_what_begins_and_ends_in_quiet_hours_is_not_told(watch: Watch) -> None:
    """Nobody can do anything about it any more."""
    watch.look(0, PROBLEM, is_quiet=True)
    assert [] == watch.look(1, is_quiet=True) == watch.look(2)


def test_what_was_told_before_quiet_hours_and_ends_in_them_is_told_after_them(watch: Watch) -> None:
    """Once; where it is there again by then, nothing has changed."""
    watch.look(0, PROBLEM)
    assert [] == watch.look(1, is_quiet=True)
    assert [Event.ENDED] == watch.look(2)
    watch.look(100, PROBLEM)
    assert (
        []
        == watch.look(101, is_quiet=True)
        == watch.look(102, PROBLEM, is_quiet=True)
        == watch.look(103, PROBLEM)
    )


@pytest.mark.parametrize(
    ("local", "is_quiet"),
    [("21:59", False), ("22:00", True), ("00:30", True), ("06:59", True), ("07:00", False)],
)
def test_quiet_hours_go_over_midnight_in_their_zone(local: str, *, is_quiet: bool) -> None:
    """The end is not one of them."""
    now = datetime.fromisoformat(f"2026-07-25T{local}").replace(tzinfo=BERLIN)
    assert is_quiet == QuietHours.parse("22:00-07:00", BERLIN).contain(now.astimezone(UTC))


def test_quiet_hours_within_a_day_and_none() -> None:
    """Where both times are the same there are none."""
    assert QuietHours.parse("12:00-13:30", ZoneInfo("UTC")).contain(NOON)
    assert not QuietHours.parse("12:00-12:00", ZoneInfo("UTC")).contain(NOON)


def test_quiet_hours_follow_summer_time() -> None:
    """At seven on the clock the night is over, an hour sooner in UTC from one day to the next."""
    hours = QuietHours.parse("22:00-07:00", BERLIN)
    assert hours.contain(datetime(2026, 3, 28, 5, 30, tzinfo=UTC))
    assert not hours.contain(datetime(2026, 3, 29, 5, 30, tzinfo=UTC))


def write(event: Event, problem: Problem = PROBLEM) -> Message:
    """Return the message about a problem that was first seen at noon."""
    alert = Alert(problem, NOON, gone_at=NOON + timedelta(hours=1))
    return write_message(alert, event, address="https://beacon.example", zone=BERLIN)


def test_a_message_says_whose_what_how_much_since_when_and_where() -> None:
    """Account and cause come first, then the extent, then a link; times are in the zone that was set."""
    message = write(Event.BEGAN)
    assert "Acme Merch · US: Out of ink" == message.title
    assert [
        "Failed, 2 windows in daily_targets, since 25 Jul 2026 11:00 CEST.",
        "https://beacon.example/coverage?state=failed",
    ] == message.body.splitlines()


@pytest.mark.parametrize(
    ("event", "title"),
    [
        (Event.GREW, "More of it: Acme Merch · US: Out of ink"),
        (Event.LASTS, "Still: Acme Merch · US: Out of ink"),
        (Event.ENDED, "Over: Acme Merch · US: Out of ink"),
    ],
)
def test_a_title_says_what_happened(event: Event, title: str) -> None:
    """The end says since when it is over."""
    message = write(event)
    assert title == message.title
    assert (event is Event.ENDED) == ("over since 25 Jul 2026 15:00 CEST" in message.body)


def test_many_accounts_are_named_and_counted() -> None:
    """As are datasets."""
    wide = replace(
        PROBLEM,
        names=("A · US", "B · DE", "C · FR"),
        accounts=7,
        datasets=("daily_targets", "x", "y"),
    )
    message = write(Event.BEGAN, wide)
    assert "A · US, B · DE, C · FR and 4 more accounts: Out of ink" == message.title
    assert "2 windows of 7 accounts in daily_targets and 2 more datasets" in message.body


def test_a_long_cause_is_whole_in_the_body() -> None:
    """And cut off in the title, which is one line in any case."""
    long = replace(PROBLEM, names=(), cause="word\nand " * 100)
    message = write(Event.BEGAN, long)
    assert (240, "…", 1) == (len(message.title), message.title[-1], len(message.title.splitlines()))
    assert ("word and " * 100).strip() == message.body.splitlines()[0]


def messages(count: int, event: Event = Event.BEGAN) -> Sequence[Message]:
    """Return so many messages."""
    return [Message(event, False, f"Cause {number}", "…") for number in range(count)]


def test_few_messages_are_sent_one_by_one() -> None:
    """Up to five."""
    assert messages(MOST_SINGLY) == bundle(messages(MOST_SINGLY), address="https://beacon.example")


def test_many_messages_are_one() -> None:
    """It lists the first twenty, and counts the others; it is good news only where all are."""
    [one] = bundle([*messages(20, Event.ENDED), *messages(5)], address="https://beacon.example")
    assert ("25 changes of what is wrong", Event.BEGAN) == (one.title, one.event)
    assert ["- Cause 0", "- Cause 19", "… and 5 more", "https://beacon.example/"] == [
        one.body.splitlines()[place] for place in (0, 19, 20, 21)
    ]
    [good] = bundle(messages(6, Event.ENDED), address="https://beacon.example")
    assert Event.ENDED == good.event


def test_a_cause_has_one_shape_whatever_its_numbers() -> None:
    """Ids, counts and days are left out, and so is which field of invalid rows is how often what."""
    assert shape_of(
        "3 of 90 rows (3.3%) failed validation (2 × clicks: missing, 1 × date: unreadable)"
    ) == shape_of("9 of 91 rows (9.9%) failed validation (9 × sales: expected an amount or null)")
    assert shape_of("3 of 1,500 rows (0.2%) of 2026-07-25") == shape_of(
        "9 of 90 rows (10.0%) of 2026-07-01"
    )
