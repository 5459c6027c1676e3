"""Every op that asks Amazon tells in its session what waiting for it cost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bidbeacon_pipelines import defs
from bidbeacon_pipelines.sandbox.faults import FaultOptions, FaultRule, Operation
from tests.dagster.world import World


def throttle(world: World, operation: Operation) -> None:
    """Let the next call of a kind be answered with 429 and a wish to wait for a second."""
    options = FaultOptions(seconds=1)
    world.sandbox.state.faults.add(
        FaultRule(fault="throttle", operation=operation, times=1, options=options)
    )


@pytest.mark.parametrize(
    ("operation", "work", "job_name"),
    [
        ("list_accounts", lambda world: world.run_job("sync_accounts"), "sync-accounts"),
        (
            "get_export",
            lambda world: world.run_job("sync_entities", world.account()),
            "sync-entities",
        ),
        (
            "retrieve_report",
            lambda world: world.materialize(world.account(), world.day()),
            "load-windows",
        ),
    ],
)
def test_a_session_tells_what_it_waited_for(
    stocked: World, operation: Operation, work: Callable[[World], object], job_name: str
) -> None:
    """One action at the end, of at least the second that Amazon asked for."""
    throttle(stocked, operation)
    work(stocked)
    [*_, last] = stocked.sessions_of(job_name)
    [waited] = [action for action in last["actions"] if action["type"] == "waited-for-amazon"]
    assert waited["seconds"] >= 1
    assert "(HTTP 429)" in waited["reason"]


def test_no_op_can_forget_it() -> None:
    """Whoever opens the tools of a job opens its session with `work`, which tells."""
    files = [path.read_text(encoding="utf-8") for path in Path(defs.__path__[0]).glob("*.py")]
    with_tools = [source for source in files if "job_contexts.open()" in source]
    assert len(with_tools) == 3
    assert [] == [source[:80] for source in with_tools if "job_sessions.session(" in source]
