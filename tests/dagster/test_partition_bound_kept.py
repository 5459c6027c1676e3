"""The bound on Dagster's partitions, where accounts come in: at their sync, and when one is resumed."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.defs.partitions import (
    ACCOUNT_PARTITIONS,
    FIRST_DAY,
    WINDOW_PARTITIONS,
    add_accounts,
)
from bidbeacon_pipelines.reports import partition_bound
from bidbeacon_pipelines.reports.partition_bound import (
    TooManyPartitionsError,
    first_partition_day,
    partition_days,
)
from bidbeacon_pipelines.services.accounts import sync_accounts
from bidbeacon_pipelines.services.partition_room import count_accounts
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.store.account_partitions import list_account_partitions
from bidbeacon_pipelines.store.accounts import set_enabled
from bidbeacon_sessions import with_job_session
from tests.dagster.world import World, failure_of


def enable(key: str) -> int:
    """Enable an account as a person does; return the command's exit code."""
    return CliRunner().invoke(app, ["accounts", "resume", key]).exit_code


def switch(world: World, *keys: str, enabled: bool) -> None:
    """Enable or disable accounts, without asking whether there is room."""
    with world.engine.begin() as connection:
        for key in keys:
            set_enabled(connection, key, enabled=enabled)


def partitions(world: World) -> set[str]:
    """Return the accounts that are partitions."""
    return set(world.instance.get_dynamic_partitions(str(ACCOUNT_PARTITIONS.name)))


@pytest.fixture
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave room for two accounts, where a setting names the first day."""
    days = partition_days(FIRST_DAY, datetime.now(UTC).date())
    monkeypatch.setattr(get_settings(), "first_window_date", FIRST_DAY)
    monkeypatch.setattr(partition_bound, "MOST_PARTITIONS", 2 * days)


def test_days_are_counted_as_dagster_does() -> None:
    """The bound's days are the keys of the windows' dimension."""
    assert len(WINDOW_PARTITIONS.get_partition_keys()) == partition_days(
        FIRST_DAY, datetime.now(UTC).date()
    )


def test_a_sync_adds_those_with_room_and_fails_with_what_to_do(
    world: World, room_for_two: None
) -> None:
    """All accounts are stored, two are partitions; run and session have failed with the setting that makes room."""
    result = world.run_job("sync_accounts", raise_on_error=False)
    name, message = failure_of(result)
    assert name == "Failure"
    assert "Set BIDBEACON_FIRST_WINDOW_DATE=" in message
    assert len(partitions(world)) == 2
    assert len(world.rows("SELECT 1 FROM advertiser_accounts")) > 2
    assert world.one_session("sync-accounts")["status"] == "failed"


def test_without_the_setting_more_accounts_have_fewer_days(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync adds all of them; whoever loads the definitions then shows later months only."""
    days = partition_days(FIRST_DAY, datetime.now(UTC).date())
    monkeypatch.setattr(partition_bound, "MOST_PARTITIONS", 2 * days)
    assert world.run_job("sync_accounts").success
    with world.engine.begin() as connection:
        accounts = count_accounts(connection)
    assert accounts == len(partitions(world)) > 2
    first_day = first_partition_day(None, datetime.now(UTC).date(), accounts)
    assert first_day > FIRST_DAY
    assert accounts * partition_days(first_day, datetime.now(UTC).date()) <= 2 * days


def test_accounts_that_are_partitions_stay(world: World, room_for_two: None) -> None:
    """Adding known ones again is no news, and one more is refused while they stay."""
    add_accounts(world.instance, ["US.a", "US.b"])
    add_accounts(world.instance, ["US.b", "US.a"])
    with pytest.raises(TooManyPartitionsError, match=r"Without partitions for now: US\.c\."):
        add_accounts(world.instance, ["US.c", "US.a"])
    assert partitions(world) == {"US.a", "US.b"}


def test_enabling_one_more_is_refused(stocked: World, room_for_two: None) -> None:
    """The account stays paused, and the line says what makes room; one that is refreshed already is not refused."""
    key, known, other = (stocked.account(country).account_key for country in ("US", "DE", "JP"))
    stocked.execute(
        "UPDATE advertiser_accounts SET enabled = account_key IN (:a, :b)", a=known, b=other
    )
    result = CliRunner().invoke(app, ["accounts", "resume", key])
    assert result.exit_code == 1
    assert "BIDBEACON_FIRST_WINDOW_DATE=" in result.stderr.replace("\n", " ")
    assert not stocked.account_of(key).enabled
    assert CliRunner().invoke(app, ["accounts", "resume", known]).exit_code == 0


def test_an_account_that_is_enabled_becomes_a_partition(real: World) -> None:
    """Paused from the start it is none, and the sync does not fail for it; resumed, the next sync makes it one; paused again it stays one."""
    with (
        real.context() as context,
        with_job_session("sync-accounts", store=real.sessions) as session,
    ):
        sync_accounts(context, session)
    key = real.account("JP").account_key
    switch(real, key, enabled=False)
    real.run_job("sync_accounts")
    assert key not in partitions(real)
    assert real.account("US").account_key in partitions(real)
    assert enable(key) == 0
    assert real.account_of(key).reason_to_skip is None
    real.run_job("sync_accounts")
    assert key in partitions(real)
    switch(real, key, enabled=False)
    real.run_job("sync_accounts")
    assert key in partitions(real)


def test_a_disabled_account_that_is_a_partition_needs_no_room_and_gives_none(
    real: World, room_for_two: None
) -> None:
    """With two partitions and room for two: whoever has one may come back, and nobody else may come in, however many are enabled."""
    with (
        real.context() as context,
        with_job_session("sync-accounts", store=real.sessions) as session,
    ):
        keys = sync_accounts(context, session)
    first, second, third = (real.account(country).account_key for country in ("US", "DE", "JP"))
    switch(real, *keys, enabled=False)
    switch(real, first, second, enabled=True)
    assert real.run_job("sync_accounts").success
    switch(real, first, second, enabled=False)
    assert enable(third) == 1
    assert enable(first) == enable(second) == 0
    assert {first, second} == partitions(real)
    assert real.run_job("sync_accounts").success


def test_partitions_are_read_as_dagster_keeps_them(real: World) -> None:
    """Our statement on Dagster's own table gives what Dagster gives; where Dagster never ran, it gives none."""
    with real.engine.begin() as connection:
        assert set() == list_account_partitions(connection)
    add_accounts(real.instance, ["US.a", "US.b"])
    real.instance.add_dynamic_partitions("others", ["US.c"])
    with real.engine.begin() as connection:
        assert {"US.a", "US.b"} == partitions(real) == list_account_partitions(connection)
