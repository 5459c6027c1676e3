"""Job sessions in Dagster: the resource that opens them, what a run shows of one, and the sensor that closes dead ones.

Any Dagster project can use it: give `JobSessionsResource` a store, and put `with sessions.session(context, "…")` around each op.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from dagster import (
    AssetExecutionContext,
    ConfigurableResource,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    MetadataValue,
    OpExecutionContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)
from sqlalchemy import RowMapping

from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.finalisation import ClosedStatus, finalize_session
from bidbeacon_sessions.job_session import AccountRef, with_job_session
from bidbeacon_sessions.leases import list_dead_sessions
from bidbeacon_sessions.presentation import action_json, session_json, session_url
from bidbeacon_sessions.recorder import SessionRecorder
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.store import SessionStore, find_session, list_actions, list_sessions_of_run

SESSION_TAG = "bidbeacon/session"

_MOST_SENTENCES = 60
_UNFINISHED = frozenset({DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING})
_FINISHED = frozenset({DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED})
_BEATS_MISSED = 3


class JobSessionsResource(ConfigurableResource[SessionStore]):
    """Opens sessions for ops and assets. Subclass it and override `store`, so that no password gets into run config."""

    def store(self) -> SessionStore:
        """Give the store that sessions are written to."""
        raise NotImplementedError("Override `store` of your JobSessionsResource to give a SessionStore.")

    @contextmanager
    def session(
        self,
        context: OpExecutionContext | AssetExecutionContext,
        job_name: str,
        *,
        input: dict[str, Any] | None = None,  # noqa: A002 - the column's name
        account: AccountRef | None = None,
    ) -> Iterator[SessionRecorder]:
        """Record what happens inside as the session of this attempt of this step.

        Run id, step key, retry number, partition and asset are taken from the context, and the run is tagged with the session.
        """
        with with_job_session(
            job_name,
            store=self.store(),
            run_id=context.run.run_id,
            step_key=context.get_step_execution_context().step.key,
            retry_number=context.get_step_execution_context().previous_attempt_count,
            account=account,
            input=input,
            labels=_labels(context),
        ) as session:
            context.instance.add_run_tags(context.run.run_id, {SESSION_TAG: str(session.session_id)})
            yield session


def _labels(context: OpExecutionContext | AssetExecutionContext) -> dict[str, str]:
    """Give what a session's page links back to: the Dagster job, the partition, the asset."""
    labels = {"dagster_job": context.run.job_name}
    if isinstance(context, AssetExecutionContext):
        labels["asset"] = ", ".join(sorted(key.to_user_string() for key in context.selected_asset_keys))
    partition = context.run.tags.get("dagster/partition")
    if partition:
        labels["partition"] = partition
    return labels


def session_metadata(store: SessionStore, session_id: UUID) -> dict[str, MetadataValue[Any]]:
    """Give what a materialization shows of a session: its page, its status and its sentences as Markdown."""
    with store.begin() as connection:
        header = find_session(connection, session_id)
        actions = list_actions(connection, session_id, limit=_MOST_SENTENCES)
    if header is None:
        return {}
    return {
        "session": MetadataValue.url(session_url(str(session_id))),
        "session_status": MetadataValue.text(session_json(header)["status"]),
        "timeline": timeline(actions, more=header["action_count"] - len(actions)),
    }


def timeline(actions: Sequence[Mapping[Any, Any]], *, more: int = 0) -> MetadataValue[Any]:
    """Give the sentences of stored actions as a Markdown list; `more` is how many of the session's are not among them."""
    shown = [action_json(action) for action in actions]
    lines = [f"- `{action['at'][11:19]}` {escape_markdown(action['text'])}" for action in shown]
    if more > 0:
        lines.append(f"- … and {more} more on the session's page")
    return MetadataValue.md("\n".join(lines) or "No actions.")


def escape_markdown(text: str) -> str:
    """Give text from outside as Markdown that shows it as it is."""
    for character in "\\`*_{}[]<>#|":
        text = text.replace(character, f"\\{character}")
    return text


