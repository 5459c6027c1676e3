"""The map of windows: a letter a day for the worst of its windows."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
from bidbeacon_pipelines.states.coverage import WindowCoverage
from bidbeacon_sessions import SessionStore
from tests.support.rows import add_account, add_windows, as_loaded, change_accounts

NOW = datetime(2026, 7, 25, 12, tzinfo=UTC)
FIRST = date(2026, 7, 1)


@pytest.fixture
def coverage(session_store: SessionStore) -> WindowCoverage:
    """The map of three accounts: one with a loaded, a due and a half failed day, a paused one, and one without windows."""
    with session_store.begin() as connection:
        for number in range(3):
            seen_at, account_id = NOW - timedelta(days=30), f"amzn1.a{number}"
            add_account(connection, "US", account_id, name="Shop", first_seen_at=seen_at)
        loaded = as_loaded(NOW)
        add_window(connection, 0, 0, **loaded)
        add_window(connection, 0, 1, next_refresh_at=NOW - timedelta(hours=1))
        add_window(connection, 0, 2, report="SB", **loaded)
        add_window(connection, 0, 2, report="SD", status="failed")
        add_window(connection, 1, 0, status="failed")
        change_accounts(connection, Account.account_key == "US.a1", paused=True)
    return WindowCoverage(session_store, clock=lambda: NOW)


def add_window(
    connection: Connection, account: int, day: int, report: str = "SP", **columns: object
) -> None:
    """Store a window of a day from the first of July on."""
    of, days = get_account(connection, f"US.a{account}"), [FIRST + timedelta(days=day)]
    later = NOW + timedelta(days=600)
    add_windows(connection, of, days, "daily_products", report, expires_at=later, **columns)


def test_each_day_shows_its_worst_window(coverage: WindowCoverage) -> None:
    """One letter a day, in the order of days; a day without a window, and an account without any, have a dash."""
    told = coverage.read_coverage("daily_products", 5, date(2026, 7, 4))
    assert ("2026-06-30", "2026-07-04") == (told["from"], told["to"])
    assert [("US.a0", "-fdx-", None), ("US.a1", "-p---", "paused"), ("US.a2", "-----", None)] == [
        (one["key"], one["cells"], one["stopped"]) for one in told["accounts"]
    ]
    assert "fresh" == told["states"]["f"]


def test_an_unknown_dataset_is_named(coverage: WindowCoverage) -> None:
    """The error says which datasets there are; without a name it is the first."""
    with pytest.raises(UnknownDatasetError, match=r"daily_campaigns, hourly_campaigns.*'hours'"):
        coverage.read_coverage("hours", 1, None)
    assert "daily_campaigns" == coverage.read_coverage(None, 1, None)["dataset"]


def test_accounts_come_with_their_zones(coverage: WindowCoverage) -> None:
    """What the page needs to tell times in an account's own zone."""
    named = {"label": "Shop · US", "time_zone": "America/Los_Angeles"}
    expected = [
        {"key": f"US.a{number}", "stopped": "paused" if number == 1 else None, **named}
        for number in range(3)
    ]
    assert expected == coverage.list_accounts()


def test_ad_products_that_are_not_served_are_named(
    coverage: WindowCoverage, session_store: SessionStore
) -> None:
    """A fresh day of which some are not served has a letter of its own.

    Days in a row with the same ad products are one stretch.
    """
    ended = {"status": "not_served", "not_served_since": NOW}
    loaded = as_loaded(NOW) | {"not_served": ["SPONSORED_BRANDS"]}
    with session_store.begin() as connection:
        for day in (5, 6, 8):
            add_window(connection, 0, day, "SP+SB", **loaded)
        for day in (8, 9, 10):
            add_window(connection, 0, day, "SD", **ended)
        add_window(connection, 0, 11, "SP+SB+SD", not_served=["SPONSORED_DISPLAY"], **ended)
    told = coverage.read_coverage("daily_products", 8, date(2026, 7, 12))
    assert "gg-ssss" == told["accounts"][0]["cells"][1:]
    assert "partly not served" == told["states"]["g"]
    expected = [
        ("2026-07-06", "2026-07-07", ["SB"]),
        ("2026-07-09", "2026-07-09", ["SB", "SD"]),
        ("2026-07-10", "2026-07-12", ["SD"]),
    ]
    assert expected == [tuple(one.values()) for one in told["accounts"][0]["not_served"]]
    assert [] == told["accounts"][1]["not_served"]
