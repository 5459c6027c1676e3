"""Planning beside processes that send and end reports: no window is left out of all plans, and no creator fails beside another."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import and_

from bidbeacon_pipelines.accounts.queries import change_ads_account, set_needs_attention
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.gate import lock_gate
from bidbeacon_pipelines.requests.queries import attach_windows, lock_planning
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.checking import assert_has
from tests.support.jobs import due_ads_accounts
from tests.support.reading import call, column, tuples
from tests.support.rows import change_ads_accounts, change_requests, change_windows, remove_requests
from tests.support.waiting import wait_until
from tests.support.world import DATASET, World

pytestmark = pytest.mark.datasets(DATASET.name)
TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=2)
MIDNIGHT = datetime(2026, 1, 15, 23, tzinfo=UTC)
"""In Berlin: three days after `DAY` was over it is due again."""
WAITING = """
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""


def only_due(world: World, account: Account, *days: date) -> None:
    """Plan an account, so that its windows exist; then have these days due and no others, and nothing planned.

    It waits for a sync of its entities no more.
    """
    world.advance(minutes=16)
    world.plan(account)
    remove_requests(world.engine)
    is_kept = ReportWindow.dataset == DATASET.name, ReportWindow.window_date.in_(days)
    change_windows(world.engine, ~and_(*is_kept), next_refresh_at=None)
    change_ads_accounts(world.engine, planned_at=None)


def is_due(world: World, account: Account) -> bool:
    """Return whether the sensor would have the ads account planned."""
    return account.ads_account_key in due_ads_accounts(world)


PLANNED = "SELECT start_date, end_date FROM report_requests WHERE status = 'planned' ORDER BY 1"
NEWEST_FIRST = "SELECT id FROM report_requests ORDER BY end_date DESC"


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Run work in a thread, which is to come to its end after the block."""
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        yield
        working.result(120)


def wait_until_someone_waits(world: World, waiting: int = 1) -> None:
    """Wait until so many connections wait for locks of others."""
    wait_until(lambda: len(world.query(WAITING)) >= waiting, "they wait for locks", 120)


def drive(world: World, request_id: int) -> str | None:
    """Create a report, in a session of its own; return the status of its request."""
    with world.session() as session:
        return drive_request(world.context, session, request_id)


def test_a_refresh_that_falls_due_while_its_window_is_in_a_report_is_planned(
    world: World,
) -> None:
    """At midnight planning leaves the window out, since it is in a report; when that is loaded, the account is planned anew."""
    account = world.account("DE")
    only_due(world, account, DAY)
    world.advance(hours=10, minutes=39)
    world.ask(account, DAY)
    world.advance(minutes=10)
    world.plan(account)
    assert not is_due(world, account)
    world.step()
    assert_has(world.window(account, DAY), status="loaded", next_refresh_at=MIDNIGHT)
    assert is_due(world, account)
    world.context.settings.wait_for_countries_hours = 0
    world.plan(account)
    assert [(DAY, DAY)] == tuples(world.engine, PLANNED)


def test_a_report_that_fails_is_not_overtaken_by_a_planning_that_did_not_see_it(
    world: World,
) -> None:
    """Windows that wait for a person's word are due at once when it comes; those given up before are planned too."""
    account = world.account("DE")
    only_due(world, account, DAY)
    world.ask(account, DAY)
    call(world.engine, set_needs_attention, account.account_id, {"code": "account-refused"})
    world.advance(minutes=2)
    with world.engine.begin() as planning:
        lock_planning(planning, account.account_id)
        with meanwhile(world.step):
            wait_until_someone_waits(world)
            later = world.context.now() + timedelta(hours=1)
            change_ads_account(planning, account.account_id, planned_at=later)
            planning.commit()
    change_ads_accounts(world.engine, needs_attention=None, needs_attention_for=None)
    assert is_due(world, account)


def test_a_plan_that_is_being_sent_is_not_changed(world: World) -> None:
    """Planning waits for it, and plans what fell due meanwhile in a report of its own."""
    account = world.account("DE")
    only_due(world, account, DAY)
    world.plan(account)
    [request_id] = column(world.engine, NEWEST_FIRST)
    later, now = DAY + timedelta(days=1), world.context.now()
    is_later = ReportWindow.dataset == DATASET.name, ReportWindow.window_date == later
    change_windows(world.engine, *is_later, next_refresh_at=now)
    with world.engine.begin() as creating:
        attach_windows(creating, request_id, now=now)
        change_requests(creating, status="sent", attempts=1, sent_at=now, next_step_at=now)
        with meanwhile(lambda: world.plan(account)):
            wait_until_someone_waits(world)
            creating.commit()
    assert [(later, later)] == tuples(world.engine, PLANNED)


def test_two_creators_of_one_dataset_get_through(world: World) -> None:
    """Each holds its own report: the gate lets one after the other in, and neither fails."""
    account = world.account("DE")
    only_due(world, account, DAY, DAY - timedelta(days=200))
    world.plan(account)
    mine, other = column(world.engine, NEWEST_FIRST)
    [client_id] = column(world.engine, "SELECT DISTINCT client_id FROM ads_accounts")
    with world.engine.begin() as gate:
        lock_gate(gate, client_id, account.region, now=world.context.now(), first_limit=2)
        with meanwhile(lambda: drive(world, mine)), meanwhile(lambda: drive(world, other)):
            wait_until_someone_waits(world, 2)
            gate.commit()
    sent = "SELECT DISTINCT status FROM report_requests WHERE attempts = 1"
    assert ["in_flight"] == column(world.engine, sent)


def test_due_day_whose_load_was_given_up_is_planned_again(world: World) -> None:
    """It was planned by hand only; the plan of a later load takes that place."""
    account, other = world.account("DE"), DAY - timedelta(days=200)
    only_due(world, account, DAY)
    world.plan_by_hand(account, [DAY])
    world.plan(account)
    assert [(DAY, DAY)] == tuples(world.engine, PLANNED)
    change_windows(world.engine, wanted_by=None, wanted_at=None)
    world.plan_by_hand(account, [other])
    assert [(other, other)] == tuples(world.engine, PLANNED)
    assert is_due(world, account)
