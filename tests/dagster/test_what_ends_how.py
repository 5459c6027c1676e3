"""The status of a session for each end of its step; killed processes are in tests/faults/runs."""

from collections.abc import Sequence

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

from bidbeacon_pipelines.definitions import defs
from bidbeacon_sessions.dagster import JobSessionsResource
from tests.support.recorded_sessions import recorded

INTERRUPT = DagsterExecutionInterruptedError()
SUCCEEDED, CANCELLED = ("succeeded", None), ("cancelled", "DagsterExecutionInterruptedError")


def working(sessions: JobSessionsResource, *errors: BaseException | None) -> JobDefinition:
    """Return a job whose only step raises one of the errors in each attempt."""

    @op(retry_policy=RetryPolicy(max_retries=len(errors) - 1) if len(errors) > 1 else None)
    def work(context: OpExecutionContext, sessions: JobSessionsResource) -> None:
        with sessions.session(context, "work"):
            error = errors[context.retry_number]
            if error is not None:
                raise error

    @job(resource_defs={"sessions": sessions}, executor_def=in_process_executor)
    def do_work() -> None:
        work()

    return do_work


@pytest.mark.parametrize(
    ("errors", "ends"),
    [
        ([None], [SUCCEEDED]),
        ([LookupError("no such window")], [("failed", "LookupError")]),
        ([Failure("not today")], [("failed", "Failure")]),
        ([INTERRUPT], [CANCELLED]),
        # Dagster runs a terminated step again and calls the run a success (its issue 15026).
        ([INTERRUPT, None], [CANCELLED, SUCCEEDED]),
        ([RetryRequested(seconds_to_wait=0), None], [("failed", "RetryRequested"), SUCCEEDED]),
        ([LookupError(), LookupError(), None], [("failed", "LookupError")] * 2 + [SUCCEEDED]),
    ],
)
def test_each_attempt_ends_as_its_step_does(
    sessions: JobSessionsResource,
    errors: Sequence[BaseException | None],
    ends: Sequence[tuple[str, str | None]],
) -> None:
    """Each attempt is a session, and a run that succeeds in the end does not hide earlier attempts."""
    do_work = working(sessions, *errors)
    with DagsterInstance.ephemeral() as instance:
        result = do_work.execute_in_process(instance=instance, raise_on_error=False)
    assert result.success == (errors[-1] is None)
    found = [
        (row.retry_number, row.status, row.error and row.error["type"])
        for row in recorded(sessions.store())
    ]
    assert [(number, *end) for number, end in enumerate(ends)] == found


def test_our_own_ops_have_no_retry_policy() -> None:
    """With one, Dagster runs a terminated step again and calls the run a success (its issue 15026)."""
    with_policy = [
        node.name
        for definition in defs.resolve_all_job_defs()
        for node in definition.graph.iterate_node_defs()
        if getattr(node, "retry_policy", None) is not None
    ]
    assert [] == with_policy


def test_attempts_are_no_problem_once_a_retry_of_step_or_run_succeeded(
    sessions: JobSessionsResource,
) -> None:
    """Dagster tags a run with the run that it retries."""
    lasting = working(sessions, LookupError(), LookupError())
    passing = working(sessions, LookupError(), None)
    with DagsterInstance.ephemeral() as instance:
        failed = lasting.execute_in_process(instance=instance, raise_on_error=False)
        assert ["problems"] * 2 == [row.outcome for row in recorded(sessions.store())]
        tags = {"dagster/parent_run_id": failed.run_id, "dagster/root_run_id": failed.run_id}
        assert passing.execute_in_process(instance=instance, tags=tags).success
    assert ["ok"] * 4 == [row.outcome for row in recorded(sessions.store())]
