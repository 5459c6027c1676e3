"""Job sessions in Dagster: the resource that opens them, what a run shows of one, and the sensor that closes dead ones.

Any Dagster project can use it: put `with sessions.session(context, "…")` into an op or asset, or
`@sessions.recorded("…")` above it.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import wraps
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
    RunRecord,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)
from sqlalchemy import RowMapping

from bidbeacon_sessions.actions import Subject
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.errors import masked
from bidbeacon_sessions.leases import find_run_signs, list_dead_sessions
from bidbeacon_sessions.presentation import (
    action_json,
    describe_status,
    load_labels,
    session_url,
    whose,
)
from bidbeacon_sessions.queries import find_session, list_excerpts, list_sessions_of_run
from bidbeacon_sessions.redaction import redact_text
from bidbeacon_sessions.session import (
    SessionRecorder,
    default_store,
    finalize_session,
    with_job_session,
)
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.store import SessionStore

MAX_MARKDOWN_BYTES = 4_000
"""The bytes that one Markdown value may take as it is stored, so that an event with some twenty figures beside it (3.8 KB) stays below 8 KB."""

_MOST_SENTENCES = 60
_LONGEST_SENTENCE = 400
_ROOM_FOR_REST = 100
_LONGEST_TAG = 250


def session_metadata(store: SessionStore, session_id: UUID) -> dict[str, MetadataValue[Any]]:
    """Return what a materialization, observation or check shows of a session: its page, its status and outcome, its sentences as Markdown."""
    with store.begin() as connection:
        header = find_session(connection, session_id)
        actions = list_excerpts(connection, [session_id], last=_MOST_SENTENCES)
        labels = load_labels(connection, actions)
    if header is None:
        return {}
    account = header["account_key"]
    shown = [action_json(action, labels) for action in actions]
    named = [(action, whose(action, account)) for action in shown]
    said = [
        (action["at"], f"{who}: {action['text']}" if who else action["text"])
        for action, who in named
    ]
    status = describe_status(header["status"], header["outcome"], header["recovered_by"])
    return {
        "session": MetadataValue.url(session_url(str(session_id))),
        "session_status": MetadataValue.text(status),
        "session_outcome": MetadataValue.text(header["outcome"]),
        "timeline": _list_sentences(said, earlier=header["action_count"] - len(actions)),
    }


def timeline(actions: Iterable[Mapping[Any, Any]]) -> MetadataValue[Any]:
    """Return the sentences of stored actions, which are in order, as a Markdown list: the newest where there is no room for all."""
    return _list_sentences([(action["at"], action["text"]) for action in map(action_json, actions)])


def _list_sentences(said: Sequence[tuple[str, str]], *, earlier: int = 0) -> MetadataValue[Any]:
    """Return sentences with their instants as a Markdown list; `earlier` says how many came before them."""
    lines = [f"- `{at[11:19]}` {escape_markdown(_shortened(sentence))}" for at, sentence in said]
    kept = _fitting(lines[::-1], MAX_MARKDOWN_BYTES)[::-1]
    left = earlier + len(lines) - len(kept)
    listed = [f"- … {left:,} earlier on the session's page", *kept] if left else kept
    return MetadataValue.md("\n".join(listed) or "No actions.")


def _shortened(sentence: str) -> str:
    return sentence if len(sentence) <= _LONGEST_SENTENCE else f"{sentence[:_LONGEST_SENTENCE]}…"


def bounded_lines(lines: Sequence[str], rest: str, *, most_bytes: int = MAX_MARKDOWN_BYTES) -> str:
    """Join lines as long as they stay within a bound as JSON; `rest` says how many were left out."""
    kept = _fitting(lines, most_bytes)
    left = len(lines) - len(kept)
    return "\n".join([*kept, rest.format(f"{left:,}")] if left else kept)


def _fitting(lines: Iterable[str], most_bytes: int) -> list[str]:
    """Return the first lines that stay within the bound, with room for one that says how many are left out."""
    kept: list[str] = []
    room = most_bytes - _ROOM_FOR_REST
    for line in lines:
        room -= len(json.dumps(line))  # two quotes, for the line's end
        if room < 0:
            break
        kept.append(line)
    return kept


def escape_markdown(text: str) -> str:
    """Return text from outside as Markdown that shows it as it is."""
    for character in "\\`*_{}[]<>#|":
        text = text.replace(character, f"\\{character}")
    return text


SESSION_TAG = "bidbeacon/session"
LABEL_TAG = "bidbeacon/account"
"""What the account of a run is called; its key is in the run's own tags."""

