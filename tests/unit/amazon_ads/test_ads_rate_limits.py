from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.amazon_ads.rate_limits import (
    LONGEST_PAUSE,
    CallClass,
    CallIntervals,
    LimitScope,
    LocalRateLimits,
    Slot,
    next_slot,
    paused_until,
)
from tests.unit.amazon_ads.fakes import FakeClock

NOW = datetime(2025, 12, 30, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CREATE = LimitScope("NA", CallClass.CREATE, "amzn1.ads-account.g.one")
OTHERS_CREATE = LimitScope("NA", CallClass.CREATE, "amzn1.ads-account.g.two")
NOBODYS_CREATE = LimitScope("NA", CallClass.CREATE)


def limits_of(clock: FakeClock) -> LocalRateLimits:
    """Return rate limits with intervals of 1 s in a region and 10 s in an account."""
    classes = list(CallClass)
    return LocalRateLimits(
        CallIntervals(dict.fromkeys(classes, 1.0), dict.fromkeys(classes, 10.0)), clock.now
    )


def test_first_call_starts_at_once() -> None:
    """Where nobody was before, the slot is now, and the next one is an interval later under each rate limit."""
    assert next_slot(NOW, [None, None], [SECOND, MINUTE], MINUTE) == Slot(
        NOW, (NOW + SECOND, NOW + MINUTE)
    )


def test_later_of_two_limits_decides() -> None:
    """A call starts when both of its rate limits allow it."""
    slot = next_slot(NOW, [NOW + SECOND, NOW + 5 * SECOND], [SECOND, SECOND], MINUTE)
    assert slot == Slot(NOW + 5 * SECOND, (NOW + 6 * SECOND, NOW + 6 * SECOND))


def test_past_starts_count_as_now() -> None:
    """A rate limit that was idle delays nothing."""
    assert next_slot(NOW, [NOW - MINUTE], [SECOND], MINUTE).start == NOW


@pytest.mark.parametrize(("seconds", "taken"), [(59, True), (60, True), (61, False)])
def test_place_too_far_off_is_not_taken(seconds: int, taken: bool) -> None:  # noqa: FBT001 - a test's parameter
    """Exactly the longest wait is still waited for, and more isn't."""
    slot = next_slot(NOW, [NOW + seconds * SECOND], [SECOND], MINUTE)
    assert (slot.next_starts is not None) is taken
    assert slot.start == NOW + seconds * SECOND


def test_start_of_a_clock_that_ran_ahead_is_forgotten() -> None:
    """A start planned further ahead than any hold was written by a wrong clock, and holds nobody."""
    assert next_slot(NOW, [NOW + LONGEST_PAUSE + SECOND], [SECOND], MINUTE).start == NOW
    assert next_slot(NOW, [NOW + LONGEST_PAUSE], [SECOND], MINUTE).start == NOW + LONGEST_PAUSE


@given(
    ahead=st.lists(st.none() | st.integers(-100, 3000), min_size=1, max_size=2),
    gap=st.integers(0, 60),
    longest=st.integers(0, 600),
)
def test_places_are_never_early(ahead: list[int | None], gap: int, longest: int) -> None:
    """No slot is before now, before a rate limit's next start, or reserved beyond the longest wait."""
    starts = [None if each is None else NOW + each * SECOND for each in ahead]
    slot = next_slot(NOW, starts, [gap * SECOND] * len(starts), longest * SECOND)
    assert slot.start == max([NOW, *(start for start in starts if start)])
    if slot.next_starts is None:
        assert slot.start - NOW > longest * SECOND
    else:
        assert slot.next_starts == (slot.start + gap * SECOND,) * len(starts)


@pytest.mark.parametrize(
    ("next_start", "seconds", "until"),
    [
        (None, 30, 30 * SECOND),
        (NOW - MINUTE, 30, 30 * SECOND),
        (NOW + MINUTE, 30, MINUTE),
        (NOW + MINUTE, 90, 90 * SECOND),
        (None, -5, 0 * SECOND),
        (None, 86_400, LONGEST_PAUSE),
        (NOW + timedelta(days=9), 30, 30 * SECOND),
    ],
)
def test_hold_only_adds(next_start: datetime | None, seconds: float, until: timedelta) -> None:
    """A hold never brings a start forward, nor puts it off for more than an hour."""
    assert paused_until(NOW, next_start, seconds) == NOW + until


def test_scope_names_its_keys() -> None:
    """A call of an account counts against the region's rate limit and its own; one without an account against the region's."""
    assert CREATE.keys == (("NA", "create", ""), ("NA", "create", "amzn1.ads-account.g.one"))
    assert CREATE.own_key == CREATE.keys[1]
    assert NOBODYS_CREATE.keys == (NOBODYS_CREATE.own_key,)


def test_usual_gaps_know_every_class() -> None:
    """Creates of a region are a second apart, as slow as Amazon may want them, the rest less; every class has its gap."""
    intervals = {each: CallIntervals().of(LimitScope("EU", each, "a")) for each in CallClass}
    assert intervals[CallClass.CREATE] == (SECOND, SECOND)
    assert {intervals[each] for each in CallClass if each is not CallClass.CREATE} == {
        (timedelta(seconds=0.05), timedelta(seconds=0.05))
    }


def test_calls_of_an_account_start_apart() -> None:
    """Places of one account lie its gap apart, those of different accounts the region's."""
    rate_limits = limits_of(FakeClock())
    waits = [
        rate_limits.reserve(scope, longest_wait=60)
        for scope in (CREATE, CREATE, OTHERS_CREATE, CREATE)
    ]
    assert waits == [0, 10, 11, 20]


def test_classes_and_regions_are_apart() -> None:
    """A call of another class, or in another region, isn't held up."""
    rate_limits = limits_of(FakeClock())
    rate_limits.reserve(CREATE, longest_wait=60)
    elsewhere = (
        LimitScope("NA", CallClass.RETRIEVE, CREATE.account_id),
        LimitScope("EU", CallClass.CREATE, CREATE.account_id),
    )
    assert [rate_limits.reserve(scope, longest_wait=60) for scope in elsewhere] == [0, 0]


def test_refused_place_is_not_taken() -> None:
    """A caller that doesn't want to wait so long leaves the slot to others."""
    rate_limits = limits_of(FakeClock())
    rate_limits.reserve(CREATE, longest_wait=60)
    assert [rate_limits.reserve(CREATE, longest_wait=5) for _ in range(3)] == [10, 10, 10]
    assert rate_limits.reserve(CREATE, longest_wait=60) == 10


def test_held_account_leaves_the_others() -> None:
    """A hold concerns the account that Amazon spoke of."""
    rate_limits = limits_of(FakeClock())
    rate_limits.pause(CREATE, 30)
    assert rate_limits.reserve(OTHERS_CREATE, longest_wait=60) == 0
    assert rate_limits.reserve(CREATE, longest_wait=60) == 30


def test_held_region_holds_everyone() -> None:
    """A hold for a call of nobody in particular concerns all of its region and class."""
    rate_limits = limits_of(FakeClock())
    rate_limits.pause(NOBODYS_CREATE, 30)
    assert rate_limits.reserve(CREATE, longest_wait=60) == 30
    assert (
        rate_limits.reserve(LimitScope("NA", CallClass.EXPORTS, CREATE.account_id), longest_wait=60)
        == 0
    )


@pytest.mark.parametrize("back", [timedelta(seconds=20), timedelta(hours=5)])
def test_clock_set_back_holds_nobody_up(back: timedelta) -> None:
    """A clock that is set back takes the plans along: waits stay what they were."""
    clock = FakeClock()
    rate_limits = limits_of(clock)
    rate_limits.pause(CREATE, 30)
    clock.instant -= back
    assert rate_limits.reserve(CREATE, longest_wait=60) == 30


def test_threads_never_share_a_place() -> None:
    """Twenty threads that come at once get twenty places, the gap apart."""
    rate_limits = limits_of(FakeClock())
    with ThreadPoolExecutor(20) as pool:
        waits = list(pool.map(lambda _: rate_limits.reserve(CREATE, longest_wait=600), range(20)))
    assert sorted(waits) == [10 * number for number in range(20)]
