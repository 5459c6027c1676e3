"""The bound on Dagster's partitions, where accounts come in: at their sync, and when one is enabled."""

from datetime import UTC, date, datetime

import pytest
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.defs.partitions import ACCOUNT_PARTITIONS, WINDOW_PARTITIONS, add_accounts
from bidbeacon_pipelines.reports import partition_bound
from bidbeacon_pipelines.reports.partition_bound import TooManyPartitionsError, partition_days
from bidbeacon_pipelines.settings import get_settings
from tests.dagster.world import World, failure_of


def partitions(world: World) -> set[str]:
    """Give the accounts that are partitions."""
    return set(world.instance.get_dynamic_partitions(str(ACCOUNT_PARTITIONS.name)))


@pytest.fixture
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave room for two accounts."""
    first_day = date.fromisoformat(get_settings().first_window_date)
    days = partition_days(first_day, datetime.now(UTC).date())
    monkeypatch.setattr(partition_bound, "MOST_PARTITIONS", 2 * days)


def test_days_are_counted_as_dagster_does() -> None:
    """The bound's days are the keys of the windows' dimension."""
    first_day = date.fromisoformat(get_settings().first_window_date)
    assert len(WINDOW_PARTITIONS.get_partition_keys()) == partition_days(first_day, datetime.now(UTC).date())


def test_a_sync_adds_those_with_room_and_fails_with_what_to_do(world: World, room_for_two: None) -> None:
    """All accounts are stored, two are partitions; run and session have failed with the setting that makes room."""
    result = world.run_job("sync_accounts", raise_on_error=False)
    name, message = failure_of(result)
    assert name == "TooManyPartitionsError"
    assert "Set BIDBEACON_FIRST_WINDOW_DATE=" in message
    assert len(partitions(world)) == 2
    assert len(world.rows("SELECT 1 FROM advertiser_accounts")) > 2
    assert world.one_session("sync-accounts")["status"] == "failed"


def test_accounts_that_are_partitions_stay(world: World, room_for_two: None) -> None:
    """Adding known ones again is no news, and one more is refused while they stay."""
    add_accounts(world.instance, ["US.a", "US.b"])
    add_accounts(world.instance, ["US.b", "US.a"])
    with pytest.raises(TooManyPartitionsError, match=r"Without partitions for now: US\.c\."):
        add_accounts(world.instance, ["US.c", "US.a"])
    assert partitions(world) == {"US.a", "US.b"}


def test_enabling_one_more_is_refused(stocked: World, room_for_two: None) -> None:
    """The account stays disabled, and the line says what makes room; one that is enabled already is not refused."""
    key, known, other = (stocked.account(country).account_key for country in ("US", "DE", "JP"))
    stocked.execute("UPDATE advertiser_accounts SET enabled = account_key IN (:a, :b)", a=known, b=other)
    result = CliRunner().invoke(app, ["accounts", "enable", key])
    assert result.exit_code == 1
    assert "BIDBEACON_FIRST_WINDOW_DATE=" in result.stderr.replace("\n", " ")
    assert not stocked.account_of(key).enabled
    assert CliRunner().invoke(app, ["accounts", "enable", known]).exit_code == 0
