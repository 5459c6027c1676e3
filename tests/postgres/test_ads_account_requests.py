"""One request serves all countries of its ads account: planning, creation and load, on a real database and the sandbox over HTTP."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from bidbeacon_pipelines.accounts.queries import get_ads_account, set_paused
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import SkipReason
from bidbeacon_pipelines.contract.queries import set_override
from bidbeacon_pipelines.requests.gate import list_gates_with_work
from bidbeacon_pipelines.requests.queries import list_candidates
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.jobs import due_ads_accounts
from tests.support.one_dataset import only_datasets
from tests.support.rows import (
    add_request,
    change_ads_accounts,
    change_requests,
    change_windows,
    days_until,
    remove_requests,
)
from tests.support.world import DATASET, World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)
REPORTS = {"daily_targets": 1, "daily_products": 2, "hourly_targets": 1}
"""The datasets of these tests, with the number of reports that a period of each takes."""


SERVED_DAYS = 150
"""Of days, two reports in a row fill so many; all of the hours that Amazon serves are filled by one."""
GATE = """
    SELECT floor(in_flight_limit) AS places,
           (SELECT count(*) FROM report_requests WHERE status = 'in_flight') AS in_flight
      FROM report_gates"""


@pytest.fixture(autouse=True)
def only_few(world: World) -> Iterator[None]:
    """Leave few days of three datasets: of one report, of two, and of hours."""
    with only_datasets(*REPORTS):
        world.shorten_history(SERVED_DAYS)
        yield


def fill(world: World, account: Account) -> None:
    """Load all that is due for an ads account; in no round are more reports in flight than the gate allowed."""
    allowed = 2
    world.plan(account)
    while world.query("SELECT 1 FROM report_requests WHERE finished_at IS NULL"):
        world.step()
        [gate] = world.query(GATE)
        assert gate["in_flight"] <= max(allowed, gate["places"])
        allowed = gate["places"]  # a refused create halves it below what is in flight
        world.advance(minutes=3)
        world.plan(account)


@pytest.fixture
def germany(world: World) -> Account:
    """One of two countries of an ads account, an hour apart, whose entities are synced."""
    world.sync_entities(world.account("GB"))
    world.sync_entities(world.account("DE"))
    return world.account("DE")


@pytest.fixture
def britain(world: World, germany: Account) -> Account:
    """The other one."""
    return world.account("GB")


def plan_nothing(world: World, account: Account) -> None:
    """Make the windows of an ads account, and forget what is planned."""
    world.plan(account)
    remove_requests(world.engine)


def statuses(world: World, *accounts: Account, day: date = DAY) -> list[str]:
    """Return the statuses of a day's windows."""
    return [world.window(account, day).status for account in accounts]


def test_two_countries_are_filled_by_as_many_reports_as_one(
    world: World, germany: Account, britain: Account
) -> None:
    """Seven reports load every day of both, each row in its own country and currency."""
    fill(world, germany)
    assert 2 + 2 * 2 + 1 == len(world.accepted())
    left = "SELECT FROM report_windows WHERE status <> 'loaded' AND window_date < :today"
    assert [] == world.query(left, today=TODAY)
    for account in (germany, britain):
        as_of, stored = world.window(account, DAY).data_as_of, world.stored_rows(account, DAY)
        assert as_of is not None
        assert world.true_rows(account, DAY, as_of) == stored != set()


def test_midnights_an_hour_apart_make_one_report_a_group(
    world: World, germany: Account, britain: Account
) -> None:
    """Berlin's day waits for London's; then one report for each group of ad products loads both, and nothing more is due."""
    fill(world, germany)
    before = len(world.accepted())
    world.jump(datetime(2026, 1, 15, 23, 1, tzinfo=UTC))
    world.plan(germany)
    assert world.query("SELECT 1 FROM report_requests WHERE status = 'planned'") == []
    world.jump(datetime(2026, 1, 16, 0, 1, tzinfo=UTC))
    fill(world, germany)
    assert before + sum(REPORTS.values()) == len(world.accepted())
    assert ["loaded"] * 2 == statuses(world, germany, britain, day=TODAY)


