"""The jobs that keep windows fresh: `refresh_account` plans, `poll_reports` looks, loads, creates, and records materializations."""

from collections import Counter
from datetime import UTC, datetime

from bidbeacon_pipelines.defs.partitions import partition_key
from bidbeacon_pipelines.reports.datasets import DATASETS
from bidbeacon_pipelines.services.backfill import drive_windows
from bidbeacon_sessions import with_job_session
from tests.dagster.world import DATASET, World, wait_until


def test_a_refresh_plans_all_that_is_due_and_asks_amazon_for_nothing(stocked: World) -> None:
    """An empty ads account gets its windows, and 14 planned reports of 120 days at most; each dataset is told once."""
    account = stocked.account("JP")
    assert stocked.run_job("refresh_account", account).success
    requests = stocked.rows("SELECT start_date, end_date, status FROM report_requests")
    assert stocked.accepted_creates() == []
    assert {"planned"} == {row["status"] for row in requests}
    assert all((row["end_date"] - row["start_date"]).days < 120 for row in requests)
    session = stocked.one_session("refresh-account")
    types = Counter(action["type"] for action in session["actions"])
    assert (session["status"], session["account_key"]) == ("succeeded", account.ads_account_key)
    assert {"windows-planned": len(DATASETS), "reports-planned": len(DATASETS)} == types


def test_reports_are_created_as_far_as_the_gate_allows(stocked: World) -> None:
    """The first look creates two, newest days first, whatever number of accounts waits; a full gate lets no third in."""
    stocked.hold_reports()
    for country in ("US", "CA"):
        stocked.run_job("refresh_account", stocked.account(country))
    for _ in range(2):
        assert stocked.run_job("poll_reports").success
    requests = stocked.rows("SELECT end_date FROM report_requests WHERE status = 'in_flight'")
    assert len(stocked.accepted_creates()) == len(requests) == 2
    [newest] = stocked.rows("SELECT max(end_date) AS day FROM report_requests")
    assert {newest["day"]} == {row["end_date"] for row in requests}


def test_polling_loads_what_is_complete_and_records_each_window_once(stocked: World) -> None:
    """Every loaded window is a materialization of its partition, exactly one, and a further look adds none."""
    account = stocked.account("JP")
    _keep_days_due(stocked, 4)
    stocked.run_job("refresh_account", account)
    _poll_until_loaded(stocked, 4)
    loaded = stocked.rows("SELECT window_date FROM report_windows WHERE load_count > 0")
    expected = sorted(str(partition_key(account.account_key, row["window_date"])) for row in loaded)
    assert expected == sorted(stocked.recorded_partitions())
    stocked.run_job("poll_reports")
    assert expected == sorted(stocked.recorded_partitions())


def test_a_load_that_a_killed_run_did_not_record_is_recorded_by_the_next_look(
    stocked: World,
) -> None:
    """A window that was loaded outside of Dagster, or by a run killed right after, becomes a materialization once."""
    account, day = stocked.account(), stocked.day()
    with (
        stocked.context() as context,
        with_job_session("killed", store=stocked.sessions) as session,
    ):
        drive_windows(context, session, account, DATASET, [day])
    assert stocked.materializations() == []
    stocked.run_job("poll_reports")
    stocked.run_job("poll_reports")
    assert [str(partition_key(account.account_key, day))] == stocked.recorded_partitions()
    told = [
        action for session in stocked.sessions_of("poll-reports") for action in session["actions"]
    ]
    assert [("loads-recorded", 1)] == [(action["type"], action["loads"]) for action in told]


def test_a_window_older_than_the_partitions_is_loaded_without_a_materialization(
    stocked: World,
) -> None:
    """Days before the first partition stay in Postgres only, and are not refreshed again."""
    account, day = stocked.account(), stocked.day()
    stocked.materialize(account, day)
    stocked.execute(
        "UPDATE report_windows SET window_date = '2020-01-01', recorded_load_count = 0 WHERE load_count > 0"
    )
    stocked.run_job("poll_reports")
    [row] = stocked.rows("SELECT recorded_load_count AS n FROM report_windows WHERE load_count > 0")
    assert row["n"] == 1
    assert len(stocked.materializations()) == 1


def test_a_disabled_account_is_skipped_with_its_reason(stocked: World) -> None:
    """A refresh of a paused account succeeds, asks nothing and says why, for each dataset."""
    account = stocked.account()
    stocked.execute("UPDATE advertiser_accounts SET enabled = false")
    assert stocked.run_job("refresh_account", account).success
    actions = stocked.one_session("refresh-account")["actions"]
    assert list(DATASETS) == [action["dataset"] for action in actions]
    assert {"window-skipped"} == {action["type"] for action in actions}
    assert all("bidbeacon accounts resume" in action["detail"] for action in actions)
    assert stocked.accepted_creates() == []


def _keep_days_due(world: World, days: int) -> None:
    """Make the windows of all accounts, and leave only the newest few due."""
    for key in ("US", "CA", "DE", "GB", "JP"):
        account = world.account(key)
        world.execute(
            """INSERT INTO report_windows (account_id, country_code, dataset, window_date, next_refresh_at)
               SELECT :account_id, :country_code, :dataset, CAST(:today AS date) - n, now() FROM generate_series(2, :days + 1) n""",
            **account.identity,
            dataset=DATASET.name,
            today=datetime.now(UTC).date(),
            days=days,
        )
    world.execute(
        """INSERT INTO dataset_windows (account_id, country_code, dataset, through_date)
           SELECT account_id, country_code, dataset, CAST(now() AT TIME ZONE time_zone AS date) + 1
             FROM advertiser_accounts, unnest(CAST(:datasets AS text[])) AS dataset""",
        datasets=list(DATASETS),
    )


def _poll_until_loaded(world: World, windows: int) -> None:
    def look() -> bool:
        assert world.run_job("poll_reports").success
        [row] = world.rows("SELECT count(*) AS n FROM report_windows WHERE load_count > 0")
        return bool(row["n"] == windows)

    wait_until(look, f"{windows} windows are loaded")
