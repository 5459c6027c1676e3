"""Rows that could not be understood, replayed after a fix: what the tables say then is what a fixed load says."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func

from bidbeacon_pipelines.actions import QuarantineReplayed
from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.datasets.registry import HOURLY_TARGETS, Dataset
from bidbeacon_pipelines.loading.quarantine import replay_quarantine
from bidbeacon_pipelines.loading.quarantine_queries import list_quarantined_rows
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionClosedError, SessionStore, with_job_session
from tests.postgres.load_world import (
    DATASET,
    DAY,
    KEYWORD,
    LoadWorld,
    Raw,
    many_rows,
    report_row,
    target,
)
from tests.postgres.test_load_datasets import hour_row
from tests.support.checking import assert_has
from tests.support.reading import call, column, tuples, value
from tests.support.report_rows import with_target_ids
from tests.support.rows import change_sessions, change_windows
from tests.support.threads import at_once

NEXT_DAY = DAY + timedelta(days=1)
ELEVEN = datetime(2026, 1, 10, 11, tzinfo=UTC)
"""The fourth hour of Los Angeles."""
FACTS = "window_date, campaign_id, target_value, currency_code, impressions, clicks, orders, sales, spend, target_id"


FIX = r"""
    UPDATE quarantined_rows
       SET raw = regexp_replace(regexp_replace(regexp_replace(raw, '"(\d+) clicks"', '\1'), '"5 PM"', '17'),
                                '(\d\d)\.(\d\d)\.(\d{4})', '\3-\2-\1')"""
"""As if clicks with their unit, 5 PM, and days like 10.01.2026 were understood."""


def odd(row: Raw) -> Raw:
    """Return a row the way that only the fix makes understood."""
    return row | {"metric.clicks": f"{row['metric.clicks']} clicks"}


def replay(
    shelf: LoadWorld, *, account: str | None = None, dataset: str | None = None
) -> list[QuarantineReplayed]:
    """Replay after the fix, in a session: the texts are changed to what the check understands."""
    shelf.execute(FIX)
    with with_job_session("replay-quarantine", store=SessionStore(shelf.engine)) as session:
        return replay_quarantine(shelf.engine, session, account=account, dataset=dataset)


def quarantine(shelf: LoadWorld) -> list[Any]:
    """Give what is in quarantine, as listed, oldest first."""
    return call(shelf.engine, list_quarantined_rows)[::-1]


def counts(shelf: LoadWorld, day: date = DAY) -> tuple[Any, ...]:
    """Give the counts and sums of a window."""
    names = ("row_count", "quarantined_count", "unresolved_count", "spend", "sales")
    window = shelf.window(day)
    return tuple(getattr(window, name) for name in names)


def assert_is_fixed_load(
    shelf: LoadWorld, rows: Sequence[Raw], days: Sequence[date] = (DAY,)
) -> None:
    """A load of what the rows say, over what is there, finds nothing to write, and leaves the same counts."""

    def stored() -> list[Any]:
        return [(shelf.rows(FACTS, day), with_bad(*counts(shelf, day))) for day in days]

    def with_bad(count: int, _bad: int, *others: Any) -> tuple[Any, ...]:
        return (count, *others)

    before = stored()
    result = shelf.load(rows, days=days)
    assert (result.merge.vanished, result.merge.restated) == (0, 0)
    assert before == stored()


def test_a_replay_leaves_what_a_fixed_load_leaves(shelf: LoadWorld) -> None:
    """A row summed into a key that is there, two that make a new one, a row of an unknown target; one stays with its new cause."""
    good = many_rows(300)
    summed = report_row(totalCost=Decimal("0.000001")) | {"campaign.id": 5_000}
    twice = report_row(clicks=7) | {"campaign.id": 9_001}
    stranger = report_row("cat shirt")
    shelf.load([*good, odd(summed), odd(twice), odd(twice), odd(stranger), report_row(clicks=-1)])
    assert (300, 5) == counts(shelf)[:2]
    [action] = replay(shelf)
    assert (action.rows, action.left, action.windows) == (4, 1, [DAY])
    assert (302, 1, 1) == counts(shelf)[:3]
    [left] = quarantine(shelf)
    assert "metric.clicks" == left["cause"]["field"]
    spend = "SELECT spend FROM daily_targets WHERE campaign_id = '5000'"
    assert Decimal("1.234568") == value(shelf.engine, spend)
    assert_is_fixed_load(shelf, [*good, summed, twice, twice, stranger])


def test_a_second_replay_changes_nothing(shelf: LoadWorld) -> None:
    """Rows keep their place on disk; what was loaded is not in quarantine any more."""
    shelf.load([*many_rows(99), odd(report_row())])
    replay(shelf)
    before = shelf.rows_as_written(), counts(shelf)
    assert [] == replay(shelf)
    assert before == (shelf.rows_as_written(), counts(shelf))


def test_two_replays_at_once_load_each_row_once(shelf: LoadWorld) -> None:
    """The second waits for the first, and finds nothing to do."""
    shelf.load([*many_rows(99), odd(report_row() | {"campaign.id": 5_000})])
    replays = at_once([partial(replay, shelf)] * 2)
    assert 1 == sum(map(len, replays))
    clicks = "SELECT clicks FROM daily_targets WHERE campaign_id = '5000'"
    assert 10 == value(shelf.engine, clicks)


def test_a_row_whose_day_is_readable_now_goes_into_its_window(shelf: LoadWorld) -> None:
    """It counts for none of the windows while its day can't be read, and goes into its own afterwards."""
    rows = [*many_rows(99), *many_rows(99, NEXT_DAY)]
    hidden = report_row() | {"date.value": f"{NEXT_DAY:%d.%m.%Y}"}
    shelf.load([*rows, hidden], days=[DAY, NEXT_DAY])
    assert [0, 0] == [counts(shelf, day)[1] for day in (DAY, NEXT_DAY)]
    [action] = replay(shelf)
    assert [NEXT_DAY] == action.windows
    assert [(99, 0), (100, 0)] == [counts(shelf, day)[:2] for day in (DAY, NEXT_DAY)]
    assert_is_fixed_load(shelf, [*rows, report_row(day=NEXT_DAY)], [DAY, NEXT_DAY])


