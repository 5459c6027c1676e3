"""Fills of accounts where Amazon answers the oldest twelve of fifteen months as empty success: no zero is false, and none that is true is doubted."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import products_of
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS, DAILY_PRODUCTS, Dataset
from bidbeacon_pipelines.windows.rules import local_date, oldest_served
from bidbeacon_sandbox.entities import AD_PRODUCTS
from tests.postgres.explaining import findings
from tests.support.rows import days_until
from tests.support.truth import DayRows, Sums, of_products, stored_days
from tests.support.world import NOON, World

DAY = timedelta(days=1)
SERVED_DAYS = 91
"""Of about 456, so that twelve of fifteen months come without rows."""
UNDOUBTED_DAYS = 30
NEW = 5
"""The number of the ads account whose campaigns began three months ago."""
BEGUN = NOON.date() - 85 * DAY
# It is a day later in Brazil than in the US, by whose calendar Amazon counts for both: rows of one day more come.
SANDBOX = {
    "accounts": 6,
    "countries": (("US", "BR"), ("GB", "DE"), ("CA",), ("JP",), ("MX",), ("US",)),
    "clock_start": NOON.replace(hour=6),
    "rows_per_day": 12,
    "campaigns_begin": {NEW: BEGUN},
    "max_reports_in_flight": 20,
    "rules": [{"rule": "history", "days": SERVED_DAYS, "empty": True}],
}
OPEN = """
    SELECT FROM report_requests WHERE finished_at IS NULL UNION ALL
    SELECT FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE w.load_count = 0 AND w.status <> 'expired' AND w.window_date < CAST(CAST(:now AS timestamptz) AT TIME ZONE a.time_zone AS date)"""
FILLED = (DAILY_CAMPAIGNS, DAILY_PRODUCTS)
# A minute on two quiet cores, several where other tests have them
pytestmark = [
    pytest.mark.datasets(*(dataset.name for dataset in FILLED)),
    pytest.mark.timeout(600),
]


class Part(NamedTuple):
    """An ad product of a window: whether it is said to be not served, and its day's sums as stored and in truth."""

    dataset: str
    day: date
    product: str
    age: int
    is_not_served: bool
    stored: Sums
    true: Sums

    @property
    def is_false(self) -> bool:
        """Whether it says another number than the truth, zeros included."""
        return not self.is_not_served and self.stored != self.true

    @property
    def is_doubted_without_reason(self) -> bool:
        """Whether it is said to be not served though Amazon delivered rows, or the day is beyond doubt."""
        was_delivered = self.age <= SERVED_DAYS and any(self.true)
        return self.is_not_served and (was_delivered or self.age <= UNDOUBTED_DAYS)


@pytest.fixture
def filled(world: World) -> World:
    """Return a world whose accounts are filled: entities first, then reports until each day that is over is loaded."""
    settings = world.context.settings.model_copy(update={"first_reports_in_flight": 8})
    world = replace(world, context=replace(world.context, settings=settings))
    for account in world.accounts():
        world.sync_entities(account)
    ads_accounts = {account.account_id: account for account in world.accounts()}
    for _ in range(100):
        for account in ads_accounts.values():
            world.plan(account)
        if not world.query(OPEN, now=world.context.now()):
            return world
        world.step()
        world.advance(minutes=5)
    raise AssertionError("something is still requested")


def parts_of(world: World, account: Account, dataset: Dataset) -> Iterator[Part]:
    """Yield each ad product of each day of a dataset that is over, all of which have to be loaded."""
    today = local_date(world.context.now(), account.time_zone)
    days = days_until(today - DAY, (today - oldest_served(dataset, today)).days)
    stored, sandbox = stored_days(world.engine, account, dataset), world.sandbox.state
    windows = world.windows(account, *days, dataset=dataset)
    assert days == sorted({window.window_date for window in windows})
    for window in windows:
        day, as_of = window.window_date, window.data_as_of
        assert as_of is not None, window
        day_rows = DayRows(world.engine, sandbox, account, dataset, day)
        age = (local_date(as_of, account.time_zone) - day).days
        for product in products_of(window.report):
            is_not_served = window.status == "not_served" or product in window.not_served
            ours = day_rows.sums(of_products(stored.get(day, {}), {product}))
            true = day_rows.sums(day_rows.true(as_of, [product]))
            yield Part(dataset.name, day, product, age, is_not_served, ours, true)


@pytest.mark.parametrize("sandbox", [SANDBOX], indirect=True)
def test_no_zero_is_false_where_twelve_months_come_as_empty_success(filled: World) -> None:
    """Day by day and product by product the numbers are the truth, or not served; true zeros of a new account are not doubted."""
    new = filled.sandbox.state.world.accounts.accounts[NEW].account_id
    doubted = defaultdict[str, int](int)
    for account in filled.accounts():
        parts = [part for dataset in FILLED for part in parts_of(filled, account, dataset)]
        assert [] == [part for part in parts if part.is_false]
        assert [] == [part for part in parts if part.is_doubted_without_reason]
        doubted[account.account_id] += sum(part.is_not_served for part in parts)
        if account.account_id != new:
            old = [part for part in parts if part.age > SERVED_DAYS + 1]
            assert len(old) > 300 * len(AD_PRODUCTS) * len(FILLED)
            assert all(part.is_not_served for part in old)
    assert 0 == doubted[new]
    check_that_the_new_account_is_fine(filled, new)


def check_that_the_new_account_is_fine(world: World, new: str) -> None:
    """Its days are final or fresh, and no finding is about it."""
    [account] = [one for one in world.accounts() if one.account_id == new]
    states = world.query(
        """SELECT DISTINCT state FROM window_states(:now, interval '12 hours')
            WHERE account_key = :key AND window_date < :begun""",
        now=world.context.now(),
        key=account.account_key,
        begun=BEGUN,
    )
    assert [{"state": "fresh"}] == states
    assert [] == [one.headline for one in findings(world) if account.label in one.names]
