"""What jobs do when Amazon doesn't: failed reports, throttling, ended tokens and urls, broken files."""

from datetime import date, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.datasets.registry import UnknownDatasetError
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.checking import assert_has
from tests.support.jobs import set_contract
from tests.support.rows import (
    change_ads_accounts,
    change_requests,
    change_windows,
    remove_requests,
    remove_windows,
)
from tests.support.world import DATASET, World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)


@pytest.mark.parametrize("name", [None, "metric.addToList"], ids=["as known", "as a person says"])
def test_a_duplicate_is_adopted(world: World, name: str | None) -> None:
    """Amazon says that the report is being made already, and names it: it is taken over, and loaded; also where a field has another name."""
    if name is not None:
        set_contract(world, DATASET, "field:metric.clicks", name)
    world.break_with("accepted_429", times=1, retry_after=1)
    world.break_with("duplicate")
    world.break_with("report_ends", status="COMPLETED", seconds=1200)
    account, asked_at = world.account(), world.context.now()
    request_id = world.ask(account, DAY)
    world.advance(minutes=11)
    world.step()
    assert (world.request(request_id).status, world.reports_made()) == ("in_flight", 1)
    [adopted] = world.actions("report-adopted")
    assert_has(adopted, request_id=request_id, report_id=world.request(request_id).report_id)
    assert [] == world.actions("report-requested")
    world.advance(minutes=11)
    world.step()
    window = world.window(account, DAY)
    assert window.status == "loaded"
    assert window.data_as_of is not None
    assert timedelta(0) <= window.data_as_of - asked_at < timedelta(minutes=1)  # its first create


def test_rows_that_the_database_refuses_are_a_failed_try(world: World) -> None:
    """The job goes on, the reason is the database's first line, and the next try waits."""
    world.execute("ALTER TABLE daily_targets ADD CONSTRAINT nothing_fits CHECK (false)")
    request_id = world.load(world.account(), DAY)
    request = world.request(request_id)
    assert (request.status, request.loads) == ("completed", 1)
    assert request.next_step_at is not None
    assert request.next_step_at > world.context.now()
    [retried] = world.actions("request-retried")
    assert "rows-refused-by-database" == retried["cause"]["code"]
    assert retried["cause"]["detail"]["reason"].startswith("new row for relation")
    assert "INSERT" not in str(retried["cause"])


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"kind": "report_ends", "status": "FAILED"}, id="the report fails"),
        pytest.param(
            {"kind": "rows", "change": "missing_field", "share": 0.5}, id="its rows are bad"
        ),
    ],
)
def test_a_loaded_day_that_a_report_only_bridges_stays_as_it_is_if_that_is_of_no_use(
    world: World, broken: dict[str, Any]
) -> None:
    """The days around it were due, and are again later; it needs no report."""
    account, days = world.account(), [DAY - timedelta(days=n) for n in (2, 1, 0)]
    world.load(account, *days)
    world.plan(account)
    remove_windows(world.engine, ReportWindow.load_count == 0)
    remove_requests(world.engine, ReportRequest.status == "planned")
    is_bridged = ReportWindow.window_date == days[1]
    change_windows(world.engine, is_bridged, next_refresh_at=None)
    change_windows(world.engine, ~is_bridged, next_refresh_at=world.context.now())
    change_ads_accounts(world.engine, planned_at=None)
    world.break_with(**broken)
    world.refresh(account)
    assert {"requested"} == {window.status for window in world.windows(account, *days)}
    while "requested" in {window.status for window in world.windows(account, *days)}:
        world.advance(hours=1)
        world.step()
    first, bridged, last = world.windows(account, *days)
    assert ("failed", "failed") == (first.status, last.status)
    assert_has(bridged, status="loaded", next_refresh_at=None, cause=None)


def test_a_request_that_something_unforeseen_goes_wrong_with_rests(world: World) -> None:
    """It fails the look that meets it, and no other for five minutes; other reports are loaded by the same look."""
    account = world.account()
    odd, good = world.ask(account, DAY), world.ask(account, DAY - timedelta(days=1))
    change_requests(world.engine, ReportRequest.id == odd, dataset="of_another_version")
    world.advance(minutes=2)
    with pytest.raises(UnknownDatasetError):
        world.step()
    assert_has(world.request(odd), status="in_flight", locked_by=None)
    assert "loaded" == world.request(good).status
    world.step()
    world.advance(minutes=5)
    with pytest.raises(UnknownDatasetError):
        world.step()