def test_a_replay_after_a_target_came_finds_it(shelf: LoadWorld) -> None:
    """Targets are those of the time of the replay."""
    shelf.load([*many_rows(99), odd(report_row("cat shirt"))])
    shelf.add_targets(target(KEYWORD), target("4711", keyword="cat shirt"))
    replay(shelf)
    found = f"SELECT target_id FROM {with_target_ids(DATASET)} WHERE target_value = 'cat shirt'"
    assert "4711" == value(shelf.engine, found)


def test_a_row_of_another_country_is_let_go(shelf: LoadWorld) -> None:
    """It is understood now, and not this account's: counted in the action, stored nowhere."""
    shelf.load([*many_rows(99), odd(report_row()) | {"campaign.country": "Germany"}])
    shelf.execute(
        """UPDATE quarantined_rows SET raw = jsonb_set(raw::jsonb, '{campaign.country}', '"DE"')"""
    )  # as if names were read
    [action] = replay(shelf)
    assert (action.rows, action.foreign, action.windows) == (0, 1, [])
    assert (99, 0) == counts(shelf)[:2]
    assert [] == quarantine(shelf)


def test_rows_of_a_refused_report_are_listed_and_not_replayed(shelf: LoadWorld) -> None:
    """The window holds nothing of that report, so a few rows of it would be half a report."""
    shelf.load([*many_rows(5), *map(odd, many_rows(5))])
    assert [False] * 5 == [row["is_loaded"] for row in quarantine(shelf)]
    assert [] == replay(shelf)
    assert [] == shelf.rows()


def test_rows_of_a_window_that_holds_a_later_report_stay_away(shelf: LoadWorld) -> None:
    """A day of the old report was loaded anew by itself: the undated row that was the day's is not added to the new numbers."""
    hidden = report_row() | {"date.value": f"{DAY:%d.%m.%Y}"}
    shelf.load([*many_rows(99), *many_rows(99, NEXT_DAY), hidden], days=[DAY, NEXT_DAY])
    shelf.load(many_rows(99), age=2)
    [action] = replay(shelf)
    assert (action.rows, action.left) == (0, 1)
    assert 99 == len(shelf.rows())


