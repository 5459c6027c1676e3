"""Every way in which a step can end, and what its session says then. Those that kill processes are in tests/faults/runs."""

from collections.abc import Callable
from typing import Any

import pytest
from dagster import (
    DagsterExecutionInterruptedError,
    DagsterInstance,
    Failure,
    JobDefinition,
    OpExecutionContext,
    RetryPolicy,
    RetryRequested,
    in_process_executor,
    job,
    op,
)
from sqlalchemy import text

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.dagster import JobSessionsResource

Outcome = Callable[[int], BaseException | None]


def working(store: SessionStore, outcome: Outcome, *, retries: int = 0) -> JobDefinition:
    """Return a job whose only step raises what `outcome` says of each attempt."""

    class Sessions(JobSessionsResource):
        def store(self) -> SessionStore:
            return store

    @op(retry_policy=RetryPolicy(max_retries=retries) if retries else None)
    def work(context: OpExecutionContext, sessions: Sessions) -> None:
        with sessions.session(context, "work"):
            error = outcome(context.retry_number)
            if error is not None:
                raise error

    @job(resource_defs={"sessions": Sessions()}, executor_def=in_process_executor)
    def do_work() -> None:
        work()

    return do_work


def run(
    store: SessionStore, outcome: Outcome, **options: Any
) -> tuple[bool, list[tuple[str, int, str | None]]]:
    """Run it; return whether the run succeeded, and status, retry number and error of each session."""
    with DagsterInstance.ephemeral() as instance:
        result = working(store, outcome, **options).execute_in_process(
            instance=instance, raise_on_error=False
        )
    with store.begin() as connection:
        rows = connection.execute(
            text("SELECT status, retry_number, error ->> 'type' FROM job_sessions ORDER BY retry_number")
        )
        return result.success, [(row[0], row[1], row[2]) for row in rows]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "succeeded"),
        (LookupError("no such window"), "failed"),
        (Failure("not today"), "failed"),
    ],
    ids=["success", "exception", "Dagster's failure"],
)
def test_an_attempt_ends_as_its_step_does(
    session_store: SessionStore, error: Exception | None, status: str
) -> None:
    """Success and exceptions, as expected."""
    name = type(error).__name__ if error else None
    assert (error is None, [(status, 0, name)]) == run(session_store, lambda _: error)


def test_a_terminated_step_is_a_cancelled_session(session_store: SessionStore) -> None:
    """Dagster's interrupt is no `Exception`, and no failure."""
    succeeded, ends = run(session_store, lambda _: DagsterExecutionInterruptedError())
    assert (False, [("cancelled", 0, "DagsterExecutionInterruptedError")]) == (succeeded, ends)


def test_a_terminated_step_with_a_retry_policy_does_not_hide_what_happened(
    session_store: SessionStore,
) -> None:
    """Dagster runs it again and calls the run a success (its issue 15026); the first attempt stays cancelled."""
    succeeded, ends = run(
        session_store, lambda attempt: None if attempt else DagsterExecutionInterruptedError(), retries=1
    )
    assert (True, [("cancelled", 0, "DagsterExecutionInterruptedError"), ("succeeded", 1, None)]) == (
        succeeded,
        ends,
    )


def test_a_passing_error_is_a_failed_attempt_and_the_next_one_is_a_session_of_its_own(
    session_store: SessionStore,
) -> None:
    """`RetryRequested` is how an op asks for another attempt."""
    succeeded, ends = run(
        session_store,
        lambda attempt: RetryRequested(max_retries=1, seconds_to_wait=0) if attempt == 0 else None,
    )
    assert (True, [("failed", 0, "RetryRequested"), ("succeeded", 1, None)]) == (succeeded, ends)


def test_with_a_retry_policy_each_attempt_says_how_it_ended(session_store: SessionStore) -> None:
    """The run is a success in the end; that two attempts failed before is not hidden."""
    succeeded, ends = run(session_store, lambda attempt: LookupError() if attempt < 2 else None, retries=2)
    assert (True, [("failed", 0, "LookupError"), ("failed", 1, "LookupError"), ("succeeded", 2, None)]) == (
        succeeded,
        ends,
    )


def test_our_own_ops_have_no_retry_policy() -> None:
    """With one, Dagster runs a terminated step again and calls the run a success (its issue 15026)."""
    from bidbeacon_pipelines.definitions import defs

    with_policy = [
        node.name
        for definition in defs.resolve_all_job_defs()
        for node in definition.graph.iterate_node_defs()
        if getattr(node, "retry_policy", None) is not None
    ]
    assert [] == with_policy


def test_attempts_are_no_problem_once_a_retry_of_step_or_run_succeeded(session_store: SessionStore) -> None:
    """Dagster names the run that another one retries in a tag."""
    lasting = working(session_store, lambda _: LookupError(), retries=1)
    passing = working(session_store, lambda attempt: None if attempt else LookupError(), retries=1)
    with DagsterInstance.ephemeral() as instance:
        failed = lasting.execute_in_process(instance=instance, raise_on_error=False)
        assert ["problems"] * 2 == _outcomes(session_store)
        tags = {"dagster/parent_run_id": failed.run_id, "dagster/root_run_id": failed.run_id}
        assert passing.execute_in_process(instance=instance, tags=tags).success
    assert ["ok"] * 4 == _outcomes(session_store)


def _outcomes(store: SessionStore) -> list[str]:
    with store.begin() as connection:
        return list(connection.execute(text("SELECT outcome FROM job_sessions")).scalars())
