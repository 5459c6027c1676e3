"""Windows are made for a whole dataset of an account at once, and end when Amazon serves them no longer."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest
from sqlalchemy import event

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from bidbeacon_pipelines.windows.rules import oldest_served, window_dates
from tests.support.jobs import load_by_hand, make_windows, set_contract
from tests.support.reading import tuples, value
from tests.support.rows import change_accounts
from tests.support.world import DATASET, World

TODAY = date(2026, 1, 15)


@contextmanager
def statements_on_windows(world: World) -> Iterator[list[str]]:
    """Collect the first word of each statement that writes windows."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        word = statement.split(maxsplit=1)[0]
        is_on_windows = "report_windows" in statement and "dataset_windows" not in statement
        if is_on_windows and word != "SELECT":
            sent.append(word)

    event.listen(world.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(world.engine, "before_cursor_execute", note)


def keep(world: World) -> None:
    """Let the US account's windows be made and ended, as its refresh does."""
    make_windows(world, world.account())


def set_history(world: World, days: str | None) -> None:
    """Override the history of the region's report, or forget that, and make the windows again."""
    set_contract(world, DATASET, "history:SP+SB+SD", days)
    keep(world)


def plan(world: World) -> None:
    """Run the refresh of the US account's ads account."""
    change_accounts(world.engine, paused=Account.country_code != "US")
    world.plan(world.account())


def statuses(world: World) -> dict[date, str]:
    """Return the status of each window of the US account."""
    found = """SELECT window_date, status FROM report_windows
                WHERE country_code = 'US' ORDER BY window_date"""
    return dict(tuples(world.engine, found))


def test_15_months_are_made_by_one_statement(world: World) -> None:
    """All 457 days at once, each due at its first offset; ending old ones takes two more, however many there are.

    Before, those of reports that are gone are deleted.
    """
    with statements_on_windows(world) as sent:
        keep(world)
    assert [word for word in sent if word != "DELETE"] == ["INSERT", "UPDATE", "UPDATE"]
    assert list(statuses(world)) == window_dates(DATASET.reports, TODAY)
    assert len(statuses(world)) == 457


def test_once_a_day_is_enough(world: World) -> None:
    """A second refresh on the same day writes nothing, the next day one window more is made."""
    plan(world)
    with statements_on_windows(world) as sent:
        plan(world)
    assert sent == []
    world.advance(days=1)
    keep(world)
    assert max(statuses(world)) == TODAY + timedelta(days=1)


def test_what_is_served_no_longer_expires_unless_it_was_loaded(world: World) -> None:
    """Half a year later the never loaded days of that time are expired, those loaded stay, and neither is due."""
    account = world.account()
    keep(world)
    first = min(statuses(world))
    second = first + timedelta(days=1)
    world.load(account, first, second)
    world.advance(days=180)
    keep(world)
    oldest = oldest_served(DATASET, TODAY + timedelta(days=180))
    old = {day: status for day, status in statuses(world).items() if day < oldest}
    assert len(old) > 150
    assert [first, second] == [day for day, status in old.items() if status == "loaded"]
    assert {"loaded", "expired"} == set(old.values())
    due = """SELECT count(*) FROM report_windows WHERE country_code = 'US'
                AND window_date < :oldest AND next_refresh_at IS NOT NULL"""
    assert 0 == value(world.engine, due, oldest=oldest)
    [told] = world.actions("windows-expired")
    assert len(told["windows"]) == len(old) - 2


def test_a_longer_history_makes_windows_and_reopens_expired_ones(world: World) -> None:
    """All its days are due, and a load by hand brings them; forgotten, those that were never loaded expire."""
    account, day = world.account(), TODAY - timedelta(days=600)
    oldest = TODAY - timedelta(days=729)
    world.break_with("history", days=730)
    set_history(world, "100")
    assert TODAY - timedelta(days=99) == min(statuses(world))
    set_history(world, None)
    set_history(world, "100")
    assert "expired" == statuses(world)[TODAY - timedelta(days=100)]
    with pytest.raises(WindowNotLoadedError, match="Amazon no longer serves"):
        load_by_hand(world, account, day)
    set_history(world, "730")
    due = """SELECT min(window_date), count(*) FROM report_windows
              WHERE country_code = 'US' AND status = 'missing' AND next_refresh_at <= :now"""
    assert [(oldest, 729)] == tuples(world.engine, due, now=world.context.now())
    load_by_hand(world, account, day)
    assert "loaded" == statuses(world)[day]
    set_history(world, None)
    kept = {one: status for one, status in statuses(world).items() if status != "missing"}
    assert {"expired", "loaded"} == set(kept.values())
    past = oldest_served(DATASET, TODAY) - timedelta(days=1)
    assert (oldest, "loaded", "expired") == (min(kept), kept[day], kept[past])


def test_a_day_that_one_report_no_longer_serves_has_its_window_all_the_same(
    world: World,
) -> None:
    """It has expired, so that the day is not complete without it; a new account has as many of each report."""
    set_contract(world, DAILY_PRODUCTS, "history:SB", "300")
    make_windows(world, world.account(), DAILY_PRODUCTS)
    counts = """SELECT report, status, count(*), min(window_date) FROM report_windows
                 WHERE country_code = 'US' GROUP BY 1, 2 ORDER BY 1, 2"""
    oldest = oldest_served(DAILY_PRODUCTS, TODAY)
    assert [
        ("SB", "expired", 157, oldest),
        ("SB", "missing", 300, TODAY - timedelta(days=299)),
        ("SP+SD", "missing", 457, oldest),
    ] == tuples(world.engine, counts)