@pytest.mark.parametrize(
    ("row", "dataset", "hours"),
    [
        pytest.param(report_row, DATASET, {None}, id="days"),
        pytest.param(partial(hour_row, 3), HOURLY_TARGETS, {ELEVEN}, id="hours"),
    ],
)
def test_a_replay_restates_the_load_it_belongs_to(
    shelf: LoadWorld, row: Callable[..., Raw], dataset: Dataset, hours: set[datetime | None]
) -> None:
    """Nothing at a first load; at a later one the totals before it stay what they were."""
    good = [row() | {"campaign.id": ad} for ad in range(1, 100)]
    shelf.load([*good, odd(row())], dataset=dataset)
    replay(shelf)
    assert [] == shelf.query("SELECT FROM restatements")
    shelf.load([*good, odd(row(clicks=9))], age=2, dataset=dataset)
    replay(shelf)
    assert hours == set(column(shelf.engine, "SELECT hour_at FROM restatements"))
    loads = "SELECT clicks_before, clicks FROM window_restatements ORDER BY load_number"
    assert [(None, 500), (500, 504)] == tuples(shelf.engine, loads)


def test_a_replay_of_a_load_that_changed_nothing_gives_it_a_number(shelf: LoadWorld) -> None:
    """The load before it counts as confirmed by its own report only, as docs/how-to/follow-restatements.md says.

    The load between, which changed nothing, is not stored.
    """
    for age, bad in enumerate(([], [], [odd(report_row(clicks=9))])):
        shelf.load([*many_rows(99), *bad], age=age)
    replay(shelf)
    loads = """SELECT load_number, clicks_before, clicks, age_days, confirmed_age_days
                 FROM window_restatements ORDER BY load_number"""
    assert [(1, None, 495, 1, 1), (2, 495, 504, 3, 3)] == tuples(shelf.engine, loads)


def test_dagster_is_told_once_more(shelf: LoadWorld) -> None:
    """A window whose counts changed counts as not recorded; one that got nothing stays as it is."""
    shelf.load([*many_rows(99), *many_rows(99, NEXT_DAY), odd(report_row())], days=[DAY, NEXT_DAY])
    change_windows(shelf.engine, recorded_load_count=ReportWindow.load_count)
    replay(shelf)
    is_open = "SELECT window_date FROM report_windows WHERE recorded_load_count < load_count"
    assert [DAY] == column(shelf.engine, is_open)


HOURS = f"""SELECT hour_at, campaign_id, clicks, {FACTS} FROM {with_target_ids(HOURLY_TARGETS)}
             ORDER BY hour_at, campaign_id, target_value"""


def test_hours_are_replayed_into_their_own_instants(shelf: LoadWorld) -> None:
    """A row summed into an hour that is there, one of an hour that is new, one whose hour could not be read: as a fixed load leaves them."""
    good = [hour_row(hour) | {"campaign.id": ad} for hour in (3, 4, 17) for ad in range(1, 61)]
    summed, new = hour_row(3, clicks=7) | {"campaign.id": 1}, hour_row(9)
    shelf.load(
        [*good, odd(summed), odd(new), hour_row("5 PM") | {"campaign.id": 1}],
        dataset=HOURLY_TARGETS,
    )
    [action] = replay(shelf)
    assert (3, 0, [DAY]) == (action.rows, action.left, action.windows)
    midnight = datetime(2026, 1, 10, 8, tzinfo=UTC)  # in Los Angeles
    at = {hour: midnight + timedelta(hours=hour) for hour in (3, 4, 9, 17)}
    replayed = tuples(shelf.engine, HOURS)
    clicks = {(ad, hour): clicks for hour, ad, clicks, *_ in replayed if ad in {"1", "1001"}}
    one = {("1", at[3]): 12, ("1", at[4]): 5, ("1", at[17]): 10}
    assert one | {("1001", at[9]): 5} == clicks
    whole = [*good, summed, new, hour_row(17) | {"campaign.id": 1}]
    again = shelf.load(whole, age=2, dataset=HOURLY_TARGETS)
    assert (0, 0) == (again.merge.vanished, again.merge.restated)
    assert replayed == tuples(shelf.engine, HOURS)


