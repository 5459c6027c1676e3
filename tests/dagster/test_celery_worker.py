"""A Celery worker executes a run that reaches it once, and ignores a second delivery."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from dagster import DagsterInstance, DagsterRunStatus, JobDefinition, reconstructable
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from sqlalchemy import Engine

from bidbeacon_pipelines.dagster_instance.celery_launcher import BidBeaconCeleryLauncher
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sessions.errors import SettingsError
from tests.support.dagster_runs import status_of
from tests.support.reading import value


@pytest.fixture
def worker(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of the worker, in an environment with an instance of Dagster of its own."""
    (tmp_path / "dagster.yaml").write_text("run_monitoring: {enabled: true}")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    monkeypatch.setenv("BIDBEACON_REDIS_URL", "redis://127.0.0.1:1/0")
    get_settings.cache_clear()
    from bidbeacon_pipelines import celery_worker

    return celery_worker


def make_launcher() -> Any:
    """Return a launcher that sends runs to a queue in this process."""
    return BidBeaconCeleryLauncher("dagster", broker="memory://", backend="cache+memory://")


def make_job() -> JobDefinition:
    """Return a job of the product that needs no account."""
    return defs.resolve_job_def("delete_old_records")


@pytest.mark.parametrize(
    ("status", "sessions"),
    [
        (DagsterRunStatus.STARTING, 1),
        (DagsterRunStatus.STARTED, 0),
        (DagsterRunStatus.FAILURE, 0),
    ],
    ids=["sent", "started elsewhere", "given up"],
)
def test_a_run_that_is_delivered_again_does_not_work_again(
    worker: Any, engine: Engine, status: DagsterRunStatus, sessions: int
) -> None:
    """Redis may deliver a run of a killed worker to another one: only a run that nobody has started is executed."""
    launcher = make_launcher()
    with DagsterInstance.get() as instance, launcher.celery.connection() as broker:
        launcher.register_instance(instance)
        origin = reconstructable(make_job).get_python_origin()
        run = instance.create_run_for_job(make_job(), status=status, job_code_origin=origin)
        launcher.launch_run(SimpleNamespace(dagster_run=run))
        _, arguments, _ = broker.SimpleQueue("dagster").get(timeout=10).payload
        result = worker.app.tasks["execute_job"].apply(kwargs=arguments)
        assert 0 == result.get()
        ended = status_of(instance, run.run_id)
    assert ended is (DagsterRunStatus.SUCCESS if sessions else status)
    assert sessions == value(engine, "SELECT count(*) FROM session_headers")


def test_a_connection_to_redis_that_is_broken_costs_no_run(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of a task is stored at the second attempt; an error would end the task before its run has begun."""
    attempts = [redis.ConnectionError("broken pipe"), None]

    def store(*_: object, **__: object) -> None:
        if error := attempts.pop(0):
            raise error

    monkeypatch.setattr(worker.app.backend, "_store_result", store)
    worker.app.backend.store_result("a-task", None, "STARTED")
    assert attempts == []


def test_terminate_cancels_a_run(worker: Any) -> None:
    """Dagster then takes the interrupt for the end of what a person asked for, and not for a failure."""
    launcher = make_launcher()
    with DagsterInstance.get() as instance:
        launcher.register_instance(instance)
        started, task = DagsterRunStatus.STARTED, {DAGSTER_CELERY_TASK_ID_TAG: "a-task"}
        run = instance.create_run_for_job(make_job(), status=started, tags=task)
        assert launcher.terminate(run.run_id)
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status is DagsterRunStatus.CANCELING
        instance.report_run_canceled(found)
        assert not launcher.terminate(run.run_id)


def test_a_worker_without_redis_says_what_to_set(worker: Any) -> None:
    """It would wait for tasks at a broker that nobody sends to."""
    with pytest.raises(SettingsError, match="BIDBEACON_REDIS_URL is not set"):
        worker.make_worker_app(Settings(redis_url=None))


def test_an_address_that_is_not_redis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable, and shows no password."""
    monkeypatch.setenv("BIDBEACON_REDIS_URL", "amqp://guest:secret@rabbit")
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match="BIDBEACON_REDIS_URL: expected an address such as"):
        get_settings()
