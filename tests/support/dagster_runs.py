"""What tests read of runs and sessions in Dagster."""

from collections.abc import Mapping
from typing import Any

from dagster import DagsterInstance, DagsterRunStatus

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.reaper import close_dead_sessions
from tests.support.waiting import wait_until


def status_of(instance: DagsterInstance, run_id: str) -> DagsterRunStatus:
    """Return the status of a run."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def links_to(metadata: Mapping[str, Any], session: Mapping[str, Any]) -> bool:
    """Return whether metadata of an event have the address of a session's page."""
    link = metadata["session"]
    return str(getattr(link, "value", link)).endswith(f"/sessions/{session['id']}")


def close_dead(store: SessionStore) -> int:
    """Look for dead sessions, as the sensor does, where Dagster knows none of their runs; return how many were closed."""
    with DagsterInstance.ephemeral() as instance:
        return close_dead_sessions(store, instance)


def wait_until_closed(store: SessionStore, instance: DagsterInstance, seconds: float = 60) -> None:
    """Look for dead sessions, as the sensor does, until one is closed."""
    wait_until(lambda: close_dead_sessions(store, instance) > 0, "a session is closed", seconds)
