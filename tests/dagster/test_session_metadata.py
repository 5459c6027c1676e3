"""Sessions in Dagster: what a step's session knows of it, and what Dagster shows of the session."""

import json

from dagster import (
    AssetExecutionContext,
    DagsterInstance,
    MaterializeResult,
    OpExecutionContext,
    RetryPolicy,
    StaticPartitionsDefinition,
    asset,
    job,
    materialize,
    op,
)

from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.dagster import SESSION_TAG, JobSessionsResource, session_metadata
from bidbeacon_sessions.errors import SecondSessionError
from tests.support.recorded_sessions import LoafBaked, LoafBurnt, recorded


def test_an_assets_session_knows_its_step_and_is_shown_by_its_materialization(
    sessions: JobSessionsResource,
) -> None:
    """Run, step, partition and asset are the session's; the run has its tag, the materialization its page, status and sentence."""

    @asset(partitions_def=StaticPartitionsDefinition(["a", "b"]))
    def loaf(
        context: AssetExecutionContext, sessions: JobSessionsResource
    ) -> MaterializeResult[None]:
        with sessions.session(context, "bake", input={"token": "CANARY"}) as session:
            session.add(LoafBaked(what="rye"))
        return MaterializeResult(metadata=session_metadata(session.store, session.session_id))

    with DagsterInstance.ephemeral() as instance:
        resources = {"sessions": sessions}
        result = materialize([loaf], instance=instance, partition_key="b", resources=resources)
        run = instance.get_run_by_id(result.run_id)
    [row] = recorded(sessions.store())
    assert ("bake", "succeeded", result.run_id) == (row.job_name, row.status, row.run_id)
    assert ("loaf", 0, {"token": "•••"}) == (row.step_key, row.retry_number, row.input)
    assert {"asset": "loaf", "partition": "b"}.items() <= row.labels.items()
    assert run is not None
    assert run.tags[SESSION_TAG] == str(row.id)
    [shown] = result.asset_materializations_for_node("loaf")
    assert str(shown.metadata["session"].value).endswith(f"/sessions/{row.id}")
    assert "succeeded" == shown.metadata["session_status"].value
    assert "Baked rye" in str(shown.metadata["actions"].value)


def test_a_step_has_one_session_per_attempt(sessions: JobSessionsResource) -> None:
    """A second one is refused, and the first keeps its end; a retry has its own."""
    refusals = []

    @op(retry_policy=RetryPolicy(max_retries=1))
    def bake(context: OpExecutionContext, sessions: JobSessionsResource) -> None:
        with sessions.session(context, "knead"):
            pass
        try:
            with sessions.session(context, "bake"):
                pass
        except SecondSessionError as error:
            refusals.append(str(error))
            if len(refusals) == 1:
                raise

    @job
    def bakery() -> None:
        bake()

    assert bakery.execute_in_process(resources={"sessions": sessions}).success
    assert 2 == sum("The step bake already has a session" in refusal for refusal in refusals)
    assert [("knead", "succeeded", 0), ("knead", "succeeded", 1)] == [
        (row.job_name, row.status, row.retry_number) for row in recorded(sessions.store())
    ]


def test_a_long_session_is_shown_by_three_sentences(session_store: SessionStore) -> None:
    """Failures first, then the newest, each cut; the event stays below 8 KB whatever Markdown escapes."""
    with with_job_session("bake", store=session_store) as session:
        session.add(LoafBurnt(what="toast"))
        for number in range(500):
            session.add(LoafBaked(what=f"{number}: " + "*_é[" * 300))
    metadata = session_metadata(session_store, session.session_id)
    assert len(json.dumps({name: str(value.value) for name, value in metadata.items()})) < 8 * 1024
    lines = str(metadata["actions"].value).splitlines()
    words = ("Burnt toast", "Baked 499", "Baked 498")
    assert len(words) == len(lines)
    assert all(word in line for word, line in zip(words, lines, strict=True))