def test_rows_and_action_are_committed_together(shelf: LoadWorld) -> None:
    """In a session that was closed meanwhile nothing is loaded; in a living one the action refers to the window."""
    shelf.load([*many_rows(99), odd(report_row())])
    before = shelf.rows_as_written()
    with (
        pytest.raises(SessionClosedError),
        with_job_session("replay-quarantine", store=SessionStore(shelf.engine)) as session,
    ):
        shelf.execute(FIX)
        change_sessions(shelf.engine, status="crashed", outcome="problems", finished_at=func.now())
        replay_quarantine(shelf.engine, session)
    assert (before, 1) == (shelf.rows_as_written(), len(quarantine(shelf)))
    replay(shelf)
    references = tuples(shelf.engine, "SELECT effect, window_key FROM session_references")
    assert [("replayed", str(DAY))] == references


@pytest.mark.parametrize(
    ("restrict", "replayed"),
    [
        ({}, 1),
        ({"account": "US.one"}, 1),
        ({"account": "US.two"}, 0),
        ({"dataset": DATASET.name}, 1),
        ({"dataset": "weather"}, 0),
    ],
)
def test_a_replay_can_be_of_one_account_or_dataset(
    shelf: LoadWorld, restrict: dict[str, str], replayed: int
) -> None:
    """What is not asked for is left alone."""
    shelf.load([*many_rows(99), odd(report_row())])
    assert replayed == len(replay(shelf, **restrict))


@pytest.mark.parametrize(
    ("restrict", "found"),
    [
        ({}, 3),
        ({"account": "US.one"}, 3),
        ({"account": "US.two"}, 0),
        ({"day": DAY}, 2),
        ({"reason": "CLICKS"}, 2),
        ({"reason": "impressions", "day": DAY}, 0),
        ({"limit": 1}, 1),
    ],
)
def test_quarantine_is_listed_by_account_day_and_reason(
    shelf: LoadWorld, restrict: dict[str, Any], found: int
) -> None:
    """The reason is searched for in any letter case."""
    bad = [odd(report_row()), report_row(clicks=-1), report_row(day=NEXT_DAY, impressions="many")]
    shelf.load([*many_rows(200), *many_rows(200, NEXT_DAY), *bad], days=[DAY, NEXT_DAY])
    assert found == len(call(shelf.engine, list_quarantined_rows, **restrict))


@pytest.mark.parametrize(
    "sales", [{"decimal": "1.5"}, {"decimal": "zzz"}, {"escaped": "\\"}, {"escaped": "5"}]
)
def test_what_the_load_refuses_the_replay_refuses(shelf: LoadWorld, sales: Raw) -> None:
    """Whatever object a report has in a number's place: the same rows, listed and told with the same cause."""
    shelf.load([*many_rows(99), report_row() | {"metric.sales": sales}])
    [kept] = quarantine(shelf)
    [action] = replay(shelf)
    assert (0, 1) == (action.rows, action.left)
    assert [kept] == quarantine(shelf)
    expected = "an amount from 0 to below 10^10 with at most 6 decimals, or null"
    said = f"metric.sales: expected {expected}, got: {sales}."
    assert said == explain(kept["cause"]).sentence


def test_a_row_that_cannot_be_read_stops_no_other(shelf: LoadWorld) -> None:
    """It is listed, and stays with its cause, while its neighbor goes into the window."""
    shelf.load([*many_rows(99), odd(report_row()), report_row(clicks=-1)])
    broken = '{"metric.clicks": }'
    shelf.execute(f"UPDATE quarantined_rows SET raw = '{broken}' WHERE row_number = 100")
    [action] = replay(shelf)
    assert (1, 1) == (action.rows, action.left)
    [left] = quarantine(shelf)
    assert_has(left, raw=broken, window_date=DAY)
    assert "row-unreadable" == left["cause"]["code"]
