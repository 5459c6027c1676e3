"""`JobSessionsResource.recorded`: assets and ops that need nothing else than a session around them."""

import json
from collections.abc import Iterator

import pytest
from dagster import (
    AssetExecutionContext,
    Config,
    DagsterInstance,
    MaterializeResult,
    OpExecutionContext,
    StaticPartitionsDefinition,
    asset,
    graph,
    job,
    materialize,
    op,
)

from bidbeacon_sessions import Action, SessionRecorder, SessionStore, with_job_session
from bidbeacon_sessions.dagster import SESSION_TAG, JobSessionsResource, session_metadata
from tests.recorded_sessions import recorded


class SheepCounted(Action):
    """Sheep were counted."""

    sentence = "Counted {sheep:count:sheep|sheep}: {note}"

    sheep: int
    note: str = ""


class Flock(Config):
    """Which sheep."""

    sheep: int = 3


def test_an_asset_is_recorded_with_what_dagster_knows_of_it(sessions: JobSessionsResource) -> None:
    """Run, step, partition and asset are the session's; the run has its tag, the materialization its page and its sentences."""

    @asset(partitions_def=StaticPartitionsDefinition(["a", "b"]))
    @sessions.recorded("count-sheep")
    def sheep(context: AssetExecutionContext, session: SessionRecorder) -> MaterializeResult[None]:
        session.add(SheepCounted(sheep=2))
        return MaterializeResult(metadata={"own": 1})

    with DagsterInstance.ephemeral() as instance:
        result = materialize([sheep], instance=instance, partition_key="b")
        run = instance.get_run_by_id(result.run_id)
    [row] = recorded(sessions.store())
    assert ("count-sheep", "succeeded", result.run_id) == (row.job_name, row.status, row.run_id)
    assert ("sheep", 0) == (row.step_key, row.retry_number)
    assert {"asset": "sheep", "partition": "b"}.items() <= row.labels.items()
    assert run is not None
    assert run.tags[SESSION_TAG] == str(row.id)
    [told] = result.asset_materializations_for_node("sheep")
    assert {"own", "session", "timeline"} <= told.metadata.keys()
    shown = [told.metadata[name].value for name in ("session_status", "session_outcome")]
    assert ["succeeded", "ok"] == shown
    assert str(told.metadata["session"].value).endswith(f"/sessions/{row.id}")
    assert "Counted 2 sheep" in str(told.metadata["timeline"].value)


def test_an_op_needs_no_parameter_for_it_and_its_config_is_the_input(
    sessions: JobSessionsResource,
) -> None:
    """What an op was configured with is what its session was given, secrets masked."""

    @op(config_schema={"sheep": int, "token": str})
    @sessions.recorded("count-sheep")
    def count(context: OpExecutionContext) -> int:
        return int(context.op_config["sheep"])

    @job
    def counting() -> None:
        count()

    config = {"ops": {"count": {"config": {"sheep": 4, "token": "CANARY"}}}}
    result = counting.execute_in_process(run_config=config)
    assert result.output_for_node("count") == 4
    assert [{"config": {"sheep": 4, "token": "•••"}}] == [
        row.input for row in recorded(sessions.store())
    ]


def test_other_parameters_reach_the_function_as_before(sessions: JobSessionsResource) -> None:
    """Inputs from other ops and pythonic config."""

    @op
    def seven() -> int:
        return 7

    @op
    @sessions.recorded("count-sheep")
    def count(
        context: OpExecutionContext, config: Flock, more: int, session: SessionRecorder
    ) -> int:
        session.add(SheepCounted(sheep=config.sheep + more))
        return config.sheep + more

    @graph
    def counting() -> None:
        count(more=seven())

    result = counting.execute_in_process(run_config={"ops": {"count": {"config": {"sheep": 5}}}})
    assert result.output_for_node("count") == 12
    assert [12] == [row.actions[0]["sheep"] for row in recorded(sessions.store())]


def test_a_function_that_fails_is_a_failed_session(sessions: JobSessionsResource) -> None:
    """The step fails as it did without it."""

    @asset
    @sessions.recorded("count-sheep")
    def sheep(context: AssetExecutionContext) -> None:
        raise LookupError("no sheep")

    assert not materialize([sheep], raise_on_error=False).success
    assert [("failed", "no sheep")] == [
        (row.status, row.error["message"]) for row in recorded(sessions.store())
    ]


def test_functions_that_it_cannot_record_are_refused_when_they_are_defined() -> None:
    """One that yields, and one without a context: each told what to do."""

    def yields(context: OpExecutionContext) -> Iterator[int]:
        yield 1

    def without() -> None: ...

    with pytest.raises(
        TypeError, match=r"Expected yields to return, it yields: put `with sessions\.session"
    ):
        JobSessionsResource().recorded("x")(yields)
    with pytest.raises(
        TypeError, match="Expected the first parameter of without to be `context`, got: \\[\\]"
    ):
        JobSessionsResource().recorded("x")(without)


def test_what_an_event_shows_stays_below_8_kb_however_much_was_told(
    session_store: SessionStore,
) -> None:
    """Five hundred long sentences with characters that Markdown escapes: the newest, how many before, and the link to all of them."""
    with with_job_session("count-sheep", store=session_store) as session:
        for number in range(500):
            session.add(SheepCounted(sheep=number, note="*_é[" * 300))
    metadata = session_metadata(session_store, session.session_id)
    assert len(json.dumps({name: str(value.value) for name, value in metadata.items()})) < 8 * 1024
    [left, *shown] = str(metadata["timeline"].value).splitlines()
    assert left.endswith("earlier on the session's page")
    assert 500 == int(left.split()[2]) + len(shown)
    assert "Counted 499 sheep" in shown[-1]