_WAITING = frozenset({DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED})
_UNFINISHED = frozenset(
    {DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING}
)
_FINISHED = frozenset(
    {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
)
_BEATS_MISSED = 3
_CLOSER_SECONDS = 15
RUN_WITHOUT_SESSION = timedelta(minutes=3)
"""A run has so long to start, and to end after its last session, before it counts as lost: as Dagster's own `start_timeout_seconds`."""
_ENDS: Mapping[DagsterRunStatus | None, tuple[Literal["cancelled", "crashed"], str]] = {
    None: ("crashed", "its process died."),
    DagsterRunStatus.CANCELED: ("cancelled", "the run was terminated in Dagster."),
    DagsterRunStatus.CANCELING: (
        "cancelled",
        "its process ended while Dagster was terminating the run.",
    ),
    DagsterRunStatus.SUCCESS: (
        "crashed",
        "its process died, and a later attempt brought the run to its end.",
    ),
    DagsterRunStatus.FAILURE: ("crashed", "its process died, and Dagster ended the run as failed."),
}
"""How a session without a sign of life ends, and why, by how Dagster says that its run is."""
_PARTITION_TAGS = ("partition", "asset_partition_range_start", "asset_partition_range_end")


class JobSessionsResource(ConfigurableResource[SessionStore]):
    """Opens sessions for ops and assets, in the database of `BIDBEACON_DATABASE_URL`; override `store` for another one.

    ```python
    sessions = JobSessionsResource()

    @asset
    @sessions.recorded("fetch-invoices")
    def invoices(context: AssetExecutionContext, session: SessionRecorder) -> None: ...
    ```
    """

    def store(self) -> SessionStore:
        """Return the store that sessions are written to."""
        return default_store()

    @contextmanager
    def session(
        self,
        context: OpExecutionContext | AssetExecutionContext,
        job_name: str,
        *,
        input: dict[str, Any] | None = None,  # noqa: A002 - the column's name
        account: Subject | None = None,
    ) -> Iterator[SessionRecorder]:
        """Record what happens inside as the session of this attempt of this step.

        Run id, step key, retry number, partition (or range of partitions) and asset are taken from
        the context, and the run is tagged with the session. An exception that leaves it is masked,
        since Dagster keeps it in its events.
        """
        step = context.get_step_execution_context()
        try:
            with with_job_session(
                job_name,
                store=self.store(),
                run_id=context.run.run_id,
                step_key=step.step.key,
                retry_number=step.previous_attempt_count,
                account=account,
                input=input,
                labels=_labels(context),
            ) as session:
                tags = {SESSION_TAG: str(session.session_id)} | label_tag(
                    account.label if account else None
                )
                context.instance.add_run_tags(context.run.run_id, tags)
                yield session
        except BaseException as error:
            clean = masked(error)
            if clean is error:
                raise
            raise clean from clean.__cause__

    def recorded(
        self, job_name: str, *, account: Subject | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return a decorator that records each call of an asset's or op's function as a session.

        The function must take `context`. A parameter `session`, where it has one, gets the
        recorder, and Dagster does not see it. Its config, if any, is the session's input. The
        session's page and sentences are added to the metadata of the output.
        """

        def decorate(compute: Callable[..., Any]) -> Callable[..., Any]:
            parameters = _parameters_of(compute)

            @wraps(compute)
            def run(context: Any, *args: Any, **kwargs: Any) -> Any:
                config = getattr(context, "op_execution_context", context).op_config
                given = {"config": config} if config else {}
                with self.session(context, job_name, input=given, account=account) as session:
                    own = {"session": session} if "session" in parameters else {}
                    result = compute(context, *args, **kwargs, **own)
                context.add_output_metadata(session_metadata(session.store, session.session_id))
                return result

            shown = [parameter for name, parameter in parameters.items() if name != "session"]
            run.__signature__ = inspect.signature(compute).replace(parameters=shown)  # type: ignore[attr-defined]
            run.__annotations__.pop("session", None)
            return run

        return decorate


def label_tag(label: str | None) -> dict[str, str]:
    """Return the tag that says what a run's account is called; none where it has no name."""
    return {LABEL_TAG: redact_text(label)[:_LONGEST_TAG]} if label else {}


def _labels(context: OpExecutionContext | AssetExecutionContext) -> dict[str, str]:
    """Return what a session's page links back to: the Dagster job, the partition or the range of partitions, the asset, the run that this one retries."""
    labels = {"dagster_job": context.run.job_name}
    if isinstance(context, AssetExecutionContext):
        labels["asset"] = ", ".join(
            sorted(key.to_user_string() for key in context.selected_asset_keys)
        )
    tags = context.run.tags
    partition, first, last = (tags.get(f"dagster/{name}") for name in _PARTITION_TAGS)
    if partition:
        labels["partition"] = partition
    elif first and last:
        labels["partitions"] = f"{first} … {last}"
    if retried := tags.get("dagster/parent_run_id"):
        labels["retry_of"] = retried
    return labels


def _parameters_of(compute: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    name = getattr(compute, "__name__", "the function")
    if inspect.isgeneratorfunction(compute):
        raise TypeError(
            f"Expected {name} to return, it yields: put `with sessions.session(context, …)` inside it instead."
        )
    parameters = dict(inspect.signature(compute).parameters)
    if next(iter(parameters), None) != "context":
        raise TypeError(
            f"Expected the first parameter of {name} to be `context`, got: {list(parameters)}."
        )
    return parameters


def build_session_closer(store: Callable[[], SessionStore]) -> SensorDefinition:
    """Make the sensor that closes sessions whose process died, as Dagster says the run ended.

    A run that Dagster still holds for started, though its only session gave no sign of life for the
    length of a lease, is reported failed (cancelled, where it was being terminated): its worker is
    gone or frozen, and it would keep its slot for ever. The session's connections are ended, with
    the locks they hold.
    """

    @sensor(
        minimum_interval_seconds=_CLOSER_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Closes sessions whose process died or is frozen, and fails their runs, which would keep their place for ever. Starts no run.",
    )
    def close_crashed_sessions(context: SensorEvaluationContext) -> SkipReason:
        """Close sessions whose process died, and fail runs whose worker is gone."""
        closed = close_dead_sessions(store(), context.instance)
        return SkipReason(f"Closed {closed} sessions." if closed else "All running sessions live.")

    return close_crashed_sessions


def close_dead_sessions(store: SessionStore, instance: DagsterInstance) -> int:
    """Close every session that gives no sign of life, with what Dagster knows of its run; return how many were closed."""
    missed = timedelta(seconds=get_session_settings().heartbeat_seconds * _BEATS_MISSED)
    with store.begin() as connection:
        silent = list_dead_sessions(connection, silent_for=missed)
    return sum(_close_if_dead(store, instance, row) for row in silent)


def _close_if_dead(store: SessionStore, instance: DagsterInstance, row: RowMapping) -> bool:
    run = instance.get_run_by_id(row["run_id"]) if row["run_id"] else None
    status = run.status if run else None
    if not row["lease_ended"] and status not in _FINISHED:
        return False  # a pause that its lease still covers
    # The run first: a sensor that dies in between finds the session still open, and comes by here
    # again.
    if run is not None and status in _UNFINISHED:
        with store.begin() as connection:
            sessions = list_sessions_of_run(connection, run.run_id)
        # While another session of the run is open, its worker may live.
        if not any(other["status"] == "running" and other["id"] != row["id"] for other in sessions):
            _end_run(instance, run, f"Its worker gave no sign of life since {row['heartbeat_at']}")
    ended, reason = _ENDS.get(status, ("crashed", "its process died, and nobody had told Dagster."))
    with store.begin() as connection:
        return finalize_session(
            connection,
            row["id"],
            status=ended,
            reason=reason,
            now=utc_now(),
            has_successor=status is DagsterRunStatus.SUCCESS,
        )


def _end_run(instance: DagsterInstance, run: DagsterRun, seen: str) -> None:
    """Tell Dagster that a run has ended: as failed, or as cancelled where that was asked of it."""
    if run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, f"{seen}: it ended while it was being terminated.")
    else:
        instance.report_run_failed(run, f"{seen}: the process or its host is gone.")


def list_runs_under_way(
    store: SessionStore, instance: DagsterInstance, job_name: str
) -> list[DagsterRun]:
    """Return the unfinished runs of a job that are queued or worked on, as their sessions' leases say.

    Dagster's status does not tell: the run of a frozen worker is started for hours.
    """
    unfinished = RunsFilter(job_name=job_name, statuses=[*_WAITING, *_UNFINISHED])
    records = instance.get_run_records(unfinished)
    ids = [record.dagster_run.run_id for record in records]
    with store.begin() as connection:
        signs = find_run_signs(connection, ids)
    now = utc_now()
    return [
        record.dagster_run
        for record in records
        if _is_under_way(record, signs.get(record.dagster_run.run_id), now)
    ]


def _is_under_way(record: RunRecord, signs: RowMapping | None, now: datetime) -> bool:
    if record.dagster_run.status is DagsterRunStatus.QUEUED:
        return True
    if signs is not None and signs["is_open"]:
        return bool(signs["lives"])
    ended_at = signs["ended_at"] if signs is not None else None
    last: datetime = max(filter(None, [record.update_timestamp, ended_at]))
    return now - last < RUN_WITHOUT_SESSION
