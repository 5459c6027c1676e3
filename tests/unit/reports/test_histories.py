"""How far back ad products are served is found to the day, from nothing but reports that came and reports that were too old."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.reports.fields import (
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
)
from bidbeacon_pipelines.reports.histories import (
    SURELY_SERVED_DAYS,
    History,
    after_loaded,
    after_refusal,
    oldest_days,
)

TODAY = date(2026, 1, 15)
SB, SD = (SPONSORED_BRANDS,), (SPONSORED_DISPLAY,)


@given(
    served=st.integers(SURELY_SERVED_DAYS, 729),
    first_asked=st.integers(SURELY_SERVED_DAYS + 1, 730),
)
def test_boundary_is_found_in_few_reports(served: int, first_asked: int) -> None:
    """Ten reports are enough, whatever the boundary is; where the first one comes there is nothing to search."""
    history = None if first_asked <= served else after_refusal(None, SB, first_asked)
    reports = 0
    while history is not None and history.refused - history.served > 1:
        back, reports = history.reach, reports + 1
        assert history.served <= back < history.refused
        if back == history.served:
            break
        history = (
            after_loaded(history, back) if back <= served else after_refusal(history, SB, back)
        )
    assert reports <= 10
    assert history is None or (served, served + 1) == (history.served, history.refused)


def test_refusal_that_may_mean_another_product_teaches_nothing() -> None:
    """The history of Sponsored Products is documented, of several any may be meant, and the last month is served of all."""
    assert after_refusal(None, (SPONSORED_PRODUCTS,), 400) is None
    assert after_refusal(None, (*SB, *SD), 400) is None
    assert after_refusal(None, SB, SURELY_SERVED_DAYS) is None


def test_refusal_of_what_came_once_starts_the_search_anew() -> None:
    """Amazon may serve less than it did."""
    assert History(SURELY_SERVED_DAYS, 50) == after_refusal(History(60, 61), SB, 50)


def test_report_of_several_products_reaches_as_far_as_one_of_them() -> None:
    """One whose history is not known to be short sets no bound."""
    histories = {SB[0]: History(60, 61), SD[0]: History(65, 66)}
    groups = [SB, (*SB, *SD), (SPONSORED_PRODUCTS, *SD)]
    assert {SB: TODAY - timedelta(days=60), (*SB, *SD): TODAY - timedelta(days=65)} == oldest_days(
        groups, histories, TODAY
    )
