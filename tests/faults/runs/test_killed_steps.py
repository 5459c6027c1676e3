"""A step that is killed in a process of its own, and tried again."""

import pytest
from dagster import DagsterRunStatus, execute_job, reconstructable

from tests.faults.runs.stepping import dying_once
from tests.support.checking import assert_has
from tests.support.dagster_runs import status_of
from tests.support.world import World


@pytest.mark.faults
def test_runs_whose_step_was_killed_and_tried_again(world: World) -> None:
    """The run succeeds; the killed attempt's session is closed as crashed when the next attempt starts."""
    result = execute_job(reconstructable(dying_once), instance=world.instance)
    assert result.success
    assert status_of(world.instance, result.run_id) is DagsterRunStatus.SUCCESS
    first, second = world.sessions_of("die-once")
    assert_has(first, status="crashed", retry_number=0)
    assert_has(second, status="succeeded", retry_number=1)
    assert "a newer attempt of the same step started." == first["actions"][-1]["reason"]
