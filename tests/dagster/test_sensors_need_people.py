"""Accounts and windows that sensors skip until a person acts."""

from datetime import timedelta

import pytest
from dagster import SkipReason, build_sensor_context
from dagster._core.storage.runs.schema import RunsTable

from bidbeacon_pipelines.defs import schedules
from bidbeacon_pipelines.defs.schedules import poll_reports_in_flight, refresh_due_accounts
from bidbeacon_pipelines.sandbox.faults import FaultRule
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.ads_accounts import (
    clear_credentials_need_person,
    set_credentials_need_person,
)
from tests.dagster.world import World


def tick(world: World, sensor: object) -> list[object]:
    """Evaluate a sensor once."""
    context = build_sensor_context(instance=world.instance)
    return list(sensor(context))  # type: ignore[operator]  # a sensor's definition is called like its function


def test_reports_of_accounts_that_need_a_person_are_not_looked_at(stocked: World) -> None:
    """While credentials are refused no run is started for them; afterwards one is."""
    stocked.run_job("refresh_account", stocked.account())
    stocked.run_job("poll_reports")
    stocked.execute("UPDATE report_requests SET next_step_at = now()")
    with stocked.instance.run_storage.connect() as connection:
        connection.execute(RunsTable.delete())
    with stocked.engine.begin() as connection:
        set_credentials_need_person(connection, "the token is revoked")
    [skipped] = tick(stocked, poll_reports_in_flight)
    assert isinstance(skipped, SkipReason)
    assert (
        skipped.skip_message
        == "No report in flight is due for a check, and no planned report can be created now."
    )
    with stocked.engine.begin() as connection:
        clear_credentials_need_person(connection)
    [started] = tick(stocked, poll_reports_in_flight)
    assert not isinstance(started, SkipReason)


def test_no_account_gets_a_run_while_credentials_are_refused(stocked: World) -> None:
    """Neither for due windows nor for entities."""
    with stocked.engine.begin() as connection:
        set_credentials_need_person(connection, "the token is revoked")
    stocked.execute("UPDATE advertiser_accounts SET entities_synced_at = NULL")
    [skipped] = tick(stocked, refresh_due_accounts)
    assert isinstance(skipped, SkipReason)


def test_half_set_credentials_start_nothing(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names the settings that are missing, instead of runs that fail one after another."""
    monkeypatch.setenv("BIDBEACON_ADS_API_CLIENT_ID", "amzn1.application-oa2-client.1")
    get_settings.cache_clear()
    for sensor in (refresh_due_accounts, poll_reports_in_flight):
        [skipped] = tick(stocked, sensor)
        assert isinstance(skipped, SkipReason)
        assert "BIDBEACON_ADS_API_CLIENT_SECRET" in (skipped.skip_message or "")


def test_a_first_sync_in_vain_is_not_followed_by_another_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no account known, the next one comes five minutes later."""
    world.sandbox.state.faults.add(FaultRule(fault="invalid_grant"))
    assert not world.run_job("sync_accounts", raise_on_error=False).success
    [skipped] = tick(world, refresh_due_accounts)
    assert isinstance(skipped, SkipReason)
    monkeypatch.setattr(schedules, "PAUSE_AFTER_FAILURE", timedelta(0))
    [started] = tick(world, refresh_due_accounts)
    assert not isinstance(started, SkipReason)
