"""Job sessions in Dagster: the resource that opens them, and what a run shows of one.

Any Dagster project can use it: put `with sessions.session(context, "…")` into an op or asset, or
`@sessions.recorded("…")` above it.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any
from uuid import UUID

from dagster import (
    AssetExecutionContext,
    ConfigurableResource,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    MetadataValue,
    OpExecutionContext,
    RunsFilter,
)

from bidbeacon_sessions.actions import Subject
from bidbeacon_sessions.errors import masked
from bidbeacon_sessions.presentation import (
    action_json,
    describe_status,
    load_labels,
    session_url,
    whose,
)
from bidbeacon_sessions.queries import find_session, list_excerpts
from bidbeacon_sessions.redaction import redact_text
from bidbeacon_sessions.session import (
    SessionRecorder,
    default_store,
    with_job_session,
)
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

_UNFINISHED = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
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


def list_runs_under_way(instance: DagsterInstance, job_name: str) -> list[DagsterRun]:
    """Return the unfinished runs of a job, also those that wait in the queue.

    The run of a dead worker is among them until the reaper has failed it.
    """
    return list(instance.get_runs(RunsFilter(job_name=job_name, statuses=_UNFINISHED)))