def test_a_skip_is_recorded_once_a_dataset(world: World, germany: Account) -> None:
    """In whatever number of windows and countries: where nothing is due, and where what is due waits for another country."""
    fill(world, germany)
    for at, reason in (
        (world.context.now(), SkipReason.ALREADY_FRESH),
        (datetime(2026, 1, 15, 23, 1, tzinfo=UTC), SkipReason.WAITS_FOR_COUNTRIES),
    ):
        world.jump(at)
        before = len(world.actions("window-skipped"))
        world.plan(germany)
        told = world.actions("window-skipped")[before:]
        skips = sorted((one["dataset"], one["reason"], one["windows"]) for one in told)
        assert [(dataset, reason.value, []) for dataset in sorted(REPORTS)] == skips


def test_a_plan_counts_the_windows_that_it_would_load_on_time(
    world: World, germany: Account
) -> None:
    """Yesterday fell due in Berlin at 23:00 UTC, in London an hour later; all other days are long late."""
    world.plan(germany)

    def on_time(since: datetime) -> list[int]:
        now = world.context.now()
        with world.engine.begin() as connection:
            gate = get_ads_account(connection, germany.account_key)
            found = list_candidates(
                connection, gate.client_id, gate.region, now=now, tolerance=now - since
            )
        return sorted(one.on_time for one in found if one.dataset == DATASET.name)

    for since, expected in ((time(22, 59), 2), (time(23, 30), 1)):
        assert [0, expected] == on_time(datetime.combine(date(2026, 1, 14), since, UTC))
    assert [0, 0] == on_time(datetime(2026, 1, 15, 0, 1, tzinfo=UTC))


def test_a_plan_counts_the_reports_of_its_kind_that_were_sent_since(
    world: World, germany: Account
) -> None:
    """Not those that were sent before it was planned, nor those of another dataset."""
    now, hour, account_id = world.context.now(), timedelta(hours=1), germany.account_id
    planned = add_request(world.engine, account_id, TODAY, created_at=now)
    ended: dict[str, Any] = {"status": "loaded", "finished_at": now}
    for name, hours in (("daily_targets", (-1, 1, 2)), ("daily_products", (1,))):
        for number in hours:
            add_request(world.engine, account_id, DAY, name, sent_at=now + number * hour, **ended)
    with world.engine.begin() as connection:
        gate = get_ads_account(connection, germany.account_key)
        place = connection, gate.client_id, gate.region
        found = list_candidates(*place, now=now, tolerance=hour)
    assert {planned: 2} == {one.request_id: one.passed_over for one in found}


def test_a_gate_has_no_work_while_its_ads_accounts_need_a_person(
    world: World, germany: Account
) -> None:
    """Their plans are left alone, so no run is started for them; a request that was sent before is still given up."""
    world.plan(germany)

    def regions() -> list[str]:
        with world.engine.begin() as connection:
            gates = list_gates_with_work(connection, now=world.context.now())
        return [region for _, region in gates]

    assert ["EU"] == regions()
    change_ads_accounts(world.engine, needs_attention={}, needs_attention_for="account")
    assert [] == regions()
    first = select(func.min(ReportRequest.id)).scalar_subquery()
    change_requests(world.engine, ReportRequest.id == first, attempts=1)
    assert ["EU"] == regions()


def test_a_day_that_is_not_over_in_a_country_does_not_take_the_report(
    world: World, germany: Account, britain: Account
) -> None:
    """With no patience Berlin's day is asked for at its own midnight; London's rows of that day are not loaded, and are no bad rows."""
    fill(world, germany)
    world.context.settings.wait_for_countries_hours = 0
    world.jump(datetime(2026, 1, 15, 23, 1, tzinfo=UTC))
    fill(world, germany)
    assert ["loaded", "missing"] == statuses(world, germany, britain, day=TODAY)
    assert world.stored_rows(britain, TODAY) == set()
    assert world.query("SELECT * FROM quarantined_rows") == []


def test_a_load_by_hand_takes_due_siblings_along(
    world: World, germany: Account, britain: Account
) -> None:
    """The same day of the other country, which is due, comes with the report; days that are not due stay as they are."""
    plan_nothing(world, germany)
    world.load(germany, DAY)
    assert (1, 1) == (world.window(germany, DAY).load_count, world.window(britain, DAY).load_count)
    world.load(germany, DAY)
    assert (2, 1) == (world.window(germany, DAY).load_count, world.window(britain, DAY).load_count)