def build_session_closer(
    store: Callable[[], SessionStore], *, name: str = "close_crashed_sessions", interval_seconds: int = 30
) -> SensorDefinition:
    """Make the sensor that closes sessions whose process died, as Dagster says the run ended.

    A run that Dagster still holds for started, though its only session gave no sign of life for the length of a lease, is
    reported failed (cancelled, where it was being terminated): its worker is gone (host restart), and it would keep its slot for ever.

    Args:
        store: gives the store when the sensor runs.
        name: the sensor's name.
        interval_seconds: how often it looks.
    """

    @sensor(name=name, minimum_interval_seconds=interval_seconds, default_status=DefaultSensorStatus.RUNNING)
    def close_crashed_sessions(context: SensorEvaluationContext) -> SkipReason:
        """Close sessions whose process died, and fail runs whose worker is gone."""
        closed = close_dead_sessions(store(), context.instance)
        return SkipReason(f"Closed {closed} sessions." if closed else "All running sessions live.")

    return close_crashed_sessions


def close_dead_sessions(store: SessionStore, instance: DagsterInstance) -> int:
    """Close every session that gives no sign of life, with what Dagster knows of its run; give how many were closed."""
    settings = get_session_settings()
    missed = timedelta(seconds=settings.heartbeat_seconds * _BEATS_MISSED)
    with store.begin() as connection:
        silent = list_dead_sessions(connection, seconds=settings.lease_seconds, silent_for=missed)
    return sum(_close_if_dead(store, instance, row) for row in silent)


def _close_if_dead(store: SessionStore, instance: DagsterInstance, row: RowMapping) -> bool:
    run = instance.get_run_by_id(row["run_id"]) if row["run_id"] else None
    status = run.status if run is not None else None
    if not row["lease_ended"] and status not in _FINISHED:
        return False  # a pause that its lease still covers
    # The run first: a sensor that dies in between finds the session still open, and comes by here again.
    if run is not None and status in _UNFINISHED and not _has_other_session(store, run.run_id, row["id"]):
        _end_run(instance, run, f"Its worker gave no sign of life since {row['heartbeat_at']}")
    with store.begin() as connection:
        fate, reason = fate_of_session(status)
        return finalize_session(connection, row["id"], status=fate, reason=reason, now=utc_now())


def _end_run(instance: DagsterInstance, run: DagsterRun, seen: str) -> None:
    """Tell Dagster that a run has ended: as failed, or as cancelled where that was asked of it."""
    if run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, f"{seen}: it ended while it was being terminated.")
    else:
        instance.report_run_failed(run, f"{seen}: the process or its host is gone.")


def fate_of_session(run_status: DagsterRunStatus | None) -> tuple[Literal["cancelled", "crashed"], str]:
    """Say how a session without a sign of life ends, given how Dagster says that its run is."""
    match run_status:
        case DagsterRunStatus.CANCELED:
            return "cancelled", "the run was terminated in Dagster."
        case DagsterRunStatus.CANCELING:
            return "cancelled", "its process ended while Dagster was terminating the run."
        case DagsterRunStatus.SUCCESS:
            return "crashed", "its process died, and a later attempt brought the run to its end."
        case DagsterRunStatus.FAILURE:
            return "crashed", "its process died, and Dagster ended the run as failed."
        case None:
            return "crashed", "its process died."
        case _:
            return "crashed", "its process died, and nobody had told Dagster."


def _has_other_session(store: SessionStore, run_id: str, besides: UUID) -> bool:
    """Whether another session of the same run is running: then its worker may live."""
    with store.begin() as connection:
        sessions = list_sessions_of_run(connection, run_id)
    return any(row["status"] == "running" and row["id"] != besides for row in sessions)


__all__ = [
    "SESSION_TAG",
    "ClosedStatus",
    "JobSessionsResource",
    "build_session_closer",
    "close_dead_sessions",
    "escape_markdown",
    "fate_of_session",
    "session_metadata",
    "timeline",
]
