"""How far back ad products are served is found to the day, from nothing but reports that came and reports that were too old."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.fields import (
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
)
from bidbeacon_pipelines.datasets.histories import (
    SURELY_SERVED_DAYS,
    History,
    Outcome,
    after_loaded,
    can_be_short,
    learn,
    oldest_days,
    soon_after_refusal,
    was_served,
)

TODAY = date(2026, 1, 15)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SB, SD = (SPONSORED_BRANDS,), (SPONSORED_DISPLAY,)


def outcomes(*reports: int) -> list[Outcome]:
    """Return reports, by how many days back they reached; those that were refused are negative."""
    return [Outcome(abs(days), is_refused=days < 0) for days in reports]


@given(
    served=st.integers(SURELY_SERVED_DAYS, 729),
    first_asked=st.integers(SURELY_SERVED_DAYS + 1, 730),
)
def test_boundary_is_found_in_few_reports(served: int, first_asked: int) -> None:
    """Ten reports are enough after the first refusal was confirmed, whatever the boundary is."""
    seen = outcomes(-first_asked, SURELY_SERVED_DAYS, -first_asked)
    history = None if first_asked <= served else learn(seen)
    reports = 0
    while history is not None and history.refused - history.served > 1:
        back, reports = history.reach, reports + 1
        assert history.served <= back < history.refused
        if back == history.served:
            break
        seen.append(Outcome(back, is_refused=back > served))
        history = after_loaded(history, back) if back <= served else learn(seen)
    assert reports <= 10
    assert history is None or (served, served + 1) == (history.served, history.refused)


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ((-120, 31, -120), History(31, 120)),
        ((-120, -240, 31, -240, -120), History(31, 120)),
        ((-120, 50, 40, -100), History(50, 100)),
        ((-120,), None),
        ((-120, -240, -360), None),
        ((-120, 31), None),
        ((50, -120), None),
        ((-120, 31, 120), None),
        ((-120, 31, -120, 120), None),
        ((-120, -31, -120), None),
        ((-120, 31, -31, -120), None),
        ((-120, 90, -90, -120), None),
    ],
)
def test_history_is_learned_from_a_refusal_on_either_side_of_a_served_report(
    reports: tuple[int, ...], expected: History | None
) -> None:
    """Not from refusals alone, not where the younger days are refused too, and not where the older ones came."""
    assert expected == learn(outcomes(*reports))


@given(st.lists(st.integers(-730, -1)), st.lists(st.integers(1, 730)))
def test_outage_teaches_nothing(refused: list[int], served: list[int]) -> None:
    """An account that is refused everything, and then nothing, shows no history."""
    assert learn(outcomes(*refused, *served)) is None


def test_refusal_that_may_mean_another_product_teaches_nothing() -> None:
    """The history of Sponsored Products is documented, of several any may be meant, and the last month is served of all."""
    assert can_be_short(SB, 400)
    assert not can_be_short((SPONSORED_PRODUCTS,), 400)
    assert not can_be_short((*SB, *SD), 400)
    assert not can_be_short(SB, SURELY_SERVED_DAYS)


def test_account_that_is_refused_everything_confirms_nothing() -> None:
    """Only one that was served something may say that a learned history still holds."""
    assert was_served(outcomes(60))
    assert was_served(outcomes(60, -61))
    assert not was_served(outcomes(-61))
    assert not was_served(outcomes(60, -31))


def test_history_is_over_where_older_days_are_served() -> None:
    """By more days than calendars differ; on trial it sets no bound."""
    history = History(60, 61)
    assert after_loaded(history, 63) is None
    assert history == after_loaded(history, 62)
    assert {} == oldest_days([SB], {SB[0]: replace(history, is_on_trial=True)}, TODAY)


def test_surely_served_days_of_a_refused_report_are_asked_for_at_once() -> None:
    """The others wait as after any failure."""
    start = TODAY - timedelta(days=119)
    soon = [
        soon_after_refusal(TODAY - timedelta(days=n), start, NOW, is_at_edge=False)
        for n in (10, 31, 32)
    ]
    assert [NOW, NOW, None] == soon


def test_oldest_day_at_the_edge_is_left_out_of_the_next_report() -> None:
    """The other days come within the hour."""
    start, last = TODAY - timedelta(days=729), TODAY - timedelta(days=700)
    assert soon_after_refusal(start, start, NOW, is_at_edge=True) is None
    assert NOW + timedelta(hours=1) == soon_after_refusal(last, start, NOW, is_at_edge=True)


def test_report_of_several_products_reaches_as_far_as_one_of_them() -> None:
    """One whose history is not known to be short sets no bound."""
    histories = {SB[0]: History(60, 61), SD[0]: History(65, 66)}
    groups = [SB, (*SB, *SD), (SPONSORED_PRODUCTS, *SD)]
    assert {SB: TODAY - timedelta(days=60), (*SB, *SD): TODAY - timedelta(days=65)} == oldest_days(
        groups, histories, TODAY
    )
