"""Rows that could not be understood, replayed after a fix of the row model: what the tables say then is what a fixed load says."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BeforeValidator, Field

from bidbeacon_pipelines.actions import QuarantineReplayed
from bidbeacon_pipelines.ingest.field_types import Count, LocalDate
from bidbeacon_pipelines.ingest.rows import TargetRow
from bidbeacon_pipelines.jobs.quarantine import replay_quarantine
from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.store.quarantine import list_quarantined_rows
from bidbeacon_sessions import SessionClosedError, SessionStore, with_job_session
from tests.postgres.load_world import DATASET, DAY, KEYWORD, LoadWorld, Raw, many_rows, report_row, target

NEXT_DAY = DAY + timedelta(days=1)
FACTS = "window_date, ad_id, entity_id, currency_code, impressions, clicks, orders, sales, spend, campaign_name, resolved"


def _without_unit(value: Any) -> Any:
    return int(value.removesuffix(" clicks")) if isinstance(value, str) else value


def _from_german(value: Any) -> Any:
    return "-".join(reversed(value.split("."))) if isinstance(value, str) and "." in value else value


class FixedRow(TargetRow):
    """Also understands clicks with their unit, and days written like 10.01.2026."""

    window_date: Annotated[LocalDate, BeforeValidator(_from_german)] = Field(alias="date.value")
    clicks: Annotated[Count, BeforeValidator(_without_unit)] = Field(alias="metric.clicks")


FIXED = replace(DATASET, row_model=FixedRow)


def fixed(_: str) -> Dataset:
    """Give the dataset with the row model after the fix."""
    return FIXED


def odd(row: Raw) -> Raw:
    """Give a row the way that only the fixed model understands."""
    return row | {"metric.clicks": f"{row['metric.clicks']} clicks"}


def replay(shelf: LoadWorld, **restrict: str) -> list[QuarantineReplayed]:
    """Replay with the fixed model, in a session."""
    with with_job_session("replay-quarantine", store=SessionStore(shelf.engine)) as session:
        return replay_quarantine(shelf.engine, session, find_dataset=fixed, **restrict)


def quarantine(shelf: LoadWorld) -> list[Any]:
    """Give what is in quarantine, as listed, oldest first."""
    with shelf.engine.begin() as connection:
        return list_quarantined_rows(connection)[::-1]


def counts(shelf: LoadWorld, day: date = DAY) -> tuple[Any, ...]:
    """Give the counts and sums of a window."""
    window = shelf.window(day)
    return (
        window.row_count,
        window.quarantined_count,
        window.unresolved_count,
        window.spend,
        window.sales,
    )


def assert_is_fixed_load(shelf: LoadWorld, rows: Sequence[Raw], days: Sequence[date] = (DAY,)) -> None:
    """A load of what the rows say, over what is there, finds nothing to write, and leaves the same counts."""
    there = [shelf.rows(FACTS, day) for day in days]
    before = [counts(shelf, day)[0:1] + counts(shelf, day)[2:] for day in days]
    result = shelf.load(rows, days=days)
    assert (result.merge.written, result.merge.vanished, result.merge.restated) == (0, 0, 0)
    assert there == [shelf.rows(FACTS, day) for day in days]
    assert before == [counts(shelf, day)[0:1] + counts(shelf, day)[2:] for day in days]


def test_a_replay_leaves_what_a_fixed_load_leaves(shelf: LoadWorld) -> None:
    """A row summed into a key that is there, two that make a new one, a row of an unknown target; one stays with its new reason."""
    good = many_rows(300)
    summed = report_row(totalCost=Decimal("0.000001")) | {"ad.id": 5_000}
    twice = report_row(clicks=7) | {"ad.id": 9_001}
    stranger = report_row("cat shirt")
    shelf.load([*good, odd(summed), odd(twice), odd(twice), odd(stranger), report_row(clicks=-1)])
    assert (300, 5) == counts(shelf)[:2]
    [action] = replay(shelf)
    assert (action.rows, action.left, action.windows) == (4, 1, [DAY])
    assert (302, 1, 1) == counts(shelf)[:3]
    [left] = quarantine(shelf)
    assert "metric.clicks" in left.reason
    assert (
        Decimal("1.234568")
        == shelf.query("SELECT spend FROM performance_daily WHERE ad_id = '5000'")[0]["spend"]
    )
    assert_is_fixed_load(shelf, [*good, summed, twice, twice, stranger])


def test_a_second_replay_changes_nothing(shelf: LoadWorld) -> None:
    """Rows keep their place on disk; what was loaded is not in quarantine any more."""
    shelf.load([*many_rows(99), odd(report_row())])
    replay(shelf)
    before = shelf.rows("*, xmin, ctid"), counts(shelf)
    assert [] == replay(shelf)
    assert before == (shelf.rows("*, xmin, ctid"), counts(shelf))


def test_two_replays_at_once_load_each_row_once(shelf: LoadWorld) -> None:
    """The second waits for the first, and finds nothing to do."""
    shelf.load([*many_rows(99), odd(report_row() | {"ad.id": 5_000})])
    threads = [threading.Thread(target=replay, args=(shelf,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert [10] == [row["clicks"] for row in shelf.rows("ad_id, clicks") if row["ad_id"] == "5000"]
    assert 1 == len(shelf.query("SELECT 1 FROM session_actions WHERE type = 'quarantine-replayed'"))


def test_a_row_whose_day_is_readable_now_goes_into_its_window(shelf: LoadWorld) -> None:
    """It had counted for every window of the report, and counts for none of them afterwards."""
    rows = [*many_rows(99), *many_rows(99, NEXT_DAY)]
    hidden = report_row() | {"date.value": f"{NEXT_DAY:%d.%m.%Y}"}
    shelf.load([*rows, hidden], days=[DAY, NEXT_DAY])
    assert [1, 1] == [counts(shelf, day)[1] for day in (DAY, NEXT_DAY)]
    [action] = replay(shelf)
    assert [NEXT_DAY] == action.windows
    assert [(99, 0), (100, 0)] == [counts(shelf, day)[:2] for day in (DAY, NEXT_DAY)]
    assert_is_fixed_load(shelf, [*rows, report_row(day=NEXT_DAY)], [DAY, NEXT_DAY])


def test_a_replay_after_a_target_came_finds_it(shelf: LoadWorld) -> None:
    """Targets are those of the time of the replay."""
    shelf.load([*many_rows(99), odd(report_row("cat shirt"))])
    shelf.add_targets(target(KEYWORD), target("4711", keyword="cat shirt"))
    replay(shelf)
    [row] = shelf.query("SELECT entity_id, resolved FROM performance_daily WHERE target_value = 'cat shirt'")
    assert ("4711", True) == (row["entity_id"], row["resolved"])


def test_a_row_of_another_country_is_let_go(shelf: LoadWorld) -> None:
    """It is understood now, and not this account's: counted in the action, stored nowhere."""
    shelf.load([*many_rows(99), odd(report_row()) | {"campaign.country": "Germany"}])
    shelf.execute(
        """UPDATE quarantined_rows SET raw = jsonb_set(raw, '{campaign.country}', '"DE"')"""
    )  # as if names were read
    [action] = replay(shelf)
    assert (action.rows, action.foreign, action.windows) == (0, 1, [])
    assert (99, 0) == counts(shelf)[:2]
    assert [] == quarantine(shelf)


