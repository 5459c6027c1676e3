"""Dagster on our database, with the project's own `dagster.yaml`."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    QueuedRunCoordinator,
    SubmitRunContext,
)
from dagster._core.instance import InstanceRef
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.test_utils import create_run_for_test, create_test_daemon_workspace_context
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._serdes import serialize_value
from dagster._utils.tags import TagConcurrencyLimitsCounter
from sqlalchemy import make_url

from bidbeacon_pipelines.dagster_instance.run_queue import own_tags
from bidbeacon_pipelines.dagster_instance.storage import dagster_database_url, upgrade_dagster
from bidbeacon_pipelines.settings import PROJECT_ROOT, get_settings

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def instance(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    """Yield an instance as `dagster.yaml` describes it, on a fresh database."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    monkeypatch.setenv("BIDBEACON_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    upgrade_dagster(database_url)
    with DagsterInstance.from_ref(
        InstanceRef.from_dir(str(tmp_path), config_dir=str(PROJECT_ROOT))
    ) as instance:
        yield instance


def test_dagsters_tables_are_in_a_schema_of_their_own(
    instance: DagsterInstance, database_url: str
) -> None:
    """Runs and events are in schema `dagster`, and nothing of Dagster's is in `public`."""
    instance.get_runs()
    statement = "SELECT table_schema FROM information_schema.tables WHERE table_name IN ('runs', 'event_logs', 'jobs')"
    with psycopg.connect(database_url) as connection:
        assert connection.execute(statement).fetchall() == [("dagster",)] * 3


def test_what_dagster_hands_to_its_processes_has_no_password(
    instance: DagsterInstance, database_url: str
) -> None:
    """The reference that stands on command lines has neither password nor address."""
    reference = serialize_value(instance.get_ref())
    assert "BidBeaconStorage" in reference
    assert str(make_url(database_url).password) not in reference
    assert "postgresql" not in reference


def test_runs_end_before_their_longest_time_by_hand_is_over_twice(
    instance: DagsterInstance,
) -> None:
    """Dagster ends what hangs, and nothing that honestly waits for Amazon and loads then."""
    longest_wait = get_settings().by_hand_wait_minutes * 60
    assert instance.run_monitoring_enabled
    assert (
        longest_wait < instance.run_monitoring_settings["max_runtime_seconds"] <= 2 * longest_wait
    )


def test_dagsters_files_lie_in_our_home(instance: DagsterInstance, tmp_path: Path) -> None:
    """Artifacts and what steps print go to `dagster` below the home folder."""
    assert instance.storage_directory().startswith(str(tmp_path / "home" / "dagster"))
    log_manager = instance.compute_log_manager
    assert isinstance(log_manager, LocalComputeLogManager)
    path = log_manager.get_captured_local_path(["run", "step"], "out")
    assert path.startswith(str(tmp_path / "home" / "dagster" / "compute_logs"))


def test_options_of_the_address_are_kept() -> None:
    """Schema `dagster` is added to options that the address has, and the driver is psycopg2."""
    url = dagster_database_url(
        "postgresql://someone:pass@host:5433/db?sslmode=require&options=-cstatement_timeout%3D5s"
    )
    address = make_url(url)
    assert address.drivername == "postgresql+psycopg2"
    assert dict(address.query) == {
        "sslmode": "require",
        "options": "-cstatement_timeout=5s -csearch_path=dagster",
        "client_encoding": "utf8",
    }


def test_the_queue_is_looked_at_every_second(instance: DagsterInstance) -> None:
    """Who has clicked "Materialize" does not wait five seconds for it to begin."""
    assert instance.run_coordinator.dequeue_interval_seconds == 1  # type: ignore[attr-defined]  # the queued one's


def test_two_runs_are_started_at_the_same_time(instance: DagsterInstance) -> None:
    """Starting one waits until its process has imported everything: one after the other, one of two cores would rest."""
    queue = instance.run_coordinator
    assert isinstance(queue, QueuedRunCoordinator)
    assert (queue.dequeue_use_threads, queue.dequeue_num_workers) == (True, 2)


