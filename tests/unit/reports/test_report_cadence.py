"""When the next round of an account may begin, by its own cadence, through both changes of its clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.accounts import rules

US, DE, AU = "America/Los_Angeles", "Europe/Paris", "Australia/Sydney"
IN, CUBA = "Asia/Kolkata", "America/Havana"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _ticks(cron: str, zone: str, since: str, count: int) -> str:
    """Return the next times of a cron, in local time with the offset."""
    at, local = _utc(since), []
    for _ in range(count):
        following = rules.Cadence(cron=cron).next_start(zone, last=None, now=at)
        assert following is not None
        at = following
        local.append(f"{at.astimezone(ZoneInfo(zone)):%m-%d %H:%M%z}")
    return ", ".join(local)


def test_without_a_cadence_a_round_may_begin_at_any_time() -> None:
    """The default waits for nothing but due work."""
    assert rules.AS_SOON_AS_DUE.next_start(US, last=NOW, now=NOW) is None


CRONS = {
    "US spring": ("0 6 * * *", US, "2026-03-07T12:00", "03-07 06:00-0800, 03-08 06:00-0700"),
    "US autumn": ("0 6 * * *", US, "2026-10-31T12:00", "10-31 06:00-0700, 11-01 06:00-0800"),
    "AU autumn": ("0 6 * * *", AU, "2026-04-04T00:00", "04-05 06:00+1000, 04-06 06:00+1000"),
    "AU spring": ("0 6 * * *", AU, "2026-10-02T00:00", "10-03 06:00+1000, 10-04 06:00+1100"),
    "IN half hour": ("15 5 * * *", IN, "2026-01-01T00:00", "01-02 05:15+0530"),
    "skipped": ("30 2 * * *", DE, "2026-03-28T12:00", "03-29 03:00+0200, 03-30 02:30+0200"),
    "twice": ("30 2 * * *", DE, "2026-10-24T12:00", "10-25 02:30+0200, 10-26 02:30+0100"),
    "from between the two": ("30 2 * * *", DE, "2026-10-25T01:10", "10-26 02:30+0100"),
    "midnight": ("0 0 * * *", CUBA, "2026-10-31T12:00", "11-01 00:00-0400, 11-02 00:00-0500"),
    "each hour": ("30 * * * *", DE, "2026-10-25T00:00", "10-25 02:30+0200, 10-25 02:30+0100"),
    "six hours": ("0 */6 * * *", DE, "2026-03-28T20:00", "03-29 00:00+0100, 03-29 06:00+0200"),
    "leap day": ("0 7 29 2 *", US, "2026-01-01T00:00", "02-29 07:00-0800"),
    "months without a 31st": ("0 7 31 * *", US, "2026-03-31T20:00", "05-31 07:00-0700"),
    "over the end of the year": ("0 7 * * MON", US, "2026-12-29T00:00", "01-04 07:00-0800"),
    "what is now is over": ("0 12 * * *", "UTC", "2026-03-01T12:00", "03-02 12:00+0000"),
}


@pytest.mark.parametrize(("cron", "zone", "since", "expected"), CRONS.values(), ids=CRONS)
def test_cron_is_the_accounts_wall_clock(cron: str, zone: str, since: str, expected: str) -> None:
    """Local time counts, whatever the clocks do; a time that is skipped comes right after, one that comes twice counts once."""
    assert expected == _ticks(cron, zone, since, expected.count(",") + 1)


def test_the_first_round_of_a_duration_begins_at_once() -> None:
    """Nothing is waited for where nothing was before."""
    assert NOW == rules.Cadence(every=timedelta(hours=6)).next_start(US, last=None, now=NOW)


@pytest.mark.parametrize(
    ("now_hours", "expected_hours"),
    [(0.0, 6), (0.01, 6), (5.99, 6), (6, 12), (6.2, 12), (20, 24), (-3, 6)],
)
def test_a_duration_counts_from_the_planned_start(now_hours: float, expected_hours: int) -> None:
    """A late start delays no other, missed ones are not made up for, and a clock that was set back breaks nothing."""
    expected = NOW + timedelta(hours=expected_hours)
    now = NOW + timedelta(hours=now_hours)
    assert expected == rules.Cadence(every=timedelta(hours=6)).next_start(US, last=NOW, now=now)


@pytest.mark.parametrize(("last", "zone"), [("2026-03-28T20:00", DE), ("2026-10-31T20:00", US)])
def test_a_duration_is_time_that_passes(last: str, zone: str) -> None:
    """A day between two rounds is 24 hours, also over a change of the clocks."""
    began = _utc(last)
    a_day = timedelta(days=1)
    assert began + a_day == rules.Cadence(every=a_day).next_start(zone, last=began, now=began)


EVERY = st.timedeltas(timedelta(minutes=5), timedelta(days=31))
CADENCES = st.builds(rules.Cadence, every=EVERY) | st.builds(
    rules.Cadence,
    cron=st.sampled_from(["0 6 * * *", "30 2 * * *", "*/20 * * * *", "0 0 1 * *", "5 1-3 * * SUN"]),
)
INSTANTS = st.timedeltas(timedelta(0), timedelta(days=800)).map(lambda offset: NOW + offset)


@given(CADENCES, INSTANTS, INSTANTS, st.sampled_from([US, DE, AU, IN, CUBA]))
def test_the_next_round_is_always_to_come(
    cadence: rules.Cadence, last: datetime, now: datetime, zone: str
) -> None:
    """Whatever was, the next start lies ahead, in UTC, and no further than one step of the cadence where it counts from now."""
    at = cadence.next_start(zone, last=last, now=now)

    assert at is not None
    assert (UTC, True) == (at.tzinfo, at > now)
    assert cadence.every is None or at <= max(now, last) + cadence.every
    assert cadence.cron is None or at <= now + timedelta(days=32)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6h", timedelta(hours=6)),
        ("90m", timedelta(minutes=90)),
        ("1d12h", timedelta(hours=36)),
        ("2w", timedelta(days=14)),
        ("PT6H", timedelta(hours=6)),
        ("P1DT12H", timedelta(hours=36)),
        (" pt30m ", timedelta(minutes=30)),
    ],
)
def test_durations_are_read(text: str, expected: timedelta) -> None:
    """Short ones as people write them, and ISO 8601."""
    assert expected == rules.parse_every(text)


@pytest.mark.parametrize(
    "text", ["", "6", "h", "6 hours", "P", "PT", "P1M", "P1Y", "PT5S", "-6h", "6h6", "9" * 30 + "h"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The message shows what is expected, and what came."""
    with pytest.raises(rules.BadCadenceError, match="expected a duration like 6h") as caught:
        rules.parse_every(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("given_every", "cron", "said"),
    [
        (timedelta(hours=6), "0 6 * * *", "got both"),
        (timedelta(minutes=4), None, "5 minutes to 31 days, got: 4 minutes"),
        (timedelta(days=32), None, "got: 32 days"),
        (None, "0 6 * *", "five fields"),
        (None, "0 0 6 * * *", "five fields"),
        (None, "60 6 * * *", r"got: '60 6 \* \* \*' \(Bad minute\)"),
        (None, "0 0 31 2 *", "Bad day-of-month"),
        (None, "a b c d e", "Bad minute"),
    ],
)
def test_what_is_no_cadence_is_refused(
    given_every: timedelta | None, cron: str | None, said: str
) -> None:
    """Both at once, too short, too long, no cron, or one that never comes."""
    with pytest.raises(rules.BadCadenceError, match=said):
        rules.Cadence(every=given_every, cron=cron)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (0, "0 minutes"),
        (1, "1 minute"),
        (90, "1 hour 30 minutes"),
        (1500, "1 day 1 hour"),
        (44640, "31 days"),
    ],
)
def test_durations_are_told(minutes: int, expected: str) -> None:
    """In days, hours and minutes, without those that are none."""
    assert expected == rules.describe_duration(timedelta(minutes=minutes))


def test_cadences_are_told() -> None:
    """Each kind in words."""
    cadences = [
        rules.AS_SOON_AS_DUE,
        rules.Cadence(every=timedelta(hours=6)),
        rules.Cadence(cron="0 6 * * *"),
    ]
    assert ["as soon as due", "every 6 hours", "cron 0 6 * * *"] == list(map(str, cadences))
