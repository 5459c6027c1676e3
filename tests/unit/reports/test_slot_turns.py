"""Whose turn it is: the order in which the datasets of an account get its free slots."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.reports.planning import OLDEST_WAITS_AT_MOST, PlannedRequest
from bidbeacon_pipelines.reports.turns import Queue, share_slots, take_turns

YESTERDAY = date(2026, 1, 14)
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def ask(ago: int = 0, *, by_hand: bool = False) -> PlannedRequest:
    """Give a request for one day, so many days before yesterday."""
    day = YESTERDAY - timedelta(days=ago)
    days = (day,)
    return PlannedRequest(
        day, day, wanted=days if by_hand else (), due=() if by_hand else days, bridged=(), holds_oldest=False
    )


def names(queues: Sequence[Queue], free_slots: int) -> list[str]:
    """Give the datasets that get a slot, in order."""
    return [dataset for dataset, _ in take_turns(queues, free_slots)]


def test_datasets_with_equal_need_take_turns() -> None:
    """Three datasets that wait for the same days get a slot each before the first gets its second."""
    queues = [Queue(name, (ask(), ask(120))) for name in "abc"]
    assert ["a", "b", "c", "a", "b", "c"] == names(queues, 9)


def test_who_had_its_turn_the_longest_time_ago_goes_first() -> None:
    """One that was never asked for goes before one that was, and an hour ago before just now."""
    asked = {"a": NOON, "b": NOON - timedelta(hours=1), "c": None}
    queues = [Queue(name, (ask(),), last_asked_at=at) for name, at in asked.items()]
    assert ["c", "b", "a"] == names(queues, 3)


def test_yesterday_of_one_goes_before_last_year_of_another() -> None:
    """A dataset that is filled has its new day before those that are being filled go on."""
    filling, filled = Queue("filling", (ask(300),)), Queue("filled", (ask(),), last_asked_at=NOON)
    assert ["filled"] == names([filling, filled], 1)


def test_what_somebody_waits_for_goes_before_all() -> None:
    """A day of last year that was asked for by hand goes before every yesterday."""
    queues = [Queue("a", (ask(),)), Queue("b", (ask(300, by_hand=True), ask()), passed_over=0)]
    assert ["b", "a", "b"] == names(queues, 3)


def test_a_promoted_old_window_does_not_hold_its_datasets_new_ones_back() -> None:
    """A queue that begins with its oldest request is as urgent as its newest one."""
    promoted, other = Queue("promoted", (ask(300), ask())), Queue("other", (ask(5),))
    assert ["promoted", "promoted", "other"] == names([promoted, other], 3)


def test_nobody_is_passed_over_more_than_ten_times() -> None:
    """At the tenth it goes before newer days, though not before what was asked for by hand."""
    patient = Queue("patient", (ask(300),), passed_over=OLDEST_WAITS_AT_MOST)
    assert ["patient"] == names([Queue("new", (ask(),)), patient], 1)
    assert ["wanted"] == names([Queue("wanted", (ask(by_hand=True),)), patient], 1)


def test_no_slot_gives_no_turn() -> None:
    """With both slots taken, or with more taken than there are, nothing is asked for."""
    assert [] == take_turns([Queue("a", (ask(),))], 0)
    assert [] == take_turns([Queue("a", (ask(),))], -1)


@pytest.mark.parametrize(
    ("countries", "free_slots", "expected"),
    [
        (["CA"], 2, 2),
        (["CA"], 1, 1),
        (["CA", "US"], 2, 1),
        (["US", "CA"], 2, 1),
        (["CA", "US"], 1, 1),
        (["US", "CA"], 1, 0),
        (["US", "MX", "CA"], 2, 1),
        (["US", "MX", "CA"], 1, 0),
        (["US", "CA"], 0, 0),
        (["US", "CA"], -1, 0),
    ],
)
def test_countries_of_an_ads_account_take_turns(countries: list[str], free_slots: int, expected: int) -> None:
    """Who asked the longest time ago goes first, one slot each; where nothing is in flight, whoever asks gets one."""
    assert expected == share_slots(countries, "CA", free_slots, 2)


QUEUES = st.lists(st.lists(st.integers(0, 400), max_size=6), min_size=1, max_size=6)


@given(agos=QUEUES, slots=st.integers(0, 40))
def test_each_dataset_keeps_its_own_order_and_no_slot_is_wasted(agos: list[list[int]], slots: int) -> None:
    """What is chosen of a dataset is the beginning of its queue; as many are chosen as there are slots or requests."""
    queues = [Queue(str(n), tuple(map(ask, days))) for n, days in enumerate(agos)]
    turns = take_turns(queues, slots)
    for queue in queues:
        chosen = [request for name, request in turns if name == queue.dataset]
        assert list(queue.requests[: len(chosen)]) == chosen
    assert min(slots, sum(map(len, agos))) == len(turns)


@given(datasets=st.integers(2, 8), slots=st.integers(1, 2))
def test_under_a_flood_of_new_days_every_dataset_still_gets_its_turns(datasets: int, slots: int) -> None:
    """Where all but one always wait for a newer day, that one waits for ten requests and as many as there are others."""
    flood = [Queue(f"new-{n}", (ask(),) * 50) for n in range(datasets - 1)]
    queues = [*flood, Queue("old", (ask(400),) * 50)]
    order = names(queues, 48 * slots)
    gaps = [n for n, name in enumerate(order) if name == "old"]
    longest = max(b - a for a, b in zip([-1, *gaps], gaps, strict=False))
    assert longest <= OLDEST_WAITS_AT_MOST + datasets
