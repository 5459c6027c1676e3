"""Planning beside processes that send and end reports: no window is left out of all plans, and no creator waits for another."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import and_, text

from bidbeacon_pipelines.accounts.queries import change_ads_account, set_needs_attention
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.gate_queries import lock_gate
from bidbeacon_pipelines.requests.queries import lock_planning
from bidbeacon_pipelines.windows.due import list_ads_accounts_with_due_work
from bidbeacon_pipelines.windows.queries import attach_windows
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.one_dataset import only_daily_targets
from tests.support.rows import change_ads_accounts, change_requests, change_windows, remove_requests
from tests.support.waiting import wait_until
from tests.support.world import DATASET, World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=2)
MIDNIGHT = datetime(2026, 1, 15, 23, tzinfo=UTC)
"""In Berlin: three days after `DAY` was over it is due again."""
WAITING = """
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""


@pytest.fixture(autouse=True)
def only_one_dataset() -> Iterator[None]:
    """Leave the dataset that is planned."""
    with only_daily_targets():
        yield


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
    with world.engine.begin() as connection:
        due = list_ads_accounts_with_due_work(
            connection, now=world.context.now(), datasets=tuple(DATASETS)
        )
    return account.ads_account_key in due


def planned_days(world: World) -> list[tuple[date, date]]:
    """Return first and last day of each report that is planned."""
    rows = world.query(
        "SELECT start_date, end_date FROM report_requests WHERE status = 'planned' ORDER BY 1"
    )
    return [(row["start_date"], row["end_date"]) for row in rows]


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Run work in a thread, which is to come to its end after the block."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(120)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def wait_until_someone_waits(world: World, waiting: int = 1) -> None:
    """Wait until so many connections wait for locks of others."""
    wait_until(lambda: len(world.query(WAITING)) >= waiting, "they wait for locks", 120)


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
    assert ("loaded", MIDNIGHT) == (
        world.window(account, DAY).status,
        world.window(account, DAY).next_refresh_at,
    )
    assert is_due(world, account)
    world.context.settings.wait_for_countries_hours = 0
    world.plan(account)
    assert [(DAY, DAY)] == planned_days(world)


def test_a_report_that_fails_is_not_overtaken_by_a_planning_that_did_not_see_it(
    world: World,
) -> None:
    """Windows that wait for a person's word are due at once when it comes; those given up before are planned too."""
    account = world.account("DE")
    only_due(world, account, DAY)
    world.ask(account, DAY)
    with world.engine.begin() as connection:
        set_needs_attention(connection, account.account_id, {"code": "account-refused"})
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
    [request] = world.query("SELECT id FROM report_requests")
    later = DAY + timedelta(days=1)
    make_due(world, later)
    with world.engine.begin() as creating:
        attach_windows(creating, request["id"], now=world.context.now())
        change_requests(
            creating,
            status="sent",
            attempts=1,
            sent_at=world.context.now(),
            next_step_at=world.context.now(),
        )
        with meanwhile(lambda: world.plan(account)):
            wait_until_someone_waits(world)
            creating.commit()
    assert [(later, later)] == planned_days(world)


def test_a_creator_never_waits_for_another(world: World) -> None:
    """While one is about to send a report, another sends its own of the same dataset, and doesn't count the first as passed over."""
    account = world.account("DE")
    only_due(world, account, DAY, DAY - timedelta(days=200))
    world.plan(account)
    mine, other = world.query("SELECT id FROM report_requests ORDER BY end_date DESC")
    with world.engine.begin() as creating, world.session() as session:
        creating.execute(
            text("SELECT FROM report_requests WHERE id = :id FOR UPDATE"), {"id": other["id"]}
        )
        assert "in_flight" == drive_request(world.context, session, mine["id"])
    assert [0] == [
        row["passed_over"]
        for row in world.query(
            "SELECT passed_over FROM report_requests WHERE id = :id", id=other["id"]
        )
    ]


def test_two_creators_of_one_dataset_get_through(world: World) -> None:
    """Both hold their own report and want to count the other's: the gate lets one after the other in, and neither fails."""
    account = world.account("DE")
    only_due(world, account, DAY, DAY - timedelta(days=200))
    world.plan(account)
    mine, other = (
        row["id"] for row in world.query("SELECT id FROM report_requests ORDER BY end_date DESC")
    )
    [client_id] = {row["client_id"] for row in world.query("SELECT client_id FROM ads_accounts")}
    with world.engine.begin() as gate:
        lock_gate(gate, client_id, account.region, now=world.context.now(), first_limit=2)
        with meanwhile(lambda: drive(world, mine)), meanwhile(lambda: drive(world, other)):
            wait_until_someone_waits(world, 2)
            gate.commit()
    sent = world.query("SELECT status FROM report_requests WHERE attempts = 1")
    assert {"in_flight"} == {row["status"] for row in sent}


def make_due(world: World, day: date) -> None:
    """Have a day of the dataset fall due now."""
    change_windows(
        world.engine,
        ReportWindow.dataset == DATASET.name,
        ReportWindow.window_date == day,
        next_refresh_at=world.context.now(),
    )


def drive(world: World, request_id: int) -> None:
    """Send a report, in a session of its own."""
    with world.session() as session:
        drive_request(world.context, session, request_id)
