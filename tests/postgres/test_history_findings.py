"""The finding on old days without rows whose age is not proven: one an account."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.problems.findings import Finding
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore
from tests.support.rows import add_account, add_windows, as_loaded, change_accounts, change_windows

NOW = datetime(2026, 7, 25, 12, tzinfo=UTC)
DAY, OLDEST = timedelta(days=1), date(2025, 9, 1)
SINCE = NOW - timedelta(hours=3)
UNPROVEN: dict[str, Any] = {"code": "history-not-proven"}
SB, SD = "SPONSORED_BRANDS", "SPONSORED_DISPLAY"


def add_days(
    connection: Connection, number: int, dataset: str, report: str, days: range, **columns: Any
) -> None:
    """Store loaded windows of days after the oldest, of which columns may differ."""
    usual = as_loaded(SINCE) | {"expires_at": NOW + timedelta(days=100)}
    usual["product_totals"] = {name: {"rows": 0} for name in columns.get("not_served", ())}
    account, dates = get_account(connection, f"US.a{number}"), [OLDEST + n * DAY for n in days]
    add_windows(connection, account, dates, dataset, report, **usual | columns)


def not_served(*products: str) -> dict[str, object]:
    """Return the columns of a window that is wholly not served."""
    since = {"not_served_since": SINCE, "cause": UNPROVEN}
    return {"status": "not_served", "not_served": list(products)} | since


def find(connection: Connection) -> list[Finding]:
    """Return the findings on days that are not served."""
    found = survey(connection, Settings(), NOW).findings
    return [one for one in found if one.code in {"history-not-proven", "not-served"}]


@pytest.fixture
def connection(session_store: SessionStore) -> Any:
    """A transaction with three accounts."""
    with session_store.begin() as begun:
        for number in range(3):
            names = {"account_id": f"amzn1.a{number}", "name": f"Shop {number}"}
            add_account(begun, first_seen_at=NOW - 30 * DAY, **names)
        yield begun


def test_an_account_has_one_finding_of_its_days(connection: Connection) -> None:
    """It has days that are not served, wholly and in part, by dataset and ad product."""
    add_days(connection, 0, "daily_products", "SB", range(3), **not_served(SB))
    add_days(connection, 0, "daily_products", "SD", range(3), **not_served(SD))
    add_days(connection, 0, "daily_targets", "SP+SB+SD", range(2), not_served=[SB, SD])
    add_days(connection, 0, "daily_targets", "SP+SB+SD", range(2, 5), not_served=[SB])
    add_days(connection, 1, "daily_products", "SB", range(1), **not_served(SB))
    first, second = find(connection)
    shorter = "Sponsored Display for 2 days, 2025-09-01 to 2025-09-02"
    assert [
        "products: Sponsored Brands and Sponsored Display for 3 days, 2025-09-01 to 2025-09-03",
        f"targets: Sponsored Brands for 5 days, 2025-09-01 to 2025-09-05; {shorter}",
    ] == [effect.text.removeprefix("not served in daily_") for effect in first.effects]
    assert first.effects[1].link.endswith("dataset=daily_targets&account=US.a0&window=2025-09-05")
    assert (("Shop 0 · US",), SINCE, 8) == (first.names, first.since, first.count)
    assert (Severity.WARNING, None, "") == (first.severity, first.action, first.unit)
    assert ("Shop 1 · US",) == second.names
    assert first.key != second.key
    assert "2025-09-01" in second.effects[0].text


def test_products_that_were_refused_are_left_out(connection: Connection) -> None:
    """A new grouping names them in windows of which they were never reported."""
    totals = {"product_totals": {SB: {"rows": 0}}}
    add_days(connection, 0, "daily_targets", "SP+SB+SD", range(2), not_served=[SB, SD], **totals)
    add_days(connection, 1, "daily_targets", "SP+SD", range(2), not_served=[SD], product_totals={})
    [found] = find(connection)
    assert [
        "not served in daily_targets: Sponsored Brands for 2 days, 2025-09-01 to 2025-09-02"
    ] == [effect.text for effect in found.effects]


def test_a_day_belongs_to_one_finding(connection: Connection) -> None:
    """Days that Amazon refused as too old are in their own."""
    add_days(connection, 0, "daily_products", "SB", range(2), **not_served(SB))
    refused = not_served() | {"cause": {"code": "not-served"}, "last_loaded_at": None}
    add_days(connection, 0, "daily_products", "SD", range(4), **refused)
    by_code = {one.code: one for one in find(connection)}
    assert (2, "4 windows") == (by_code["history-not-proven"].count, by_code["not-served"].unit)


@pytest.mark.parametrize(
    "change",
    [
        partial(change_windows, expires_at=datetime(2026, 7, 25, tzinfo=UTC)),
        partial(change_accounts, paused=True),
        partial(change_windows, status="loaded", not_served=[], cause=None),
    ],
)
def test_a_finding_is_over(connection: Connection, change: Callable[[Connection], None]) -> None:
    """The days are older than what is requested, the account is stopped, or the age is proven."""
    add_days(connection, 0, "daily_products", "SB", range(2), **not_served(SB))
    add_days(connection, 0, "daily_targets", "SP+SB+SD", range(2), not_served=[SB])
    assert find(connection)
    change(connection)
    assert [] == find(connection)
