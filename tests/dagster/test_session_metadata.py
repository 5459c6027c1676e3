"""Sessions in Dagster: what a step's session knows of it, and what Dagster shows of the session."""

import json

from dagster import (
    AssetExecutionContext,
    DagsterInstance,
    MaterializeResult,
    StaticPartitionsDefinition,
    asset,
    materialize,
)

from bidbeacon_sessions import Action, SessionStore, with_job_session
from bidbeacon_sessions.dagster import SESSION_TAG, JobSessionsResource, session_metadata
from tests.recorded_sessions import recorded


class SheepCounted(Action):
    """Sheep were counted."""

    sentence = "Counted {sheep:count:sheep|sheep}: {note}"

    sheep: int
    note: str = ""


class SheepLost(Action):
    """A sheep was lost."""

    sentence = "Lost sheep {number}"
    tone = "error"

    number: int


def test_an_assets_session_knows_its_step_and_is_shown_by_its_materialization(
    sessions: JobSessionsResource,
) -> None:
    """Run, step, partition and asset are the session's; the run has its tag, the materialization its page, status and sentence."""

    @asset(partitions_def=StaticPartitionsDefinition(["a", "b"]))
    def sheep(context: AssetExecutionContext, sessions: JobSessionsResource) -> MaterializeResult:
        with sessions.session(context, "count-sheep", input={"token": "CANARY"}) as session:
            session.add(SheepCounted(sheep=2))
        return MaterializeResult(metadata=session_metadata(session.store, session.session_id))

    with DagsterInstance.ephemeral() as instance:
        resources = {"sessions": sessions}
        result = materialize([sheep], instance=instance, partition_key="b", resources=resources)
        run = instance.get_run_by_id(result.run_id)
    [row] = recorded(sessions.store())
    assert ("count-sheep", "succeeded", result.run_id) == (row.job_name, row.status, row.run_id)
    assert ("sheep", 0, {"token": "•••"}) == (row.step_key, row.retry_number, row.input)
    assert {"asset": "sheep", "partition": "b"}.items() <= row.labels.items()
    assert run is not None
    assert run.tags[SESSION_TAG] == str(row.id)
    [shown] = result.asset_materializations_for_node("sheep")
    assert str(shown.metadata["session"].value).endswith(f"/sessions/{row.id}")
    assert "succeeded" == shown.metadata["session_status"].value
    assert "Counted 2 sheep" in str(shown.metadata["actions"].value)


def test_a_long_session_is_shown_by_three_sentences(session_store: SessionStore) -> None:
    """Failures first, then the newest, each cut; the event stays below 8 KB whatever Markdown escapes."""
    with with_job_session("count-sheep", store=session_store) as session:
        session.add(SheepLost(number=7))
        for number in range(500):
            session.add(SheepCounted(sheep=number, note="*_é[" * 300))
    metadata = session_metadata(session_store, session.session_id)
    assert len(json.dumps({name: str(value.value) for name, value in metadata.items()})) < 8 * 1024
    lines = str(metadata["actions"].value).splitlines()
    words = ("Lost sheep 7", "Counted 499 sheep", "Counted 498 sheep")
    assert len(words) == len(lines)
    assert all(word in line for word, line in zip(words, lines, strict=True))