def test_a_country_that_a_person_disables_leaves_the_report_to_the_others(
    world: World, germany: Account, britain: Account
) -> None:
    """Its window waits for nothing any more; the report is loaded for the other country."""
    plan_nothing(world, germany)
    request_id = world.ask(germany, DAY)
    with world.engine.begin() as connection:
        set_paused(connection, britain, by="test")
    world.advance(minutes=2)
    world.step()
    assert ["loaded", "missing"] == statuses(world, germany, britain)
    assert "loaded" == world.request(request_id).status


def test_actions_of_a_report_name_the_windows_of_each_country(
    world: World, germany: Account, britain: Account
) -> None:
    """The request is the ads account's; what was queued and requested refers to both countries' windows, each load its own."""
    plan_nothing(world, germany)
    world.load(germany, DAY)
    [requested] = world.actions("report-requested")
    keys = [germany.account_key, britain.account_key]
    assert (germany.ads_account_key, keys) == (requested["account"], sorted(requested["accounts"]))
    loads = sorted(world.actions("report-processed"), key=lambda one: str(one["account"]))
    # What the other country took was waited for, so no row is foreign.
    told = [(one["account"], one["windows"], one["foreign"]) for one in loads]
    assert [(key, [str(DAY)], 0) for key in keys] == told
    counts = world.query("SELECT rows_loaded FROM report_loads ORDER BY country_code")
    for account, count in zip((germany, britain), counts, strict=True):
        rows = len(world.stored_rows(account, DAY))
        assert (rows, rows) == (count["rows_loaded"], world.window(account, DAY).row_count)
    requests = "SELECT DISTINCT account_key FROM session_references WHERE effect = 'requested' AND dataset = :dataset ORDER BY 1"
    references = world.query(requests, dataset=DATASET.name)
    assert keys == [row["account_key"] for row in references]


def test_a_report_that_is_too_large_is_split_for_all_countries(
    world: World, germany: Account, britain: Account
) -> None:
    """The windows of both are requested again in halves, and what the halves show is learned."""
    world.plan(germany)
    is_other = ReportWindow.dataset != DATASET.name
    is_outside = ReportWindow.window_date.not_in(days_until(DAY, 16))
    change_windows(world.engine, is_other | is_outside, next_refresh_at=None)
    remove_requests(world.engine)
    change_ads_accounts(world.engine, planned_at=None)
    period, now = ("EU", DATASET.name, "period:SP+SB+SD", "8"), world.context.now()
    with world.engine.begin() as connection:
        set_override(
            connection, *period, account_id=germany.account_id, set_by="learned", set_at=now
        )
    world.break_with("refuse", reason="too_large", days=4)
    while germany.ads_account_key in due_ads_accounts(world):
        fill(world, germany)
    [learned] = world.query("SELECT * FROM registry_overrides WHERE account_id IS NOT NULL")
    assert (germany.account_id, "4") == (learned["account_id"], learned["value"])
    assert "learned" == learned["set_by"]
    days = "SELECT end_date - start_date + 1 AS days FROM report_requests WHERE status = 'loaded'"
    assert [4, 4, 4, 4] == [row["days"] for row in world.query(days)]
    assert ["loaded"] * 2 == statuses(world, germany, britain)
    for split in world.actions("report-split"):
        assert {germany.account_key, britain.account_key} == set(split["accounts"])


def test_silence_of_one_country_leaves_the_other_its_rows(
    world: World, germany: Account, britain: Account
) -> None:
    """A report without Germany's rows is loaded for Britain; Germany's window is unconfirmed, and each row is counted in each load."""
    plan_nothing(world, germany)
    world.break_with("rows", times=1, change="no_country")
    world.load(germany, DAY)
    assert ["unconfirmed", "loaded"] == statuses(world, germany, britain)
    of_germany, of_britain = world.query("SELECT * FROM report_loads ORDER BY country_code")
    read = of_britain["rows_read"]
    assert (read, read) == (of_germany["rows_read"], of_germany["rows_ignored"])
    assert 0 < of_britain["rows_loaded"]
    world.advance(minutes=15)
    fill(world, germany)
    assert "loaded" == world.window(germany, DAY).status