def test_an_account_has_one_run_at_a_time(instance: DagsterInstance) -> None:
    """Of two scheduled runs of one account the second waits, whatever else is free."""
    assert running(instance, [{"account": "US.a"}, {"account": "US.a"}, {"account": "DE.b"}]) == [
        0,
        2,
    ]


def test_runs_by_hand_leave_two_places(instance: DagsterInstance) -> None:
    """However many partitions and ranges people have asked for, two scheduled runs begin at once, also those of an account's partition."""
    by_hand = [{"dagster/partition": f"US.{n}|2026-01-10"} for n in range(3)]
    ranges = [{RANGE_START: f"DE.{n}|2026-01-10"} for n in range(3)]
    scheduled = [{"dagster/partition": f"acme.{n}", "ads_account": f"acme.{n}"} for n in range(3)]
    tagged = [tags | own_tags(tags) for tags in [*by_hand, *ranges, *scheduled]]
    assert running(instance, tagged) == [0, 1, 2, 3, 6, 7]


@pytest.mark.parametrize(
    ("tags", "account"),
    [
        ({"dagster/partition": "US.a|2026-01-10"}, "US.a"),
        ({RANGE_START: "US.a|2026-01-10", RANGE_END: "US.a|2026-01-20"}, "US.a"),
        ({RANGE_START: "DE.b|2026-01-10", RANGE_END: "US.a|2026-01-20"}, None),
        ({"dagster/partition": "US.a|2026-01-10", "account": "as it was"}, "as it was"),
        ({"dagster/partition": "US.a"}, None),  # of a summary, which asks nothing of Amazon
        ({}, None),
    ],
)
def test_a_run_of_an_accounts_partitions_waits_under_its_tag(
    instance: DagsterInstance, tags: dict[str, str], account: str | None
) -> None:
    """Put into the queue as the UI and backfills do it, a run has its account's tag before it begins."""
    origin = RemoteRepositoryOrigin(
        RegisteredCodeLocationOrigin("ours"), "repository"
    ).get_job_origin("any")
    run = create_run_for_test(
        instance,
        job_name="any",
        tags=tags,
        status=DagsterRunStatus.NOT_STARTED,
        remote_job_origin=origin,
    )
    with create_test_daemon_workspace_context(EmptyWorkspaceTarget(), instance) as daemon:
        request = daemon.create_request_context()
        queued = instance.run_coordinator.submit_run(SubmitRunContext(run, request))
    assert (DagsterRunStatus.QUEUED, account) == (queued.status, queued.tags.get("account"))
    assert ("by_hand" in queued.tags) == any("|" in value for value in tags.values())


def test_ranges_of_one_account_wait_for_each_other(instance: DagsterInstance) -> None:
    """Of two queued ranges of one account the second waits, as does the account's scheduled run; another account's range begins."""
    ranges = [
        {RANGE_START: f"{key}|2026-01-{day}"}
        for key, day in (("US.a", 10), ("US.a", 20), ("DE.b", 10))
    ]
    tagged = [tags | own_tags(tags) for tags in ranges]
    assert running(instance, [*tagged, {"account": "US.a"}]) == [0, 2]


def running(instance: DagsterInstance, queued: list[dict[str, str]]) -> list[int]:
    """Return which of the queued runs, told by their tags, Dagster would let run at once as `dagster.yaml` says."""
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    counter = TagConcurrencyLimitsCounter(queue.tag_concurrency_limits, [])
    begun: list[int] = []
    for place, tags in enumerate(queued):
        run = DagsterRun(job_name="any", run_id=str(place), tags=tags)
        if len(begun) < queue.max_concurrent_runs and not counter.is_blocked(run):
            counter.update_counters_with_launched_item(run)
            begun.append(place)
    return begun


def test_nobody_is_asked_and_nothing_is_sent(instance: DagsterInstance) -> None:
    """The sign-up dialog and usage data are off, and the run monitor is on."""
    assert not instance.nux_enabled
    assert not instance.telemetry_enabled
    assert instance.run_monitoring_enabled


def test_a_broken_connection_is_noticed_before_it_is_used(
    instance: DagsterInstance, database_url: str
) -> None:
    """After the server has cut all of Dagster's connections, the next call works at once."""
    instance.get_runs()
    statement = (
        "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert connection.execute(statement).fetchone() == (True,)
    assert list(instance.get_runs()) == []
