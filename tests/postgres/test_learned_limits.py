"""Limits that Amazon does not document: what is learned of them, from what, and for how long."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.contract import LEARNED
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS
from bidbeacon_pipelines.requests.dispatch import create_reports
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.refresh import step_requests
from bidbeacon_pipelines.retention import LEARNED_FOR, delete_old_records
from bidbeacon_pipelines.windows.contracts import change_contract
from tests.one_dataset import only_datasets
from tests.postgres.job_world import BenchWorld

TODAY = date(2026, 1, 15)
ABOUT_A_FIELD = "A metric of these adds up days older than its lookback window allows"
"""A refusal that sounds as if it was about the age of days."""


@pytest.fixture(autouse=True)
def _one_dataset() -> Iterator[None]:
    with only_datasets(DAILY_PRODUCTS.name):
        yield


def prepare(world: BenchWorld, days: int) -> Account:
    """Return the only enabled account, with so many due days of Brands."""
    account = world.account()
    world.sync_entities(account)
    world.execute(
        "UPDATE advertiser_accounts SET paused = account_key <> :key", key=account.account_key
    )
    world.plan(account)
    world.execute("DELETE FROM report_requests; UPDATE ads_accounts SET planned_at = NULL")
    world.execute(
        "UPDATE report_windows SET next_refresh_at = NULL WHERE report <> 'SB' OR window_date < :first",
        first=TODAY - timedelta(days=days),
    )
    return account


def load_all_that_is_due(world: BenchWorld, account: Account) -> None:
    """Go on until no window is due and no report is open."""
    for _ in range(60):
        world.plan(account)
        world.step()
        world.advance(minutes=5)
        if not world.query(
            "SELECT FROM report_windows WHERE country_code = :country AND (request_id IS NOT NULL OR next_refresh_at <= :now)",
            country=account.country_code,
            now=world.context.now(),
        ) and not world.query("SELECT FROM report_requests WHERE finished_at IS NULL"):
            return
    raise AssertionError("something is still due")


def of_brands(world: BenchWorld, account: Account, ago: int) -> str:
    """Return the status of Brands so many days ago."""
    day = TODAY - timedelta(days=ago)
    [window] = [w for w in world.windows(account, day, dataset=DAILY_PRODUCTS) if w.report == "SB"]
    return window.status


def learned(world: BenchWorld) -> list[tuple[str, str, str]]:
    """Return what was learned: what, value, by whom."""
    rows = world.query("SELECT what, value, set_by FROM registry_overrides")
    return [(row["what"], row["value"], row["set_by"]) for row in rows]


@pytest.mark.parametrize(
    "sandbox",
    [{"rules": [{"rule": "refuse", "history_days": 60, "products": ["SPONSORED_BRANDS"]}]}],
    indirect=True,
)
def test_short_history_is_found_to_the_day(world: BenchWorld) -> None:
    """By requesting fewer days; older windows expire and are not requested again, until what was learned is too old."""
    account = prepare(world, 100)
    load_all_that_is_due(world, account)
    world.plan(account)
    assert [("history:SB", "60", "learned")] == learned(world)
    assert ["60"] == [one["value"] for one in world.actions("registry-overridden")]
    assert ("expired", "loaded") == (of_brands(world, account, 61), of_brands(world, account, 58))
    before = len(world.query("SELECT FROM report_requests"))
    world.plan(account)
    world.step()
    assert before == len(world.query("SELECT FROM report_requests"))
    later = world.context.now() + LEARNED_FOR + timedelta(days=1)
    with world.session() as session:
        delete_old_records(world.engine, session, world.context.settings, later)
    world.plan(account)
    assert ([], "missing") == (learned(world), of_brands(world, account, 61))


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 12}], indirect=True)
def test_account_that_is_refused_everything_learns_nothing_and_loses_no_window(
    world: BenchWorld,
) -> None:
    """Whatever the words: its days fail with the reason, are requested every day, and come when Amazon accepts them."""
    account = prepare(world, 60)
    world.break_with("refuse", "create_report", code="400000", message=ABOUT_A_FIELD, as_207=True)
    for _ in range(2):
        load_all_that_is_due(world, account)
        assert {"failed"} == {of_brands(world, account, ago) for ago in (1, 30, 60)}
        world.advance(days=1)
    world.sandbox.state.rules.clear()
    load_all_that_is_due(world, account)
    assert [] == learned(world)
    assert {"loaded"} == {of_brands(world, account, ago) for ago in (1, 30, 60)}


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 12}], indirect=True)
def test_refusal_by_chance_teaches_no_history(world: BenchWorld) -> None:
    """Younger days come, then the refused day itself: nothing is learned and no window expires."""
    account = prepare(world, 60)
    world.break_with("refuse", "create_report", times=2, reason="too_old")
    load_all_that_is_due(world, account)
    assert ([], "loaded") == (learned(world), of_brands(world, account, 60))


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 12}], indirect=True)
def test_part_of_a_refused_report_is_not_requested_once_its_days_have_come(
    world: BenchWorld,
) -> None:
    """The younger half came, the next part is planned, and another report brings that part's days first; what planning left to the part is planned again."""
    account = prepare(world, 60)
    world.break_with("refuse", "create_report", times=2, reason="too_old")
    loaded = "SELECT FROM report_requests WHERE narrows IS NOT NULL AND status = 'loaded'"
    for _ in range(10):
        if world.query(loaded):
            break
        world.plan(account)
        with world.session() as session:
            create_reports(world.context, session)
        world.advance(minutes=5)
        with world.session() as session:
            step_requests(world.context, session, create=lambda *_: None)
    [part] = world.query(
        "SELECT start_date, end_date FROM report_requests WHERE status = 'planned'"
    )
    days = (TODAY - part["start_date"]).days, (TODAY - part["end_date"]).days
    assert (45, 31) == days
    world.execute(
        "UPDATE report_windows SET next_refresh_at = :now WHERE report = 'SB' AND window_date = ANY(:days)",
        now=world.context.now(),
        days=[TODAY - timedelta(days=ago) for ago in (25, 50)],
    )
    world.execute("UPDATE ads_accounts SET planned_at = NULL")
    world.plan(account)
    [other] = world.query(
        "SELECT id FROM report_requests WHERE status = 'planned' AND narrows IS NULL"
    )
    with world.session() as session:
        drive_request(world.context, session, other["id"])
        world.advance(minutes=5)
        drive_request(world.context, session, other["id"])
    assert "loaded" == world.request(other["id"]).status
    accepted = len(world.accepted())
    world.step()
    assert ([], accepted) == (
        world.query("SELECT FROM report_requests WHERE finished_at IS NULL"),
        len(world.accepted()),
    )
    planned = world.query(
        "SELECT planned_at FROM ads_accounts WHERE account_id = :id", id=account.account_id
    )
    assert [{"planned_at": None}] == planned


@pytest.mark.parametrize("learned_value", ["60", None])
def test_override_of_a_person_stays(world: BenchWorld, learned_value: str | None) -> None:
    """A learned value neither replaces nor deletes it, and it is not forgotten after some weeks."""
    of = ("NA", DAILY_PRODUCTS.name, "history:SB")
    now = world.context.now()
    with world.session() as session, world.engine.begin() as connection:
        assert change_contract(connection, session, *of, "90", by="maria", at=now)
        assert not change_contract(connection, session, *of, learned_value, by=LEARNED, at=now)
    later = now + LEARNED_FOR + timedelta(days=1)
    with world.session() as session:
        delete_old_records(world.engine, session, world.context.settings, later)
    assert [("history:SB", "90", "maria")] == learned(world)
    assert ["90"] == [one["value"] for one in world.actions("registry-overridden")]
