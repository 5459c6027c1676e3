"""What Dagster shows of a session, small: an event's metadata is kept for good, and is read whenever an asset's page is opened."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from dagster import MetadataValue

from bidbeacon_sessions.presentation import NO_LABELS, action_json, load_labels, session_url
from bidbeacon_sessions.store import SessionStore, find_session, list_last_actions

MAX_MARKDOWN_BYTES = 4_000
"""What one Markdown value may take as it is stored, so that an event with some twenty figures beside it (3.8 KB) stays below 8 KB."""

_MOST_SENTENCES = 60
_LONGEST_SENTENCE = 400
_ROOM_FOR_REST = 100


def session_metadata(store: SessionStore, session_id: UUID) -> dict[str, MetadataValue[Any]]:
    """Give what a materialization, observation or check shows of a session: its page, its status and outcome, its sentences as Markdown."""
    with store.begin() as connection:
        header = find_session(connection, session_id)
        actions = list_last_actions(connection, [session_id], per_session=_MOST_SENTENCES)
        labels = load_labels(connection, actions)
    if header is None:
        return {}
    return {
        "session": MetadataValue.url(session_url(str(session_id))),
        "session_status": MetadataValue.text(header["status"]),
        "session_outcome": MetadataValue.text(header["outcome"]),
        "timeline": timeline(actions, labels, more=header["action_count"] - len(actions)),
    }


def timeline(
    actions: Sequence[Mapping[Any, Any]], labels: Mapping[str, str] = NO_LABELS, *, more: int = 0
) -> MetadataValue[Any]:
    """Give the sentences of stored actions as a Markdown list, the newest where there is no room for all.

    `labels` are those of `load_labels`; `more` is how many earlier ones of the session are not among them.
    """
    shown = [action_json(action, labels) for action in actions]
    lines = [f"- `{action['at'][11:19]}` {escape_markdown(_shortened(action['text']))}" for action in shown]
    kept = _fitting(lines[::-1], MAX_MARKDOWN_BYTES)[::-1]
    left = more + len(lines) - len(kept)
    told = [f"- … {left:,} earlier on the session's page", *kept] if left else kept
    return MetadataValue.md("\n".join(told) or "No actions.")


def bounded_lines(lines: Sequence[str], rest: str, *, most_bytes: int = MAX_MARKDOWN_BYTES) -> str:
    """Join lines as long as they stay within a bound as JSON; `rest` says how many were left out."""
    kept = _fitting(lines, most_bytes)
    left = len(lines) - len(kept)
    return "\n".join([*kept, rest.format(f"{left:,}")] if left else kept)


def _fitting(lines: Iterable[str], most_bytes: int) -> list[str]:
    """Give the first lines that stay within the bound, with room for one that says how many are left out."""
    kept: list[str] = []
    room = most_bytes - _ROOM_FOR_REST
    for line in lines:
        room -= len(json.dumps(line))  # two quotes, for the line's end
        if room < 0:
            break
        kept.append(line)
    return kept


def escape_markdown(text: str) -> str:
    """Give text from outside as Markdown that shows it as it is."""
    for character in "\\`*_{}[]<>#|":
        text = text.replace(character, f"\\{character}")
    return text


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SENTENCE else f"{text[:_LONGEST_SENTENCE]}…"