def test_rows_of_a_refused_report_are_listed_and_not_replayed(shelf: LoadWorld) -> None:
    """The window holds nothing of that report, so a few rows of it would be half a report."""
    shelf.load([*many_rows(5), *map(odd, many_rows(5))])
    assert [False] * 5 == [row.is_loaded for row in quarantine(shelf)]
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


def test_a_replay_restates_the_load_it_belongs_to(shelf: LoadWorld) -> None:
    """Nothing at a first load; at a later one the totals before it stay what they were."""
    shelf.load([*many_rows(99), odd(report_row())])
    replay(shelf)
    assert [] == shelf.query("SELECT * FROM restatements")
    shelf.load([*many_rows(99), odd(report_row(clicks=9))], age=2)
    replay(shelf)
    loads = shelf.query("SELECT clicks_before, clicks FROM window_restatements ORDER BY load_number")
    assert [(None, 500), (500, 504)] == [(row["clicks_before"], row["clicks"]) for row in loads]


def test_dagster_is_told_once_more(shelf: LoadWorld) -> None:
    """A window whose counts changed counts as not recorded; one that got nothing stays as it is."""
    shelf.load([*many_rows(99), *many_rows(99, NEXT_DAY), odd(report_row())], days=[DAY, NEXT_DAY])
    shelf.execute("UPDATE report_windows SET recorded_load_count = load_count")
    replay(shelf)
    open_days = shelf.query("SELECT window_date FROM report_windows WHERE recorded_load_count < load_count")
    assert [DAY] == [row["window_date"] for row in open_days]


def test_rows_and_action_are_committed_together(shelf: LoadWorld) -> None:
    """In a session that was closed meanwhile nothing is loaded; in a living one the action touches the window."""
    shelf.load([*many_rows(99), odd(report_row())])
    before = shelf.rows("*, xmin, ctid")
    with (
        pytest.raises(SessionClosedError),
        with_job_session("replay-quarantine", store=SessionStore(shelf.engine)) as session,
    ):
        shelf.execute("UPDATE session_headers SET status = 'crashed', finished_at = now()")
        replay_quarantine(shelf.engine, session, find_dataset=fixed)
    assert (before, 1) == (shelf.rows("*, xmin, ctid"), len(quarantine(shelf)))
    replay(shelf)
    [touch] = shelf.query("SELECT * FROM session_touches")
    assert (touch["effect"], touch["window_key"]) == ("replayed", str(DAY))


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
    with shelf.engine.begin() as connection:
        assert found == len(list_quarantined_rows(connection, **restrict))
