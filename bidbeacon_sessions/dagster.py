"""Job sessions in Dagster: the resource that opens sessions, and their metadata.

Any Dagster project can use it: put `with sessions.session(context, "…")` into an op or asset.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID
from weakref import WeakSet

import dagster as dg

from bidbeacon_sessions import presentation
from bidbeacon_sessions.actions import Subject
from bidbeacon_sessions.connections import SessionStore
from bidbeacon_sessions.errors import SecondSessionError, mask_error
from bidbeacon_sessions.masking import mask_text
from bidbeacon_sessions.queries import find_session, list_excerpts
from bidbeacon_sessions.session import SessionRecorder, default_store, with_job_session

_MOST_SENTENCES = 3
_LONGEST_SENTENCE = 300
_LONGEST_TAG = 250


def session_metadata(store: SessionStore, session_id: UUID) -> dict[str, dg.MetadataValue[Any]]:
    """Return a session's link, status, outcome and up to three action sentences, errors first."""
    with store.begin() as connection:
        header = find_session(connection, session_id)
        excerpt = list_excerpts(
            connection, [session_id], last=_MOST_SENTENCES, errors=_MOST_SENTENCES
        )
        labels = presentation.read_labels(connection, excerpt)
    if header is None:
        return {}
    by_weight = sorted(excerpt, key=lambda action: (action["tone"] != "error", -action["ord"]))
    shown = [presentation.action_json(action, labels) for action in by_weight[:_MOST_SENTENCES]]
    for action in shown:
        if others := presentation.whose(action, header["account_key"]):
            action["text"] = f"{others}: {action['text']}"
    return {
        **session_link(session_id),
        "session_status": dg.MetadataValue.text(presentation.describe_status(header)),
        "session_outcome": dg.MetadataValue.text(header["outcome"]),
        "actions": _markdown_list(shown),
    }


def session_link(session_id: UUID) -> dict[str, dg.MetadataValue[Any]]:
    """Return the metadata that links to a session's page."""
    return {"session": dg.MetadataValue.url(presentation.session_url(str(session_id)))}


def list_sentences(actions: Iterable[Mapping[Any, Any]]) -> dg.MetadataValue[Any]:
    """Return the sentences of actions (rows of `queries.list_actions`) as a Markdown list."""
    return _markdown_list(presentation.action_json(action, {}) for action in actions)


def _markdown_list(shown: Iterable[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    lines = []
    for action in shown:
        sentence = action["text"]
        if len(sentence) > _LONGEST_SENTENCE:
            sentence = f"{sentence[:_LONGEST_SENTENCE]}…"
        lines.append(f"- `{action['at'][11:19]}` {escape_markdown(sentence)}")
    return dg.MetadataValue.md("\n".join(lines) or "No actions.")


def escape_markdown(text: str) -> str:
    """Escape the characters of a text that have a meaning in Markdown."""
    for character in "\\`*_{}[]<>#|":
        text = text.replace(character, f"\\{character}")
    return text


SESSION_TAG = "bidbeacon/session"
LABEL_TAG = "bidbeacon/account"
"""The run tag with the label of the run's account; other tags have the account's key."""

_PARTITION_TAGS = ("partition", "asset_partition_range_start", "asset_partition_range_end")


_STEPS_WITH_SESSION: WeakSet[Any] = WeakSet()
"""The step contexts that had a session in this process. Each attempt has its own context."""


class JobSessionsResource(dg.ConfigurableResource[SessionStore]):
    """Opens sessions in the database of `BIDBEACON_DATABASE_URL`, unless you override `store`."""

    def store(self) -> SessionStore:
        """Return the store that sessions are written to."""
        return default_store()

    @contextmanager
    def session(
        self,
        context: dg.OpExecutionContext | dg.AssetExecutionContext,
        job_name: str,
        *,
        input: dict[str, Any] | None = None,  # noqa: A002 - the column's name
        account: Subject | None = None,
    ) -> Iterator[SessionRecorder]:
        """Record the work inside the block as one session: this attempt of the Dagster step.

        Run id, step key, retry number, partition (or range of partitions) and asset are taken from
        the context, and the run is tagged with the session. Secrets in an exception that leaves
        the block are masked, since Dagster stores the exception in its events.

        Raises:
            SecondSessionError: this attempt of the step already had a session.
        """
        step = context.get_step_execution_context()
        if step in _STEPS_WITH_SESSION:
            raise SecondSessionError(step.step.key)
        _STEPS_WITH_SESSION.add(step)
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
            clean = mask_error(error)
            if clean is error:
                raise
            raise clean from None


def label_tag(label: str | None) -> dict[str, str]:
    """Return the run tag that shows an account's label, or no tag if `label` is empty."""
    return {LABEL_TAG: mask_text(label)[:_LONGEST_TAG]} if label else {}


def _labels(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> dict[str, str]:
    labels = {"dagster_job": context.run.job_name}
    if isinstance(context, dg.AssetExecutionContext):
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
