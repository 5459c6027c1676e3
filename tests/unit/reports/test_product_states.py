"""A window whose ad products come in several reports: each is due by itself, and the window is as its worst."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.requests.planning_rules import DueDay, plan_reports
from bidbeacon_pipelines.windows.product_states import (
    ProductState,
    WindowAfter,
    after_report,
    describe_missing,
    from_json,
    states_before,
    to_json,
)

SP, SB, SD = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"
PRODUCTS = (SP, SB, SD)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DUE, NEXT = NOW - timedelta(hours=3), NOW + timedelta(days=2)
NEW = ProductState(status="missing", next_refresh_at=DUE)
LOADED = ProductState(status="loaded", next_refresh_at=NEXT, data_as_of=NOW)
FAILED = ProductState(
    status="failed", next_refresh_at=NOW + timedelta(days=1), failure_reason="Refused."
)
DAY = date(2026, 3, 9)
PARTITIONS = [((SP, SB, SD),), ((SP, SD), (SB,)), ((SP,), (SB,), (SD,)), ((SB,), (SD, SP))]


def after(before: WindowAfter, reported: tuple[str, ...], outcome: ProductState) -> WindowAfter:
    """Return a window after one more report."""
    states = states_before(before.product_states, before.state, PRODUCTS, reported)
    return after_report(states, reported, outcome, NOW)


def test_window_is_loaded_once_all_products_came() -> None:
    """Until then it stays due, for those that are still to come, and has data as of no instant."""
    first = after(WindowAfter(state=NEW), (SP, SD), LOADED)
    assert ("missing", DUE, None) == (
        first.state.status,
        first.state.next_refresh_at,
        first.state.data_as_of,
    )
    assert (SB,) == first.products_due
    assert WindowAfter(state=LOADED) == after(first, (SB,), LOADED)


def test_report_of_all_products_leaves_nothing_to_tell_apart() -> None:
    """As before there were several."""
    assert WindowAfter(state=LOADED) == after(WindowAfter(state=NEW), PRODUCTS, LOADED)
    assert WindowAfter(state=FAILED) == after(WindowAfter(state=NEW), PRODUCTS, FAILED)


def test_failed_product_waits_while_the_others_are_asked_for() -> None:
    """It does not keep them from being due, nor is it asked for before its own time."""
    failed = after(WindowAfter(state=NEW), (SP,), FAILED)
    assert ("failed", DUE, (SB, SD)) == (
        failed.state.status,
        failed.state.next_refresh_at,
        failed.products_due,
    )
    others = after(failed, (SB, SD), LOADED)
    assert (FAILED.next_refresh_at, (SP,)) == (others.state.next_refresh_at, others.products_due)


def test_data_is_as_old_as_that_of_the_oldest_product() -> None:
    """A refresh of one product makes only that one fresh."""
    old = replace(LOADED, data_as_of=DUE - timedelta(days=2), next_refresh_at=DUE)
    refreshed = after(WindowAfter(state=old), (SP, SD), LOADED)
    assert (old.data_as_of, DUE, (SB,)) == (
        refreshed.state.data_as_of,
        refreshed.state.next_refresh_at,
        refreshed.products_due,
    )


def test_window_asked_for_by_hand_is_waited_for_until_all_products_came() -> None:
    """Even where no product is due."""
    states = dict.fromkeys(PRODUCTS, LOADED)
    first = after_report(states, (SP, SD), LOADED, NOW, wanted=PRODUCTS)
    assert (True, (SB,)) == (first.is_still_wanted, first.products_due)
    second = after_report(
        first.product_states or {}, (SB,), LOADED, NOW, wanted=first.products_due or ()
    )
    assert not second.is_still_wanted


def test_states_are_read_as_they_were_stored() -> None:
    """Instants and counts included."""
    states = {
        SP: replace(FAILED, suspicious_digest="d", suspicious_rows=3, suspicious_count=2),
        SB: LOADED,
    }
    assert states == from_json(to_json(states))
    assert from_json(to_json(None)) is None


def test_missing_products_are_named() -> None:
    """With the reason, where there is one."""
    told = describe_missing({SP: LOADED, SB: NEW, SD: FAILED}, NOW)
    assert "Sponsored Brands is still to come, Sponsored Display failed (Refused)" == told
    assert describe_missing({SP: LOADED}, NOW) is None


def test_products_that_are_missing_alike_are_named_together() -> None:
    """The reason is not repeated for each."""
    assert "Sponsored Products and Sponsored Display failed (Refused)" == describe_missing(
        {SP: FAILED, SB: LOADED, SD: FAILED}, NOW
    )
    assert "Sponsored Products and Sponsored Brands are still to come" == describe_missing(
        {SP: NEW, SB: NEW}, NOW
    )


OUTCOMES = st.sampled_from([LOADED, FAILED, replace(LOADED, next_refresh_at=None)])
NEEDS = st.one_of(st.none(), st.frozensets(st.sampled_from(PRODUCTS), min_size=1))


@given(st.sampled_from(PARTITIONS), st.data())
def test_every_due_product_is_asked_for_until_nothing_is_due(
    groups: tuple[tuple[str, ...], ...], data: st.DataObject
) -> None:
    """Whatever comes of each report, a window needs as many reports as there are groups, and none of a product that is not due."""
    window, asked = WindowAfter(state=NEW), []
    while (at := window.state.next_refresh_at) is not None and at <= NOW:
        needs = None if window.products_due is None else frozenset(window.products_due)
        [request] = plan_reports([DueDay(DAY, needs)], groups, longest_days=120)
        asked.append(request.ad_products)
        window = after(window, request.ad_products, data.draw(OUTCOMES))
    assert sorted(groups) == sorted(asked)


@given(
    st.lists(st.tuples(st.integers(0, 400), NEEDS, st.booleans()), max_size=30),
    st.sampled_from(PARTITIONS),
    st.integers(1, 120),
)
def test_every_due_day_is_in_one_plan_of_a_product_that_it_needs(
    days: list[tuple[int, frozenset[str] | None, bool]],
    groups: tuple[tuple[str, ...], ...],
    longest: int,
) -> None:
    """No period is too long, plans of the same ad products do not overlap, and each is needed."""
    due = [
        DueDay(DAY - timedelta(days=age), needs, is_wanted=wanted) for age, needs, wanted in days
    ]
    planned = plan_reports(due, groups, longest_days=longest)
    for one in due:
        fits = [
            p
            for p in planned
            if p.covers(one.day) and set(p.ad_products) & (one.products or set(PRODUCTS))
        ]
        assert fits
    for plan in planned:
        assert (plan.end - plan.start).days < longest
        assert any(
            plan.covers(one.day) and set(plan.ad_products) & (one.products or set(PRODUCTS))
            for one in due
        )
        same = [p for p in planned if p is not plan and p.ad_products == plan.ad_products]
        assert not any(p.start <= plan.end and plan.start <= p.end for p in same)
