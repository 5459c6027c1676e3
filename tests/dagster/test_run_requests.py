"""Requests made on the page: the sensor starts one run for each, and the request links to its session."""

import pytest
from dagster import DagsterRunStatus, RunRequest

from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.defs.partitions import ACCOUNT_TAG, PARTITION_TAG
from bidbeacon_pipelines.defs.resources import RUN_REQUEST_TAG
from bidbeacon_pipelines.defs.schedules import refresh_due_accounts
from bidbeacon_pipelines.services.run_requests import MOST_TRIES, request_entity_sync, request_load
from bidbeacon_pipelines.store.run_requests import RunRequest as StoredRequest
from bidbeacon_pipelines.store.run_requests import find_run_request
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.dagster import LABEL_TAG
from tests.dagster.test_sensors import evaluate
from tests.dagster.world import DATASET, World


@pytest.fixture
def load(stocked: World) -> StoredRequest:
    """Ask for a day of the US account to be loaded."""
    with stocked.engine.begin() as connection:
        return request_load(
            connection, stocked.account(), DATASET, [stocked.day()], by="maria", now=utc_now()
        )


def wanted(world: World) -> list[RunRequest]:
    """Return the runs that the sensor starts for requests."""
    answers = evaluate(world, refresh_due_accounts)
    runs = [answer for answer in answers if isinstance(answer, RunRequest)]
    return [run for run in runs if RUN_REQUEST_TAG in run.tags]


def stored(world: World, request: StoredRequest) -> StoredRequest:
    """Return a request as it is now."""
    with world.engine.begin() as connection:
        found = find_run_request(connection, request.id)
    assert found is not None
    return found


def test_a_load_is_run_and_leads_to_its_session(stocked: World, load: StoredRequest) -> None:
    """The run loads the day, its session says who asked, and the request has the session."""
    [run] = wanted(stocked)
    account = stocked.account()
    assert ("load_windows", f"run-request-{load.id}-1") == (run.job_name, run.run_key)
    assert (account.account_key, account.label) == (run.tags[ACCOUNT_TAG], run.tags[LABEL_TAG])
    defs.resolve_job_def("load_windows").execute_in_process(
        run_config=run.run_config, tags=run.tags, instance=stocked.instance
    )
    assert stocked.true_sums(account, stocked.day()) == stocked.loaded_sums(account, stocked.day())
    session = stocked.one_session("load-windows")
    assert session["id"] == stored(stocked, load).session_id
    assert "load-requested" == session["actions"][0]["type"]
    assert "maria" == session["actions"][0]["by"]
    assert [] == wanted(stocked)
    assert stored(stocked, load).finished_at is not None


def test_a_request_stays_until_a_run_has_begun(stocked: World, load: StoredRequest) -> None:
    """While its run starts there is no other; a run that dies before its session is followed by another, three at most."""
    job = defs.resolve_job_def("load_windows")
    for number in range(1, MOST_TRIES + 1):
        [asked] = wanted(stocked)
        assert f"run-request-{load.id}-{number}" == asked.run_key
        run = stocked.instance.create_run_for_job(
            job,
            run_config=asked.run_config,
            tags=dict(asked.tags),
            status=DagsterRunStatus.STARTING,
        )
        assert [] == wanted(stocked)
        stocked.instance.report_run_failed(run)
    assert [] == wanted(stocked)
    assert "3 runs ended before they began" in (stored(stocked, load).failure or "")


def test_a_sync_of_entities_is_run_for_the_partition(stocked: World) -> None:
    """The run is the same as one that a person starts in Dagster."""
    account = stocked.account()
    with stocked.engine.begin() as connection:
        request_entity_sync(connection, account, by="page", now=utc_now())
    [run] = wanted(stocked)
    assert ("sync_entities", account.account_key) == (run.job_name, run.tags[PARTITION_TAG])
