"""A round of an ads account with its own cadence goes on until all ad products of its windows have come, and asks for nothing else."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from bidbeacon_pipelines.accounts.cadence import keep_cadence
from bidbeacon_pipelines.accounts.rules import Cadence
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import (
    SPONSORED_BRANDS,
    SPONSORED_DISPLAY,
    SPONSORED_PRODUCTS,
)
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS, DATASETS
from bidbeacon_pipelines.windows.due import list_ads_accounts_with_due_work
from tests.one_dataset import only_datasets
from tests.postgres.job_world import BenchWorld

SP, SB, SD = SPONSORED_PRODUCTS, SPONSORED_BRANDS, SPONSORED_DISPLAY
FIRST, SECOND = (SP, SD), (SB,)
"""The ad products of the two reports of a day of products."""
FIRST_DAY, LAST_DAY = date(2026, 1, 10), date(2026, 1, 14)
MIDNIGHT = datetime(2026, 1, 16, 8, tzinfo=UTC)
"""In Los Angeles: from then on the day after the last one is due."""


@pytest.fixture(autouse=True)
def only_products() -> Iterator[None]:
    """Leave the dataset that takes two reports."""
    with only_datasets(DAILY_PRODUCTS.name):
        yield


@pytest.fixture
def account(world: BenchWorld) -> Account:
    """Return the only enabled account: its ads account is looked at once a week, and has five due days, planned a minute before midnight."""
    account = world.account()
    world.sync_entities(account)
    world.execute(
        "UPDATE advertiser_accounts SET paused = account_key <> :key", key=account.account_key
    )
    world.plan(account)
    world.execute("DELETE FROM report_requests")
    statement = "UPDATE report_windows SET next_refresh_at = NULL WHERE window_date < :first"
    world.execute(statement, first=FIRST_DAY)
    world.advance(seconds=(MIDNIGHT - world.context.now()).total_seconds() - 60)
    with world.engine.begin() as connection:
        keep_cadence(
            connection,
            account.account_key,
            Cadence(cron="59 23 * * 4"),
            world.context.now(),
            by="test",
        )
    world.execute(
        "UPDATE ads_accounts SET next_look_at = :now, planned_at = NULL", now=world.context.now()
    )
    world.plan(account)
    return account


def poll(world: BenchWorld, *, looks: int, minutes: int = 5) -> None:
    """Let time pass with so many looks at the reports; no round begins."""
    for _ in range(looks):
        world.step()
        world.advance(minutes=minutes)
        with world.engine.begin() as connection:
            now = world.context.now()
            assert (
                list_ads_accounts_with_due_work(connection, now=now, datasets=tuple(DATASETS)) == []
            )


def asked(world: BenchWorld) -> Counter[tuple[tuple[str, ...], date, date]]:
    """Return the reports that Amazon was asked for: ad products, first and last day."""
    rows = world.query(
        "SELECT ad_products, start_date, end_date FROM report_requests WHERE attempts > 0"
    )
    return Counter((tuple(row["ad_products"]), row["start_date"], row["end_date"]) for row in rows)


def states(world: BenchWorld, account: Account) -> set[str]:
    """Return the states of the windows of the round."""
    days = (FIRST_DAY + timedelta(days=n) for n in range(5))
    return {world.window(account, day, DAILY_PRODUCTS).status for day in days}


def test_round_goes_on_until_all_ad_products_came(world: BenchWorld, account: Account) -> None:
    """The second report is asked for once the first is loaded, and not for the day that fell due meanwhile, which waits for the next round."""
    poll(world, looks=8)
    assert Counter([(FIRST, FIRST_DAY, LAST_DAY), (SECOND, FIRST_DAY, LAST_DAY)]) == asked(world)
    assert {"loaded"} == states(world, account)
    later = world.window(account, LAST_DAY + timedelta(days=1), DAILY_PRODUCTS)
    assert ("missing", MIDNIGHT) == (later.status, later.next_refresh_at)


def test_what_fell_due_during_a_round_is_planned_in_the_next(
    world: BenchWorld, account: Account
) -> None:
    """Though the reports of the round were planned after it fell due."""
    poll(world, looks=8)
    world.advance(days=7)
    with world.engine.begin() as connection:
        due = list_ads_accounts_with_due_work(
            connection, now=world.context.now(), datasets=tuple(DATASETS)
        )
    assert [account.ads_account_key] == due


def test_ad_product_that_failed_waits_for_the_next_round(
    world: BenchWorld, account: Account
) -> None:
    """One report is asked for as often as any; then its windows fall due again before the next round, and wait for it."""
    world.step()
    world.break_with("report_failed")
    poll(world, looks=40, minutes=60)
    assert Counter([(FIRST, FIRST_DAY, LAST_DAY), (SECOND, FIRST_DAY, LAST_DAY)]) == asked(world)
    window = world.window(account, LAST_DAY, DAILY_PRODUCTS)
    assert {SP: "loaded", SD: "loaded", SB: "failed"} == {
        product: state.status for product, state in (window.states or {}).items()
    }
    assert window.next_refresh_at is not None
    assert window.next_refresh_at <= world.context.now()


@pytest.mark.parametrize("sandbox", [{"refuse_mixed_products": True}], indirect=True)
def test_refused_union_is_asked_for_by_ad_product_in_the_same_round(
    world: BenchWorld, account: Account
) -> None:
    """One refused report, then one for each ad product."""
    poll(world, looks=20)
    reports = [FIRST, (SP,), (SD,), (SB,)]
    assert Counter((products, FIRST_DAY, LAST_DAY) for products in reports) == asked(world)
    assert {"loaded"} == states(world, account)
